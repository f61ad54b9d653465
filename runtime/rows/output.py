"""Output of results to a file or standard output, in whole lines even if the work stops."""

from __future__ import annotations

import os
import select
import signal
import stat
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from textgate.errors import DataError


class ResultOutput(ABC):
    """Buffer of lines that writes all of them when it is flushed, or raises an error.

    An interrupt waits until a flush is done; a second interrupt does not.
    """

    name = "the results"

    def __init__(self) -> None:
        self._held: list[str] = []

    def write(self, text: str) -> None:
        """Add a text to the buffer."""
        self._held.append(text)

    def take(self) -> str:
        """Return the content of the buffer and clear it."""
        text = "".join(self._held)
        self._held.clear()
        return text

    def flush(self) -> None:
        """Write the content of the buffer.

        Raises:
            DataError: it cannot be written.
            BrokenPipeError: the reader has stopped.
        """
        data = self.take().encode("utf-8")
        try:
            with _interrupts_delayed():
                self._write(data)
        except BrokenPipeError:
            raise
        except OSError as problem:
            raise DataError(f"{self.name} cannot be written: {problem.strerror}") from None

    @abstractmethod
    def close(self) -> None:
        """Close what was opened."""

    @abstractmethod
    def _write(self, data: bytes) -> None: ...


class StandardOutput(ResultOutput):
    """Standard output, in UTF-8, line ends as they are.

    Raises:
        DataError: it is closed.
    """

    def __init__(self) -> None:
        super().__init__()
        if sys.stdout is None:
            raise DataError("the results cannot be written: standard output is closed")
        sys.stdout.flush()
        # Without the buffer of sys.stdout, which would try a failed write again when Python exits.
        self._raw = getattr(sys.stdout.buffer, "raw", sys.stdout.buffer)

    def close(self) -> None:
        """Do nothing: standard output stays open."""

    def _write(self, data: bytes) -> None:
        _write_all(self._raw, data)


class ResultFile(ResultOutput):
    """A file, created by the first flush. A write that fails is undone.

    If the system has file locks, one process at a time can write to it.

    Args:
        path: the file; it may be a device or a named pipe.
        force: whether an older file may be replaced.
        keep: bytes of an older file to keep and continue; what follows them is cut off.
        opened: called when the file is open, unless it is a device or a named pipe.

    Raises:
        DataError: there is an older file, and it may not be replaced.
    """

    def __init__(
        self,
        path: Path,
        *,
        force: bool = False,
        keep: int | None = None,
        opened: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__()
        self.name = f"{path}: the results"
        self._path = path
        self._keep = keep
        self._force = force
        self._opened = opened
        self._raw: Any = None
        self._end: int | None = None  # of the whole lines; None for a device or a pipe
        if keep is None and not force and path.is_file():
            raise DataError(
                f"{path} already exists; choose another path, pass --force, or --resume"
            )

    @property
    def size(self) -> int:
        """Bytes of the whole lines in the file; 0 for a device or a named pipe."""
        return self._end or 0

    def sync(self) -> None:
        """Ask the system to write the file to the disk."""
        os.fsync(self._raw.fileno())

    def close(self) -> None:
        """Close the file."""
        if self._raw is not None:
            self._raw.close()

    def _write(self, data: bytes) -> None:
        if self._raw is None:
            self._open()
        try:
            _write_all(self._raw, data)
        except BaseException:
            if self._end is not None:
                self._raw.truncate(self._end)
            raise
        if self._end is not None:
            self._end += len(data)

    def _open(self) -> None:
        older = self._keep is not None or self._force or not _is_absent_or_file(self._path)
        mode = "xb" if not older else "wb" if self._keep is None else "r+b"
        # The file is emptied only after it is locked.
        self._raw = open(self._path, mode, buffering=0, opener=_open_untruncated)  # noqa: SIM115
        if stat.S_ISREG(os.fstat(self._raw.fileno()).st_mode):
            self._lock()
            self._end = self._keep or 0
            self._raw.truncate(self._end)
            self._raw.seek(self._end)
            self._opened()

    def _lock(self) -> None:
        """Keep other processes from writing to the file, if the system has locks.

        Raises:
            DataError: another process writes to it.
        """
        try:
            import fcntl
        except ImportError:  # Windows
            return
        try:
            fcntl.flock(self._raw.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(
                f"{self._path}: another process is writing its results there; wait for it, or "
                "choose another path"
            ) from None
        except OSError:  # a file system without locks
            return


def _open_untruncated(path: str, flags: int) -> int:
    return os.open(path, flags & ~os.O_TRUNC, 0o666)


def _is_absent_or_file(path: Path) -> bool:
    return path.is_file() or not path.exists()


def _write_all(raw: Any, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        written = raw.write(rest)
        if written is None:  # a non-blocking pipe that is full
            select.select([], [raw], [])
        else:
            rest = rest[written:]


@contextmanager
def _interrupts_delayed() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    if not callable(before) or threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupts: list[FrameType | None] = []

    def delay(number: int, frame: FrameType | None) -> None:
        if interrupts:
            before(number, frame)
        interrupts.append(frame)

    signal.signal(signal.SIGINT, delay)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if interrupts:
            before(signal.SIGINT, interrupts[0])
