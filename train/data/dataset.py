"""Encoded rows and their batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from textgate.train.data.batching import indices_by_length, pad

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Batch:
    """Several rows at once, padded on the right.

    Attributes:
        ids: token ids, int64 [batch, tokens].
        lengths: tokens of each text, int64 [batch], at least 1.
        targets: float32 [batch, labels], as in `Dataset`.
        weights: the weight of each row, in units of the mean weight of all rows, float32 [batch];
            None if all are the same.
    """

    ids: torch.Tensor
    lengths: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """Return the batch on another device."""
        weights = None if self.weights is None else self.weights.to(device)
        return Batch(self.ids.to(device), self.lengths.to(device), self.targets.to(device), weights)


@dataclass(frozen=True)
class Dataset:
    """Encoded rows.

    Attributes:
        sequences: the token ids of each row, int64 [tokens].
        targets: float32 [rows, labels], 1 where a label applies, or its probability.
        weights: the weight of each row, float32 [rows], above 0; None if all are 1.
    """

    sequences: tuple[NDArray[np.int64], ...]
    targets: NDArray[np.float32]
    weights: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.sequences)

    def batch(self, indices: Sequence[int] | NDArray[np.int64]) -> Batch:
        """Return the rows at these indices as one batch."""
        ids, lengths = pad([self.sequences[index] for index in indices])
        chosen, weights = np.asarray(indices), None
        if self.weights is not None:
            weights = torch.from_numpy(self.weights[chosen] / self.weights.mean())
        return Batch(
            torch.from_numpy(ids),
            torch.from_numpy(lengths),
            torch.from_numpy(self.targets[chosen]),
            weights,
        )

    def subset(self, indices: NDArray[np.int64]) -> Dataset:
        """Return the rows at these indices."""
        return Dataset(
            tuple(self.sequences[index] for index in indices),
            self.targets[indices],
            None if self.weights is None else self.weights[indices],
        )

    def batches_by_length(self, batch_size: int) -> Iterator[tuple[NDArray[np.int64], Batch]]:
        """Yield batches of similar length, the shortest first, each with its rows' indices."""
        for indices in indices_by_length(self.lengths(), batch_size):
            yield indices, self.batch(indices)

    def lengths(self) -> NDArray[np.int64]:
        """Return the number of tokens of each row, int64 [rows]."""
        return np.array([len(sequence) for sequence in self.sequences])
