"""Solver of penalized logistic regressions, and of a linear branch with one column per label.

The branch is trained without the rest of the network, and this problem is convex. It is solved for
several strengths of regularization, of which dev chooses one; gradient descent may stop past the
best of them.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from textgate.train.network.model import LINEAR_GAIN
from textgate.train.training.calibration import calibrated_loss
from textgate.train.training.objective import loss

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from textgate.bundle.architecture import Architecture, Output
    from textgate.train.data.dataset import Dataset
    from textgate.train.text.bigrams import Features

# Factors of half the squared weights, which are added to the sum of the rows' losses. The strongest
# comes first, because each solution is the starting point of the next.
PENALTIES = (64.0, 16.0, 4.0, 1.0, 0.25)
_MAX_STEPS = 40  # of L-BFGS per penalty
_MAX_GRADIENT = 1e-5  # of any weight of a solution


@dataclass(frozen=True)
class Solution:
    """The solved tables of a linear branch.

    Attributes:
        table: the rows of the tokens, then those of the bigrams, float32 [features, labels].
        token_count: number of tokens.
        penalty: the penalty.
    """

    table: torch.Tensor
    token_count: int
    penalty: float

    @property
    def tokens(self) -> torch.Tensor:
        """The rows of the tokens, float32 [tokens, labels]."""
        return self.table[: self.token_count]

    @property
    def bigrams(self) -> torch.Tensor:
        """The rows of the bigrams, float32 [buckets, labels]."""
        return self.table[self.token_count :]


class FeatureMatrix(Protocol):
    """Texts by features."""

    @property
    def width(self) -> int:
        """Number of features."""

    def logits(self, table: torch.Tensor) -> torch.Tensor:
        """Return float32 [texts, labels] from a table [features, labels]."""

    def gradient(self, of_logits: torch.Tensor) -> torch.Tensor:
        """Return the gradient with respect to the table from that with respect to the logits."""


@dataclass(frozen=True)
class LogisticRegression:
    """A penalized logistic regression.

    Attributes:
        matrix: the texts.
        targets: float32 [texts, labels].
        output: the output of the network, ``softmax`` or ``multi-label``.
        weights: weight of each label, float32 [labels]; None weighs all the same.
        row_weights: weight of each text, float32 [texts]; None weighs all the same.
    """

    matrix: FeatureMatrix
    targets: torch.Tensor
    output: Output
    weights: torch.Tensor | None = None
    row_weights: torch.Tensor | None = None

    def tables(self, penalties: Sequence[float]) -> Iterator[torch.Tensor]:
        """Yield the solution of each penalty, float32 [features, labels].

        Args:
            penalties: the strongest first, because each solution is the next starting point.
        """
        table = torch.zeros(self.matrix.width, self.targets.shape[1])
        for penalty in penalties:
            self._minimize(table, penalty)
            yield table.clone()

    def _minimize(self, table: torch.Tensor, penalty: float) -> None:
        """Change a table to the minimum of the penalized loss."""
        optimizer = torch.optim.LBFGS(
            [table],
            max_iter=_MAX_STEPS,
            tolerance_grad=_MAX_GRADIENT,
            line_search_fn="strong_wolfe",
        )
        rows = self.row_weights
        decay = penalty / (len(self.targets) if rows is None else float(rows.sum()))

        def penalized() -> torch.Tensor:
            # The gradient is computed here: autograd takes forty times as long on sparse inputs.
            logits = self.matrix.logits(table).requires_grad_()
            value = loss(
                logits, self.targets, output=self.output, weights=self.weights, row_weights=rows
            )
            (of_logits,) = torch.autograd.grad(value, logits)
            table.grad = self.matrix.gradient(of_logits) + decay * table
            return value.detach() + 0.5 * decay * table.square().sum()

        optimizer.step(penalized)  # type: ignore[no-untyped-call]


def can_be_solved(architecture: Architecture) -> bool:
    """Return whether a network has a linear branch with one column per label."""
    net = architecture
    return net.output != "sigmoid" and net.linear_size == net.output_units


def solve(
    features: Features,
    train: Dataset,
    dev: Dataset,
    *,
    output: Output,
    weights: torch.Tensor | None = None,
) -> tuple[Solution, float]:
    """Return the tables of a linear branch with one column per label, and its loss on dev.

    Args:
        features: the features of the branch.
        train: the training rows.
        dev: the rows that choose the penalty, by the log loss of calibrated probabilities.
        output: the output of the network, ``softmax`` or ``multi-label``.
        weights: weight of each label, float32 [labels]; None weighs all the same.
    """
    found = solve_all(features, train, dev, output=output, weights=weights, penalties=PENALTIES)
    losses = [
        calibrated_loss(
            logits, dev.targets, multi_label=output == "multi-label", weights=dev.weights
        )
        for _, logits in found
    ]
    best = int(np.argmin(losses))
    return found[best][0], losses[best]


def solve_all(
    features: Features,
    train: Dataset,
    held_out: Dataset,
    *,
    output: Output,
    weights: torch.Tensor | None = None,
    penalties: Sequence[float] = PENALTIES,
) -> list[tuple[Solution, NDArray[np.float32]]]:
    """Return the solution of each penalty with its logits on other rows, float32 [rows, labels].

    The arguments are those of `solve`; `held_out` are the other rows.
    """
    other = FeatureCounts(held_out, features)
    return [
        (solution, other.logits(solution.table).numpy())
        for solution in solutions(
            features, train, output=output, weights=weights, penalties=penalties
        )
    ]


def solutions(
    features: Features,
    train: Dataset,
    *,
    output: Output,
    weights: torch.Tensor | None,
    penalties: Sequence[float],
) -> Iterator[Solution]:
    """Yield the solution of each penalty, the strongest first.

    The arguments are those of `solve`.
    """
    matrix = FeatureCounts(train, features)
    regression = LogisticRegression(
        matrix,
        torch.from_numpy(train.targets),
        output,
        weights,
        None if train.weights is None else torch.from_numpy(train.weights),
    )
    for penalty, table in zip(penalties, regression.tables(penalties), strict=True):
        yield Solution(table, len(features.token_weights), penalty)


class FeatureCounts:
    """Texts as a sparse matrix [texts, features], and its transpose for gradients."""

    def __init__(self, data: Dataset, features: Features) -> None:
        weights = np.concatenate([features.token_weights, features.bigram_weights])
        weights = weights.astype(np.float32)
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
        self.width = len(weights)

    def logits(self, table: torch.Tensor) -> torch.Tensor:
        """Return float32 [texts, labels]."""
        return self._matrix @ table

    def gradient(self, of_logits: torch.Tensor) -> torch.Tensor:
        """Return the gradient with respect to the table from that with respect to the logits."""
        return self._transpose @ of_logits


def _sparse(
    counts: Sequence[int] | NDArray[np.int64],
    columns: NDArray[np.int32],
    values: NDArray[np.float32],
    *,
    width: int,
) -> torch.Tensor:
    """Return a sparse matrix with `counts` values per row; values of one cell add up."""
    ends = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch calls sparse CSR tensors a beta
        return torch.sparse_csr_tensor(
            torch.from_numpy(ends),
            torch.from_numpy(columns),
            torch.from_numpy(values),
            (len(counts), width),
        )
