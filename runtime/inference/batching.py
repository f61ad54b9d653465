"""Batches of texts of similar length, and their padding."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from textgate.inference.tokenizer import PADDING_ID

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TypeVar

    import numpy as np
    from numpy.typing import NDArray

    from textgate.inference.tokenizer import Encoded

    _T = TypeVar("_T")

# Batches in a window. Texts are sorted by length within a window, which saves padding; the window
# is limited so that an endless input is answered in time.
WINDOW_BATCHES = 16


def windows(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """Yield lists of `size` items in order; the last one may be shorter.

    If an item cannot be read, those before it are yielded before the error is raised.
    """
    iterator = iter(items)
    failure: Exception | None = None
    while failure is None:
        window: list[_T] = []
        try:
            for item in itertools.islice(iterator, size):
                window.append(item)  # noqa: PERF402 - extend() need not keep what came before an error
        except Exception as problem:  # any error is raised in its turn
            failure = problem
        if window:
            yield window
        elif failure is None:
            return
    raise failure


def batches_by_length(encoded: Sequence[Encoded], batch_size: int) -> Iterator[list[int]]:
    """Yield the indices of texts of similar length, `batch_size` at a time, the shortest first."""
    order = sorted(range(len(encoded)), key=lambda index: len(encoded[index].ids))
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def padded(batch: Sequence[Encoded]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return ids int64 [batch, longest], padded on the right, and lengths int64 [batch]."""
    import numpy as np  # takes long; a single text does without

    if len(batch) == 1:
        ids = batch[0].ids
        return np.array([ids], dtype=np.int64), np.array([len(ids)], dtype=np.int64)
    lengths = np.array([len(item.ids) for item in batch], dtype=np.int64)
    ids_array = np.full((len(batch), int(lengths.max())), PADDING_ID, dtype=np.int64)
    for row, item in enumerate(batch):
        ids_array[row, : len(item.ids)] = item.ids
    return ids_array, lengths
