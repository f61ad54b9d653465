"""Progress of training on stderr: a line per epoch, and a bar, or a line a minute."""

from __future__ import annotations

import math
import sys
import time
from typing import TYPE_CHECKING

from tqdm import tqdm

from textgate.tables import printable

if TYPE_CHECKING:
    from textgate.train.training.checkpoint import EpochResult

_LINE_SECONDS = 60.0  # between two lines of the same work


class Progress:
    """Receiver of progress that ignores it; the base class of others."""

    def note(self, message: str) -> None:
        """Report something once."""

    def warn(self, message: str) -> None:
        """Report something that needs attention."""
        self.note(message)

    def begin(self, what: str, rows: int) -> None:
        """Begin work on a number of rows, described by `what`."""

    def end(self) -> None:
        """End the work that `begin` began."""

    def begin_epoch(self, number: int, rows: int) -> None:
        """Begin an epoch over a number of rows."""

    def step(self, rows: int) -> None:
        """Report that a number of further rows are done."""

    def end_epoch(
        self,
        epoch: EpochResult,
        *,
        rows: int,
        remaining: int,
        score: str,
        best: bool,
        unit: str = "rows",
    ) -> None:
        """Report the result of an epoch.

        Args:
            epoch: the result.
            rows: number of its rows, or of another unit.
            remaining: maximum number of further epochs.
            score: name of its score.
            best: whether it is the best so far.
            unit: what `rows` counts.
        """


class TerminalProgress(Progress):
    """Rows per second and time left in a bar on a terminal, and a line after each epoch.

    Where there is no terminal to draw a bar on, long work is reported in a line a minute.

    Args:
        quiet: whether to print warnings only.
        lines_after: seconds after which work that begins is reported in a line, if there is no
            terminal to draw a bar on.
    """

    def __init__(self, *, quiet: bool = False, lines_after: float = math.inf) -> None:
        self._quiet = quiet
        self._bar: tqdm[None] | None = None
        self._seconds: list[float] = []
        self._lines_from = time.monotonic() + lines_after
        self._what, self._done, self._rows = "", 0, 0
        self._next_line = math.inf

    def note(self, message: str) -> None:
        """Print a line, unless quiet."""
        if not self._quiet:
            self.warn(message)

    def warn(self, message: str) -> None:
        """Print a line."""
        print(printable(message), file=sys.stderr)  # noqa: T201

    def begin(self, what: str, rows: int) -> None:
        """Open a bar, or print a line if stderr is no terminal and `lines_after` has passed."""
        self._what, self._done, self._rows, self._next_line = what, 0, rows, math.inf
        if not sys.stderr.isatty():
            self._next_line = time.monotonic() + _LINE_SECONDS
            if time.monotonic() >= self._lines_from:
                self.note(what)
        self._bar = tqdm(
            total=rows,
            desc=what,
            unit="row",
            leave=False,
            disable=True if self._quiet else None,
            file=sys.stderr,
        )

    def end(self) -> None:
        """Close the bar."""
        self._next_line = math.inf
        if self._bar is not None:
            self._bar.close()

    def begin_epoch(self, number: int, rows: int) -> None:
        """Open a bar for the epoch."""
        self.begin(f"epoch {number}", rows)

    def step(self, rows: int) -> None:
        """Advance the bar, or print a line if the last one is a minute old."""
        self._done += rows
        if time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _LINE_SECONDS
            self.note(f"{self._what}: {self._done:,} of {self._rows:,} rows")
        if self._bar is not None:
            self._bar.update(rows)

    def end_epoch(
        self,
        epoch: EpochResult,
        *,
        rows: int,
        remaining: int,
        score: str,
        best: bool,
        unit: str = "rows",
    ) -> None:
        """Close the bar and print the epoch's line."""
        self.end()
        self._seconds.append(epoch.seconds)
        left = remaining * sum(self._seconds) / len(self._seconds)
        self.note(
            f"epoch {epoch.number:>3}  train loss {epoch.train_loss:.4f}  {epoch.measures(score)}"
            f"{' *' if best else '  '}  {rows / epoch.seconds:,.0f} {unit}/s  "
            f"at most {duration(left)} left"
        )


def duration(seconds: float) -> str:
    """Return a duration as ``1:05``, or as ``1:00:05`` from one hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
