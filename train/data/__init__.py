"""Labelled rows and texts without labels, from files to tensors."""
