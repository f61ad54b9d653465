"""Quantization: which weights are stored and computed in integers, and how they are rounded."""
