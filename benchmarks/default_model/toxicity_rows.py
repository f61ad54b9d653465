"""Rows for the package's toxicity model: training, dev and test.

    python benchmarks/default_model/toxicity_rows.py DATA --texts runs/domains -o runs/toxicity

DATA holds one folder per set; toxicity.json lists them, with their terms and checksums. The labels
are clean and toxic. These files are written:

- labelled, dev, and a test of each set.
- small: the labelled rows of small sets once more, so that they can count several times.
- faulty: some labelled rows again, with typos and the like.
- made: generated rows about groups of people, threats, swearing, and plain statements.
- texts: comments, tweets and sentences of runs/domains, which domain_rows.py wrote, for a teacher.
- clean-dev, clean-test: neutral texts of runs/domains.

What is too similar to a dev or test text, or to a text of the behaviour tests, is left out: see
overlap.py.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import click

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from balanced_rows import domains
from domain_rows import DEV, TEST, check_files, distinct, read, tenth_of
from made_rows import (
    about_groups,
    angry,
    disguises,
    foreign,
    general,
    hidden,
    noisy,
    reported,
    statements,
    trailing,
    wordless,
)
from overlap import Kept, words
from student_rows import fits, sentences
from toxicity_cases import CLEAN, GROUPS, TOXIC
from written_rows import write_rows

from textgate.rows import read_rows

LIST = Path(__file__).with_name("toxicity.json")
CLEAN_DOMAINS = (  # whose neutral rows count as clean: few people insult somebody there
    *("news", "prose", "product reviews", "product sentences", "restaurant reviews", "dialogue"),
    "developers' posts",
)
# Domains whose texts a teacher labels, and how many of them.
TEXTS = {"forum comments": 30_000, "tweets": 45_000, "news": 4_000, "dialogue": 4_000}
OTHER_TEXTS = 2_000  # of every other domain
_SMALL = 2_000  # rows of a small set, at most
_FAULTY = 0.15  # of the labelled rows, twice
_PLAIN = 3_000  # generated rows of each kind that name no group
_SEED = 0
PATH = click.Path(exists=True, path_type=Path)
Row = dict[str, Any]


@click.command()
@click.argument("data", type=PATH)
@click.option("--texts", "rows", type=PATH, required=True, help="Folder of domain_rows.py.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def main(data: Path, rows: Path, output: Path) -> None:
    """Write the files and print the number of rows in them."""
    listed = json.loads(LIST.read_text(encoding="utf-8"))
    check_files(data, listed["files"], LIST)
    output.mkdir(parents=True, exist_ok=True)
    parts: dict[str, list[Row]] = {"train": [], "dev": []}
    tests: dict[str, list[Row]] = {}
    small: set[str] = set()
    for one in listed["sets"]:
        before = len(parts["train"])
        for part, found in rows_of(data, one):
            if part == "test":
                tests.setdefault(one["set"], []).extend(found)
            else:
                parts[part] += found
        if len(added := parts["train"][before:]) <= _SMALL:
            small.update(row["text"] for row in added)
    held = [row["text"] for row in chain(parts["dev"], *tests.values())]
    held += [case.text for cases in GROUPS.values() for case in cases]
    held += [row["text"] for part in ("dev", "test") for row in clean(rows, part)]
    kept, equal = Kept(held), {tuple(words(text)) for text in held}
    labelled = list(distinct(parts["train"], equal, kept))
    files: dict[str, list[Row]] = {
        "labelled": labelled,
        "small": [row for row in labelled if row["text"] in small],
        "dev": parts["dev"],
        "made": list(distinct(made(), equal, kept)),
        "faulty": list(distinct(faulty([*parts["train"], *angry(TOXIC, CLEAN)]), equal, kept)),
        "texts": list(distinct(unlabelled(rows), equal, kept)),
        **{f"test-{name}": found for name, found in tests.items()},
        **{f"clean-{part}": list(clean(rows, part)) for part in ("dev", "test")},
    }
    for name, found in files.items():
        random.Random(_SEED).shuffle(found)
        counts = Counter(row.get("label", "") for row in found)
        write_rows(output / f"{name}.jsonl.gz", found)
        click.echo(f"{name}: {len(found):,} rows, {counts[TOXIC]:,} toxic, {counts[CLEAN]:,} clean")


def rows_of(data: Path, one: dict[str, Any]) -> Iterator[tuple[str, list[Row]]]:
    """Yield the parts of a set: train, dev or test, and the rows."""
    for part, names in one["parts"].items():
        for name in names:
            rows = [
                {"text": row.text, "label": TOXIC if row.labels[0] in one["toxic"] else CLEAN}
                for row in read_rows(data / one["set"] / f"{name}.jsonl.gz", labelled=True)
                if row.labels[0] in (*one["toxic"], *one["clean"])
            ]
            if part == "train":
                rows = _at_most(rows, one.get("most_toxic", len(rows)))
            if part != "split":
                yield part, rows
                continue
            for row in rows:
                tenth = tenth_of(row["text"])
                yield "test" if tenth in TEST else "dev" if tenth == DEV else "train", [row]


def _at_most(rows: list[Row], most: int) -> list[Row]:
    """Return all clean rows and so many toxic ones."""
    random.Random(_SEED).shuffle(rows)
    toxic = [row for row in rows if row["label"] == TOXIC]
    return [row for row in rows if row["label"] == CLEAN] + toxic[:most]


def made() -> Iterator[Row]:
    """Yield the generated rows."""
    chance = random.Random(_SEED)
    yield from about_groups(TOXIC, CLEAN)
    yield from reported(TOXIC, CLEAN)
    yield from general(TOXIC, CLEAN)
    yield from angry(TOXIC, CLEAN)
    yield from hidden(TOXIC, CLEAN)
    for rows in (statements(), foreign(), wordless()):
        for row in chance.sample(found := list(rows), min(_PLAIN, len(found))):
            yield {"text": row["text"], "label": CLEAN}


def faulty(rows: Sequence[Row]) -> Iterator[Row]:
    """Yield some rows with faults of writing, with runs of marks, and with letters replaced."""
    yield from noisy(rows, _FAULTY)
    yield from trailing(rows)
    yield from disguises(rows, _FAULTY)


def clean(rows: Path, part: str) -> Iterator[Row]:
    """Yield the neutral rows of some domains."""
    for domain in CLEAN_DOMAINS:
        for row in read(rows, f"{domain}.{part}"):
            if row["label"] == "neutral":
                yield {"text": row["text"], "label": CLEAN}


def unlabelled(rows: Path) -> Iterator[Row]:
    """Yield texts of the domains for a teacher: short ones, and one sentence of each long one."""
    for domain in domains(rows):
        chance = random.Random(_SEED)
        found = []
        for part in ("train", "texts"):
            for row in read_rows(rows / f"{domain}.{part}.jsonl.gz", labelled=False):
                pieces = [row.text] if fits(row.text) else list(filter(fits, sentences(row.text)))
                if pieces:
                    found.append(chance.choice(pieces))
        most = TEXTS.get(domain, OTHER_TEXTS)
        yield from ({"text": text} for text in chance.sample(found, min(most, len(found))))


if __name__ == "__main__":
    main()
