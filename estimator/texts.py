"""Texts of an estimator: its argument `X`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Any

import numpy as np

from textgate.inference.arguments import is_missing, missing_text, require_missing
from textgate.sklearn.errors import InputError

_WANTED = "X should be a sequence of texts"


def read_texts(values: object, *, missing: str) -> list[str]:
    """Return the texts in a list, a column of a table, a numpy array, and so on.

    Args:
        values: the argument of a caller.
        missing: ``error`` refuses missing values; ``empty`` reads them as "".

    Raises:
        InputError: it is not a one-dimensional series of texts, or a text is missing or not a str.
        ConfigError: `missing` is neither of the two.
    """
    require_missing(missing)
    return [_text(value, row, missing) for row, value in enumerate(_series(values))]


def _series(values: Any) -> Iterable[object]:
    if isinstance(values, str):
        raise InputError(f"{_WANTED}, not one text; put it in a list")
    if hasattr(type(values), "columns"):
        raise InputError(
            f"{_WANTED}, not a {type(values).__name__}; give one column of it, as in X['text']"
        )
    if hasattr(values, "__array__") and not isinstance(values, Iterable):
        values = np.asarray(values)
    shape = getattr(values, "shape", None)
    if isinstance(shape, tuple) and len(shape) != 1:
        kind = "a sparse matrix" if hasattr(values, "toarray") else "an array"
        raise InputError(
            f"{_WANTED}, found {kind} of shape {shape}; give one column of it, as in X[:, 0]"
        )
    unsuitable = isinstance(values, bytes | bytearray | memoryview | Mapping | Set)
    if unsuitable or not isinstance(values, Iterable):
        raise InputError(f"{_WANTED}, not {type(values).__name__}")
    return values


def _text(value: object, row: int, missing: str) -> str:
    if isinstance(value, str):
        return str.__str__(value)  # `str` of an enumeration's member is its name
    if is_missing(value):
        if missing == "empty":
            return ""
        raise InputError(missing_text(f"X[{row}]", value))
    raise InputError(
        f"X[{row}] should be a str, found {type(value).__name__}; make it a str, or leave the row "
        "out"
    )
