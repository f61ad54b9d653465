"""Opening what rows are read from, and cutting it into lines of text."""

from __future__ import annotations

import gzip
import io
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from textgate.errors import DataError
from textgate.rows.tracking import TrackedPath

if TYPE_CHECKING:
    from textgate.rows.tracking import Lines

AnyPath = str | os.PathLike[str]

STANDARD_INPUT = "-"

_LONGEST_LINE = 2**30  # bytes; a file without line ends fails with words, not for want of memory
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MISTAKEN_FOR_TEXT = {
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"\x1f\x8b": "gzip; let its name end in .gz",
    b"PK\x03\x04": "a zip archive or a spreadsheet",
    b"PAR1": "Parquet; pass --input-format parquet",
}


def source_name(path: AnyPath) -> str:
    """Return how messages name a path."""
    return "standard input" if str(path) == STANDARD_INPUT else str(path)


def read_lines(path: AnyPath) -> Iterator[str]:
    r"""Yield the lines of a UTF-8 file, one at a time, each with its line end if it has one.

    Only ``\n`` ends a line: the other characters that `str.splitlines` cuts at belong to a text.
    A byte order mark is dropped. A name that ends in ``.gz`` is decompressed; ``-`` reads standard
    input.

    Raises:
        DataError: the file cannot be read, is not the gzip its name says, or is not UTF-8.
    """
    name = source_name(path)
    with _open(path) as stream:
        number = 0
        while True:
            number += 1
            data = _read_line(stream, name, number)
            if number == 1:
                data = data.removeprefix(_BYTE_ORDER_MARK)
            if not data:
                return
            try:
                line = data.decode("utf-8")
            except UnicodeDecodeError as problem:
                raise DataError(_not_utf8(name, number, data, problem)) from None
            yield line


def without_end(line: str) -> str:
    r"""Return the line without its ``\n`` or ``\r\n``."""
    if not line.endswith("\n"):
        return line
    return line[:-2] if line.endswith("\r\n") else line[:-1]


@contextmanager
def open_binary(path: AnyPath) -> Iterator[io.BufferedReader]:
    """Open a file as it is, without decompressing it.

    Raises:
        DataError: the file cannot be opened.
    """
    try:
        stream = Path(path).open("rb")  # noqa: SIM115 - an error inside the caller's block is its own
    except OSError as problem:
        raise DataError(unreadable(source_name(path), problem)) from None
    with stream:
        yield stream


def unreadable(name: str, problem: BaseException) -> str:
    """Return the message for a file that the system cannot read."""
    reason = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
    return f"{name}: cannot be read: {reason.splitlines()[0]}"


@contextmanager
def _open(path: AnyPath) -> Iterator[Lines]:
    tracked = path if isinstance(path, TrackedPath) else TrackedPath(path)
    if str(path) == STANDARD_INPUT:
        if sys.stdin is None:
            raise DataError(f"{source_name(path)}: cannot be read: it is closed")
        yield tracked.lines(sys.stdin.buffer)
        return
    with open_binary(path) as stream:
        if not str(path).lower().endswith(".gz"):
            yield tracked.lines(stream)
            return
        tracked.begin(stream)
        if not stream.peek(1):  # gzip takes no byte at all for the end of the data
            raise DataError(_damaged(source_name(path), 1))
        # GzipFile finds lines in Python code; the buffer around it does so in C.
        yield io.BufferedReader(gzip.GzipFile(fileobj=stream))


def _read_line(stream: Lines, name: str, number: int) -> bytes:
    try:
        data = stream.readline(_LONGEST_LINE + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise DataError(_damaged(name, number)) from None
    except OSError as problem:
        raise DataError(unreadable(name, problem)) from None
    if len(data) > _LONGEST_LINE:
        raise DataError(
            f"{name}, line {number}: longer than {_LONGEST_LINE >> 30} GiB; is this a text file?"
        )
    return data


def _damaged(name: str, number: int) -> str:
    return (
        f"{name}, line {number}: the gzip data is damaged or cut off; "
        "compress or download the file again"
    )


def _not_utf8(name: str, number: int, data: bytes, problem: UnicodeDecodeError) -> str:
    message = f"{name}, line {number}: byte {data[problem.start]:#04x} is not UTF-8"
    if number == 1:
        for start, kind in _MISTAKEN_FOR_TEXT.items():
            if data.startswith(start):
                return f"{message} (the file looks like {kind})"
    return f"{message}; convert the file to UTF-8, for instance with iconv"
