"""Rows as tensors: labels to numbers, texts to ids, ids to batches of similar length."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from textgate.errors import DataError
from textgate.inference.batching import windows
from textgate.inference.tokenizer import PADDING_ID
from textgate.rows.labels import label_places, require_known

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from textgate.bundle.architecture import Task, TaskSetting
    from textgate.inference.tokenizer import Encoded
    from textgate.rows import Row

# Batches are filled from windows of this many, sorted by length: little padding, enough shuffling.
_WINDOW = 50
_TOLERANCE = 1e-3  # of what soft labels add up to, so that rounded ones pass
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class Encoder(Protocol):
    """What turns texts into ids."""

    def encode_batch(self, texts: Sequence[str]) -> list[Encoded]:
        """Return the ids of several texts, in order; at least one each."""


@dataclass(frozen=True)
class Batch:
    """Several texts at once, padded on the right.

    Attributes:
        ids: token ids, int64 [batch, tokens].
        lengths: tokens of each text, int64 [batch], at least 1.
        targets: what should come out, float32 [batch, labels]: 1 where a label applies, or how
            probable it is.
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
        targets: float32 [rows, labels], 1 where a label applies, or how probable it is.
    """

    sequences: tuple[NDArray[np.int64], ...]
    targets: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.sequences)

    def batch(self, indices: Sequence[int] | NDArray[np.int64]) -> Batch:
        """Return the rows at these places as one batch."""
        ids, lengths = pad([self.sequences[index] for index in indices])
        targets = torch.from_numpy(self.targets[np.asarray(indices)])
        return Batch(torch.from_numpy(ids), torch.from_numpy(lengths), targets)

    def shuffled_batches(self, batch_size: int, *, seed: int, epoch: int) -> Iterator[Batch]:
        """Yield every row once, in batches of similar length and in an order of the epoch's own."""
        lengths = np.array([len(sequence) for sequence in self.sequences])
        for places in shuffled_places(lengths, batch_size, seed=seed, epoch=epoch):
            yield self.batch(places)

    def batches_by_length(self, batch_size: int) -> Iterator[tuple[NDArray[np.int64], Batch]]:
        """Yield batches of similar length with the places of their rows, the shortest first."""
        lengths = np.array([len(sequence) for sequence in self.sequences])
        order = np.argsort(lengths, kind="stable")
        for start in range(0, len(order), batch_size):
            places = order[start : start + batch_size]
            yield places, self.batch(places)


def shuffled_places(
    lengths: NDArray[np.int64], batch_size: int, *, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """Return every place once, in batches of similar length and in an order of the epoch's own.

    Args:
        lengths: tokens of each text, int64 [texts].
        batch_size: texts a batch; some have fewer.
        seed: of the order.
        epoch: its number, which the order depends on, too.
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(lengths))
    window = batch_size * _WINDOW
    batches: list[NDArray[np.int64]] = []
    for start in range(0, len(order), window):
        part = order[start : start + window]
        part = part[np.argsort(lengths[part], kind="stable")]
        batches.extend(part[at : at + batch_size] for at in range(0, len(part), batch_size))
    return [batches[place] for place in generator.permutation(len(batches))]


def pad(sequences: Sequence[NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return ids [batch, longest] padded on the right, and lengths [batch]."""
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    ids = np.full((len(sequences), int(lengths.max())), PADDING_ID, dtype=np.int64)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = sequence
    return ids, lengths


def encode_rows(
    rows: Sequence[Row],
    tokenizer: Encoder,
    labels: Sequence[str],
    *,
    task: str,
    file: str,
    soft: bool = True,
) -> Dataset:
    """Return the rows as ids and targets.

    A row's soft labels are its targets, whatever label it has beside them. In a single-label task
    they are scaled to add up to 1 exactly.

    Args:
        rows: the rows.
        tokenizer: turns their texts into ids.
        labels: the labels in the order of the targets' columns.
        task: ``single-label``, where a row must have one label, or ``multi-label``.
        file: how messages name the rows.
        soft: whether soft labels count; without them, every row needs a label of its own.

    Raises:
        DataError: a row carries a label that is not one of `labels`; in a single-label task, not
            one label, or soft ones that do not add up to 1; or only soft ones that do not count.
    """
    wanted = [list(_targets(row, f"{file}, line {row.line}", task=task, soft=soft)) for row in rows]
    require_known(
        ((row.line, [label for label, _ in each]) for row, each in zip(rows, wanted, strict=True)),
        labels,
        file=file,
        among="in the training rows, which have",
    )
    places = label_places(labels)
    targets = np.zeros((len(rows), len(labels)), dtype=np.float32)
    for index, each in enumerate(wanted):
        for label, target in each:
            targets[index, places[label]] = target
    return Dataset(tuple(encode_texts((row.text for row in rows), tokenizer)), targets)


def encode_texts(texts: Iterable[str], tokenizer: Encoder) -> Iterator[NDArray[np.int64]]:
    """Yield the ids of texts, int64 [tokens] each, reading only a little ahead."""
    for window in windows(texts, 1000):
        for item in tokenizer.encode_batch(window):
            yield np.array(item.ids, dtype=np.int64)


def _targets(row: Row, where: str, *, task: str, soft: bool) -> Iterable[tuple[str, float]]:
    """Return the labels of a row and how far each applies."""
    if soft and row.probabilities:
        if task != "single-label":
            return row.probabilities
        total = _total(row)
        if not abs(total - 1.0) <= _TOLERANCE:
            raise DataError(
                f"{where}: the soft labels add up to {total:.6g}; in a single-label task they add "
                "up to 1 (use --task multi-label where several labels can apply)"
            )
        return [(label, probability / total) for label, probability in row.probabilities]
    if not row.labels and row.probabilities:
        raise DataError(f"{where}: a row to choose by needs a label, not only soft ones")
    if task == "single-label" and len(row.labels) != 1:
        raise DataError(f"{where}: {len(row.labels)} labels in a row of a single-label task")
    return [(label, 1.0) for label in row.labels]


def _total(row: Row) -> float:
    return math.fsum(probability for _, probability in row.probabilities)


def find_labels(
    rows: Sequence[Row], *, task: TaskSetting, file: str
) -> tuple[tuple[str, ...], Task]:
    """Return the labels in the order of their names, soft ones included, and the task.

    Args:
        rows: the training rows.
        task: ``single-label``, ``multi-label``, or ``auto``, which takes a row with several labels
            or none for a sign of a multi-label task; where all rows have soft labels alone, soft
            labels that do not add up to 1.
        file: how messages name the rows.

    Raises:
        DataError: no labels, one label only, several in a row of a single-label task, or one that
            is no text.
    """
    named = [row for row in rows if row.labels or not row.probabilities]
    odd = [row for row in named if len(row.labels) != 1]
    if task == "auto":
        if not named:
            odd = [row for row in rows if abs(_total(row) - 1.0) > _TOLERANCE]
        task = "multi-label" if odd else "single-label"
    elif task == "single-label" and odd:
        others = f" (and {len(odd) - 1:,} other rows like it)" if len(odd) > 1 else ""
        raise DataError(
            f"{file}, line {odd[0].line}: {len(odd[0].labels)} labels in a row of a single-label "
            f"task{others}; use --task multi-label"
        )
    for row in rows:
        for label in _names(row):
            if _LONE_SURROGATE.search(label):
                raise DataError(
                    f"{file}, line {row.line}: the label {label!r} holds half a surrogate pair, "
                    "which is not text"
                )
    labels = sorted({label for row in rows for label in _names(row)})
    if not labels:
        raise DataError(f"{file}: no row has a label")
    if len(labels) == 1 and task == "single-label":
        raise DataError(
            f"{file}: every row has the label {labels[0]!r}; a classifier needs two labels or more"
        )
    return tuple(labels), task


def _names(row: Row) -> Iterator[str]:
    yield from row.labels
    for label, _ in row.probabilities:
        yield label
