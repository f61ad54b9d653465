"""Choice between float32 and bfloat16 on this processor."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch

from textgate.train.training.objective import loss

if TYPE_CHECKING:
    from textgate.train.data.dataset import Batch
    from textgate.train.teaching.encoders import EncoderClassifier

_ROUNDS = 3
_MAX_TIME = 0.8  # as a fraction of the time in float32
_MAX_ERROR = 0.02  # of a probability
_MIN_COSINE = 0.99  # of the gradients


def prefers_bfloat16(model: EncoderClassifier, batch: Batch, *, output: str) -> bool:
    """Return whether bfloat16 is faster on this processor, and as accurate.

    One batch is computed both ways in alternation, forward and backward.

    Args:
        model: the network, whose gradients are discarded.
        batch: some training rows.
        output: ``softmax`` or ``multi-label``.
    """
    seconds: dict[bool, list[float]] = {False: [], True: []}
    probabilities, gradients = {}, {}
    model.eval()
    for _ in range(_ROUNDS):
        for bfloat16 in (False, True):
            model.zero_grad()
            started = time.perf_counter()
            with torch.autocast(batch.ids.device.type, torch.bfloat16, enabled=bfloat16):
                logits = model(batch.ids, batch.lengths)
            loss(logits, batch.targets, output=output).backward()  # type: ignore[no-untyped-call]
            seconds[bfloat16].append(time.perf_counter() - started)
            probabilities[bfloat16] = torch.softmax(logits.detach(), dim=1)
            gradients[bfloat16] = torch.cat(
                [part.grad.flatten() for part in model.parameters() if part.grad is not None]
            )
    model.zero_grad()
    error = float((probabilities[True] - probabilities[False]).abs().max())
    cosine = float(torch.cosine_similarity(gradients[True], gradients[False], dim=0))
    faster = min(seconds[True]) < _MAX_TIME * min(seconds[False])
    return faster and error < _MAX_ERROR and cosine > _MIN_COSINE
