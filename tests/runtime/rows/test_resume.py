"""Going on with a file of results: what counts in it, and which rows are left."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from textgate.errors import DataError
from textgate.rows import Row, open_writer
from textgate.rows.resume import read_written, rows_left

LABELS = ("bad", "good")
ROWS = [
    Row("a film", (), 1, {"id": 1}),
    Row('two\nlines, "quoted"', (), 2, {"id": 2}),
    Row("", (), 3, {"id": 3}),
    Row("caf\u00e9", (), 4, {"id": 4}),
]


class Sink:
    def __init__(self):
        self.lines = []

    def write(self, text):
        self.lines.append(text)


def rendering(result_format, label=""):
    """What is written for a row, the first time with the header."""
    sink = Sink()
    writer = open_writer(sink, result_format, LABELS)

    def rendered(row):
        columns = [*row.extras.items(), ("text", row.text)]
        writer.write(row.text, columns, label, 0.5, {"bad": 0.5, "good": 0.5}, False)
        return sink.lines.pop()

    return rendered


def written_file(path, result_format, rows, *, more=b""):
    rendered = rendering(result_format, label="good")
    path.write_bytes("".join(map(rendered, rows)).encode() + more)
    return path


def left(path, result_format, rows=ROWS):
    written = read_written(path, result_format)
    rest = rows_left(rows, written, source="rows.jsonl", rendered=rendering(result_format))
    return [row.line for row in rest]


FORMATS = ["jsonl", "csv", "tsv", "text"]


@pytest.mark.parametrize("result_format", FORMATS)
@pytest.mark.parametrize("count", range(len(ROWS) + 1))
def test_rows_that_have_results_are_passed_over(tmp_path, result_format, count):
    path = written_file(tmp_path / "a", result_format, ROWS[:count])
    assert read_written(path, result_format).size == path.stat().st_size
    assert left(path, result_format) == [row.line for row in ROWS[count:]]


@pytest.mark.parametrize("result_format", FORMATS)
def test_a_result_cut_anywhere_does_not_count(tmp_path, result_format):
    whole = written_file(tmp_path / "whole", result_format, ROWS).read_bytes()
    ends = {}
    for count in range(len(ROWS) + 1):
        size = written_file(tmp_path / "part", result_format, ROWS[:count]).stat().st_size
        ends[size] = count
    header = len(whole.partition(b"\n")[0]) + 1 if result_format in ("csv", "tsv") else 0
    first = min(size for size in ends if size)
    for size in range(len(whole) + 1):
        path = tmp_path / "cut"
        path.write_bytes(whole[:size])
        if 0 < size < (header or first):
            with pytest.raises(DataError, match="holds no whole result; pass --force"):
                read_written(path, result_format)
            continue
        written = read_written(path, result_format)
        end = max(one for one in (*ends, header) if one <= size)
        assert (written.size, written.count) == (end, ends.get(end, 0))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"\xff\xfe\n", "not a file of results: it is not UTF-8"),
        (b"no line end", "holds no whole result; pass --force to write it anew"),
        (b"not json\n", "result 1: not a result in jsonl; --resume goes on with the same rows"),
        (b"[1]\n", "result 1: not a result in jsonl"),
        (b'{"text": "a film"}\n', "result 1: not a result in jsonl"),
        (b'{"scores": 5}\n', "result 1: not a result in jsonl"),
        (b"[" * 100_000 + b"\n", "result 1: not a result in jsonl"),
        (b'{"a": ' + b"9" * 5000 + b"}\n", "result 1: not a result in jsonl"),
    ],
)
def test_files_that_hold_something_else(tmp_path, content, complaint):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DataError, match=complaint) as caught:
        left(tmp_path / "a", "jsonl")
    assert str(caught.value).startswith(str(tmp_path / "a"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("result_format", FORMATS)
@pytest.mark.parametrize("count", [1, 3])
def test_results_of_other_rows(tmp_path, result_format, count):
    path = written_file(tmp_path / "a", result_format, ROWS[:count])
    others = [*ROWS[: count - 1], Row("another", (), count, {"id": count}), *ROWS[count:]]
    with pytest.raises(
        DataError, match=rf"result {count}: not of row {count} of rows\.jsonl; --res"
    ):
        left(path, result_format, others)


@pytest.mark.parametrize("result_format", FORMATS)
def test_more_results_than_rows(tmp_path, result_format):
    path = written_file(tmp_path / "a", result_format, ROWS)
    with pytest.raises(DataError, match=r"holds 4 results, but rows\.jsonl has only 3 rows; --res"):
        left(path, result_format, ROWS[:3])
    with pytest.raises(DataError, match=r"holds 4 results, but rows\.jsonl has only 0 rows"):
        left(path, result_format, [])


@pytest.mark.parametrize("result_format", ["csv", "tsv"])
def test_another_header(tmp_path, result_format):
    path = written_file(tmp_path / "a", result_format, ROWS[:2])
    other = [Row(row.text, (), row.line, {"number": row.line}) for row in ROWS]
    with pytest.raises(DataError, match="its first line is not the header of these results, 'num"):
        left(path, result_format, other)


def test_another_bundle_s_labels(tmp_path):
    path = tmp_path / "a"
    path.write_text(
        '{"id":1,"text":"a film","label":"x","score":1.0,"scores":{"x":1.0},"truncated":false}\n',
        encoding="utf-8",
    )
    with pytest.raises(DataError, match="result 1: not of row 1"):
        left(path, "jsonl")


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.binary(max_size=80) | st.text('{}[]":,textidlabscore1.\n\t\\ "\u20ac').map(str.encode),
    st.sampled_from(FORMATS),
    st.booleans(),
)
def test_any_bytes_are_results_or_a_data_error_on_one_line(tmp_path, data, result_format, follows):
    path = written_file(tmp_path / "a", result_format, ROWS[:1] if follows else [], more=data)
    refusal = f"{path}"
    try:
        assert left(path, result_format) in ([1, 2, 3, 4], [2, 3, 4], [3, 4], [4], [])
    except DataError as problem:
        refusal = str(problem)
    assert refusal.startswith(str(path))
    assert len(refusal.splitlines()) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_is_no_file_is_not_read(tmp_path):
    """A device may go on for ever, and a pipe may never begin."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(DataError, match="is no file, and --resume goes on with one"):
            read_written(path, "jsonl")
