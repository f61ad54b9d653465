"""Rows that cannot be used: counted, told together, and left out if that is asked for."""

from __future__ import annotations

import pytest

from textgate.errors import DataError
from textgate.rows import Columns, load_labelled, read_rows

SKIP = Columns(skip_bad_rows=True)
BAD = {
    # name -> content, places of the rows that can be used, kinds of the others
    "a.csv": (
        "text,label\na,x\nb\nc,\nd,y\ne,x,1\n,y\n",
        [2, 5, 7],
        (
            "2 for another number of cells than the header (line 3, line 6), "
            "1 for an empty label (line 4)"
        ),
    ),
    "a.tsv": (
        "text\tlabel\na\tx\nb\t \nc\td\te\nf\ty\n",
        [2, 5],
        "1 for an empty label (line 3), 1 for another number of cells than the header (line 4)",
    ),
    "a.jsonl": (
        (
            '{"text": "a", "label": "x"}\n{"text": 5, "label": "x"}\n{"text": "b"}\noops\n[1]\n'
            '{"text": "c", "label": 0.5}\n{"text": "d", "label": null}\n'
            '{"text": "e", "label": NaN}\n'
            '{"text": "f", "label": {}}\n{"text": "g", "text": "h", "label": "y"}\n'
            '{"text": "i", "label": "y"}\n'
        ),
        [1, 11],
        (
            "2 for an empty label (line 7, line 8), 1 for a text that is not a string (line 2), "
            "1 for no field 'label' (line 3), 1 for invalid JSON (line 4), "
            "1 for a value that is not an object (line 5), "
            "1 for a label that is a number with a decimal point (line 6), "
            "1 for a value that is not a label (line 9), 1 for a field given twice (line 10)"
        ),
    ),
    "a.json": (
        '[{"text": "a", "label": "x"}, 5, {"text": "b"}, {"text": "c", "label": "y"}]',
        [1, 4],
        "1 for a value that is not an object (row 2), 1 for no field 'label' (row 3)",
    ),
    "a.txt": (
        "__label__x a\nb\nc\nd\ne\n__label__y f\n",
        [1, 6],
        "4 for no __label__NAME in front (line 2, line 3, line 4, ...)",
    ),
}


def save(path, content):
    path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", BAD)
def test_all_of_them_are_told(tmp_path, name):
    content, good, kinds = BAD[name]
    path = save(tmp_path / name, content)
    bad = sum(int(part.split()[0]) for part in kinds.split("), "))
    with pytest.raises(DataError) as refusal:
        load_labelled(path)
    message = str(refusal.value)
    assert message.startswith(f"{path}, ")
    assert f"; {bad} of {bad + len(good)} rows cannot be used: {kinds}; --skip-bad-rows" in message
    assert "\n" not in message


@pytest.mark.parametrize("name", BAD)
def test_they_are_left_out_if_that_is_asked_for(tmp_path, name):
    content, good, kinds = BAD[name]
    path = save(tmp_path / name, content)
    for rows in (
        lambda note: load_labelled(path, SKIP, note=note),
        lambda note: list(read_rows(path, SKIP, labelled=True, note=note)),
    ):
        notes = []
        assert [row.line for row in rows(notes.append)] == good
        (note,) = notes
        assert note.startswith(f"{path}: left out ")
        assert note.endswith(f" rows: {kinds}")


def test_a_single_one_is_told_by_itself(tmp_path):
    path = save(tmp_path / "a.csv", "text,label\na,x\nb,\n")
    with pytest.raises(DataError) as refusal:
        load_labelled(path)
    assert str(refusal.value) == (
        f"{path}, line 3: the label (field 'label') is empty; give the row a label or leave the "
        "row out; --skip-bad-rows leaves out rows like it"
    )


def test_row_by_row_the_first_one_is_an_error(tmp_path):
    rows = read_rows(save(tmp_path / "a.csv", "text,label\na,x\nb,\nc,\n"), labelled=True)
    assert next(rows).text == "a"
    with pytest.raises(DataError, match=r"line 3: the label .* --skip-bad-rows leaves out rows"):
        next(rows)


def test_nothing_but_bad_rows_is_refused_all_the_same(tmp_path):
    path = save(tmp_path / "a.csv", "text,label\na,\nb,\n")
    with pytest.raises(DataError, match="2 of 2 rows cannot be used: 2 for an empty label"):
        load_labelled(path, SKIP)


def test_labels_that_look_joined_are_said_with_the_empty_ones(tmp_path):
    path = save(tmp_path / "a.csv", "text,label\na,x;y\nb,\nc,x\nd,y\n")
    with pytest.raises(DataError, match=r"labels look joined: .* --label-separator ';' reads them"):
        load_labelled(path)


BROKEN = [
    ("a.csv", b"text,label\na,x\nb,\n\xff,y\n", "line 4: byte 0xff is not UTF-8"),
    ("a.csv", b'text,label\na,x\nb,\n"c,y\n', "line 4: not valid CSV"),
    ("a.csv.gz", b"\x1f\x8b", "the gzip data is damaged or cut off"),
    ("a.json", b'[{"text": "a", "label": "x"}, {"text"', "row 2: not valid JSON at line 1, col"),
]


@pytest.mark.parametrize(("name", "content", "message"), BROKEN)
def test_what_breaks_a_file_stops_it(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    notes = []
    with pytest.raises(DataError, match=message):
        load_labelled(path, SKIP, note=notes.append)
    assert [note.partition(": ")[2] for note in notes] == (
        ["left out 1 of 2 rows: 1 for an empty label (line 3)"] if name == "a.csv" else []
    )
