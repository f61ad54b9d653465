"""Pretrained word vectors: out of text files, numpy's files, or the package's own English ones."""

from __future__ import annotations

import io
import math
import re
from array import array
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from textgate.bundle.run import written_name
from textgate.errors import DataError
from textgate.messages import shown
from textgate.rows.source import read_lines, source_name, unreadable, without_end

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from numpy.typing import NDArray

ENGLISH = "english"
NO_VECTORS = "none"

_WIDEST = 4096  # numbers a word; a file with more holds something else
_MOST_NUMBERS = 2**28  # read in all: 1 GiB
_HEADER = re.compile("([0-9]{1,12}) ([0-9]{1,12})")


@dataclass(frozen=True)
class Vectors:
    """Words and what is known of their meaning.

    Attributes:
        words: the row of each word, in the order of the source: often the most frequent first.
        matrix: float32 [words, dims], finite.
        name: the source: ``english``, or a file's name.
        repeated: how many vectors were passed over because their word had one already.
    """

    words: dict[str, int]
    matrix: NDArray[np.float32]
    name: str
    repeated: int = 0

    @property
    def dims(self) -> int:
        """How many numbers a word has."""
        return int(self.matrix.shape[1])

    def lookup(self, word: str) -> NDArray[np.float32] | None:
        """Return the vector of a word exactly as it is written, float32 [dims], or None."""
        row = self.words.get(word)
        return None if row is None else self.matrix[row]


def load_vectors(spec: str | Path, wanted: Container[str] | None = None) -> Vectors:
    """Return word vectors.

    Args:
        spec: ``english`` for those of the package; ``X.npy``, float16, float32 or float64
            [words, dims], with the words in ``X.words.txt`` or ``X.words.txt.gz`` beside it, one a
            line (of ``X.f16.npy`` also without the ``.f16``); or a text file as GloVe, word2vec and
            fastText write them, plain or ``.gz``: a word and its numbers a line, parted by single
            spaces, after a line with the counts of words and numbers or none.
        wanted: the words whose vectors are kept; None keeps all. Of the others only the shape is
            checked, and no memory is taken.

    Returns:
        The vectors. Of a word that stands there twice, the first.

    Raises:
        DataError: a file is missing, cannot be read, is empty, cut off or not UTF-8; a vector has
            another width than the first, or holds what is not a finite number; words and rows
            differ in number; or the vectors would take more than 1 GiB.
    """
    if str(spec) == ENGLISH:
        return _read_english(wanted)
    path = Path(spec)
    if path.suffix.lower() == ".npy":
        return _read_matrix(path, wanted)
    return _read_text(path, wanted)


def unpack(codes: NDArray[np.uint8], columns: NDArray[np.float16]) -> NDArray[np.float32]:
    """Return the vectors that are packed two numbers a byte, float32 [words, dims].

    Args:
        codes: [words, dims / 2]: one of 16 levels a number, the first one in the lower bits.
        columns: [2, dims]: of each column the middle of its levels, and how far they are apart.
    """
    levels = np.stack([codes & 15, codes >> 4], axis=2).reshape(len(codes), -1)
    centre, step = columns.astype(np.float32)
    matrix: NDArray[np.float32] = (levels.astype(np.float32) - 7.5) * step + centre
    return matrix


@dataclass
class _Chosen:
    """The words that are kept while a source is read, each with its place in it."""

    wanted: Container[str] | None
    places: dict[str, int] = field(default_factory=dict)
    repeated: int = 0

    def add(self, word: str, place: int) -> bool:
        """Return whether the word's vector is to be kept."""
        if self.wanted is not None and word not in self.wanted:
            return False
        if word in self.places:
            self.repeated += 1
            return False
        self.places[word] = place
        return True

    def vectors(self, matrix: NDArray[np.float32], name: str) -> Vectors:
        """Return the kept words with their vectors, which come in the same order."""
        words = {word: row for row, word in enumerate(self.places)}
        return Vectors(words, matrix, name, self.repeated)


def _read_english(wanted: Container[str] | None) -> Vectors:
    folder = resources.files("textgate.train") / ENGLISH
    chosen = _Chosen(wanted)
    for row, word in enumerate((folder / "words.txt").read_text(encoding="utf-8").split()):
        chosen.add(word, row)
    codes, columns = (
        np.load(io.BytesIO((folder / file).read_bytes()), allow_pickle=False)
        for file in ("codes.npy", "columns.npy")
    )
    rows = np.fromiter(chosen.places.values(), dtype=np.intp)
    return chosen.vectors(unpack(codes[rows], columns), ENGLISH)


# A matrix of numpy's and a list of words


def _read_matrix(path: Path, wanted: Container[str] | None) -> Vectors:
    matrix = _open_matrix(path)
    words = _words_beside(path)
    chosen = _Chosen(wanted)
    count = 0
    for count, line in enumerate(read_lines(words, "utf-8"), start=1):
        word = without_end(line)
        if not word:
            raise DataError(f"{words}, line {count}: no word; row {count} of {path} needs one")
        chosen.add(word, count - 1)
    if count != len(matrix):
        raise DataError(
            f"{words} has {count:,} words, but {path} has {len(matrix):,} rows; "
            "the two belong together, row by row"
        )
    rows = np.fromiter(chosen.places.values(), dtype=np.intp)
    if rows.size * matrix.shape[1] > _MOST_NUMBERS:
        raise DataError(f"{path}: {_too_much()}")
    with np.errstate(over="ignore"):  # what does not fit in float32 is not finite in it
        kept = np.asarray(matrix[rows], dtype=np.float32)
    odd = np.flatnonzero(~np.isfinite(kept).all(axis=1))
    if odd.size:
        raise DataError(f"{path}, row {rows[odd[0]] + 1}: holds what is not a finite number")
    return chosen.vectors(kept, _recorded(path))


def _open_matrix(path: Path) -> NDArray[np.floating]:
    try:
        matrix = np.lib.format.open_memmap(path, mode="r")  # reads no pickle, and only what is used
    except OSError as problem:
        raise DataError(unreadable(str(path), problem)) from None
    except ValueError as problem:
        reason = str(problem).partition("\n")[0]
        raise DataError(f"{path}: not a whole numpy file ({reason})") from None
    if matrix.ndim != 2 or matrix.dtype.kind != "f" or not 0 < matrix.shape[1] <= _WIDEST:
        raise DataError(
            f"{path}: an array of {matrix.dtype} {list(matrix.shape)}, expected float16 or float32 "
            f"[words, dims] with at most {_WIDEST:,} dims"
        )
    return matrix


def _words_beside(path: Path) -> Path:
    stems = dict.fromkeys([path.stem, Path(path.stem).stem])
    names = [f"{stem}.words.txt{packed}" for stem in stems for packed in ("", ".gz")]
    for name in names:
        if (path.parent / name).is_file():
            return path.parent / name
    raise DataError(f"{path}: the words are not beside it; expected {' or '.join(names)}")


# Text


def _read_text(path: Path, wanted: Container[str] | None) -> Vectors:
    name = source_name(path)
    chosen = _Chosen(wanted)
    numbers = array("f")
    count = width = 0
    announced = None
    for number, line in enumerate(read_lines(path, "utf-8"), start=1):
        content = without_end(line).rstrip(" ")  # word2vec and fastText end each line with one
        if not content:
            continue
        where = f"{name}, line {number}"
        if not width:
            header = _HEADER.fullmatch(content)
            announced = int(header[1]) if header else None
            width = int(header[2]) if header else content.count(" ")
            if not 0 < width <= _WIDEST:
                raise DataError(
                    f"{where}: {width:,} numbers a word, expected 1 to {_WIDEST:,}; a line holds a "
                    "word and its vector, parted by spaces"
                )
            if header:
                continue
        word, values = _split(content, width, where)
        if chosen.add(word, count):
            numbers.extend(_numbers(values.split(" "), where))
            if len(numbers) > _MOST_NUMBERS:
                raise DataError(f"{where}: {_too_much()}")
        count += 1
    if announced is not None and count != announced:
        raise DataError(
            f"{name}: the first line announces {announced:,} words, but {count:,} follow; "
            "the file may be cut off"
        )
    if not count:
        raise DataError(f"{name}: no vectors in it")
    matrix = np.array(numbers, dtype=np.float32).reshape(-1, width)
    return chosen.vectors(matrix, _recorded(path))


def _split(content: str, width: int, where: str) -> tuple[str, str]:
    """Return the word, which may hold spaces itself, and its numbers."""
    found = content.count(" ")
    word, _, values = content.partition(" ")
    if found > width:
        word = content.rsplit(" ", width)[0]
        values = content[len(word) + 1 :]
    if not word:
        raise DataError(f"{where}: starts with a space, where a word should be")
    # A number at the end of a word is one number too many rather than a part of the word.
    if found < width or (found > width and _is_number(word.rpartition(" ")[2])):
        raise DataError(
            f"{where}: {found} numbers after the word, expected {width} as in the first line"
        )
    return word, values


def _numbers(values: Iterable[str], where: str) -> array[float]:
    values = list(values)
    try:
        numbers = array("f", map(float, values))
    except (ValueError, OverflowError):
        numbers = array("f", [math.nan])
    if not math.isfinite(sum(numbers)):
        odd = next(value for value in values if not _is_number(value))
        raise DataError(f"{where}: {shown(odd)} is not a finite number")
    return numbers


def _is_number(value: str) -> bool:
    try:
        return math.isfinite(array("f", [float(value)])[0])
    except (ValueError, OverflowError):
        return False


def _too_much() -> str:
    size = f"{_MOST_NUMBERS * 4 >> 30} GiB"
    return f"the vectors take more than {size}; keep fewer words, the most frequent ones"


def _recorded(path: Path) -> str:
    """Return a file's name for what is written down: it need not be UTF-8."""
    return written_name(path.name)
