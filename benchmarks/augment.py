"""Make more texts of those there are, for a teacher to label.

    python benchmarks/augment.py DATA/trec/train.jsonl.gz -o trec-more.jsonl.gz --each 10

A word gives way to one of those that are nearest to it in the word vectors, as in Jiao et al. 2020
("TinyBERT"), or is left out. With `--splice` a share of the texts first changes, at a word, into
another one that has the same word, so that neighbours stay neighbours. What a text means then is
for the teacher to say: labels are dropped.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from overlap import Kept
from written_rows import write_rows

from textgate.rows import read_rows
from textgate.train.subwords import split_words
from textgate.train.vectors import Vectors, load_vectors

_CANDIDATES = 30_000  # the most frequent words of the vectors
_CHUNK = 1_000
PATH = click.Path(exists=True, path_type=Path)


@click.command()
@click.argument("rows", type=PATH)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@click.option("--each", default=10, show_default=True, help="Texts made of one.")
@click.option("--replace", default=0.3, show_default=True, help="Share of the words replaced.")
@click.option("--nearest", default=8, show_default=True, help="Words that may take one's place.")
@click.option("--drop", default=0.05, show_default=True, help="Share of the words left out.")
@click.option(
    "--splice", default=0.0, show_default=True, help="Share of the texts made of the parts of two."
)
@click.option("--against", type=PATH, multiple=True, help="Rows that none may be much like.")
@click.option("--seed", default=0, show_default=True)
def main(
    rows: Path,
    output: Path,
    each: int,
    replace: float,
    nearest: int,
    drop: float,
    splice: float,
    against: tuple[Path, ...],
    seed: int,
) -> None:
    """Write texts without labels, each once."""
    texts = [split_words(row.text) for row in read_rows(rows, labelled=False)]
    near = neighbours({word for text in texts for word in text}, load_vectors("english"), nearest)
    kept = Kept(row.text for path in against for row in read_rows(path, labelled=False))
    chance = random.Random(seed)
    places = occurrences(texts)
    seen = {tuple(text) for text in texts}

    def made() -> Iterator[dict[str, str]]:
        for text in texts:
            for _ in range(each):
                whole = spliced(text, places, chance) if chance.random() < splice else text
                words = changed(whole, near, chance, replace=replace, drop=drop)
                if words and tuple(words) not in seen:
                    seen.add(tuple(words))
                    line = " ".join(words)
                    if not kept.resembles(line):
                        yield {"text": line}

    count = write_rows(output, made())
    click.echo(f"{output}: {count:,} texts of {len(texts):,}")


def occurrences(texts: Sequence[Sequence[str]]) -> dict[str, list[tuple[Sequence[str], int]]]:
    """Return where each word stands: in which texts, at which place."""
    result: dict[str, list[tuple[Sequence[str], int]]] = {}
    for text in texts:
        for place, word in enumerate(text):
            result.setdefault(word, []).append((text, place))
    return result


def spliced(
    text: Sequence[str],
    places: dict[str, list[tuple[Sequence[str], int]]],
    chance: random.Random,
) -> list[str]:
    """Return a text that from one of its words goes on as one of the texts with this word does."""
    if not text:
        return []
    cut = chance.randrange(len(text))
    other, place = chance.choice(places[text[cut]])
    return [*text[:cut], *other[place:]]


def changed(
    text: Sequence[str],
    near: dict[str, list[str]],
    chance: random.Random,
    *,
    replace: float,
    drop: float,
) -> list[str]:
    """Return a text with some of its words replaced or left out."""
    result = []
    for word in text:
        drawn = chance.random()
        if drawn < drop:
            continue
        others = near.get(word, ())
        result.append(chance.choice(others) if others and drawn < drop + replace else word)
    return result


def neighbours(words: set[str], vectors: Vectors, nearest: int) -> dict[str, list[str]]:
    """Return the nearest words of each, by the cosine of their vectors, without itself."""
    names = list(vectors.words)[:_CANDIDATES]
    known = sorted(words & vectors.words.keys())
    candidates = _unit(vectors, names)
    result: dict[str, list[str]] = {}
    for begin in range(0, len(known), _CHUNK):
        part = known[begin : begin + _CHUNK]
        likeness = _unit(vectors, part) @ candidates.T
        closest = np.argsort(-likeness, axis=1)[:, : nearest + 1]
        for word, places in zip(part, closest, strict=True):
            found = [names[place] for place in places if names[place] != word]
            result[word] = found[:nearest]
    return result


def _unit(vectors: Vectors, words: Sequence[str]) -> NDArray[np.float32]:
    rows = vectors.matrix[[vectors.words[word] for word in words]]
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


if __name__ == "__main__":
    main()
