"""Rows of all domains but some, for the small network: with labels, without, and generated.

    python benchmarks/default_model/student_rows.py runs/domains -o runs/sentiment

runs/domains is what domain_rows.py wrote. These files are written:

- labelled: short texts with their labels.
- sentences: sentences of long texts, and short texts, without labels, for a teacher.
- pieces: some words in a row of one short text, or of two, without labels, for a teacher.
- reviews: long texts with their labels.
- made: generated rows, see made_rows.py.
- dev: rows to choose by.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import click
from balanced_rows import balanced, check_domains, domains, most_of_option
from made_rows import (
    alone,
    faces,
    foreign,
    named,
    nonsense,
    opinions,
    statements,
    swapped,
    wordless,
)
from overlap import Kept, words
from sentiment_cases import tested_texts
from written_rows import write_rows

from textgate.rows import read_rows

MIN_WORDS, MAX_WORDS = 3, 60  # of a sentence
PER_TEXT = 3  # sentences
MAX_PIECE = 14  # words
PIECED = 20_000  # texts of a domain that pieces are made of
MOST_DEV = 300  # rows of a domain
_SEED = 0
PATH = click.Path(path_type=Path)
Row = dict[str, Any]

# A sentence ends with . ! or ? and closing quotes or brackets, before white space and a character
# that can start a sentence, or at the end of a line.
_END = re.compile(r"""(?<=[.!?])(["')\]]*)\s+(?=["'(\[]?[A-Z0-9])|\n+""")
# A full stop after these does not end a sentence.
_ABBREVIATION = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|St|Jr|Sr|vs|etc|e\.g|i\.e|[A-Z])\.$")


@click.command()
@click.argument("rows", type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", type=PATH, required=True, help="Folder to make.")
@click.option("--without", multiple=True, help="Domain to leave out; can be repeated.")
@click.option("--most", default=12_000, show_default=True, help="Short labelled rows of a domain.")
@most_of_option
@click.option("--least", default=5_000, show_default=True, help="Fewer are repeated.")
@click.option("--reviews", default=16_000, show_default=True, help="Long ones of a domain.")
@click.option("--sentences", default=60_000, show_default=True, help="Rows for the teacher.")
@click.option("--pieces", "parts", default=0, show_default=True, help="Pieces for the teacher.")
@click.option("--max-words", default=MAX_WORDS, show_default=True, help="Of these.")
@click.option(
    "--known",
    type=click.Path(exists=True, path_type=Path),
    multiple=True,
    help="Rows that the teacher has labelled before: left out of labelled and sentences.",
)
def main(
    rows: Path,
    output: Path,
    without: tuple[str, ...],
    most: int,
    most_of: tuple[tuple[str, int], ...],
    least: int,
    reviews: int,
    sentences: int,
    parts: int,
    max_words: int,
    known: tuple[Path, ...],
) -> None:
    """Write the files and print the number of rows in them."""
    check_domains(rows, [*without, *dict(most_of)])
    output.mkdir(parents=True, exist_ok=True)
    chosen = [domain for domain in domains(rows) if domain not in without]
    before = {row.text for file in known for row in read_rows(file, labelled=False)}
    short = balanced(
        rows, "train", chosen,
        most=most, most_of=dict(most_of), least=least, max_words=MAX_WORDS,
    )  # fmt: skip
    labelled = [row for row in short if row["text"] not in before]
    long = balanced(rows, "train", chosen, most=reviews, min_words=MAX_WORDS + 1)
    files = {
        "labelled": labelled,
        "reviews": long,
        "sentences": [
            row
            for row in unlabelled(rows, chosen, sentences)
            if row["text"] not in before and len(words(row["text"])) <= max_words
        ],
        "pieces": list(pieces(rows, chosen, parts)),
        "made": list(made(labelled)),
        "dev": balanced(rows, "dev", chosen, most=MOST_DEV),
    }
    for name, found in files.items():
        click.echo(f"{name}: {write_rows(output / f'{name}.jsonl.gz', found):,} rows")


def made(labelled: Sequence[Row]) -> Iterator[Row]:
    """Yield the generated rows in a random order."""
    plain = [row["text"] for row in labelled if row["label"] == "neutral"]
    texts = [row["text"] for row in labelled]
    tested = Kept(tested_texts())
    said = (row for row in opinions() if not tested.resembles(row["text"]))
    found = list(
        chain(
            statements(), alone(), named(), said, foreign(), nonsense(texts), wordless(),
            faces(plain), swapped(labelled),
        )
    )  # fmt: skip
    random.Random(_SEED).shuffle(found)
    yield from found


def unlabelled(rows: Path, chosen: Sequence[str], most: int) -> list[Row]:
    """Return texts without labels, drawn evenly from the domains that have any."""
    pools = [sorted(set(texts_of(rows, domain))) for domain in chosen]
    chance = random.Random(_SEED)
    found: list[str] = []
    for index, pool in enumerate(sorted(pools, key=len)):
        share = (most - len(found)) // (len(pools) - index)
        found += chance.sample(pool, min(share, len(pool)))
    chance.shuffle(found)
    return [{"text": text} for text in found]


def pieces(rows: Path, chosen: Sequence[str], count: int) -> Iterator[Row]:
    """Yield pieces of short labelled texts, as many of each domain; half are made of two texts."""
    chance = random.Random(_SEED)
    for domain in chosen:
        short = balanced(rows, "train", [domain], most=PIECED, max_words=MAX_WORDS)
        split = [found for row in short if len(found := row["text"].split()) >= MIN_WORDS]
        for number in range(count // len(chosen)):
            parts = [piece(text, chance) for text in chance.sample(split, 1 + number % 2)]
            yield {"text": " ".join(chain(*parts))}


def piece(text: Sequence[str], chance: random.Random) -> Sequence[str]:
    """Return some words in a row of a text."""
    length = chance.randint(MIN_WORDS, min(MAX_PIECE, len(text)))
    begin = chance.randint(0, len(text) - length)
    return text[begin : begin + length]


def texts_of(rows: Path, domain: str) -> Iterator[str]:
    """Yield the unlabelled texts of a domain, and some sentences of all of its longer texts."""
    chance = random.Random(_SEED)
    for part in ("texts", "train"):
        for row in read_rows(rows / f"{domain}.{part}.jsonl.gz", labelled=False):
            parts = [text for text in sentences(row.text) if fits(text)]
            if len(parts) > 1:
                yield from chance.sample(parts, min(PER_TEXT, len(parts)))
            elif part == "texts" and fits(row.text):
                yield row.text


def fits(text: str) -> bool:
    """Return whether a text has the length of a sentence."""
    return MIN_WORDS <= len(words(text)) <= MAX_WORDS


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a text without surrounding white space."""
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


if __name__ == "__main__":
    main()
