"""The networks in PyTorch and their initialization."""
