"""The linear branch with a column a label, solved as the logistic regression that it is.

It learns by itself, and the problem is convex: what steps along random batches pass on their way to
knowing the training rows by heart is found here, for several strengths of regularization, of which
dev chooses one.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from textgate.train.fit.calibration import calibrated_loss
from textgate.train.fit.objective import loss
from textgate.train.network.model import LINEAR_GAIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from textgate.bundle.architecture import Architecture
    from textgate.train.data.dataset import Dataset
    from textgate.train.text.bigrams import Features

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
    table = torch.zeros(tokens + buckets, train.targets.shape[1])
    best: Solution | None = None
    for penalty in PENALTIES:
        _minimize(table, texts, penalty=penalty, output=output, weights=weights)
        found = table.clone()
        logits = judges.logits(found).numpy()
        dev_loss = calibrated_loss(logits, dev.targets, multi_label=output == "multi-label")
        if best is None or dev_loss < best.dev_loss:
            best = Solution(found[:tokens], found[tokens:], penalty, dev_loss)
    assert best is not None  # there are penalties  # noqa: S101
    return best


class _Texts:
    """Texts as the branch sees them: a sparse matrix, and its transpose for derivatives."""

    def __init__(self, data: Dataset, features: Features) -> None:
        weights = np.concatenate([features.token_weights, features.pair_weights]).astype(np.float32)
        columns, values, counts = [], [], []
        for occurrences in features.occurrences(data.sequences):
            own = weights[occurrences]
            columns.append(occurrences.astype(np.int32))
            values.append(own * np.float32(LINEAR_GAIN / max(1.0, float(own @ own)) ** 0.5))
            counts.append(len(occurrences))
        column, value = np.concatenate(columns), np.concatenate(values)
        row = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        order = np.argsort(column, kind="stable")
        self._matrix = _sparse(counts, column, value, width=len(weights))
        self._transpose = _sparse(
            np.bincount(column, minlength=len(weights)), row[order], value[order], width=len(counts)
        )
        self.targets = torch.from_numpy(data.targets)

    def logits(self, table: torch.Tensor) -> torch.Tensor:
        """Return float32 [texts, labels]."""
        return self._matrix @ table

    def derivative(self, of_logits: torch.Tensor) -> torch.Tensor:
        """Return a loss's derivative by the table from that by the logits."""
        return self._transpose @ of_logits


def _sparse(
    counts: Sequence[int] | NDArray[np.int64],
    columns: NDArray[np.int32],
    values: NDArray[np.float32],
    *,
    width: int,
) -> torch.Tensor:
    """Return a matrix of so many values a row; equal places add up."""
    ends = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that torch may yet change such tensors
        return torch.sparse_csr_tensor(
            torch.from_numpy(ends),
            torch.from_numpy(columns),
            torch.from_numpy(values),
            (len(counts), width),
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
    share = penalty / len(texts.targets)

    def penalized() -> torch.Tensor:
        # By hand: what autograd makes of sparse inputs takes forty times as long.
        logits = texts.logits(table).requires_grad_()
        value = loss(logits, texts.targets, output=output, weights=weights)
        (of_logits,) = torch.autograd.grad(value, logits)
        table.grad = texts.derivative(of_logits) + share * table
        return value.detach() + 0.5 * share * table.square().sum()

    optimizer.step(penalized)  # type: ignore[no-untyped-call]
