"""Cut long texts into sentences for a teacher to label, without those that are tested on.

python benchmarks/sentences.py FILE... -o sentences.jsonl --against test.jsonl.gz ...
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click
from overlap import Kept, words

from textgate.rows import read_rows

FEWEST, MOST = 4, 60  # words

# A sentence ends with . ! or ?, closing quotes and brackets behind it, before white space and
# something that can begin one; or with a line.
_END = re.compile(r"""(?<=[.!?])(["')\]]*)\s+(?=["'(\[]?[A-Z0-9])|\n+""")
# After these a full stop ends nothing.
_ABBREVIATION = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|St|Jr|Sr|vs|etc|e\.g|i\.e|[A-Z])\.$")


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
