"""Inference: text in, prediction out."""
