"""Accuracy by the values of a column."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from textgate.errors import DataError
from textgate.evaluation.metrics import wilson_interval
from textgate.messages import did_you_mean, listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from textgate.rows import Row

_MAX_VALUES = 20  # of a column of numbers; with more of them, its quarters are the slices
_QUARTERS = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Slice:
    """Accuracy on the rows with one value in a column.

    Attributes:
        column: the column.
        value: its value; "" for rows without one. Many different numbers are divided into quarters,
            each named by its ends, as in ``1 to 2.5``.
        rows: how many rows have it.
        mistakes: how many of these are classified wrongly.
        accuracy: fraction of the rows that are right.
        accuracy_interval: Wilson's 95 % interval of the accuracy.
    """

    column: str
    value: str
    rows: int
    mistakes: int
    accuracy: float
    accuracy_interval: tuple[float, float]


def find_slices(
    rows: Sequence[Row], right: NDArray[np.bool_], columns: Sequence[str], *, file: str
) -> tuple[Slice, ...]:
    """Return the slices of each column; those whose accuracy is surely lowest come first.

    Args:
        rows: the rows.
        right: whether each is classified right, bool [rows].
        columns: the columns.
        file: the name of the rows' file in messages.

    Raises:
        DataError: no row has one of the columns.
    """
    known = dict.fromkeys(name for row in rows for name in row.extras)
    found: list[Slice] = []
    for column in dict.fromkeys(columns):
        if column not in known:
            raise DataError(
                f"{file}: no column {column!r} besides those of text and label"
                f"{did_you_mean(column, known)}; there are {listed(list(known)) or 'none'}"
            )
        of_value: defaultdict[str, list[bool]] = defaultdict(list)
        names = _quarters([_text(row.extras.get(column)) for row in rows])
        for name, is_right in zip(names, right.tolist(), strict=True):
            of_value[name].append(is_right)
        slices = [_slice(column, value, answers) for value, answers in of_value.items()]
        found += sorted(slices, key=lambda one: (one.accuracy_interval[1], one.value))
    return tuple(found)


def _slice(column: str, value: str, right: Sequence[bool]) -> Slice:
    count, successes = len(right), sum(right)
    interval = wilson_interval(successes, count)
    return Slice(column, value, count, count - successes, successes / count, interval)


def _text(value: object) -> str:
    """Return the value of a cell as text; "" for a missing one."""
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    return "" if missing else str(value).strip()


def _quarters(values: list[str]) -> list[str]:
    """Return the values, or the quarter that each is in if they are many different numbers."""
    different = set(values) - {""}
    if len(different) <= _MAX_VALUES:
        return values
    try:
        numbers = {value: float(value) for value in different}
    except ValueError:
        return values
    if not all(map(math.isfinite, numbers.values())):
        return values
    present = np.array([numbers[value] for value in values if value])
    ends = np.unique(np.quantile(present, _QUARTERS, method="lower"))
    quarter = np.searchsorted(ends, present)
    names = []
    for index in range(len(ends) + 1):
        inside = present[quarter == index]
        names.append(f"{inside.min():g} to {inside.max():g}" if len(inside) else "")
    found = iter(quarter.tolist())
    return [names[next(found)] if value else "" for value in values]
