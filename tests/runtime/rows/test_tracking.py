"""Tracked paths: how much of a file has been read, and whether more of a pipe has come."""

from __future__ import annotations

import gzip
import io
import os
import sys
import threading

import pytest

from textgate.rows import Columns, read_rows
from textgate.rows.source import source_name
from textgate.rows.tracking import TrackedPath

LINES = "".join(f"a text of some length, number {number}\n" for number in range(20_000))


def fractions(path, **options):
    """The fraction that has been read after every row."""
    tracked = TrackedPath(path)
    assert tracked.fraction_read() is None
    found = []
    for _ in read_rows(tracked, Columns(**options), labelled=False):
        found.append(tracked.fraction_read())
        assert tracked.more_has_come()
    assert tracked.fraction_read() == 1.0
    return found


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_the_fraction_of_a_file_grows_from_0_to_1(tmp_path, name):
    data = LINES.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    found = fractions(tmp_path / name)
    assert found == sorted(found)
    assert found[0] < 0.5
    assert found[-1] == 1.0
    middle = found[len(found) // 2]
    assert 0.3 < middle < 0.9


def test_an_empty_file(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"")
    assert fractions(tmp_path / "a.txt") == []


def test_it_is_a_path_like_any_other(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text\ngood\n", encoding="utf-8")
    tracked = TrackedPath(path)
    assert os.fspath(tracked) == str(tracked) == source_name(tracked) == str(path)
    assert [row.text for row in read_rows(tracked, labelled=False)] == ["good"]


def test_standard_input_from_a_file_is_a_file(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text(LINES, encoding="utf-8")
    with (tmp_path / "a.txt").open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        tracked = TrackedPath("-")
        rows = read_rows(tracked, labelled=False)
        next(rows)
        assert 0 < tracked.fraction_read() < 0.5
        assert len(list(rows)) == 20_000 - 1
        assert tracked.fraction_read() == 1.0


def test_standard_input_that_is_no_file_of_the_system(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"good\nbad\n")))
    tracked = TrackedPath("-")
    assert [row.text for row in read_rows(tracked, labelled=False)] == ["good", "bad"]
    assert tracked.fraction_read() is None
    assert tracked.more_has_come()


# Pipes


@pytest.fixture
def pipe(monkeypatch):
    """Standard input, and a function that writes to it; None ends it."""
    reader, writer = os.pipe()
    stdin = open(reader)  # noqa: PTH123, SIM115
    monkeypatch.setattr(sys, "stdin", stdin)
    still_open = [writer]

    def write(data):
        if data is None:
            os.close(still_open.pop())
        else:
            os.write(writer, data)

    yield write
    stdin.close()
    for one in still_open:
        os.close(one)


def test_what_has_come_through_a_pipe(pipe):
    tracked = TrackedPath("-")
    assert tracked.more_has_come()  # nothing is known before the first row
    rows = read_rows(tracked, labelled=False)
    pipe(b"one\ntwo\nhalf")
    assert next(rows).text == "one"
    assert tracked.more_has_come()
    assert next(rows).text == "two"
    assert not tracked.more_has_come()  # half a line is none
    pipe(b" and half\nthree")
    assert tracked.more_has_come()
    assert next(rows).text == "half and half"
    assert not tracked.more_has_come()
    pipe(None)
    assert tracked.more_has_come()  # the end can be had at once
    assert next(rows).text == "three"
    assert list(rows) == []
    assert tracked.fraction_read() is None


@pytest.mark.parametrize("size", [1, 3, 2**16, 200_000])
def test_lines_that_come_in_pieces(pipe, size):
    text = "".join(f"{'x' * (number % 7) * number}\n" for number in range(1, 400)) + "the last"
    data = text.encode()

    def work():
        for start in range(0, len(data), size):
            pipe(data[start : start + size])
        pipe(None)

    if size == 1:
        data = data[:5000]
    writer = threading.Thread(target=work)
    writer.start()
    found = "\n".join(row.text for row in read_rows(TrackedPath("-"), labelled=False))
    writer.join()
    assert found.encode() == data.removesuffix(b"\n")


def test_a_pipe_that_does_not_wait(pipe):
    os.set_blocking(sys.stdin.fileno(), False)
    rows = read_rows(TrackedPath("-"), labelled=False)
    threading.Timer(0.05, lambda: (pipe(b"go"), pipe(b"od\n"), pipe(None))).start()
    assert [row.text for row in rows] == ["good"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_named_pipes(tmp_path, name):
    path = tmp_path / name
    os.mkfifo(path)
    data = b"good\nbad\n"
    writer = threading.Thread(
        target=lambda: path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    )
    writer.start()
    tracked = TrackedPath(path)
    assert [row.text for row in read_rows(tracked, labelled=False)] == ["good", "bad"]
    writer.join()
    assert tracked.fraction_read() is None
    assert tracked.more_has_come()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only some systems can ask a pipe")
def test_a_system_that_cannot_tell_answers_no(pipe, monkeypatch):
    def refuse(*_):
        raise OSError("not a socket")

    monkeypatch.setattr("select.select", refuse)
    tracked = TrackedPath("-")
    pipe(b"one\ntwo\n")
    rows = read_rows(tracked, labelled=False)
    assert next(rows).text == "one"
    assert tracked.more_has_come()  # it is here already
    assert next(rows).text == "two"
    assert not tracked.more_has_come()
    pipe(None)
    assert list(rows) == []
