"""Tokenizers, bigrams and word vectors."""
