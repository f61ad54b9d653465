"""One row of a data set, and the fingerprint of many."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

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
        columns: of a row that was read without labels, all its columns as the file has them: pairs
            of a name and a value, in order. Empty where the file has no columns.
    """

    text: str
    labels: tuple[str, ...]
    line: int
    extras: Mapping[str, object] = field(default_factory=dict)
    probabilities: tuple[tuple[str, float], ...] = ()
    columns: tuple[tuple[str, object], ...] = field(default=(), compare=False, repr=False)


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
