"""Row of a data set, and the fingerprint of rows."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from textgate.errors import DataError

_SOFT = b"\xff" * 8
_WEIGHTED = b"\xfe" * 8
_MIN_WEIGHT, _MAX_WEIGHT = 1e-18, 1e18  # of a row that counts: sums of many fit into float32
WANTED_WEIGHT = f"0 or a number from {_MIN_WEIGHT:g} to {_MAX_WEIGHT:g}"


@dataclass(frozen=True, slots=True)
class Row:
    """A text with its labels and the other columns of its row.

    Attributes:
        text: the text, exactly as in the file. It may be empty, and may hold line ends, NUL or,
            from a JSON escape, a lone surrogate.
        labels: () for a row that was read without labels; one label in a single-label set; any
            number of different labels in a multi-label set.
        line: the number of the row's first line in its file, from 1; in JSON and Parquet, of the
            row.
        extras: the other columns by name, in the file's order; of columns with the same name, the
            last one.
        probabilities: soft labels: pairs of a label and its probability from 0 to 1, each label
            once. In a single-label set the probabilities add up to 1.
        cells: all cells of a row that was read without labels, as the file has them: pairs of a
            column's name and a value, in order. Empty if the file has no columns.
        weight: how much the row counts in training: 2 counts as the row twice, 0 as no row.
    """

    text: str
    labels: tuple[str, ...]
    line: int
    extras: Mapping[str, object] = field(default_factory=dict)
    probabilities: tuple[tuple[str, float], ...] = ()
    cells: tuple[tuple[str, object], ...] = field(default=(), compare=False, repr=False)
    weight: float = 1.0


def require_row(value: object, *, where: str) -> None:
    """Refuse a value that is not a valid row.

    Args:
        value: the value.
        where: the name of the value in messages.

    Raises:
        DataError: it is not a `Row`, or one of its fields has a wrong type.
    """
    if not isinstance(value, Row):
        raise DataError(
            f"{where} should be a textgate.rows.Row, found {type(value).__name__}; write "
            "Row(text, (label,), number)"
        )
    if not isinstance(value.text, str):
        raise DataError(f"{where}: the text should be a str, found {type(value.text).__name__}")
    labels: Any = value.labels
    if isinstance(labels, str):
        raise DataError(
            f"{where}: the labels should be a tuple, found the str {labels[:60]!r}; put it in one, "
            "as in (label,)"
        )
    if not _are_strings(labels):
        raise DataError(f"{where}: the labels should be a tuple of str, found {labels!r:.60}")
    if not _are_probabilities(value.probabilities):
        raise DataError(
            f"{where}: the probabilities should be pairs of a label and a number from 0 to 1, one "
            f"of them above 0, found {value.probabilities!r:.60}"
        )
    weight: Any = value.weight
    if not isinstance(weight, Real) or not is_weight(float(weight)):
        raise DataError(f"{where}: the weight should be {WANTED_WEIGHT}, found {weight!r:.60}")


def is_weight(value: float) -> bool:
    """Return whether a number can be the weight of a row."""
    return value == 0 or (math.isfinite(value) and _MIN_WEIGHT <= value <= _MAX_WEIGHT)


def _are_strings(values: object) -> bool:
    return isinstance(values, tuple | list) and all(isinstance(value, str) for value in values)


def _are_probabilities(pairs: object) -> bool:
    if not isinstance(pairs, tuple | list):
        return False
    if not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs):
        return False
    values = [value for _, value in pairs]
    return (
        _are_strings([label for label, _ in pairs])
        and all(isinstance(value, Real) and 0 <= float(value) <= 1 for value in values)
        and (not values or any(values))
    )


def fingerprint(rows: Iterable[Row]) -> str:
    """Return a SHA-256 digest, in hexadecimal, of the texts and labels in their order.

    Lines and extras do not count, so the same data has the same fingerprint in every file format.
    Each text is hashed as its length in bytes (8 bytes, big-endian) and its UTF-8, followed by the
    number of labels (8 bytes) and the labels, each hashed like the text. Soft labels, if there are
    any, follow: eight bytes 0xff, which cannot begin the length of a text, their number (8 bytes),
    and each label with its probability (IEEE 754, 8 bytes, big-endian). A weight other than 1
    follows in the same way: eight bytes 0xfe, and the weight (8 bytes).
    """
    digest = hashlib.sha256()
    for row in rows:
        digest.update(_prefixed(row.text))
        digest.update(len(row.labels).to_bytes(8, "big"))
        for label in row.labels:
            digest.update(_prefixed(label))
        if row.probabilities:
            digest.update(_SOFT + len(row.probabilities).to_bytes(8, "big"))
            for label, probability in row.probabilities:
                digest.update(_prefixed(label) + struct.pack(">d", probability))
        if row.weight != 1:
            digest.update(_WEIGHTED + struct.pack(">d", row.weight))
    return digest.hexdigest()


def _prefixed(text: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass")
    return len(data).to_bytes(8, "big") + data
