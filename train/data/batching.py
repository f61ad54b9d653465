"""Order and padding of batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from textgate.inference.tokenizer import PADDING_ID

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

# Texts are sorted by length within windows of this many batches: little padding, enough shuffling.
_WINDOW_BATCHES = 50


def shuffled_indices(
    lengths: NDArray[np.int64], batch_size: int, *, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """Return the index of every text once, in shuffled batches of similar length.

    Args:
        lengths: tokens of each text, int64 [texts].
        batch_size: texts per batch; some batches have fewer.
        seed: seed of the order.
        epoch: number of the epoch; each epoch has an order of its own.
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(lengths))
    batches: list[NDArray[np.int64]] = []
    window_size = batch_size * _WINDOW_BATCHES
    for start in range(0, len(order), window_size):
        window = order[start : start + window_size]
        by_length = window[np.argsort(lengths[window], kind="stable")]
        batches.extend(_slices(by_length, batch_size))
    return [batches[index] for index in generator.permutation(len(batches))]


def indices_by_length(lengths: NDArray[np.int64], batch_size: int) -> Iterator[NDArray[np.int64]]:
    """Yield the index of every text once, in batches of similar length, the shortest first."""
    return _slices(np.argsort(lengths, kind="stable"), batch_size)


def _slices(indices: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(indices), size):
        yield indices[start : start + size]


def pad(sequences: Sequence[NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return ids [batch, longest] padded on the right, and lengths [batch], both int64."""
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    ids = np.full((len(sequences), int(lengths.max())), PADDING_ID, dtype=np.int64)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = sequence
    return ids, lengths
