"""Label set and task of training rows."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from textgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from textgate.bundle.architecture import Task, TaskSetting
    from textgate.rows import Row

_SUM_TOLERANCE = 1e-3  # rounded soft labels still add up to 1
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def find_labels(
    rows: Sequence[Row], *, task: TaskSetting, file: str
) -> tuple[tuple[str, ...], Task]:
    """Return the labels in the order of their names, soft ones included, and the task.

    Args:
        rows: the training rows.
        task: ``single-label``, ``multi-label`` or ``auto``. With ``auto`` the task is multi-label
            if a row has several labels or none; if all rows have only soft labels, it is
            multi-label if the soft labels of a row do not add up to 1.
        file: the name of the rows in messages.

    Raises:
        DataError: there is no label, or only one; a row of a single-label task has several; or a
            label is not valid text.
    """
    labelled = [row for row in rows if not only_soft(row)]
    not_single = [row for row in labelled if len(row.labels) != 1]
    if task == "auto":
        if not labelled:
            not_single = [row for row in rows if not adds_up_to_one(row)]
        task = "multi-label" if not_single else "single-label"
    elif task == "single-label" and not_single:
        first = not_single[0]
        others = f" (and {len(not_single) - 1:,} other rows like it)" if not_single[1:] else ""
        raise DataError(
            f"{file}, line {first.line}: {len(first.labels)} labels in a row of a single-label "
            f"task{others}; use --task multi-label"
        )
    found: set[str] = set()
    for row in rows:
        for label in _labels_of(row):
            if _LONE_SURROGATE.search(label):
                raise DataError(
                    f"{file}, line {row.line}: the label {label!r} holds half a surrogate pair, "
                    "which is not text"
                )
            found.add(label)
    labels = tuple(sorted(found))
    if not labels:
        raise DataError(f"{file}: no row has a label")
    if len(labels) == 1 and task == "single-label":
        raise DataError(
            f"{file}: every row has the label {labels[0]!r}; a classifier needs two labels or more"
        )
    return labels, task


def only_soft(row: Row) -> bool:
    """Return whether a row has soft labels and no other ones."""
    return bool(row.probabilities) and not row.labels


def sum_of_soft(row: Row) -> float:
    """Return the sum of a row's soft labels."""
    return math.fsum(probability for _, probability in row.probabilities)


def adds_up_to_one(row: Row) -> bool:
    """Return whether a row's soft labels add up to 1, but for rounding."""
    return abs(sum_of_soft(row) - 1.0) <= _SUM_TOLERANCE


def _labels_of(row: Row) -> Iterator[str]:
    yield from row.labels
    for label, _ in row.probabilities:
        yield label
