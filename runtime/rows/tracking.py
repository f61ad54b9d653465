"""Tracked paths: the fraction of a file that has been read, and arriving lines of a pipe."""

from __future__ import annotations

import io
import os
import select
import stat
from typing import BinaryIO, Protocol

_MAX_PIECE = 2**16  # bytes of one read from a pipe


class Lines(Protocol):
    """A source of lines."""

    def readline(self, limit: int, /) -> bytes:
        """Return the next line, or `limit` bytes of it; b"" at the end."""


class TrackedPath:
    """A path to rows that knows how much of the file has been read.

    Lines of a pipe and of a terminal are read as they arrive.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._file: BinaryIO | None = None
        self._arriving: _Arriving | None = None

    def __fspath__(self) -> str:
        return self._path

    __str__ = __fspath__

    def fraction_read(self) -> float | None:
        """Return the fraction of the file's bytes that has been read, from 0 to 1.

        For a compressed file, these are the compressed bytes. None if it is unknown: nothing has
        been read yet, or the path is a pipe.
        """
        if self._file is None:
            return None
        if self._file.closed:
            return 1.0
        try:
            # The system's position in the file, a little ahead of the reader's.
            read = os.lseek(self._file.fileno(), 0, os.SEEK_CUR)
            return min(1.0, read / os.fstat(self._file.fileno()).st_size)
        except (OSError, ZeroDivisionError):
            return None

    def more_has_come(self) -> bool:
        """Return whether the next line can be read without waiting."""
        return self._arriving is None or self._arriving.has_line()

    def begin(self, stream: BinaryIO) -> None:
        """Set the stream that is read."""
        try:
            is_file = stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
        except OSError:  # not a stream of the system
            is_file = False
        self._file = stream if is_file else None

    def lines(self, stream: BinaryIO) -> Lines:
        """Set the stream that is read, and return the source of its lines."""
        self.begin(stream)
        if self._file is not None or not isinstance(stream, io.BufferedReader):
            return stream
        self._arriving = _Arriving(stream.raw)
        return self._arriving


class _Arriving:
    """Lines of a pipe, with a check whether one has arrived."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self._held = bytearray()
        self._searched = 0  # bytes that hold no line end
        self._at_end = False

    def has_line(self) -> bool:
        """Return whether a line or the end can be read without waiting."""
        while not self._at_end and self._line_length() is None:
            try:
                if not select.select([self._raw], [], [], 0)[0]:
                    return False
            except (OSError, ValueError):  # this system has no select for it
                return False
            self._take()
        return True

    def readline(self, limit: int, /) -> bytes:
        """Return the next line, or `limit` bytes of it; b"" at the end."""
        while (length := self._line_length()) is None:
            if self._at_end or len(self._held) >= limit:
                length = len(self._held)
                break
            self._take()
        line = bytes(self._held[: min(length, limit)])
        del self._held[: len(line)]
        self._searched = 0
        return line

    def _line_length(self) -> int | None:
        end = self._held.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._held)
            return None
        return end + 1

    def _take(self) -> None:
        while (piece := self._raw.read(_MAX_PIECE)) is None:  # a non-blocking pipe that is empty
            select.select([self._raw], [], [])
        self._held += piece
        self._at_end = not piece
