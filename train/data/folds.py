"""Stratified folds of the training rows, for cross-validation."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from textgate.errors import DataError
from textgate.rows.near_duplicates import equal_pairs, near_duplicates
from textgate.train.data.label_set import only_soft

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from textgate.rows import Row

NEVER = -1  # fold of a row that is always trained on


@dataclass(frozen=True)
class Part:
    """The rows of one fold, and those to train on.

    Attributes:
        inside: indices of the rows to train on, int64 [inside].
        held_out: indices of the rows of the fold, int64 [held out].
        positions: indices of these among the measured rows, int64 [held out].
    """

    inside: NDArray[np.int64]
    held_out: NDArray[np.int64]
    positions: NDArray[np.int64]


@dataclass(frozen=True)
class Folds:
    """The folds of the training rows.

    Attributes:
        assignments: what `assign_folds` returned for each repetition of cross-validation, at least
            one; every repetition has the same rows in folds.
    """

    assignments: tuple[NDArray[np.int64], ...]

    @property
    def count(self) -> int:
        """Number of folds of the first repetition."""
        return int(self.assignments[0].max()) + 1

    @property
    def repetitions(self) -> int:
        """Number of times that each measured row is in a fold."""
        return len(self.assignments)

    @property
    def measured(self) -> NDArray[np.int64]:
        """Indices of the rows that are in a fold, int64 [measured]."""
        return np.flatnonzero(self.assignments[0] != NEVER)

    def parts(self) -> Iterator[Part]:
        """Yield each fold of each repetition."""
        measured = self.measured
        for folds in self.assignments:
            for fold in range(folds.max() + 1):
                held_out = np.flatnonzero(folds == fold)
                yield Part(
                    np.flatnonzero(folds != fold), held_out, np.searchsorted(measured, held_out)
                )


def assign_folds(
    rows: Sequence[Row], count: int, *, seed: int, group_field: str | None = None
) -> NDArray[np.int64]:
    """Return the fold of each row, int64 [rows], from 0 to `count` - 1, or `NEVER`.

    Near-duplicates share a fold, and so do rows with the same value of the group field, because
    rows that resemble training rows say little about new texts. The rows of each label, or
    combination of labels, are spread evenly over the folds. A row is in no fold and always trained
    on if it has only soft labels, or if all rows of one of its labels are in its group.

    Args:
        rows: the labelled rows.
        count: number of folds, at least 2.
        seed: seed of the assignment.
        group_field: the column of the groups; None for near-duplicates alone.

    Raises:
        DataError: a row has no value in the group field.
    """
    groups = _groups(rows, group_field)
    members: dict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    groups_of_label: dict[str, set[int]] = defaultdict(set)
    for row, group in zip(rows, groups, strict=True):
        for label in row.labels:
            groups_of_label[label].add(group)
    fixed = {next(iter(found)) for found in groups_of_label.values() if len(found) == 1}
    folds = np.full(len(rows), NEVER, dtype=np.int64)
    sizes = np.zeros(count)
    by_labels: defaultdict[tuple[str, ...], NDArray[np.float64]] = defaultdict(
        lambda: np.zeros(count)
    )
    names = list(members)
    generator = np.random.default_rng([seed, 2])
    order = [names[index] for index in generator.permutation(len(names))]
    for group in sorted(order, key=lambda name: -len(members[name])):  # stable: large ones first
        inside = [index for index in members[group] if not only_soft(rows[index])]
        if group in fixed or not inside:
            continue
        strata = Counter(rows[index].labels for index in inside)
        load = np.zeros(count)
        for labels, number in strata.items():
            load += by_labels[labels] * number
        fold = int(np.lexsort((sizes, load))[0])
        folds[inside] = fold
        sizes[fold] += len(inside)
        for labels, number in strata.items():
            by_labels[labels][fold] += number
    return folds


def _groups(rows: Sequence[Row], group_field: str | None) -> list[int]:
    """Return a number for each row; rows with the same number stay together."""
    parents = list(range(len(rows)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    pairs: Iterable[tuple[int, int]] = near_duplicates([row.text for row in rows])
    if group_field is not None:
        pairs = [*pairs, *equal_pairs([_group_of(row, group_field) for row in rows])]
    for first, second in pairs:
        low, high = sorted((root(first), root(second)))
        parents[high] = low
    return [root(index) for index in range(len(rows))]


def _group_of(row: Row, field: str) -> str:
    value = row.extras.get(field)
    group = str(value).strip()
    if value is None or not group or (isinstance(value, float) and math.isnan(value)):
        raise DataError(
            f"line {row.line}: no group in the column {field!r}; fill it in, or leave "
            "--group-field out"
        )
    return group
