"""Encoding of rows: token ids of their texts, targets of their labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from textgate.errors import DataError
from textgate.inference.batching import windows
from textgate.rows.labels import label_indices, require_known
from textgate.train.data.dataset import Dataset
from textgate.train.data.label_set import adds_up_to_one, only_soft, sum_of_soft
from textgate.train.data.weights import weights_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from textgate.bundle.architecture import Task
    from textgate.inference.tokenizer import Encoded
    from textgate.rows import Row

_WINDOW_TEXTS = 1000  # encoded at a time


class Encoder(Protocol):
    """A tokenizer."""

    def encode_batch(self, texts: Sequence[str]) -> list[Encoded]:
        """Return the ids of several texts, in order; at least one id per text."""


def encode_rows(
    rows: Sequence[Row],
    tokenizer: Encoder,
    labels: Sequence[str],
    *,
    task: Task,
    file: str,
    soft: bool = True,
) -> Dataset:
    """Return the rows as token ids, targets and weights.

    The targets of a row are its soft labels if it has any, else its labels. In a single-label task
    soft labels are scaled to add up to exactly 1.

    Args:
        rows: the rows.
        tokenizer: the tokenizer.
        labels: the label of each column of the targets.
        task: ``single-label``, where a row must have one label, or ``multi-label``.
        file: the name of the rows in messages.
        soft: whether soft labels are used; if not, every row needs other labels.

    Raises:
        DataError: a row has a label that is not in `labels`; a row of a single-label task has not
            one label, or soft ones that do not add up to 1; or a row has only soft labels and they
            are not used.
    """
    labels_of_rows = [
        _weighted_labels(row, f"{file}, line {row.line}", task=task, soft=soft) for row in rows
    ]
    require_known(
        (
            (row.line, [label for label, _ in weighted])
            for row, weighted in zip(rows, labels_of_rows, strict=True)
        ),
        labels,
        file=file,
        among="in the training rows, which have",
    )
    columns = label_indices(labels)
    targets = np.zeros((len(rows), len(labels)), dtype=np.float32)
    for index, weighted in enumerate(labels_of_rows):
        for label, target in weighted:
            targets[index, columns[label]] = target
    sequences = tuple(encode_texts((row.text for row in rows), tokenizer))
    return Dataset(sequences, targets, weights_of(rows))


def encode_texts(texts: Iterable[str], tokenizer: Encoder) -> Iterator[NDArray[np.int64]]:
    """Yield the ids of each text, int64 [tokens], reading only a little ahead."""
    for window in windows(texts, _WINDOW_TEXTS):
        for item in tokenizer.encode_batch(window):
            yield np.array(item.ids, dtype=np.int64)


def _weighted_labels(
    row: Row, where: str, *, task: Task, soft: bool
) -> Sequence[tuple[str, float]]:
    """Return the labels of a row, each with its target."""
    if soft and row.probabilities:
        if task != "single-label":
            return row.probabilities
        total = sum_of_soft(row)
        if not adds_up_to_one(row):
            raise DataError(
                f"{where}: the soft labels add up to {total:.6g}; in a single-label task they add "
                "up to 1 (use --task multi-label where several labels can apply)"
            )
        return [(label, probability / total) for label, probability in row.probabilities]
    if only_soft(row):
        raise DataError(f"{where}: a dev row needs a label, and this one has only soft labels")
    if task == "single-label" and len(row.labels) != 1:
        raise DataError(f"{where}: {len(row.labels)} labels in a row of a single-label task")
    return [(label, 1.0) for label in row.labels]
