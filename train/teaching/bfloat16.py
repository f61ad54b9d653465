"""Choice between float32 and bfloat16 on this processor."""

from __future__ import annotations

import math
import time
from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import nn

from textgate.train.training.objective import loss

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textgate.bundle.architecture import Output
    from textgate.train.data.dataset import Batch
    from textgate.train.teaching.encoders import EncoderClassifier

_ROUNDS = 3
_MAX_TIME_RATIO = 0.8  # to the time in float32
_MAX_ERROR = 0.02  # of a probability
_MIN_COSINE = 0.99  # of the gradients


def prefers_bfloat16(model: EncoderClassifier, batch: Batch, *, output: Output) -> bool:
    """Return whether bfloat16 is faster on this processor, and as accurate.

    One batch is computed both ways in alternation, forward and backward.

    Args:
        model: the network, whose gradients are discarded.
        batch: some training rows.
        output: ``softmax`` or ``multi-label``.
    """
    probabilities, gradients = {}, {}
    model.eval()

    def compute(bfloat16: bool) -> None:
        model.zero_grad()
        with torch.autocast(batch.ids.device.type, torch.bfloat16, enabled=bfloat16):
            logits = model(batch.ids, batch.lengths)
        loss(logits, batch.targets, output=output).backward()  # type: ignore[no-untyped-call]
        probabilities[bfloat16] = torch.softmax(logits.detach(), dim=1)
        gradients[bfloat16] = [
            part.grad.clone() for part in model.parameters() if part.grad is not None
        ]

    faster = is_faster_in_bfloat16(compute)
    model.zero_grad()
    error = float((probabilities[True] - probabilities[False]).abs().max())
    return faster and error < _MAX_ERROR and cosine(*gradients.values()) > _MIN_COSINE


def cosine(one: Sequence[torch.Tensor], other: Sequence[torch.Tensor]) -> float:
    """Return the cosine similarity of tensors that are one vector together.

    A float32 sum over a hundred million products is wrong by one percent.
    """

    def product(left: Sequence[torch.Tensor], right: Sequence[torch.Tensor]) -> float:
        return sum(
            float(torch.sum(a * b, dtype=torch.float64)) for a, b in zip(left, right, strict=True)
        )

    return product(one, other) / math.sqrt(product(one, one) * product(other, other))


def is_faster_in_bfloat16(compute: Callable[[bool], None]) -> bool:
    """Return whether a computation in bfloat16 takes less than 0.8 of its time in float32.

    Args:
        compute: computes in bfloat16 if it is given True; it is called both ways in alternation.
    """
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(_ROUNDS):
        for bfloat16, measured in seconds.items():
            started = time.perf_counter()
            compute(bfloat16)
            measured.append(time.perf_counter() - started)
    return min(seconds[True]) < _MAX_TIME_RATIO * min(seconds[False])


@cache
def has_recurrent_bfloat16(device: str) -> bool:
    """Return whether PyTorch can train a recurrent layer in bfloat16 here.

    On a CPU it needs AVX-512, which other processors lack although their other layers compute in
    bfloat16.

    Args:
        device: type of the device, such as ``cpu``.
    """
    with torch.random.fork_rng(devices=()):
        cell = nn.LSTM(8, 8).to(device)
    try:
        with torch.autocast(device, torch.bfloat16):
            states, _ = cell(torch.ones(2, 1, 8, device=device))
        states.float().sum().backward()
    except RuntimeError:
        return False
    return True
