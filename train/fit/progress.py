"""What training says while it runs: a bar on a terminal, and one line an epoch, on stderr."""

from __future__ import annotations

import math
import sys
import time
from typing import TYPE_CHECKING

from tqdm import tqdm

if TYPE_CHECKING:
    from textgate.train.fit.checkpoint import Epoch


class Progress:
    """Says nothing; the base of what says something."""

    def note(self, message: str) -> None:
        """Say something once."""

    def warn(self, message: str) -> None:
        """Say once what somebody should look at."""
        self.note(message)

    def begin(self, what: str, rows: int) -> None:
        """Begin something that takes a while: going through so many rows."""

    def end(self) -> None:
        """End it."""

    def begin_epoch(self, number: int, rows: int) -> None:
        """Begin a pass over so many rows."""

    def step(self, rows: int) -> None:
        """Note that so many more rows are done."""

    def end_epoch(self, epoch: Epoch, *, rows: int, remaining: int, score: str, best: bool) -> None:
        """Note what the pass came to and how many passes may still come.

        Args:
            epoch: the pass.
            rows: its rows.
            remaining: how many passes may still come.
            score: what its score on dev is called.
            best: whether it is the best so far.
        """


class TerminalProgress(Progress):
    """Rows a second and time left within an epoch (on a terminal), and a line after each.

    Args:
        quiet: whether to print warnings alone.
        lines_after: seconds after which what begins is told in a line where there is no terminal
            to draw a bar on.
    """

    def __init__(self, *, quiet: bool = False, lines_after: float = math.inf) -> None:
        self._quiet = quiet
        self._bar: tqdm[None] | None = None
        self._seconds: list[float] = []
        self._lines_from = time.monotonic() + lines_after

    def note(self, message: str) -> None:
        """Print a line, unless quiet."""
        if not self._quiet:
            self.warn(message)

    def warn(self, message: str) -> None:
        """Print a line."""
        print(message, file=sys.stderr)  # noqa: T201

    def begin(self, what: str, rows: int) -> None:
        """Open a bar; where stderr is not a terminal, print a line, if it is time for lines."""
        if time.monotonic() >= self._lines_from and not sys.stderr.isatty():
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
        if self._bar is not None:
            self._bar.close()

    def begin_epoch(self, number: int, rows: int) -> None:
        """Open a bar for the pass."""
        self.begin(f"epoch {number}", rows)

    def step(self, rows: int) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(rows)

    def end_epoch(self, epoch: Epoch, *, rows: int, remaining: int, score: str, best: bool) -> None:
        """Close the bar and print the epoch's line."""
        self.end()
        self._seconds.append(epoch.seconds)
        left = remaining * sum(self._seconds) / len(self._seconds)
        self.note(
            f"epoch {epoch.number:>3}  train loss {epoch.train_loss:.4f}  "
            f"dev loss {epoch.dev_loss:.4f}  dev {score} {epoch.dev_score:.4f}"
            f"{' *' if best else '  '}  {rows / epoch.seconds:,.0f} rows/s  "
            f"at most {duration(left)} left"
        )


def duration(seconds: float) -> str:
    """Return a time as ``1:05``, or ``1:00:05`` from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
