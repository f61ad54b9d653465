"""Labelled rows, from files to tensors."""
