"""English word vectors of the package, train/english, made from GloVe.

    python benchmarks/default_model/word_vectors.py FOLDER [--out FOLDER]

FOLDER holds glove.6B.100d.top120k.f16.npy and .words.txt.gz: 100 numbers for each of the 120,000
most frequent words. word_vectors.md describes their source and the layouts that were tried. The
same input gives the same bytes on every machine, because all arithmetic is on whole numbers below
2**53, where sums in float64 are exact in any order.
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SOURCE = "glove.6B.100d.top120k"
MAX_WORDS = 68_400  # about as many as fit in 3 MB of a wheel
UNIT = 256  # components are rounded to multiples of 1/256
LEVELS = 16  # four bits per component

# Frequent words that the source lacks, and the words whose mean is their vector. Sentiment often
# depends on "n't".
CLITICS = {
    "n't": "not", "'s": "is", "'m": "am", "'re": "are", "'ve": "have", "'ll": "will", "'d": "would",
}  # fmt: skip
WHOLE = {
    "a": "an", "i": "me myself", "can't": "can not", "won't": "will not", "shan't": "shall not",
    "ain't": "is not", "let's": "let us",
}  # fmt: skip
NEGATED = "do does did is are was were has have had could would should must need might"
SUBJECTS = {
    "'s": "it that there he she what who where how here",
    "'re": "you they we",
    "'ve": "i you we they could would should",
    "'ll": "i you he she it we they that",
    "'d": "i you he she we they",
    "'m": "i",
}
NUMBERS = {
    "0 1 2 3 4 5 6": "zero one two three four five six",
    "7 8 9 10 11 12": "seven eight nine ten eleven twelve",
    "20 30 40 50 60": "twenty thirty forty fifty sixty",
    "70 80 90 100 1000": "seventy eighty ninety hundred thousand",
}


class Words(NamedTuple):
    """Words and their vectors, in whole multiples of 1 / `UNIT`."""

    words: list[str]
    vectors: NDArray[np.float64]  # [words, dims]


def main() -> None:
    """Read the arguments, write the three files."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help=f"holds {SOURCE}.f16.npy and .words.txt.gz")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[2] / "train" / "english")
    options = parser.parse_args()
    words, vectors = read(options.folder)
    words, vectors = words[:MAX_WORDS], vectors[:MAX_WORDS]
    codes, columns = pack(vectors)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "words.txt").write_bytes("".join(f"{word}\n" for word in words).encode())
    np.save(options.out / "codes.npy", codes, allow_pickle=False)
    np.save(options.out / "columns.npy", columns, allow_pickle=False)
    print(f"{len(words):,} words x {vectors.shape[1]}, the last one {words[-1]!r}")


def read(folder: Path) -> Words:
    """Return the words that the source lacks, then its own words in its order."""
    with gzip.open(folder / f"{SOURCE}.words.txt.gz", "rt", encoding="utf-8", newline="\n") as text:
        words = text.read().removesuffix("\n").split("\n")
    vectors = np.load(folder / f"{SOURCE}.f16.npy", allow_pickle=False).astype(np.float64)
    vectors = np.rint(vectors * UNIT)
    rows = {word: row for row, word in enumerate(words)}
    added = {
        word: np.rint(sum(vectors[rows[part]] for part in parts) / len(parts))
        for word, parts in stand_ins().items()
        if word not in rows and all(part in rows for part in parts)
    }
    kept = [row for row, word in enumerate(words) if is_word(word)]
    return Words(
        [*added, *(words[row] for row in kept)], np.vstack([*added.values(), vectors[kept]])
    )


def stand_ins() -> dict[str, list[str]]:
    """Return contractions, "a", "i" and numbers, each with the words it is made of."""
    made = CLITICS | WHOLE
    for verb in NEGATED.split():
        made[f"{verb}n't"] = f"{verb} not"
    for clitic, subjects in SUBJECTS.items():
        for subject in subjects.split():
            made[f"{subject}{clitic}"] = f"{WHOLE.get(subject, subject)} {CLITICS[clitic]}"
    for digits, names in NUMBERS.items():
        made |= zip(digits.split(), names.split(), strict=True)
    return {word: parts.split() for word, parts in made.items()}


def is_word(word: str) -> bool:
    """Return whether a word is kept: "mp3" is, "euro128" and "t-26" are not."""
    return sum(char.isdigit() for char in word) < 2


def pack(vectors: NDArray[np.float64]) -> tuple[NDArray[np.uint8], NDArray[np.float16]]:
    """Return each number as one of 16 levels, two numbers per byte, and the columns' levels.

    The levels are half a standard deviation of their column apart and centred on its mean. Finer
    levels take more bytes after the wheel's compression, coarser levels are less exact.

    Returns:
        codes [words, dims / 2] and columns [2, dims], which
        `textgate.train.text.vectors.unpack` takes.
    """
    centre = np.rint(vectors.mean(axis=0))
    step = np.rint(np.sqrt(((vectors - centre) ** 2).mean(axis=0)) / 2)
    levels = np.clip(np.floor((vectors - centre) / step) + LEVELS // 2, 0, LEVELS - 1)
    levels = levels.astype(np.uint8)
    codes = levels[:, ::2] | levels[:, 1::2] << 4
    return codes, (np.stack([centre, step]) / UNIT).astype(np.float16)


if __name__ == "__main__":
    main()
