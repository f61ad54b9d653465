"""Pretraining a language model or a sentence encoder on texts without labels."""
