"""Texts that must not be learned from, and what is too much like one of them.

    python benchmarks/default_model/overlap.py TRAIN --against TEST

says how many rows of TRAIN are too much like a row of TEST, and shows some.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import click
import numpy as np

from textgate.rows import read_rows

_SIZE = 3  # words of a piece that is compared
_SHARED = 0.5  # of a text's pieces, from which it is too much like another
_SHOWN = 5

_BRACKETS = {"-lrb-": "(", "-rrb-": ")", "-lsb-": "[", "-rsb-": "]", "\\/": "/"}
_APART = re.compile(r"\s+(?=n't\b|'(?:s|re|ve|ll|d|m)\b)")  # contractions of the Penn Treebank
_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """Return a text's words as they are compared: letters and digits, no case, no accents."""
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
    """Texts that must not be learned from.

    Two texts are too much alike if one shares half or more of its pieces, three words each, with
    the other, or if they have the same words. A phrase out of a kept sentence is too much like it,
    then, and so is a long text that quotes half of it.

    Args:
        texts: the texts.
        parts: whether a text that shares half of its own pieces alone is too much like one of
            these. Kept sentences want that; of long kept texts every "one of the best" is a part.
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
        """Return whether a text is too much like one of these."""
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
        places, shared = np.unique(np.concatenate(held), return_counts=True)
        if self._parts and shared.max() >= _SHARED * len(pieces):
            return True
        return bool((shared >= _SHARED * self._sizes[places]).any())


def _pieces(found: list[str]) -> np.ndarray:
    """Return the pieces of a text, each once, as hashes, int64."""
    pieces = {hash(tuple(found[at : at + _SIZE])) for at in range(len(found) - _SIZE + 1)}
    return np.fromiter(pieces, dtype=np.int64, count=len(pieces))


@click.command()
@click.argument("train", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--against", type=click.Path(exists=True, path_type=Path), multiple=True, required=True
)
@click.option("--long", is_flag=True, help="The texts of --against are long: see Kept.parts.")
def main(train: Path, against: tuple[Path, ...], *, long: bool) -> None:
    """Count the rows of TRAIN that are too much like those of others."""
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
