"""What training minimizes."""

from __future__ import annotations

import torch
from torch.nn import functional


def loss(logits: torch.Tensor, targets: torch.Tensor, *, output: str) -> torch.Tensor:
    """Return the mean cross-entropy over the batch, a scalar.

    For ``sigmoid`` and ``softmax`` it is the cross-entropy of the row's label, which for logits
    [0, z] is the binary cross-entropy of z; for ``multi-label`` the mean over labels of each
    label's binary cross-entropy.

    Args:
        logits: float32 [batch, labels].
        targets: float32 [batch, labels], in 0..1.
        output: the network's output, see `textgate.architecture.Architecture`.
    """
    if output == "multi-label":
        return functional.binary_cross_entropy_with_logits(logits, targets)
    return functional.cross_entropy(logits, targets)
