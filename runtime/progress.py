"""How far a long command has come, in one line of a terminal that is drawn again and again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

_FIRST = 1.0  # seconds before the first line: what is done by then needs none
_NEXT = 0.2  # seconds between two lines
_CLEARED = "\r\x1b[K"


class Progress:
    """Rows done, rows a second and, where the share that is done is known, the time left.

    Only on a terminal, and only of work that takes more than a second. When the work is done, the
    line makes room for what it came to.

    Args:
        stream: where to say it, if that is a terminal; None for nowhere.
        share: how much of the work is done, 0..1, or None where that is not known.
        clock: seconds, from anywhere.
    """

    def __init__(
        self,
        stream: TextIO | None,
        share: Callable[[], float | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream if stream is not None and stream.isatty() else None
        self._share = share
        self._clock = clock
        self._begun = clock()
        self._share_before = share() or 0.0
        self._rows = 0
        self._next = self._begun + _FIRST
        self._shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._shown:
            seconds = self._clock() - self._begun
            rate = self._rows / seconds
            done = f"{self._rows:,} rows in {seconds:,.1f} s ({rate:,.0f} rows/s)\n"
            self._write(_CLEARED + (done if kind is None else ""))

    def step(self, rows: int) -> None:
        """Note that so many more rows are done."""
        self._rows += rows
        now = self._clock()
        if self._stream is not None and now >= self._next:
            self._next, self._shown = now + _NEXT, True
            self._write(_CLEARED + self._line(now - self._begun)[: _columns(self._stream) - 1])

    def _line(self, seconds: float) -> str:
        line = f"{self._rows:,} rows, {self._rows / seconds:,.0f} rows/s"
        share = self._share()
        if share is None:
            return line
        line += f", {share:.0%}"
        if share <= self._share_before:
            return line
        left = seconds * (1 - share) / (share - self._share_before)
        return f"{line}, {_duration(left)} left"

    def _write(self, text: str) -> None:
        if self._stream is not None:
            self._stream.write(text)
            self._stream.flush()


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
