"""Resume files: what they hold, when they are written and removed, and what they refuse."""

from __future__ import annotations

import json
import os
from contextlib import closing, suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from textgate.errors import DataError
from textgate.rows import Row
from textgate.rows.output import ResultFile
from textgate.rows.resume import ResumeFile

SETTINGS = {"--format": "jsonl", "--top-k": ""}
TEXTS = ["a film", 'two\nlines, "quoted"', "", "caf\u00e9", "half \ud800 a pair"]
ROWS = [
    Row(text, (), line, {}, cells=(("id", line), ("text", text)))
    for line, text in enumerate(TEXTS, start=1)
]


def interrupted(path, count):
    """Leave results behind that were interrupted after some rows."""
    state = ResumeFile(path, SETTINGS)
    with (
        suppress(KeyboardInterrupt),
        state,
        closing(ResultFile(path, force=True, opened=state.save)) as out,
    ):
        out.flush()
        for row in ROWS[:count]:
            out.write(f"{row.line}\n")
            out.flush()
            state.advance([row], out)
        raise KeyboardInterrupt
    return state.path


def left(path, rows=ROWS, given=SETTINGS):
    """The bytes that are kept, the first row of those with results, and the lines of the others."""
    state = ResumeFile(path, given)
    first, rest = state.rows_left(rows, source="rows.jsonl")
    return state.size, first, [row.line for row in rest]


@pytest.mark.parametrize("count", range(len(ROWS) + 1))
@pytest.mark.parametrize("more", [b"", b"half a result", b"6\n7\n"])
def test_rows_that_have_results_are_passed_over(tmp_path, count, more):
    path = tmp_path / "a.jsonl"
    interrupted(path, count)
    path.write_bytes(path.read_bytes() + more)
    first = ROWS[0] if count else None
    assert left(path) == (2 * count, first, [row.line for row in ROWS[count:]])


def test_it_is_removed_when_the_results_are_complete(tmp_path):
    path = tmp_path / "a.jsonl"
    state = ResumeFile(path, SETTINGS)
    with state, closing(ResultFile(path, opened=state.save)) as out:
        out.flush()
        assert state.path.name == "a.jsonl.textgate-resume"
        assert json.loads(state.path.read_text()) == {
            "version": 1,
            "rows": 0,
            "bytes": 0,
            "digest": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "settings": SETTINGS,
        }
    assert list(tmp_path.iterdir()) == [path]


def test_work_that_may_be_resumed_can_run_again(tmp_path):
    path = tmp_path / "a.jsonl"
    for rows in (ROWS[:3], ROWS[:3], ROWS):
        with ResumeFile(path, SETTINGS, keep=True) as state:
            rest, keep = rows, None
            if path.exists():
                _, rest = state.rows_left(rows, source="rows.jsonl")
                keep = state.size
            with closing(ResultFile(path, keep=keep, opened=state.save)) as out:
                for row in rest:
                    out.write(f"{row.line}\n")
                    out.flush()
                    state.advance([row], out)
    assert path.read_text() == "1\n2\n3\n4\n5\n"


def test_it_is_brought_up_to_date_now_and_then(tmp_path, monkeypatch):
    """As a process that is killed cannot do at its end."""
    path = tmp_path / "a.jsonl"
    state = ResumeFile(path, SETTINGS)
    found = []
    with state, closing(ResultFile(path, opened=state.save)) as out:
        for row, seconds in zip(ROWS, [60, 0, 60, 0, 60], strict=True):
            out.write(f"{row.line}\n")
            out.flush()
            monkeypatch.setattr("textgate.rows.resume._INTERVAL", 30 - seconds)
            state.advance([row], out)
            found.append(json.loads(state.path.read_text())["rows"])
    assert found == [1, 1, 3, 3, 5]


def test_empty_results_without_it_are_begun(tmp_path):
    """A process may be killed between making the two files."""
    (tmp_path / "a").write_bytes(b"")
    assert left(tmp_path / "a") == (0, None, [1, 2, 3, 4, 5])


DAMAGE = [
    (
        None,
        "cannot be resumed without a.jsonl.textgate-resume, which is missing: the results are",
    ),
    (b"", "not valid JSON in UTF-8"),
    (b"\xff", "not valid JSON in UTF-8"),
    (b"[]", "expected a JSON object"),
    (b" " * 2**20 + b"{}", "larger than the 1,048,576 bytes"),
    (b"{}", "field 'version' is missing"),
    ({"version": 2}, "field 'version' should be 1, found 2"),
    ({"rows": -1}, "field 'rows' should be a whole number"),
    ({"bytes": True}, "field 'bytes' should be a whole number"),
    ({"digest": None}, "field 'digest' should be a string"),
    ({"settings": []}, "settings: expected an object"),
    (
        {"settings": {}},
        "begun without --format, not with --format jsonl; give the same settings, or",
    ),
    ({"bytes": 7}, "holds 6 bytes, but a.jsonl.textgate-resume counts 7; the results were changed"),
    ({"digest": "0"}, "holds the results of other rows than the first 3 of rows.jsonl"),
]


@pytest.mark.parametrize(("damage", "complaint"), DAMAGE)
def test_damaged_or_missing(tmp_path, damage, complaint):
    path = tmp_path / "a.jsonl"
    resume = interrupted(path, 3)
    if damage is None:
        resume.unlink()
    elif isinstance(damage, bytes):
        resume.write_bytes(damage)
    else:
        resume.write_text(json.dumps(json.loads(resume.read_text()) | damage))
    with pytest.raises(DataError) as caught:
        left(path)
    assert str(caught.value).startswith(str(path))
    assert complaint in str(caught.value)
    assert str(caught.value).endswith("pass --force instead of --resume to write it again")


OTHERS = [
    (ROWS[:2], SETTINGS, "holds the results of 3 rows, but rows.jsonl has only 2; give the same"),
    ([], SETTINGS, "holds the results of 3 rows, but rows.jsonl has only 0; give the same rows"),
    (ROWS[::-1], SETTINGS, "holds the results of other rows than the first 3 of rows.jsonl; give"),
    (
        [Row(row.text, (), row.line) for row in ROWS],
        SETTINGS,
        "holds the results of other rows than the first 3",
    ),
    (
        ROWS,
        SETTINGS | {"--top-k": "2"},
        "begun without --top-k, not with --top-k 2; give the same settings",
    ),
]


@pytest.mark.parametrize(("rows", "given", "complaint"), OTHERS)
def test_other_rows_or_settings(tmp_path, rows, given, complaint):
    path = tmp_path / "a.jsonl"
    resume = interrupted(path, 3)
    before = path.read_bytes(), resume.read_bytes()
    with pytest.raises(DataError) as caught:
        left(path, rows, given)
    assert f"{path}: {complaint}" in str(caught.value)
    assert (path.read_bytes(), resume.read_bytes()) == before


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=80) | st.text('{}[]":,rowsbyte1.\n\\ \u20ac').map(str.encode))
def test_any_bytes_are_refused_on_one_line(tmp_path, data):
    path = tmp_path / "a.jsonl"
    interrupted(path, 1).write_bytes(data)
    with pytest.raises(DataError) as caught:
        left(path)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_is_not_a_file_cannot_be_resumed(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(DataError, match="not a regular file, so --resume cannot continue it"):
            left(path)
