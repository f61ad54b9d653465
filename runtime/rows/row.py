"""One row of a data set, and the fingerprint of many."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Row:
    """A text with its labels and whatever else its file holds about it.

    Attributes:
        text: the text, exactly as in the file. It may be empty, hold line ends or NUL, and, out of
            a JSON escape, a lone surrogate.
        labels: no label for a row that was read without labels, one in a single-label set, any
            number, each once, in a multi-label set.
        line: where the row starts in its file: the line, or the row of a Parquet file; from 1.
        extras: the other columns by name, in the file's order.
    """

    text: str
    labels: tuple[str, ...]
    line: int
    extras: Mapping[str, object] = field(default_factory=dict)


def fingerprint(rows: Iterable[Row]) -> str:
    """Return a SHA-256 digest, in hexadecimal, of the texts and labels in their order.

    Lines and extras do not count, so the same data has the same fingerprint in every file format.
    Each text is hashed as its length in bytes (8 bytes, big-endian) and its UTF-8, followed by the
    number of labels (8 bytes) and the labels, each in the manner of the text.
    """
    digest = hashlib.sha256()
    for row in rows:
        digest.update(_prefixed(row.text))
        digest.update(len(row.labels).to_bytes(8, "big"))
        for label in row.labels:
            digest.update(_prefixed(label))
    return digest.hexdigest()


def _prefixed(text: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass")
    return len(data).to_bytes(8, "big") + data
