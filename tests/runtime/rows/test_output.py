"""Output files grow by whole lines, whatever stops the work."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

import textgate.rows.output
from textgate.errors import DataError
from textgate.rows.output import ResultFile, ResultOutput, StandardOutput


class Raw:
    """Stands in for an open file: takes so many bytes at a time, and may fail or be interrupted."""

    def __init__(self, sizes):
        self.sizes = iter(sizes)
        self.taken = b""

    def write(self, data):
        size = next(self.sizes)
        if isinstance(size, Exception):
            raise size
        if size == "interrupt":
            signal.raise_signal(signal.SIGINT)
            size = 1
        self.taken += bytes(data[:size])
        return min(size, len(data))


class ToRaw(ResultOutput):
    def __init__(self, raw):
        super().__init__()
        self.raw = raw

    def close(self):
        pass

    def _write(self, data):
        textgate.rows.output._write_all(self.raw, data)


# Whole, or an error


def test_what_is_held_is_handed_on_together():
    out = ToRaw(Raw([100, 100]))
    out.write("one\n")
    out.write("zw\u00f6lf\n")
    assert out.raw.taken == b""
    out.flush()
    assert out.raw.taken == "one\nzw\u00f6lf\n".encode()
    out.write("dropped\n")
    assert out.take() == "dropped\n"
    out.flush()
    assert out.raw.taken == "one\nzw\u00f6lf\n".encode()


def test_what_is_taken_piece_by_piece():
    out = ToRaw(Raw([1, 2, 3, 100]))
    out.write("a long line\n")
    out.flush()
    assert out.raw.taken == b"a long line\n"


def test_an_error_is_told():
    out = ToRaw(Raw([2, OSError(errno.ENOSPC, "No space left on device")]))
    out.write("a line\n")
    with pytest.raises(
        DataError, match=r"^the results cannot be written: No space left on device$"
    ):
        out.flush()


def test_nobody_who_reads_is_no_data_error():
    out = ToRaw(Raw([BrokenPipeError(errno.EPIPE, "Broken pipe")]))
    out.write("a line\n")
    with pytest.raises(BrokenPipeError):
        out.flush()


# Ctrl-C


def test_an_interruption_waits_for_the_line():
    out = ToRaw(Raw([2, "interrupt", 1, 100]))
    out.write("a line\n")
    with pytest.raises(KeyboardInterrupt):
        out.flush()
    assert out.raw.taken == b"a line\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_one_does_not_wait():
    out = ToRaw(Raw([2, "interrupt", "interrupt", 100]))
    out.write("a line\n")
    with pytest.raises(KeyboardInterrupt):
        out.flush()
    assert out.raw.taken == b"a l"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_another_thread_writes_without_handlers():
    out = ToRaw(Raw([100]))
    out.write("a line\n")
    worker = threading.Thread(target=out.flush)
    worker.start()
    worker.join()
    assert out.raw.taken == b"a line\n"


def test_who_ignores_interruptions_goes_on_to():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        out = ToRaw(Raw([2, "interrupt", 100]))
        out.write("a line\n")
        out.flush()
        assert out.raw.taken == b"a line\n"
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


# A file


def flushed(path, *texts, **options):
    with closing(ResultFile(path, **options)) as out:
        for text in texts:
            out.write(text)
            out.flush()
    return path.read_bytes()


def test_a_file_is_made_with_the_first_results(tmp_path):
    path = tmp_path / "a.txt"
    with closing(ResultFile(path)) as out:
        out.write("one\n")
        assert not path.exists()
        out.flush()
        assert path.read_bytes() == b"one\n"
        out.write("two\n")
        out.flush()
    assert path.read_bytes() == b"one\ntwo\n"


def test_nothing_asked_makes_nothing(tmp_path):
    ResultFile(tmp_path / "a.txt").close()
    assert not (tmp_path / "a.txt").exists()


def test_an_older_file_is_in_the_way(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"older\n")
    with pytest.raises(DataError, match="already exists; choose another path, pass --force, or"):
        ResultFile(path)
    assert flushed(path, "new\n", force=True) == b"new\n"


def test_a_file_that_came_in_between_is_not_overwritten(tmp_path):
    path = tmp_path / "a.txt"
    out = ResultFile(path)
    path.write_bytes(b"another's\n")
    out.write("mine\n")
    with pytest.raises(DataError, match="File exists"):
        out.flush()
    assert path.read_bytes() == b"another's\n"


@pytest.mark.parametrize("keep", [0, 6, 9])
def test_going_on_cuts_what_follows(tmp_path, keep):
    path = tmp_path / "a.txt"
    path.write_bytes(b"older\nhalf")
    assert flushed(path, "new\n", "newer\n", keep=keep) == b"older\nhalf"[:keep] + b"new\nnewer\n"


def test_going_on_with_nothing_new_cuts_too(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"older\nhalf")
    assert flushed(path, "", keep=6) == b"older\n"


def test_what_fails_half_way_is_taken_back(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    genuine = textgate.rows.output._write_all
    with closing(ResultFile(path)) as out:
        out.write("one\n")
        out.flush()

        def half(raw, data):
            genuine(raw, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(textgate.rows.output, "_write_all", half)
        out.write("two\nthree\n")
        with pytest.raises(
            DataError, match=r"a\.txt: the results cannot be written: No space left"
        ):
            out.flush()
    assert path.read_bytes() == b"one\n"


@pytest.mark.skipif(sys.platform == "win32", reason="files are locked where fcntl is")
@pytest.mark.parametrize("options", [{"force": True}, {"keep": 2}])
def test_a_file_that_another_writes_to_is_left_to_it(tmp_path, options):
    path = tmp_path / "a.txt"
    with closing(ResultFile(path)) as first:
        first.write("1\n")
        first.flush()
        with pytest.raises(DataError, match="another process is writing its results there; wait"):
            flushed(path, "other\n", **options)
        first.write("2\n")
        first.flush()
    assert path.read_bytes() == b"1\n2\n"
    flushed(path, "3\n", **options)
    assert path.read_bytes().endswith(b"3\n")


def test_a_folder_that_is_not_there(tmp_path):
    out = ResultFile(tmp_path / "nowhere" / "a.txt")
    out.write("one\n")
    with pytest.raises(DataError, match=r"a\.txt: the results cannot be written: No such file"):
        out.flush()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_devices_are_written_as_they_are(tmp_path):
    assert flushed(Path(os.devnull).resolve(), "one\n") == b""
    with closing(ResultFile(Path("/dev/full"))) as out:
        out.write("one\n")
        with pytest.raises(DataError, match=r"^/dev/full: the results cannot be written: No space"):
            out.flush()


# Standard output


def test_closed_standard_output(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(DataError, match="standard output is closed"):
        StandardOutput()


def test_a_pipe_that_does_not_wait_is_waited_for(monkeypatch):
    """Another process may have made it so; half a line would be lost."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    found = []

    def read():
        with os.fdopen(reader, "rb") as stream:
            found.append(stream.read())

    text = "a line\n" * 50_000  # more than a pipe holds
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        out = StandardOutput()
        out.write(text)
        consumer = threading.Timer(0.05, read)
        consumer.start()
        out.flush()
    consumer.join()
    assert found == [text.encode()]
