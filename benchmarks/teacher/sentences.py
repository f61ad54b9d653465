"""Cut long texts into sentences for a teacher to label, without those that are tested on.

python benchmarks/teacher/sentences.py FILE... -o sentences.jsonl --against test.jsonl.gz ...
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from textgate.rows import read_rows

FEWEST, MOST = 4, 60  # words
_SIZE = 3  # words of a piece that is compared
_SHARED = 0.5  # of a text's pieces, from which it is too much like another

# A sentence ends with . ! or ?, closing quotes and brackets behind it, before white space and
# something that can begin one; or with a line.
_END = re.compile(r"""(?<=[.!?])(["')\]]*)\s+(?=["'(\[]?[A-Z0-9])|\n+""")
# After these a full stop ends nothing.
_ABBREVIATION = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|St|Jr|Sr|vs|etc|e\.g|i\.e|[A-Z])\.$")
_BRACKETS = {"-lrb-": "(", "-rrb-": ")", "-lsb-": "[", "-rsb-": "]", "\\/": "/"}
_APART = re.compile(r"\s+(?=n't\b|'(?:s|re|ve|ll|d|m)\b)")  # contractions of the Penn Treebank
_WORD = re.compile(r"[^\W_]+")


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a text, of any length, without the white space around them."""
    begin = 0
    for end in _END.finditer(text):
        piece = text[begin : end.end(1) if end[1] is not None else end.start()]
        if "\n" not in end[0] and _ABBREVIATION.search(piece):
            continue
        if piece.strip():
            yield piece.strip()
        begin = end.end()
    if text[begin:].strip():
        yield text[begin:].strip()


def words(text: str) -> list[str]:
    """Return a text's words as they are compared: letters and digits, no case, no accents."""
    lower = text.lower().replace("\u2019", "'")
    for written, meant in _BRACKETS.items():
        lower = lower.replace(written, meant)
    joined = _APART.sub("", lower).replace("'", "")
    plain = "".join(
        character
        for character in unicodedata.normalize("NFKD", joined)
        if not unicodedata.combining(character)
    )
    return _WORD.findall(plain)


class Kept:
    """Texts that must not be learned from, and what is too much like one of them.

    Two texts are too much alike if one shares half or more of its pieces, three words each, with
    the other, or if they have the same words.

    Args:
        texts: the texts.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._equal: set[tuple[str, ...]] = set()
        self._holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
        self._sizes: list[int] = []
        for text in texts:
            found = words(text)
            self._equal.add(tuple(found))
            pieces = _pieces(found)
            for piece in pieces:
                self._holders[piece].append(len(self._sizes))
            self._sizes.append(len(pieces))

    def resembles(self, text: str) -> bool:
        """Return whether a text is too much like one of these."""
        found = words(text)
        if tuple(found) in self._equal:
            return True
        pieces = _pieces(found)
        shared = Counter(place for piece in pieces for place in self._holders.get(piece, ()))
        return any(
            count >= _SHARED * len(pieces) or count >= _SHARED * self._sizes[place]
            for place, count in shared.items()
        )


def _pieces(found: list[str]) -> set[tuple[str, ...]]:
    return {tuple(found[at : at + _SIZE]) for at in range(len(found) - _SIZE + 1)}


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Rows whose texts must not be learned from: dev and test, of every set you report.",
)
def main(files: tuple[Path, ...], output: Path, against: tuple[Path, ...]) -> None:
    """Write the sentences of FILES as JSON Lines, each once."""
    kept = Kept(row.text for path in against for row in read_rows(path, labelled=False))
    counts: Counter[str] = Counter()
    seen: set[int] = set()
    with output.open("w", encoding="utf-8") as stream:
        for path in files:
            for row in read_rows(path, labelled=False):
                for sentence in sentences(row.text):
                    reason = _reason(sentence, kept, seen)
                    counts[reason] += 1
                    if reason == "written":
                        stream.write(json.dumps({"text": sentence}) + "\n")
    click.echo(", ".join(f"{count:,} {reason}" for reason, count in counts.most_common()))


def _reason(sentence: str, kept: Kept, seen: set[int]) -> str:
    """Return what becomes of a sentence, and note it as seen."""
    found = words(sentence)
    if not FEWEST <= len(found) <= MOST:
        return "too short or too long"
    key = hash(tuple(found))
    if key in seen:
        return "repeated"
    seen.add(key)
    return "too much like dev or test" if kept.resembles(sentence) else "written"


if __name__ == "__main__":
    main()
