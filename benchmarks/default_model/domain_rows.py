"""Rows of many domains for the package's sentiment model: training and dev.

    python benchmarks/default_model/domain_rows.py DATA -o runs/domains

DATA holds one folder per set; domains.json lists the sets of each domain, with their terms and
checksums. The labels are negative, neutral and positive. A training row that is too similar to a
dev row of a domain, or to a dev or test row of sst2, mr or imdb, is left out: see overlap.py.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from overlap import Kept, words
from written_rows import write_rows

LIST = Path(__file__).with_name("domains.json")
LABELS = ("negative", "neutral", "positive")
CLEAR, UNCLEAR = (
    1.0,
    0.4,
)  # absolute scores, from 0 to 4: at least this is clear, at most this neutral
MOST_DEV = 1_000  # rows of a domain that are scored
SHORT, LONG = 8, 60  # words; a shorter text is compared for equality, a longer one not by its parts
REPORTED = ("sst2/dev", "sst2/test", "mr/dev", "mr/test")
TEST, DEV = (0, 1), 2  # tenths of what has no split of its own
_SEED = 0
_NAMES = {"0": "negative", "1": "positive"}  # of mr
Row = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """A set of a domain.

    Attributes:
        name: the folder.
        train: the parts for training.
        dev: the parts that are scored.
        split: the parts of which a tenth is scored; two tenths are left for a test.
        open: whether the terms allow any use of what is trained on the rows.
        most: largest number of training rows.
    """

    name: str
    train: tuple[str, ...]
    dev: tuple[str, ...]
    split: tuple[str, ...]
    open: bool
    most: int


@click.command()
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@click.option("--open-terms", is_flag=True, help="Train only on the sets under open terms.")
def main(data: Path, output: Path, *, open_terms: bool) -> None:
    """Write the files of each domain and print the number of rows in them."""
    output.mkdir(parents=True, exist_ok=True)
    listed = json.loads(LIST.read_text(encoding="utf-8"))
    check_files(data, listed["files"])
    train: dict[str, list[Row]] = {}
    dev: dict[str, list[Row]] = {}
    for domain, sources in listed["domains"].items():
        train[domain], dev[domain] = rows_of(data, [source(one) for one in sources], open_terms)
    scored = [row["text"] for rows in dev.values() for row in rows]
    reported = [row["text"] for part in REPORTED for row in read(data, part)]
    equal = {tuple(words(text)) for text in (*scored, *reported)}
    short = Kept(text for text in (*scored, *reported) if SHORT <= len(words(text)) <= LONG)
    long = [text for text in scored if len(words(text)) > LONG]
    whole = Kept((*long, *(row["text"] for row in read(data, "imdb/test"))), parts=False)
    for domain, rows in train.items():
        kept = list(distinct(rows, equal, short, whole))
        write_rows(output / f"{domain}.train.jsonl.gz", kept)
        write_rows(output / f"{domain}.dev.jsonl.gz", dev[domain])
        click.echo(f"{domain}: {counted(kept)}; to score {counted(dev[domain])}")


def source(fields: Row) -> Source:
    """Return a source of the list."""
    return Source(
        name=fields["set"],
        train=tuple(fields.get("train", ())),
        dev=tuple(fields.get("dev", ())),
        split=tuple(fields.get("split", ())),
        open=fields["open"],
        most=fields.get("most", 10**9),
    )


def check_files(data: Path, files: dict[str, str]) -> None:
    """Refuse files whose checksum is not in the list."""
    for name, expected in files.items():
        found = hashlib.sha256((data / name).read_bytes()).hexdigest()
        if found != expected:
            raise click.ClickException(f"{data / name}: its checksum is not the one in {LIST.name}")


def rows_of(data: Path, sources: list[Source], open_terms: bool) -> tuple[list[Row], list[Row]]:
    """Return the training rows of a domain and those to score, in a random order that is fixed."""
    train: list[Row] = []
    dev: list[Row] = []
    for one in sources:
        chance = random.Random(_SEED)
        rows = [row for part in one.train for row in read(data, f"{one.name}/{part}")]
        held = [row for part in one.dev for row in read(data, f"{one.name}/{part}")]
        for row in (row for part in one.split for row in read(data, f"{one.name}/{part}")):
            tenth = tenth_of(row["text"])
            if tenth == DEV:
                held.append(row)
            elif tenth not in TEST:
                rows.append(row)
        chance.shuffle(rows)
        chance.shuffle(held)
        dev += held
        if one.open or not open_terms:
            train += rows[: one.most]
    random.Random(_SEED).shuffle(train)
    clear = [row for row in dev if row["label"] != "neutral"]
    random.Random(_SEED).shuffle(clear)
    return train, clear[:MOST_DEV] + [row for row in dev if row["label"] == "neutral"][:MOST_DEV]


def read(data: Path, part: str) -> Iterator[Row]:
    """Yield the rows of a file with their labels; scores that are not clear are left out."""
    with gzip.open(data / f"{part}.jsonl.gz", "rt", encoding="utf-8") as stream:
        for line in stream:
            row = json.loads(line)
            label = label_of(row["label"])
            if label and row["text"].strip():
                yield {"text": row["text"], "label": label}


def label_of(value: str | float) -> str:
    """Return the label of a row, "" if a score is neither clear nor neutral."""
    if isinstance(value, float | int):
        if abs(value) >= CLEAR:
            return "positive" if value > 0 else "negative"
        return "neutral" if abs(value) <= UNCLEAR else ""
    return _NAMES.get(value, value)


def tenth_of(text: str) -> int:
    """Return a number from 0 to 9 that depends only on the text's words."""
    return hashlib.sha256(" ".join(words(text)).encode()).digest()[0] % 10


def distinct(
    rows: list[Row], equal: set[tuple[str, ...]], short: Kept, whole: Kept
) -> Iterator[Row]:
    """Yield the rows that are similar to no kept text, without duplicates."""
    seen = set(equal)
    for row in rows:
        found = tuple(words(row["text"]))
        if not found or found in seen:
            continue
        seen.add(found)
        if not short.resembles(row["text"]) and not whole.resembles(row["text"]):
            yield row


def counted(rows: list[Row]) -> str:
    """Return the number of rows per label as words."""
    counts = Counter(row["label"] for row in rows)
    return ", ".join(f"{counts[label]:,} {label}" for label in LABELS)


if __name__ == "__main__":
    main()
