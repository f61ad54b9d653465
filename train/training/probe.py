"""Linear probe: a solved head over the states of frozen recurrent layers.

The head is a penalized logistic regression (Alain and Bengio 2016). If the layers come with a
projection that maps their pooled states to sentence embeddings, the regression works in that space,
in which texts of like meaning are near, and is then folded into the head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from textgate.train.training.solver import LogisticRegression

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from textgate.bundle.architecture import Output
    from textgate.train.data.dataset import Dataset
    from textgate.train.network.model import TextClassifier

# Factors of half the squared weights, which are added to the sum of the rows' losses.
PROBE_PENALTIES = (4.0, 1.0, 0.25, 0.06, 0.015)
_CONSTANT = 3.0  # the feature of the bias: large, so that the penalty on the bias is small
_BATCH = 256


@dataclass(frozen=True)
class Projection:
    """Linear map from the pooled states of a sentence encoder to its vector of a text.

    Attributes:
        weight: float32 [components, pooled]; pooled are the maxima of the states over time, then
            their means.
        bias: float32 [components].
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]


@dataclass(frozen=True)
class Head:
    """The last dense layer of a network.

    Attributes:
        weight: float32 [labels, pooled].
        bias: float32 [labels].
    """

    weight: torch.Tensor
    bias: torch.Tensor


@dataclass(frozen=True)
class Space:
    """The affine map from pooled states to the features of the regression.

    Attributes:
        weight: float32 [features, pooled].
        bias: float32 [features].
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    def features(self, pooled: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the features of pooled states, with a constant last, float32 [rows, features]."""
        mapped = pooled @ self.weight.T + self.bias
        constant = np.full((len(pooled), 1), _CONSTANT, np.float32)
        return np.concatenate([mapped, constant], axis=1)

    def head(self, table: torch.Tensor) -> Head:
        """Return the head that computes the same from pooled states as a table from features."""
        columns, bias = table[:-1].T, table[-1] * _CONSTANT
        return Head(
            columns @ torch.from_numpy(self.weight), columns @ torch.from_numpy(self.bias) + bias
        )


def find_space(pooled: NDArray[np.float32], projection: Projection | None) -> Space:
    """Return the space of a regression, scaled so that features have length 1 on average.

    Args:
        pooled: pooled states of the training rows, float32 [rows, pooled].
        projection: the projection to sentence embeddings; None standardizes the states.
    """
    if projection is None:
        scale = 1.0 / (pooled.std(axis=0) + 1e-6)
        weight, bias = np.diag(scale), -pooled.mean(axis=0) * scale
    else:
        weight, bias = projection.weight, projection.bias
    length = max(1e-6, np.linalg.norm(pooled @ weight.T + bias, axis=1).mean())
    return Space((weight / length).astype(np.float32), (bias / length).astype(np.float32))


def pooled_states(model: TextClassifier, dataset: Dataset) -> NDArray[np.float32]:
    """Return what the head of a network reads of every row, float32 [rows, pooled]."""
    device = model.embedding.weight.device
    result = np.empty((len(dataset), model.architecture.pooled_size), dtype=np.float32)
    model.eval()
    with torch.inference_mode():
        for indices, batch in dataset.batches_by_length(_BATCH):
            moved = batch.to(device)
            pooled = model.pooled_states(model.embedding(moved.ids), moved.lengths)
            result[indices] = pooled.cpu().numpy()
    return result


def solve_heads(
    space: Space,
    pooled: NDArray[np.float32],
    targets: NDArray[np.float32],
    *,
    output: Output,
    weights: torch.Tensor | None,
    row_weights: NDArray[np.float32] | None = None,
    penalties: Sequence[float] = PROBE_PENALTIES,
) -> Iterator[Head]:
    """Yield the solved head of each penalty, the strongest first.

    Args:
        space: the space of the regression.
        pooled: pooled states of the training rows, float32 [rows, pooled].
        targets: float32 [rows, labels].
        output: the output of the network, ``softmax`` or ``multi-label``.
        weights: weight of each label, float32 [labels]; None weighs all the same.
        row_weights: weight of each row, float32 [rows]; None weighs all the same.
        penalties: the penalties, the strongest first.
    """
    matrix = _Dense(torch.from_numpy(space.features(pooled)))
    of_rows = None if row_weights is None else torch.from_numpy(row_weights)
    regression = LogisticRegression(matrix, torch.from_numpy(targets), output, weights, of_rows)
    yield from map(space.head, regression.tables(penalties))


def head_logits(head: Head, pooled: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the logits of a head, float32 [rows, labels]."""
    return (torch.from_numpy(pooled) @ head.weight.T + head.bias).numpy()


@dataclass(frozen=True)
class _Dense:
    """Texts as a dense matrix [texts, features]."""

    matrix: torch.Tensor

    @property
    def width(self) -> int:
        return self.matrix.shape[1]

    def logits(self, table: torch.Tensor) -> torch.Tensor:
        return self.matrix @ table

    def gradient(self, of_logits: torch.Tensor) -> torch.Tensor:
        return self.matrix.T @ of_logits
