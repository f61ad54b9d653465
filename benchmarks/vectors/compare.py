"""Compares ways to pack English word vectors into 3 MB of a wheel.

    python benchmarks/vectors/compare.py VECTORS DATA

VECTORS is what make.py reads; DATA holds a folder a data set. Each layout gets as many words as
fit. A linear classifier on the mean of a text's vectors is fitted on train and scored on dev
(accuracy, macro-F1 for the tweets): with the vectors as they are; without their mean and first two
principal components; and as they are, but on three draws of 1,000 training rows. Prints the table
of README.md.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import make
import numpy as np
import torch
from numpy.typing import NDArray

from textgate.tokenizer_rules import WORDS
from textgate.train.vectors import unpack

SETS = ("sst2", "mr", "trec", "banking77", "tweet_offensive")
BUDGET = 2_990_000  # bytes of vectors and words, as a wheel compresses them
FITTED, ROUNDS, CENTROIDS = 16_384, 15, 256  # words and rounds of k-means
DECAY = 1e-4
FEW, DRAWS = 1000, 3  # rows, for what counts where there are few
DROPPED = 2  # principal components

Packed = list[NDArray[np.generic]]
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Layout:
    """A way to store a matrix, and to get (about) the same matrix back."""

    name: str
    pack: Callable[[Matrix], Packed]
    unpack: Callable[[Packed], Matrix]


# Whole numbers with a scale a word or a column


def scaled(matrix: Matrix, bits: int, axis: int) -> Packed:
    """Return whole numbers of so many bits, and the scale of each row (axis 1) or column (0)."""
    most = 2 ** (bits - 1) - 1
    scale = (np.abs(matrix).max(axis=axis, keepdims=True) / most).astype(np.float32)
    codes = np.clip(np.rint(matrix / scale), -most, most).astype(np.int8)
    if bits == 4:
        halves = (codes + 8).astype(np.uint8)
        codes = (halves[:, ::2] | halves[:, 1::2] << 4).view(np.int8)
    return [codes, scale.astype(np.float16)]


def unscaled(packed: Packed, bits: int) -> Matrix:
    """Undo `scaled`."""
    codes, scale = packed
    if bits == 4:
        halves = codes.view(np.uint8)
        codes = (
            np.stack([halves & 15, halves >> 4], axis=2).reshape(len(halves), -1).astype(int) - 8
        )
    return codes * scale.astype(np.float64)


def scaled_layout(name: str, bits: int, axis: int) -> Layout:
    """Return a layout of whole numbers."""
    return Layout(name, lambda m: scaled(m / make.UNIT, bits, axis), lambda p: unscaled(p, bits))


# The same on the first principal components


def projected_layout(name: str, dims: int, bits: int) -> Layout:
    """Return a layout that keeps the directions in which words differ most."""

    def pack(matrix: Matrix) -> Packed:
        _, axes = np.linalg.eigh(matrix.T @ matrix)
        return scaled(matrix / make.UNIT @ axes[:, ::-1][:, :dims], bits, 1)

    return Layout(name, pack, lambda packed: unscaled(packed, bits))


# Product quantization (Jegou 2011): a byte names the nearest of 256 centroids of some components


def quantized_layout(name: str, part: int) -> Layout:
    """Return a layout in which so many components share a byte."""

    def pack(matrix: Matrix) -> Packed:
        columns = np.array_split(np.arange(matrix.shape[1]), -(-matrix.shape[1] // part))
        centroids = [fitted(matrix[:FITTED, own]) for own in columns]
        codes = [nearest(matrix[:, own], at) for own, at in zip(columns, centroids, strict=True)]
        return [np.stack(codes, axis=1).astype(np.uint8), np.hstack(centroids).astype(np.float16)]

    def restore(packed: Packed) -> Matrix:
        codes, centroids = packed[0], packed[1].astype(np.float64) / make.UNIT
        columns = np.array_split(np.arange(centroids.shape[1]), codes.shape[1])
        return np.hstack([centroids[:, own][codes[:, at]] for at, own in enumerate(columns)])

    return Layout(name, pack, restore)


def fitted(points: Matrix) -> Matrix:
    """Return 256 centroids of k-means."""
    centres = points[np.linspace(0, len(points) - 1, CENTROIDS).astype(int)]
    for _ in range(ROUNDS):
        own = nearest(points, centres)
        counts = np.bincount(own, minlength=CENTROIDS)
        sums = np.stack(
            [np.bincount(own, weights=values, minlength=CENTROIDS) for values in points.T]
        )
        centres = np.where(counts > 0, sums / np.maximum(counts, 1), centres.T).T
    return centres


def nearest(points: Matrix, centres: Matrix) -> NDArray[np.intp]:
    """Return the nearest centre of each point."""
    half = (centres**2).sum(axis=1)
    found = [
        (half - 2 * points[start : start + 4096] @ centres.T).argmin(axis=1)
        for start in range(0, len(points), 4096)
    ]
    return np.concatenate(found)


LAYOUTS = (
    scaled_layout("100 dims, 8 bits, a scale a word", 8, 1),
    projected_layout("64 principal components, 8 bits", 64, 8),
    scaled_layout("100 dims, 4 bits, a scale a word", 4, 1),
    scaled_layout("100 dims, 4 bits, a scale a column", 4, 0),
    Layout(
        "100 dims, 4 bits, steps of half a standard deviation",
        lambda matrix: list(make.pack(matrix)),
        lambda packed: unpack(*packed).astype(np.float64),
    ),
    quantized_layout("100 dims, a byte for 2", 2),
    quantized_layout("100 dims, a byte for 3", 3),
    quantized_layout("100 dims, a byte for 4", 4),
    quantized_layout("100 dims, a byte for 5", 5),
)


def main() -> None:
    """Read the arguments and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("vectors", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--most-words", type=int, default=10**9, help="for a quick look")
    parser.add_argument("--sets", default=",".join(SETS))
    options = parser.parse_args()
    torch.manual_seed(0)
    source = make.read(options.vectors)
    sets = options.sets.split(",")
    texts = {name: load(options.data / name) for name in sets}
    print(
        "| layout | words | bytes | error | tokens known |",
        *(f" {name} |" for name in sets),
        " mean | without first components | mean, 1,000 rows |",
        sep="",
    )
    print("|---|---:|---:|---:|---:|", "---:|" * (len(sets) + 3), sep="")
    whole = source.vectors / make.UNIT
    report("(all words, unpacked)", source.words, whole, 0, 0.0, texts)
    for layout in LAYOUTS:
        count, packed, size = fill(layout, source, options.most_words)
        matrix = layout.unpack(packed)
        error = 0.0
        if matrix.shape[1] == whole.shape[1]:
            error = float(((matrix - whole[:count]) ** 2).sum() / (whole[:count] ** 2).sum())
        report(layout.name, source.words[:count], matrix, size, error, texts)


def fill(layout: Layout, source: make.Words, most: int) -> tuple[int, Packed, int]:
    """Return how many words fit, their vectors packed, and the bytes that takes in a wheel."""
    sample = 20_000
    count = min(sample, most)
    while True:
        packed = layout.pack(source.vectors[:count])
        size = compressed(source.words[:count], packed)
        best = min(len(source.words), most, int(count * BUDGET / size))
        if size <= BUDGET and best <= count * 1.005:
            return count, packed, size
        count = best if best != count else int(count * 0.998)


def compressed(words: Sequence[str], packed: Packed) -> int:
    """Return the bytes of words and arrays as a wheel keeps them."""
    parts = ["\n".join(words).encode(), *(array.tobytes() for array in packed)]
    return sum(len(zlib.compress(part, 6)) for part in parts)


Rows = list[tuple[list[str], str]]


def load(folder: Path) -> dict[str, Rows]:
    """Return the words and the label of each row of train and dev."""
    splits = {}
    for split in ("train", "dev"):
        with gzip.open(folder / f"{split}.jsonl.gz", "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        splits[split] = [
            (re.findall(WORDS, row["text"].lower().replace("\u2019", "'")), str(row["label"]))
            for row in rows
        ]
    return splits


def report(
    name: str,
    words: Sequence[str],
    matrix: Matrix,
    size: int,
    error: float,
    texts: dict[str, dict[str, Rows]],
) -> None:
    """Print one line of the table."""
    place = {word: row for row, word in enumerate(words)}
    centred = without_first_components(matrix)
    known = [word in place for rows in texts.values() for text, _ in rows["dev"] for word in text]
    scores, others, few = [], [], []
    for of, splits in texts.items():
        f1 = of == "tweet_offensive"
        scores.append(score(splits, place, matrix, f1=f1))
        others.append(score(splits, place, centred, f1=f1))
        for seed in range(DRAWS):
            drawn = random.Random(seed).sample(splits["train"], FEW)
            few.append(score({**splits, "train": drawn}, place, matrix, f1=f1))
    cells = [f"{len(words):,}", f"{size:,}", f"{error:.4f}", f"{np.mean(known):.4f}"]
    cells += [f"{value:.4f}" for value in (*scores, np.mean(scores), np.mean(others), np.mean(few))]
    print("|", " | ".join([name, *cells]), "|", flush=True)


def without_first_components(matrix: Matrix) -> Matrix:
    """Return the matrix without its mean and its first principal components (Mu 2018)."""
    centred = matrix - matrix.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    first = axes[:, -DROPPED:]
    return centred - centred @ first @ first.T


def score(splits: dict[str, Rows], place: dict[str, int], matrix: Matrix, *, f1: bool) -> float:
    """Return what a linear classifier on the means of the vectors reaches on dev."""
    labels = sorted({label for _, label in splits["train"]})
    means, targets = {}, {}
    for split, rows in splits.items():
        means[split] = np.stack([mean(text, place, matrix) for text, _ in rows])
        targets[split] = torch.tensor([labels.index(label) for _, label in rows])
    centre, spread = means["train"].mean(axis=0), means["train"].std(axis=0) + 1e-9
    inputs = {
        split: torch.from_numpy((value - centre) / spread).float() for split, value in means.items()
    }
    head = torch.nn.Linear(matrix.shape[1], len(labels))
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=150, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = torch.nn.functional.cross_entropy(head(inputs["train"]), targets["train"])
        value = value + DECAY * head.weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    with torch.no_grad():
        found = head(inputs["dev"]).argmax(dim=1)
    if not f1:
        return float((found == targets["dev"]).float().mean())
    of_labels = []
    for label in range(len(labels)):
        right = ((found == label) & (targets["dev"] == label)).sum()
        of_labels.append(2 * right / ((found == label).sum() + (targets["dev"] == label).sum()))
    return float(sum(of_labels) / len(of_labels))


def mean(text: list[str], place: dict[str, int], matrix: Matrix) -> Matrix:
    """Return the mean of the vectors of the words that have one."""
    rows = [place[word] for word in text if word in place]
    return matrix[rows].mean(axis=0) if rows else np.zeros(matrix.shape[1])


if __name__ == "__main__":
    main()
