"""Makes the sample data set beside this file out of human sentiment ratings.

    python make.py FOLDER [--out FOLDER]

FOLDER holds vader_movie, vader_amazon and vader_tweets, each with an all.jsonl.gz of rows
{"text": ..., "label": mean rating from -4 to 4}. README.md says where they come from. The same
input gives the same bytes. Prints the table of counts that stands in README.md.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

SOURCES = ("movie", "amazon", "tweets")
CUT_OFF = 1.0  # a mean rating nearer to 0 than this is left out
SPLITS = ("train", "dev", "test")
HELD_OUT_FRACTION = 0.1  # of the rows, for dev and for test each

_WORD = re.compile(r"[^\W_]+")


class Review(NamedTuple):
    """One row of the data set, its fields in the order they are written."""

    text: str
    label: str
    source: str


def main() -> None:
    """Read the arguments, write the three files, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="holds vader_movie, vader_amazon, vader_tweets")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    splits = split(unique(read(options.folder)))
    options.out.mkdir(parents=True, exist_ok=True)
    for name, reviews in splits.items():
        write(options.out / f"{name}.jsonl.gz", reviews)
    print(table(splits))


def read(folder: Path) -> Iterator[Review]:
    """Yield the texts that their raters found clearly positive or clearly negative."""
    for source in SOURCES:
        path = folder / f"vader_{source}" / "all.jsonl.gz"
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
            for line in lines:
                row = json.loads(line)
                if abs(row["label"]) >= CUT_OFF:
                    label = "positive" if row["label"] > 0 else "negative"
                    yield Review(row["text"], label, source)


def unique(reviews: Iterable[Review]) -> list[Review]:
    """Keep one of the texts that are alike, none if their labels differ or no word is in them."""
    alike: dict[str, list[Review]] = {}
    for review in reviews:
        alike.setdefault("".join(words(review.text)), []).append(review)
    alike.pop("", None)
    return [same[0] for same in alike.values() if len({review.label for review in same}) == 1]


def split(reviews: list[Review]) -> dict[str, list[Review]]:
    """Shuffle by hash, cut in three, and drop from each part what overlaps with a later one."""
    shuffled = sorted(reviews, key=lambda review: hashlib.sha256(review.text.encode()).digest())
    size = round(len(shuffled) * HELD_OUT_FRACTION)
    test, dev, train = shuffled[:size], shuffled[size : 2 * size], shuffled[2 * size :]
    dev = without_overlap(dev, test)
    return {"train": without_overlap(train, dev + test), "dev": dev, "test": test}


def without_overlap(reviews: list[Review], held_out: list[Review]) -> list[Review]:
    """Drop the reviews that share half or more of the shorter text's word 3-grams with another."""
    held_grams = [trigrams(review.text) for review in held_out]
    holders: dict[tuple[str, ...], list[int]] = {}
    for number, grams in enumerate(held_grams):
        for gram in grams:
            holders.setdefault(gram, []).append(number)
    kept = []
    for review in reviews:
        grams = trigrams(review.text)
        shared = Counter(number for gram in grams for number in holders.get(gram, ()))
        if not any(
            2 * count >= min(len(grams), len(held_grams[number]))
            for number, count in shared.items()
        ):
            kept.append(review)
    return kept


def trigrams(text: str) -> set[tuple[str, ...]]:
    """Return every three words that follow one another in a text."""
    found = words(text)
    return set(zip(found, found[1:], found[2:], strict=False))


def words(text: str) -> list[str]:
    """Return the words of a text without case, accents, apostrophes and punctuation."""
    plain = unicodedata.normalize("NFKD", text.lower())
    return _WORD.findall("".join(char for char in plain if not _is_dropped(char)))


def _is_dropped(char: str) -> bool:
    return char in "'\u2019" or unicodedata.combining(char) > 0


def write(path: Path, reviews: list[Review]) -> None:
    """Write gzipped JSON Lines, with neither a name nor a time in the gzip header."""
    lines = (json.dumps(review._asdict(), ensure_ascii=False) + "\n" for review in reviews)
    with path.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write("".join(lines).encode())


def table(splits: dict[str, list[Review]]) -> str:
    """Return the counts by split, source and label as a Markdown table."""
    lines = ["| split | source | positive | negative | rows |", "|---|---|---:|---:|---:|"]
    for name in SPLITS:
        for source in (*SOURCES, "all"):
            labels = Counter(
                review.label for review in splits[name] if source in (review.source, "all")
            )
            counts = (labels["positive"], labels["negative"], labels.total())
            lines.append("| " + " | ".join((name, source, *map(str, counts))) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
