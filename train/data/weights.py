"""Weights of rows: read from a column, and rows that do not count."""

from __future__ import annotations

import dataclasses
import math
from numbers import Number
from typing import TYPE_CHECKING, Any

import numpy as np

from textgate.errors import DataError
from textgate.messages import did_you_mean, shown
from textgate.rows.row import WANTED_WEIGHT, is_weight

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from textgate.rows import Row


def with_weights(rows: Sequence[Row], field: str, *, file: str) -> list[Row]:
    """Return rows with the weights of a column. A row without a value has weight 1.

    Args:
        rows: the rows.
        field: the column.
        file: the name of the rows in messages.

    Raises:
        DataError: no row has the column, or a value is not a weight.
    """
    if not any(field in row.extras for row in rows):
        others = dict.fromkeys(name for row in rows for name in row.extras)
        raise DataError(
            f"{file}: no column {field!r} besides those of text and label"
            f"{did_you_mean(field, others)}; name another one with --weight-field, or leave the "
            "option out"
        )
    return [
        dataclasses.replace(row, weight=_weight(row.extras.get(field), field, file, row.line))
        for row in rows
    ]


def _weight(value: Any, field: str, file: str, line: int) -> float:
    if value is None or (isinstance(value, str) and not value.strip()):
        return 1.0
    written: Any = value if isinstance(value, str | Number) else math.nan
    try:
        found = float(written)
    except (ValueError, TypeError, OverflowError):
        found = math.nan
    if isinstance(value, bool) or not is_weight(found):
        raise DataError(
            f"{file}, line {line}: the weight (field {shown(field)}) should be {WANTED_WEIGHT}, "
            f"found {shown(value)}; correct it, or leave --weight-field out"
        )
    return found


def that_count(rows: Sequence[Row], *, file: str) -> list[Row]:
    """Return the rows whose weight is above 0.

    Raises:
        DataError: there is none.
    """
    found = [row for row in rows if row.weight]
    if not found:
        raise DataError(f"{file}: every row has weight 0; give some a weight above 0")
    return found


def weights_of(rows: Sequence[Row]) -> NDArray[np.float32] | None:
    """Return the weights of rows, float32 [rows]; None if all are 1."""
    if all(row.weight == 1 for row in rows):
        return None
    return np.array([row.weight for row in rows], dtype=np.float32)
