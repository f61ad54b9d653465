"""Progress: one line on a terminal, and elsewhere nothing."""

from __future__ import annotations

import io
import os

import pytest

from textgate.progress import Progress

CLEARED = "\r\x1b[K"


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    def __init__(self):
        self.seconds = 100.0

    def __call__(self):
        return self.seconds


def lines(share, steps, *, error=None, stream=None):
    """What is said about steps of (seconds that they take, rows, share of the work after them)."""
    stream = Terminal() if stream is None else stream
    clock, done = Clock(), {"share": share}
    with (
        pytest.raises(error) if error else io.StringIO(),
        Progress(stream, lambda: done["share"], clock) as progress,
    ):
        for seconds, rows, share_after in steps:
            clock.seconds += seconds
            done["share"] = share_after
            progress.step(rows)
        if error:
            raise error
    return stream.getvalue().split(CLEARED)[1:]


CASES = [
    ([(2, 100, 0.25)], ["100 rows, 50 rows/s, 25%, 0:06 left", "100 rows in 2.0 s (50 rows/s)\n"]),
    # Not more often than five times a second.
    (
        [(2, 100, 0.5), (0.1, 100, 0.6), (0.2, 100, 0.7)],
        [
            "100 rows, 50 rows/s, 50%, 0:02 left",
            "300 rows, 130 rows/s, 70%, 0:01 left",
            "300 rows in 2.3 s (130 rows/s)\n",
        ],
    ),
    ([(2, 5000, None)], ["5,000 rows, 2,500 rows/s", "5,000 rows in 2.0 s (2,500 rows/s)\n"]),
    (
        [(4000, 1, 0.1)],
        ["1 rows, 0 rows/s, 10%, 10:00:00 left", "1 rows in 4,000.0 s (0 rows/s)\n"],
    ),
    ([(3, 10, 1.0)], ["10 rows, 3 rows/s, 100%, 0:00 left", "10 rows in 3.0 s (3 rows/s)\n"]),
    ([(3, 10, 0.0)], ["10 rows, 3 rows/s, 0%", "10 rows in 3.0 s (3 rows/s)\n"]),
    # What is done within a second needs no words.
    ([(0.3, 100, 0.4), (0.6, 100, 0.9)], []),
    ([], []),
]


@pytest.mark.parametrize(("steps", "said"), CASES)
def test_what_is_said(steps, said):
    assert lines(None, steps) == said


def test_the_time_left_leaves_out_what_was_done_before():
    """Of half a file in four seconds, after a first half that was passed over."""
    assert lines(0.5, [(4, 10, 0.75)])[0] == "10 rows, 2 rows/s, 75%, 0:04 left"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_the_line_makes_room_for_an_error(error):
    assert lines(None, [(2, 100, 0.25)], error=error)[1:] == [""]


def test_nothing_is_said_where_nobody_looks():
    file = io.StringIO()
    assert lines(None, [(2, 100, 0.25)], stream=file) == []
    with Progress(None, lambda: None) as progress:
        progress.step(1)


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no pseudo-terminals")
def test_a_line_fits_into_a_narrow_terminal():
    import fcntl
    import struct
    import termios

    leader, follower = os.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 21, 0, 0))
    with os.fdopen(follower, "w") as stream:
        clock = Clock()
        progress = Progress(stream, lambda: 0.5, clock)
        clock.seconds += 2
        progress.step(1000)
        assert os.read(leader, 1000).decode() == CLEARED + "1,000 rows, 500 rows"
    os.close(leader)
