"""Training, dev and test rows of the package's sentiment model.

    python benchmarks/default_model/sentiment_rows.py DATA -o runs/sentiment

DATA holds one folder per set; data.json lists their files and checksums. Training rows that are too
similar to a test or dev text are left out: see overlap.py.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import click
from made_rows import faces, nonsense, probabilities, swapped
from overlap import Kept, words
from written_rows import write_rows

from textgate.rows import read_rows

LIST = Path(__file__).with_name("data.json")
SCORED = ("vader_amazon", "vader_tweets", "vader_nyt", "vader_movie")  # in -4 to 4
TESTED = ("vader_amazon", "vader_tweets")
MIN_SCORE = 1.0  # absolute score of a clearly positive or negative text
MIN_WORDS, MAX_WORDS = 4, 60  # of a sentence
_REVIEWS = 1_000  # of imdb, for dev
_SEED = 0
_NAMES = {"0": "negative", "1": "positive"}  # of mr
PATH = click.Path(path_type=Path)

# A sentence ends with . ! or ? and closing quotes or brackets, before white space and a character
# that can start a sentence, or at the end of a line.
_END = re.compile(r"""(?<=[.!?])(["')\]]*)\s+(?=["'(\[]?[A-Z0-9])|\n+""")
# A full stop after these does not end a sentence.
_ABBREVIATION = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|St|Jr|Sr|vs|etc|e\.g|i\.e|[A-Z])\.$")


@click.command()
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", type=PATH, required=True, help="Folder to make.")
@click.option("--sentences", "most", default=60_000, show_default=True, help="For the teacher.")
def main(data: Path, output: Path, most: int) -> None:
    """Write the files and print the number of rows in them."""
    check_files(data)
    output.mkdir(parents=True, exist_ok=True)
    tests = {name: list(clear(data, name, folds=(0, 1))) for name in TESTED}
    tests["mr"] = list(_labelled(data, "mr", "test"))
    for name, rows in tests.items():
        write(output / f"{name}.jsonl.gz", rows)
    tested = Kept(row["text"] for row in _tested(data, tests))
    tested_reviews = Kept((row["text"] for row in _labelled(data, "imdb", "test")), parts=False)

    reviews = [
        row for row in _labelled(data, "imdb", "train") if not tested_reviews.resembles(row["text"])
    ]
    random.Random(_SEED).shuffle(reviews)
    dev = [row for row in _dev_sentences(data) if not tested.resembles(row["text"])]
    write(output / "dev-short.jsonl.gz", dev)
    chosen = reviews[:_REVIEWS]
    write(output / "dev.jsonl.gz", [*dev, *chosen])
    kept = Kept(row["text"] for row in (*_tested(data, tests), *dev))

    short = list(without(kept, _short(data)))
    write(output / "short.jsonl.gz", short)
    chosen_reviews = Kept((row["text"] for row in chosen), parts=False)
    others = [row for row in reviews[_REVIEWS:] if not chosen_reviews.resembles(row["text"])]
    write(output / "reviews.jsonl.gz", others)
    made = [*neutral(data), *nonsense(short), *faces(short), *swapped(short)]
    write(output / "made.jsonl.gz", made)
    write(output / "sentences.jsonl.gz", unlabelled(data, kept, most))


def check_files(data: Path) -> None:
    """Refuse files whose checksum is not in the list."""
    for name, expected in json.loads(LIST.read_text(encoding="utf-8"))["files"].items():
        found = hashlib.sha256((data / name).read_bytes()).hexdigest()
        if found != expected:
            raise click.ClickException(f"{data / name}: its checksum is not the one in {LIST.name}")


def clear(data: Path, name: str, *, folds: Collection[int]) -> Iterator[dict[str, Any]]:
    """Yield the clearly positive or negative rows in some tenths of a scored set."""
    for text, score in _scores(data, name):
        if _fold(text) in folds and abs(score) >= MIN_SCORE:
            yield {"text": text, "label": _sign(score)}


def without(kept: Kept, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the rows that are not similar to a kept text, without duplicates."""
    seen: set[tuple[str, ...]] = set()
    for row in rows:
        found = tuple(words(row["text"]))
        if found and found not in seen and not kept.resembles(row["text"]):
            seen.add(found)
            yield row


def neutral(data: Path) -> Iterator[dict[str, Any]]:
    """Yield questions about facts as neutral texts."""
    for row in _labelled(data, "trec", "train"):
        yield {"text": row["text"], "probs": probabilities(0)}


def unlabelled(data: Path, kept: Kept, most: int) -> list[dict[str, Any]]:
    """Return a random sample of sentences of reviews."""
    chance = random.Random(_SEED)

    def sampled() -> Iterator[dict[str, Any]]:
        for row in read_rows(data / "imdb" / "unlabelled.jsonl.gz", labelled=False):
            fit = [
                text for text in sentences(row.text) if MIN_WORDS <= len(words(text)) <= MAX_WORDS
            ]
            for text in chance.sample(fit, min(2, len(fit))):
                yield {"text": text}

    drawn = list(without(kept, sampled()))
    chance.shuffle(drawn)
    return drawn[:most]


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


def write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows and print the number of rows per label."""
    listed = list(rows)
    write_rows(path, listed)
    counts = Counter("soft" if "probs" in row else row.get("label", "unlabelled") for row in listed)
    summary = ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items()))
    click.echo(f"{path.name}: {summary}")


def _tested(data: Path, tests: dict[str, list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    yield from _labelled(data, "sst2", "test")
    for rows in tests.values():
        yield from rows


def _dev_sentences(data: Path) -> Iterator[dict[str, Any]]:
    yield from _labelled(data, "sst2", "dev")
    yield from _labelled(data, "mr", "dev")
    for name in TESTED:
        yield from clear(data, name, folds=(2,))


def _short(data: Path) -> Iterator[dict[str, Any]]:
    yield from _labelled(data, "sst2", "train")
    yield from _labelled(data, "mr", "train")
    for name in SCORED:
        for text, score in _scores(data, name):
            if name not in TESTED or _fold(text) > 2:
                yield {"text": text, "probs": probabilities(score)}
    yield from _labelled(data, "sst2", "phrases")


def _labelled(data: Path, name: str, part: str) -> Iterator[dict[str, Any]]:
    for row in read_rows(data / name / f"{part}.jsonl.gz", labelled=True):
        yield {"text": row.text, "label": _NAMES.get(row.labels[0], row.labels[0])}


def _scores(data: Path, name: str) -> Iterator[tuple[str, float]]:
    with gzip.open(data / name / "all.jsonl.gz", "rt", encoding="utf-8") as stream:
        for line in stream:
            row = json.loads(line)
            yield row["text"], float(row["label"])


def _fold(text: str) -> int:
    """Return a number from 0 to 9 that depends only on the text's words."""
    return hashlib.sha256(" ".join(words(text)).encode()).digest()[0] % 10


def _sign(score: float) -> str:
    return "positive" if score > 0 else "negative"


if __name__ == "__main__":
    main()
