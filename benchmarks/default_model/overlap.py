"""Near duplicates between training and test texts.

    python benchmarks/default_model/overlap.py TRAIN --against TEST

prints the number of rows of TRAIN that are too similar to a row of TEST, and some of them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import click
import numpy as np

from textgate.rows import read_rows

_SIZE = 3  # words per compared piece
_MAX_SHARED = 0.5  # of a text's pieces; from this fraction on it is too similar
_SHOWN = 5

_BRACKETS = {"-lrb-": "(", "-rrb-": ")", "-lsb-": "[", "-rsb-": "]", "\\/": "/"}
_APART = re.compile(r"\s+(?=n't\b|'(?:s|re|ve|ll|d|m)\b)")  # contractions of the Penn Treebank
_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """Return a text's words for comparison: letters and digits, without case and accents."""
    lower = text.lower().replace("\u2019", "'")
    for written, meant in _BRACKETS.items():
        lower = lower.replace(written, meant)
    joined = _APART.sub("", lower).replace("'", "")
    if not joined.isascii():
        joined = "".join(
            character
            for character in unicodedata.normalize("NFKD", joined)
            if not unicodedata.combining(character)
        )
    return _WORD.findall(joined)


class Kept:
    """Texts that must not be used for training.

    Two texts are too similar if one of them shares half or more of its pieces, three words each,
    with the other, or if they have the same words. A phrase of a kept sentence is therefore too
    similar to it, and so is a long text that quotes half of it.

    Args:
        texts: the texts.
        parts: whether a text is too similar if half of its own pieces are in one of these. This
            suits kept sentences; long kept texts contain many common phrases.
    """

    def __init__(self, texts: Iterable[str], *, parts: bool = True) -> None:
        self._parts = parts
        self._equal: set[int] = set()
        keys, sizes = [], []
        for text in texts:
            found = words(text)
            self._equal.add(hash(tuple(found)))
            pieces = _pieces(found)
            keys.append(pieces)
            sizes.append(len(pieces))
        self._sizes = np.array(sizes, dtype=np.int64)
        joined = np.concatenate(keys) if keys else np.zeros(0, dtype=np.int64)
        order = np.argsort(joined, kind="stable")
        self._keys = joined[order]
        self._holders = np.repeat(np.arange(len(sizes)), self._sizes)[order]

    def resembles(self, text: str) -> bool:
        """Return whether a text is too similar to one of these."""
        found = words(text)
        if hash(tuple(found)) in self._equal:
            return True
        pieces = _pieces(found)
        first = np.searchsorted(self._keys, pieces, side="left")
        last = np.searchsorted(self._keys, pieces, side="right")
        held = [
            self._holders[low:high] for low, high in zip(first, last, strict=True) if low < high
        ]
        if not held:
            return False
        indices, shared = np.unique(np.concatenate(held), return_counts=True)
        if self._parts and shared.max() >= _MAX_SHARED * len(pieces):
            return True
        return bool((shared >= _MAX_SHARED * self._sizes[indices]).any())


def _pieces(found: list[str]) -> np.ndarray:
    """Return the hashes of a text's different pieces, int64."""
    pieces = {hash(tuple(found[at : at + _SIZE])) for at in range(len(found) - _SIZE + 1)}
    return np.fromiter(pieces, dtype=np.int64, count=len(pieces))


@click.command()
@click.argument("train", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--against", type=click.Path(exists=True, path_type=Path), multiple=True, required=True
)
@click.option("--long", is_flag=True, help="The texts of --against are long: see Kept.parts.")
def main(train: Path, against: tuple[Path, ...], *, long: bool) -> None:
    """Count the rows of TRAIN that are too similar to other rows."""
    kept = Kept(
        (row.text for path in against for row in read_rows(path, labelled=False)), parts=not long
    )
    count, alike = 0, []
    for row in read_rows(train, labelled=False):
        count += 1
        if kept.resembles(row.text):
            alike.append(row)
    for row in alike[:_SHOWN]:
        click.echo(f"line {row.line}: {row.text[:100]}")
    click.echo(f"{len(alike):,} of {count:,} rows are too much like another")


if __name__ == "__main__":
    main()
