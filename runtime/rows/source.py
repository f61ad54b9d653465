"""Opening of files of rows and of standard input, and their lines of text."""

from __future__ import annotations

import codecs
import gzip
import io
import os
import sys
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from textgate.errors import DataError
from textgate.rows.tracking import TrackedPath

if TYPE_CHECKING:
    from textgate.rows.tracking import Lines

AnyPath = str | os.PathLike[str]

STANDARD_INPUT = "-"

_MAX_LINE = 2**30  # bytes; a file without line ends fails before memory runs out
_MARKS = {  # byte order mark -> encoding, longer marks first
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_UTF8 = ("utf-8", "utf-8-sig", "ascii")
_ARCHIVE = b"PK\x03\x04"
_MISTAKEN_FOR_TEXT = {
    b"\x1f\x8b": "gzip; let its name end in .gz",
    _ARCHIVE: "a zip archive or a spreadsheet; save the sheet as CSV",
    b"PAR1": "Parquet; pass --input-format parquet",
}


def source_name(path: AnyPath) -> str:
    """Return the name of a path in messages."""
    return "standard input" if str(path) == STANDARD_INPUT else str(path)


def read_lines(
    path: AnyPath,
    encoding: str | None = None,
    note: Callable[[str], object] = lambda _: None,
    *,
    option: str | None = None,
) -> Generator[str]:
    r"""Yield the lines of a text file, one at a time, each with its line end if it has one.

    Only ``\n`` ends a line; the other characters at which `str.splitlines` cuts belong to the text.
    A byte order mark is dropped. A file whose name ends in ``.gz`` is decompressed; ``-`` is
    standard input.

    Args:
        path: the file.
        encoding: its encoding; None for UTF-8, or for UTF-16 or UTF-32 if the file begins with
            their byte order mark.
        note: receives a note if a byte order mark sets the encoding.
        option: the option of the encoding, for messages; None if there is none.

    Raises:
        DataError: the file cannot be read, is not gzip though its name says so, or is not in the
            encoding.
    """
    name = source_name(path)
    with _open(path) as stream:
        first = _read_line(stream, name, 1)
        # Several, where a file in UTF-16 begins with the character NUL.
        marks = [kind for mark, kind in _MARKS.items() if first.startswith(mark)]
        family = _family(marks[0]) if marks else "utf-8"
        if encoding is None:
            encoding = family
            if encoding != "utf-8":
                note(f"{name}: read as {encoding}, because of its byte order mark")
        elif marks and not any(_fits(encoding, kind) for kind in marks):
            raise DataError(
                f"{name}, line 1: begins with the byte order mark of {marks[0]}, which is not "
                f"{encoding}; {'convert the file' if option is None else f'leave {option} out'}"
            )
        if codecs.lookup(encoding).name in _UTF8:
            yield from _utf8_lines(first, stream, name, option)
        else:
            yield from _decoded_lines(first, stream, name, encoding)


def _family(kind: str) -> str:
    """Return an encoding without its byte order."""
    return kind.removesuffix("-le").removesuffix("-be")


def _fits(encoding: str, kind: str) -> bool:
    """Return whether an encoding is the one of a byte order mark."""
    return codecs.lookup(encoding).name in (kind, _family(kind), f"{_family(kind)}-sig")


def _utf8_lines(first: bytes, stream: Lines, name: str, option: str | None) -> Iterator[str]:
    number, data = 1, first.removeprefix(codecs.BOM_UTF8)
    if data.startswith(_ARCHIVE) or _wide_encoding(data) is not None:
        raise DataError(_not_utf8(name, number, data, 0, option))
    while data:
        try:
            line = data.decode("utf-8")
        except UnicodeDecodeError as problem:
            raise DataError(_not_utf8(name, number, data, problem.start, option)) from None
        yield line
        number += 1
        data = _read_line(stream, name, number)


def _decoded_lines(first: bytes, stream: Lines, name: str, encoding: str) -> Iterator[str]:
    """Yield lines of any encoding: a byte 0x0a need not be a line end in it."""
    decoder = codecs.getincrementaldecoder(encoding)()
    number, size, data = 1, 0, first
    held: list[str] = []  # parts of an unfinished line
    at_start = True
    while True:
        try:
            text = decoder.decode(data, final=not data)
        except UnicodeError as problem:
            reason = getattr(problem, "reason", None) or str(problem)
            raise DataError(
                f"{name}, line {number}: not {encoding} ({reason}); pass the file's own encoding "
                "with --encoding"
            ) from None
        if at_start and text:
            text, at_start = text.removeprefix("\ufeff"), False
        *whole, rest = text.split("\n")
        for part in whole:
            yield "".join((*held, part, "\n"))
            held.clear()
            number, size = number + 1, 0
        held.append(rest)
        if not data:
            break
        data = _read_line(stream, name, number)
        size += len(data)
        _require_length(size, name, number)
    last = "".join(held)
    if last:
        yield last


def without_end(line: str) -> str:
    r"""Return the line without its ``\n`` or ``\r\n``."""
    if not line.endswith("\n"):
        return line
    return line[:-2] if line.endswith("\r\n") else line[:-1]


@contextmanager
def open_binary(path: AnyPath) -> Iterator[io.BufferedReader]:
    """Open a file without decompressing it.

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
        if not stream.peek(1):  # gzip takes an empty file for the end of the data
            raise DataError(_damaged(source_name(path), 1))
        # GzipFile searches for line ends in Python; the buffer around it does so in C.
        yield io.BufferedReader(gzip.GzipFile(fileobj=stream))


def _read_line(stream: Lines, name: str, number: int) -> bytes:
    try:
        data = stream.readline(_MAX_LINE + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise DataError(_damaged(name, number)) from None
    except OSError as problem:
        raise DataError(unreadable(name, problem)) from None
    _require_length(len(data), name, number)
    return data


def _require_length(size: int, name: str, number: int) -> None:
    if size > _MAX_LINE:
        raise DataError(
            f"{name}, line {number}: longer than {_MAX_LINE >> 30} GiB; is this a text file?"
        )


def _damaged(name: str, number: int) -> str:
    return (
        f"{name}, line {number}: the gzip data is damaged or cut off; "
        "compress or download the file again"
    )


def _not_utf8(name: str, number: int, data: bytes, position: int, option: str | None) -> str:
    message = f"{name}, line {number}: byte {data[position]:#04x} is not UTF-8"
    if number == 1:
        for start, kind in _MISTAKEN_FOR_TEXT.items():
            if data.startswith(start):
                return f"{message} (the file looks like {kind})"
        wide = _wide_encoding(data)
        if wide is not None:
            return f"{name}, line 1: looks like {wide}, not UTF-8; {_advice(option, [wide])}"
    from textgate.rows.encodings import likely_encodings  # only this message needs it

    likely = likely_encodings(data)
    return f"{message}; it may be {likely[0]}: {_advice(option, likely)}"


def _advice(option: str | None, encodings: Sequence[str]) -> str:
    """Return the advice about a file in another encoding."""
    convert = "convert the file to UTF-8"
    if option is None:
        return convert
    first, *others = encodings
    too = f" (or {' or '.join(others)})" if others else ""
    return f"pass {option} {first}{too}, or {convert}"


def _wide_encoding(line: bytes) -> str | None:
    """Return UTF-16 with its byte order if the first line is ASCII in it, without a mark."""
    start = line[:2048]
    if len(start) < 8:
        return None
    even, odd = start[: len(start) // 2 * 2 : 2], start[1::2]
    if not any(odd) and all(even):
        return "utf-16-le"
    return "utf-16-be" if not any(even) and all(odd) else None
