"""Pretrained word vectors from text files, numpy files, or the package's own English ones."""

from __future__ import annotations

import io
import math
import re
from array import array
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from textgate.bundle.run import written_name
from textgate.errors import DataError
from textgate.messages import did_you_mean, shown
from textgate.rows.source import read_lines, source_name, unreadable, without_end

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from numpy.typing import NDArray

ENGLISH_VECTORS = "english"
NO_VECTORS = "none"

_MAX_WIDTH = 4096  # numbers per word; a file with more holds something else
_MAX_NUMBERS = 2**28  # in memory: 1 GiB
_TOO_LARGE = (
    f"the vectors take more than {_MAX_NUMBERS * 4 >> 30} GiB; keep fewer words, the most frequent "
    "ones"
)
_HEADER = re.compile("([0-9]{1,12}) ([0-9]{1,12})")  # words and numbers per word


@dataclass(frozen=True)
class Vectors:
    """Words and their vectors.

    Attributes:
        words: the row of each word, in the order of the source, usually the most frequent first.
        matrix: float32 [words, dims], finite.
        name: the source: ``english``, or a file's name.
    """

    words: dict[str, int]
    matrix: NDArray[np.float32]
    name: str

    @property
    def dims(self) -> int:
        """Numbers per vector."""
        return int(self.matrix.shape[1])

    def lookup(self, word: str) -> NDArray[np.float32] | None:
        """Return the vector of a word in exactly this spelling, float32 [dims], or None."""
        row = self.words.get(word)
        return None if row is None else self.matrix[row]


def load_vectors(spec: str | Path, wanted: Container[str] | None = None) -> Vectors:
    """Return word vectors.

    Args:
        spec: ``english`` for those of the package; ``X.npy``, float16, float32 or float64
            [words, dims], with the words beside it in ``X.words.txt`` or ``X.words.txt.gz``, one
            per line (``X.f16.npy`` may also omit the ``.f16`` there); or a text file as GloVe,
            word2vec and fastText write it, plain or ``.gz``: per line a word and its numbers,
            separated by single spaces, with or without a first line of two counts, words and
            numbers per word.
        wanted: the words whose vectors are kept; None keeps all. The other vectors are only
            checked for their width and take no memory.

    Returns:
        The vectors. If a word occurs twice, the first vector counts.

    Raises:
        DataError: a file is missing, cannot be read, is empty, truncated or not UTF-8; a vector
            has another width than the first, or a number that is not finite; the numbers of words
            and rows differ; or the vectors would take more than 1 GiB.
    """
    if str(spec) == ENGLISH_VECTORS:
        return _read_english(wanted)
    path = Path(spec)
    near = did_you_mean(str(spec), (ENGLISH_VECTORS, NO_VECTORS))
    if near and not path.exists():
        raise DataError(f"{spec}: no file of that name{near}")
    if path.suffix.lower() == ".npy":
        return _read_matrix(path, wanted)
    return _read_text(path, wanted)


def unpack(codes: NDArray[np.uint8], columns: NDArray[np.float16]) -> NDArray[np.float32]:
    """Return vectors that are stored as two numbers per byte, float32 [words, dims].

    Args:
        codes: one of 16 levels per number, the first number in the lower bits, [words, dims / 2].
        columns: for each column the centre of its levels and their distance, [2, dims].
    """
    levels = np.stack([codes & 15, codes >> 4], axis=2).reshape(len(codes), -1)
    centre, step = columns.astype(np.float32)
    matrix: NDArray[np.float32] = (levels.astype(np.float32) - 7.5) * step + centre
    return matrix


def _is_kept(word: str, kept: dict[str, int], wanted: Container[str] | None) -> bool:
    """Return whether a word's vector is wanted and is its first one."""
    return (wanted is None or word in wanted) and word not in kept


def _read_english(wanted: Container[str] | None) -> Vectors:
    folder = resources.files("textgate.train") / ENGLISH_VECTORS
    kept: dict[str, int] = {}  # word -> its row in the source
    for row, word in enumerate((folder / "words.txt").read_text(encoding="utf-8").split()):
        if _is_kept(word, kept, wanted):
            kept[word] = row
    codes, columns = (
        np.load(io.BytesIO((folder / file).read_bytes()), allow_pickle=False)
        for file in ("codes.npy", "columns.npy")
    )
    rows = np.fromiter(kept.values(), dtype=np.intp)
    return _vectors(kept, unpack(codes[rows], columns), ENGLISH_VECTORS)


def _vectors(kept: Iterable[str], matrix: NDArray[np.float32], name: str) -> Vectors:
    return Vectors({word: row for row, word in enumerate(kept)}, matrix, name)


# A numpy matrix and a list of words


def _read_matrix(path: Path, wanted: Container[str] | None) -> Vectors:
    matrix = _open_matrix(path)
    words = _words_beside(path)
    kept: dict[str, int] = {}  # word -> its row in the source
    count = 0
    for count, line in enumerate(read_lines(words, "utf-8"), start=1):
        word = without_end(line)
        if not word:
            raise DataError(f"{words}, line {count}: no word; row {count} of {path} needs one")
        if _is_kept(word, kept, wanted):
            kept[word] = count - 1
    if count != len(matrix):
        raise DataError(
            f"{words} has {count:,} words, but {path} has {len(matrix):,} rows; "
            "the two belong together, row by row"
        )
    rows = np.fromiter(kept.values(), dtype=np.intp)
    if rows.size * matrix.shape[1] > _MAX_NUMBERS:
        raise DataError(f"{path}: {_TOO_LARGE}")
    with np.errstate(over="ignore"):  # a number too large for float32 becomes infinite
        values = np.asarray(matrix[rows], dtype=np.float32)
    not_finite = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if not_finite.size:
        raise DataError(f"{path}, row {rows[not_finite[0]] + 1}: holds a number that is not finite")
    return _vectors(kept, values, written_name(path.name))


def _open_matrix(path: Path) -> NDArray[np.floating]:
    try:
        matrix = np.lib.format.open_memmap(path, mode="r")  # reads no pickle
    except OSError as problem:
        raise DataError(unreadable(str(path), problem)) from None
    except ValueError as problem:
        reason = str(problem).partition("\n")[0]
        raise DataError(f"{path}: not a whole numpy file ({reason})") from None
    if matrix.ndim != 2 or matrix.dtype.kind != "f" or not 0 < matrix.shape[1] <= _MAX_WIDTH:
        raise DataError(
            f"{path}: an array of {matrix.dtype} {list(matrix.shape)}, expected float16 or float32 "
            f"[words, dims] with at most {_MAX_WIDTH:,} dims"
        )
    return matrix


def _words_beside(path: Path) -> Path:
    stems = dict.fromkeys([path.stem, Path(path.stem).stem])
    names = [f"{stem}.words.txt{packed}" for stem in stems for packed in ("", ".gz")]
    for name in names:
        if (path.parent / name).is_file():
            return path.parent / name
    raise DataError(
        f"{path}: the file of its words is missing; expected {' or '.join(names)} beside it"
    )


# Text


def _read_text(path: Path, wanted: Container[str] | None) -> Vectors:
    name = source_name(path)
    kept: dict[str, int] = {}  # word -> its row in the source
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
            if not 0 < width <= _MAX_WIDTH:
                raise DataError(
                    f"{where}: {width:,} numbers per word, expected 1 to {_MAX_WIDTH:,}; a line "
                    "holds a word and its vector, separated by spaces"
                )
            if header:
                continue
        word, values = _split(content, width, where)
        if _is_kept(word, kept, wanted):
            kept[word] = count
            numbers.extend(_numbers(values.split(" "), where))
            if len(numbers) > _MAX_NUMBERS:
                raise DataError(f"{where}: {_TOO_LARGE}")
        count += 1
    if announced is not None and count != announced:
        raise DataError(
            f"{name}: the first line announces {announced:,} words, but {count:,} follow; "
            "the file may be truncated"
        )
    if not count:
        raise DataError(f"{name}: the file has no vectors")
    matrix = np.array(numbers, dtype=np.float32).reshape(-1, width)
    return _vectors(kept, matrix, written_name(path.name))


def _split(content: str, width: int, where: str) -> tuple[str, str]:
    """Return the word, which may hold spaces, and its numbers."""
    found = content.count(" ")
    word, _, values = content.partition(" ")
    if found > width:
        word = content.rsplit(" ", width)[0]
        values = content[len(word) + 1 :]
    if not word:
        raise DataError(f"{where}: starts with a space, where a word should be")
    # A word that ends in a number is taken for a line with one number too many.
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
