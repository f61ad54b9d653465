"""The linear branch with a column a label, solved as the logistic regression that it is.

It learns by itself, and the problem is convex: what steps along random batches pass on their way to
knowing the training rows by heart is found here, for several strengths of regularization, of which
dev chooses one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from textgate.train.calibration import calibrated_loss
from textgate.train.model import LINEAR_GAIN
from textgate.train.objective import loss

if TYPE_CHECKING:
    from textgate.architecture import Architecture
    from textgate.train.dataset import Dataset
    from textgate.train.pairs import Features

# Of half the squared weights, beside the sum of the rows' losses; the strongest first, since the
# next solution is found from the one before.
PENALTIES = (64.0, 16.0, 4.0, 1.0, 0.25)
_STEPS = 40  # of L-BFGS for each of them, at most
_FLAT = 1e-5  # the largest derivative of a solution


@dataclass(frozen=True)
class Solution:
    """The rows of the branch's tables.

    Attributes:
        tokens: float32 [tokens, labels].
        pairs: float32 [buckets, labels].
        penalty: the one of `PENALTIES` that dev chose.
        dev_loss: mean log loss on dev of the branch alone, calibrated.
    """

    tokens: torch.Tensor
    pairs: torch.Tensor
    penalty: float
    dev_loss: float


def can_be_solved(architecture: Architecture) -> bool:
    """Return whether a network has a linear branch with a column a label."""
    net = architecture
    return net.output != "sigmoid" and net.linear_size == net.output_units


def solve(
    features: Features,
    train: Dataset,
    dev: Dataset,
    *,
    output: str,
    weights: torch.Tensor | None = None,
) -> Solution:
    """Return the tables of a branch with a column a label.

    Args:
        features: its tokens and pairs.
        train: the rows to learn from.
        dev: the rows that choose the penalty, by the log loss of calibrated probabilities.
        output: the network's output, ``softmax`` or ``multi-label``.
        weights: how much a label counts, float32 [labels]; None counts all alike.
    """
    texts, judges = _Texts(train, features), _Texts(dev, features)
    tokens, buckets = len(features.token_weights), len(features.pair_weights)
    table = torch.zeros(tokens + buckets, train.targets.shape[1], requires_grad=True)
    best: Solution | None = None
    for penalty in PENALTIES:
        _minimize(table, texts, penalty=penalty, output=output, weights=weights)
        found = table.detach().clone()
        logits = judges.logits(found).numpy()
        dev_loss = calibrated_loss(logits, dev.targets, multi_label=output == "multi-label")
        if best is None or dev_loss < best.dev_loss:
            best = Solution(found[:tokens], found[tokens:], penalty, dev_loss)
    assert best is not None  # there are penalties  # noqa: S101
    return best


class _Texts:
    """Texts as the branch sees them: rows of its tables, behind one another, and their weights."""

    def __init__(self, data: Dataset, features: Features) -> None:
        weights = np.concatenate([features.token_weights, features.pair_weights]).astype(np.float32)
        rows, values, ends = [], [], []
        for occurrences in features.occurrences(data.sequences):
            own = weights[occurrences]
            rows.append(occurrences.astype(np.int32))
            values.append(own * np.float32(LINEAR_GAIN / max(1.0, float(own @ own)) ** 0.5))
            ends.append(len(occurrences))
        self._rows = torch.from_numpy(np.concatenate(rows))
        self._values = torch.from_numpy(np.concatenate(values))
        begins = np.concatenate([[0], np.cumsum(ends)[:-1]]).astype(np.int32)
        self._begins = torch.from_numpy(begins)
        self.targets = torch.from_numpy(data.targets)

    def logits(self, table: torch.Tensor) -> torch.Tensor:
        """Return float32 [texts, labels]."""
        return torch.nn.functional.embedding_bag(
            self._rows, table, self._begins, mode="sum", per_sample_weights=self._values
        )


def _minimize(
    table: torch.Tensor,
    texts: _Texts,
    *,
    penalty: float,
    output: str,
    weights: torch.Tensor | None,
) -> None:
    """Move a table to where the penalized loss of the texts is the least."""
    optimizer = torch.optim.LBFGS(
        [table], max_iter=_STEPS, tolerance_grad=_FLAT, line_search_fn="strong_wolfe"
    )

    def penalized() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss(texts.logits(table), texts.targets, output=output, weights=weights)
        value = value + 0.5 * penalty / len(texts.targets) * table.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(penalized)  # type: ignore[no-untyped-call]
