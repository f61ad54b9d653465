"""Pretraining a language model on texts without labels."""
