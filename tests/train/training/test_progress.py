"""Progress of training on a terminal and in logs."""

from __future__ import annotations

import io
import sys
import time

import pytest

from textgate.train.training.checkpoint import Epoch
from textgate.train.training.progress import Progress, TerminalProgress, duration


def run(progress, seconds, *, score="accuracy"):
    for number, taken in enumerate(seconds, start=1):
        progress.begin_epoch(number, 1000)
        progress.step(600)
        progress.step(400)
        progress.end_epoch(
            Epoch(number, 0.5, 0.25, 0.875, taken),
            rows=1000,
            remaining=10 - number,
            score=score,
            best=number == 1,
        )


def test_one_line_per_epoch(capsys):
    progress = TerminalProgress()
    progress.note("100 rows")
    run(progress, [2.0, 4.0])
    start = "train loss 0.5000  dev loss 0.2500  dev accuracy 0.8750"
    assert capsys.readouterr().err.splitlines() == [
        "100 rows",
        f"epoch   1  {start} *  500 rows/s  at most 0:18 left",
        f"epoch   2  {start}    250 rows/s  at most 0:24 left",
    ]


def test_quiet_prints_warnings_only(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    progress = TerminalProgress(quiet=True)
    progress.note("100 rows")
    run(progress, [2.0, 4.0])
    assert sys.stderr.getvalue() == ""
    progress.warn("one of them is odd")
    assert sys.stderr.getvalue() == "one of them is odd\n"


def test_a_line_a_minute_without_a_terminal(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    progress = TerminalProgress()
    progress.begin_epoch(1, 10_000)
    for _ in range(10):
        now[0] += 25
        progress.step(1000)
    progress.end()
    now[0] += 1000
    progress.step(1)
    assert capsys.readouterr().err.splitlines() == [
        "epoch 1: 3,000 of 10,000 rows",
        "epoch 1: 6,000 of 10,000 rows",
        "epoch 1: 9,000 of 10,000 rows",
    ]


def test_a_warning_is_a_note_by_default():
    heard = []

    class Hearing(Progress):
        def note(self, message):
            heard.append(message)

    Hearing().warn("odd")
    assert heard == ["odd"]


def test_the_line_names_the_score(capsys):
    run(TerminalProgress(), [1.0], score="macro-F1")
    assert "dev macro-F1 0.8750" in capsys.readouterr().err


def test_a_bar_on_a_terminal_only(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    run(TerminalProgress(), [1.0])
    assert "epoch 1: " in sys.stderr.getvalue()
    assert "row/s" in sys.stderr.getvalue()


def test_a_bar_for_other_work(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    progress = TerminalProgress()
    progress.begin("asking a teacher", 1000)
    progress.step(250)
    progress.end()
    assert "asking a teacher: " in sys.stderr.getvalue()


def test_the_base_class_prints_nothing(capsys):
    progress = Progress()
    progress.note("anything")
    run(progress, [1.0])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0:00"), (59.4, "0:59"), (59.6, "1:00"), (3599.7, "1:00:00"), (90_061, "25:01:01")],
)
def test_durations(seconds, shown):
    assert duration(seconds) == shown
