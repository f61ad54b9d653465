"""One row of a data set, and the fingerprint of many."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from textgate.errors import DataError

_SOFT = b"\xff" * 8


@dataclass(frozen=True, slots=True)
class Row:
    """A text with its labels and whatever else its file holds about it.

    Attributes:
        text: the text, exactly as in the file. It may be empty, hold line ends or NUL, and, out of
            a JSON escape, a lone surrogate.
        labels: no label for a row that was read without labels, one in a single-label set, any
            number, each once, in a multi-label set.
        line: where the row starts in its file: the line, or the row of a Parquet file; from 1.
        extras: the other columns by name, in the file's order; of several that have the same name
            the last.
        probabilities: soft labels, where they were read: pairs of a label, each once, and how
            probable somebody finds it, from 0 to 1. In a single-label set they add up to 1.
        cells: all cells of a row that was read without labels, as the file has them: pairs of a
            column's name and a value, in order. Empty if the file has no columns.
    """

    text: str
    labels: tuple[str, ...]
    line: int
    extras: Mapping[str, object] = field(default_factory=dict)
    probabilities: tuple[tuple[str, float], ...] = ()
    cells: tuple[tuple[str, object], ...] = field(default=(), compare=False, repr=False)


def require_row(value: object, *, where: str) -> None:
    """Refuse what a caller gives in the place of a row, before its letters are taken for labels.

    Args:
        value: what was given.
        where: how messages name it.

    Raises:
        DataError: it is no `Row`, or a field of it is not what it should be.
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

    Labels are those that are named and the soft ones.

    Lines and extras do not count, so the same data has the same fingerprint in every file format.
    Each text is hashed as its length in bytes (8 bytes, big-endian) and its UTF-8, followed by the
    number of labels (8 bytes) and the labels, each in the manner of the text. Soft labels, if there
    are any, follow: eight bytes 0xff, which no text's length begins with, their number (8 bytes),
    and each as its label and its probability (IEEE 754, 8 bytes, big-endian).
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
    return digest.hexdigest()


def _prefixed(text: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass")
    return len(data).to_bytes(8, "big") + data
