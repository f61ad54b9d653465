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
    """

    ids: torch.Tensor
    lengths: torch.Tensor
    targets: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        """Return the batch on another device."""
        return Batch(self.ids.to(device), self.lengths.to(device), self.targets.to(device))


@dataclass(frozen=True)
class Dataset:
    """Encoded rows.

    Attributes:
        sequences: the token ids of each row, int64 [tokens].
        targets: float32 [rows, labels], 1 where a label applies, or its probability.
    """

    sequences: tuple[NDArray[np.int64], ...]
    targets: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.sequences)

    def batch(self, indices: Sequence[int] | NDArray[np.int64]) -> Batch:
        """Return the rows at these indices as one batch."""
        ids, lengths = pad([self.sequences[index] for index in indices])
        targets = torch.from_numpy(self.targets[np.asarray(indices)])
        return Batch(torch.from_numpy(ids), torch.from_numpy(lengths), targets)

    def subset(self, indices: NDArray[np.int64]) -> Dataset:
        """Return the rows at these indices."""
        return Dataset(tuple(self.sequences[index] for index in indices), self.targets[indices])

    def batches_by_length(self, batch_size: int) -> Iterator[tuple[NDArray[np.int64], Batch]]:
        """Yield batches of similar length, the shortest first, each with its rows' indices."""
        for indices in indices_by_length(self.lengths(), batch_size):
            yield indices, self.batch(indices)

    def lengths(self) -> NDArray[np.int64]:
        """Return the number of tokens of each row, int64 [rows]."""
        return np.array([len(sequence) for sequence in self.sequences])
