"""How far a file has been read, and whether more of a pipe has come, while its rows are read."""

from __future__ import annotations

import io
import os
import select
import stat
from typing import BinaryIO, Protocol

_MOST_AT_ONCE = 2**16  # bytes, taken from a pipe


class Lines(Protocol):
    """What lines are read from."""

    def readline(self, limit: int, /) -> bytes:
        """Return the next line, or so many bytes of it; nothing at the end."""


class TrackedPath:
    """A path that knows, wherever a path to rows is taken, what has been read of them.

    The lines of a pipe and of a terminal are taken as they arrive.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._file: BinaryIO | None = None
        self._arriving: _Arriving | None = None

    def __fspath__(self) -> str:
        return self._path

    __str__ = __fspath__

    def fraction_read(self) -> float | None:
        """Return how much of the file has been read, 0..1: of a compressed one, of its own bytes.

        None where that cannot be known: nothing has been read yet, or it is no file but a pipe.
        """
        if self._file is None:
            return None
        if self._file.closed:
            return 1.0
        try:
            # The system's place in the file, a little ahead of the reader's.
            read = os.lseek(self._file.fileno(), 0, os.SEEK_CUR)
            return min(1.0, read / os.fstat(self._file.fileno()).st_size)
        except (OSError, ZeroDivisionError):
            return None

    def more_has_come(self) -> bool:
        """Return whether the next line can be read without waiting for somebody to write it."""
        return self._arriving is None or self._arriving.has_line()

    def begin(self, stream: BinaryIO) -> None:
        """Note what is being read."""
        try:
            is_file = stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
        except OSError:  # nothing that the system knows
            is_file = False
        self._file = stream if is_file else None

    def lines(self, stream: BinaryIO) -> Lines:
        """Note what is being read, and return what to read its lines from."""
        self.begin(stream)
        if self._file is not None or not isinstance(stream, io.BufferedReader):
            return stream
        self._arriving = _Arriving(stream.raw)
        return self._arriving


class _Arriving:
    """Lines out of a pipe, which can tell whether one has arrived."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self._held = bytearray()
        self._searched = 0  # bytes that are known to hold no line end
        self._at_end = False

    def has_line(self) -> bool:
        """Return whether a line, or the end, can be had without waiting."""
        while not self._at_end and self._line_length() is None:
            try:
                if not select.select([self._raw], [], [], 0)[0]:
                    return False
            except (OSError, ValueError):  # this system cannot tell
                return False
            self._take()
        return True

    def readline(self, limit: int, /) -> bytes:
        """Return the next line, or so many bytes of it; nothing at the end."""
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
        while (piece := self._raw.read(_MOST_AT_ONCE)) is None:  # whoever gave it does not wait
            select.select([self._raw], [], [])
        self._held += piece
        self._at_end = not piece
