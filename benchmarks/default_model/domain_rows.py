"""Rows of many domains for the package's sentiment model: training, dev and test.

    python benchmarks/default_model/domain_rows.py DATA -o runs/domains

DATA holds one folder per set; domains.json lists the sets of each domain, with their terms and
checksums. The labels are negative, neutral and positive. A training row or unlabelled text that
is too similar to a dev or test row of any domain, or to a text of the behaviour tests, is left
out: see overlap.py. The test rows of three sets are also written by themselves, for
benchmarks/sentiment.py.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from overlap import Kept, words
from sentiment_cases import tested_texts
from written_rows import write_rows

from textgate.rows import read_rows

LIST = Path(__file__).with_name("domains.json")
LABELS = ("negative", "neutral", "positive")
CLEAR, UNCLEAR = (
    1.0,
    0.4,
)  # absolute scores, from 0 to 4: at least this is clear, at most this neutral
MOST_SCORED = 2_000  # rows of a domain with a clear label, and neutral ones
SHORT, LONG = 8, 60  # words; a shorter text is compared for equality, a longer one not by its parts
REPORTED = ("mr", "vader_amazon", "vader_tweets")
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
        dev: the parts for dev; half of them are for the test if the set has no part for that.
        test: the parts for the test.
        split: the parts of which a tenth is for dev and two tenths for the test.
        unlabelled: the parts whose texts alone are used.
        open: whether the terms allow any use of what is trained on the rows.
        most: largest number of training rows, and of texts.
    """

    name: str
    train: tuple[str, ...]
    dev: tuple[str, ...]
    test: tuple[str, ...]
    split: tuple[str, ...]
    unlabelled: tuple[str, ...]
    open: bool
    most: int


@dataclass
class Rows:
    """Rows of a domain or a set.

    Attributes:
        train: for training.
        dev: to choose by.
        test: to report.
        texts: without labels, for training with a teacher.
    """

    train: list[Row]
    dev: list[Row]
    test: list[Row]
    texts: list[str]


@click.command()
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@click.option("--open-terms", is_flag=True, help="Train only on the sets under open terms.")
def main(data: Path, output: Path, *, open_terms: bool) -> None:
    """Write the files of each domain and print the number of rows in them."""
    listed = json.loads(LIST.read_text(encoding="utf-8"))
    check_files(data, listed["files"], LIST)
    output.mkdir(parents=True, exist_ok=True)
    domains: dict[str, Rows] = {}
    for domain, sources in listed["domains"].items():
        sets = [(one, rows_of(data, one)) for one in map(source, sources)]
        domains[domain] = together(sets, open_terms)
        for one, rows in sets:
            if one.name in REPORTED:
                clear = [row for row in rows.test if row["label"] != "neutral"]
                write_rows(output / f"{one.name}.jsonl.gz", clear)
    scored = [row["text"] for rows in domains.values() for row in (*rows.dev, *rows.test)]
    scored += tested_texts()
    equal = {tuple(words(text)) for text in scored}
    short = Kept(text for text in scored if SHORT <= len(words(text)) <= LONG)
    whole = Kept((text for text in scored if len(words(text)) > LONG), parts=False)
    for domain, rows in domains.items():
        kept = list(distinct(rows.train, equal, short, whole))
        texts = distinct([{"text": text} for text in rows.texts], equal, short, whole)
        write_rows(output / f"{domain}.train.jsonl.gz", kept)
        write_rows(output / f"{domain}.dev.jsonl.gz", rows.dev)
        write_rows(output / f"{domain}.test.jsonl.gz", rows.test)
        count = write_rows(output / f"{domain}.texts.jsonl.gz", texts)
        click.echo(
            f"{domain}: {counted(kept)}; dev {counted(rows.dev)}; test {counted(rows.test)}; "
            f"{count:,} texts"
        )


def source(fields: Row) -> Source:
    """Return a source of the list."""
    return Source(
        name=fields["set"],
        train=tuple(fields.get("train", ())),
        dev=tuple(fields.get("dev", ())),
        test=tuple(fields.get("test", ())),
        split=tuple(fields.get("split", ())),
        unlabelled=tuple(fields.get("unlabelled", ())),
        open=fields["open"],
        most=fields.get("most", 10**9),
    )


def check_files(data: Path, files: dict[str, str], listed: Path) -> None:
    """Refuse files whose checksum is not the one that is listed in a file."""
    for name, expected in files.items():
        found = hashlib.sha256((data / name).read_bytes()).hexdigest()
        if found != expected:
            raise click.ClickException(
                f"{data / name}: its checksum is not the one in {listed.name}"
            )


def rows_of(data: Path, one: Source) -> Rows:
    """Return the rows of a set in a random order that is fixed."""
    chance = random.Random(_SEED)
    rows = Rows([], [], [], [])
    rows.train = [row for part in one.train for row in read(data, f"{one.name}/{part}")]
    rows.test = [row for part in one.test for row in read(data, f"{one.name}/{part}")]
    for row in (row for part in one.dev for row in read(data, f"{one.name}/{part}")):
        for_test = not one.test and tenth_of(row["text"]) % 2
        (rows.test if for_test else rows.dev).append(row)
    for row in (row for part in one.split for row in read(data, f"{one.name}/{part}")):
        tenth = tenth_of(row["text"])
        (rows.test if tenth in TEST else rows.dev if tenth == DEV else rows.train).append(row)
    for listed in (rows.train, rows.dev, rows.test):
        chance.shuffle(listed)
    rows.train = rows.train[: one.most]
    for part in one.unlabelled:
        rows.texts += [
            row.text for row in read_rows(data / one.name / f"{part}.jsonl.gz", labelled=False)
        ]
    chance.shuffle(rows.texts)
    rows.texts = rows.texts[: one.most]
    return rows


def together(sets: list[tuple[Source, Rows]], open_terms: bool) -> Rows:
    """Return the rows of a domain; its dev and test rows have at most so many of each kind.

    The dev and test rows are the same whatever the terms of the training rows.
    """
    chance = random.Random(_SEED)
    found = Rows([], [], [], [])
    for one, rows in sets:
        if one.open or not open_terms:
            found.train += rows.train
            found.texts += rows.texts
    for listed in (found.train, found.texts):
        chance.shuffle(listed)
    for name in ("dev", "test"):
        chance = random.Random(_SEED)
        both = [row for _, rows in sets for row in getattr(rows, name)]
        chance.shuffle(both)
        clear = [row for row in both if row["label"] != "neutral"]
        neutral = [row for row in both if row["label"] == "neutral"]
        setattr(found, name, clear[:MOST_SCORED] + neutral[:MOST_SCORED])
    return found


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


def distinct(rows: Iterable[Row], equal: Collection[tuple[str, ...]], *kept: Kept) -> Iterator[Row]:
    """Yield the rows that are similar to no kept text and have other words, without duplicates."""
    seen = set(equal)
    for row in rows:
        found = tuple(words(row["text"]))
        if not found or found in seen:
            continue
        seen.add(found)
        if not any(one.resembles(row["text"]) for one in kept):
            yield row


def counted(rows: list[Row]) -> str:
    """Return the number of rows per label as words."""
    counts = Counter(row["label"] for row in rows)
    return ", ".join(f"{counts[label]:,} {label}" for label in LABELS)


if __name__ == "__main__":
    main()
