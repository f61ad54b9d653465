"""The classifier network in PyTorch."""
