"""Soft labels: how probable each label is, in JSON Lines, for who asks for them."""

from __future__ import annotations

import importlib.util
import json

import pytest

from textgate.errors import DataError
from textgate.rows import Columns, fingerprint, load_labelled, read_rows


def read(path, columns=None, **options):
    return list(read_rows(path, columns, **{"labelled": True, "soft_labels": True} | options))


READ = [
    # fields beside the text -> (labels, probabilities, extras)
    ({"probs": {"x": 0.75, "y": 0.25}}, ((), (("x", 0.75), ("y", 0.25)), {})),
    ({"probs": {"y": 0.2, "x": 0.9}}, ((), (("y", 0.2), ("x", 0.9)), {})),  # for several labels
    ({"probs": {"x": 1, "y": 0}}, ((), (("x", 1.0), ("y", 0.0)), {})),
    ({"probs": {"x": 1}, "label": "y"}, (("y",), (("x", 1.0),), {})),
    ({"probs": {"x": 1}, "label": ["y", "z"]}, (("y", "z"), (("x", 1.0),), {})),
    ({"probs": {"x": 1}, "label": None}, ((), (("x", 1.0),), {})),
    ({"probs": {"x": 1}, "id": 3}, ((), (("x", 1.0),), {"id": 3})),
    ({"probs": None, "label": "y"}, (("y",), (), {"probs": None})),
    ({"label": "y"}, (("y",), (), {})),
]


@pytest.mark.parametrize(("fields", "expected"), READ)
def test_what_is_read(tmp_path, write_jsonl, fields, expected):
    [row] = read(write_jsonl(tmp_path / "a.jsonl", [{"text": "t", **fields}]))
    assert (row.labels, row.probabilities, dict(row.extras)) == expected
    assert all(type(value) is float for _, value in row.probabilities)


SOFT = {"text": "t", "label": "y", "probs": {"x": 1}}


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        ({"soft_labels": False}, ("y",)),
        ({"labelled": False}, ()),
        ({"labelled": False, "soft_labels": False}, ()),
    ],
)
def test_who_does_not_ask_for_them_has_a_column_more(tmp_path, write_jsonl, options, labels):
    [row] = read(write_jsonl(tmp_path / "a.jsonl", [SOFT]), **options)
    assert (row.labels, row.probabilities) == (labels, ())
    assert row.extras["probs"] == {"x": 1}


@pytest.mark.parametrize("field", ["text", "label"])
def test_a_column_of_that_name_that_is_something_else(tmp_path, write_jsonl, field):
    row = {"text": "t", "label": "y"}
    row["probs"] = row.pop(field)
    [found] = read(write_jsonl(tmp_path / "a.jsonl", [row]), Columns(**{field: "probs"}))
    assert (found.text, found.labels, found.probabilities) == ("t", ("y",), ())


def test_other_formats_have_none(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('text,label,probs\nt,y,"{""x"": 1}"\n', encoding="utf-8")
    [row] = read(path)
    assert (row.labels, row.probabilities, row.extras) == (("y",), (), {"probs": '{"x": 1}'})


@pytest.mark.skipif(not importlib.util.find_spec("pyarrow"), reason="pyarrow is not installed")
def test_parquet_has_none(tmp_path):
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.table({"text": ["t"], "label": ["y"], "probs": [{"x": 1.0}]})
    parquet.write_table(table, tmp_path / "a.parquet")
    [row] = read(tmp_path / "a.parquet")
    assert (row.labels, row.probabilities, row.extras) == (("y",), (), {"probs": {"x": 1.0}})


FIELD = "line 2: the soft labels (field 'probs')"
NUMBERS = f"{FIELD} should be numbers from 0 to 1, found"
REFUSED = [
    ('{"x": 1.5}', f"{NUMBERS} 1.5 for 'x'"),
    ('{"y": 0.5, "x": -0.1}', f"{NUMBERS} -0.1 for 'x'"),
    ('{"x": NaN}', f"{NUMBERS} nan for 'x'"),
    ('{"x": Infinity}', f"{NUMBERS} inf for 'x'"),
    ('{"x": "0.5"}', f"{NUMBERS} '0.5' for 'x'"),
    ('{"x": true}', f"{NUMBERS} True for 'x'"),
    ('{"x": null}', f"{NUMBERS} null for 'x'"),
    ('{"x": [1]}', f"{NUMBERS} a list of 1 for 'x'"),
    ('{" ": 1}', f"{FIELD} name a label that is empty; give the row a label"),
    ("{}", f"{FIELD} give no label a probability above 0; leave the row out"),
    ('{"x": 0, "y": 0.0}', f"{FIELD} give no label a probability above 0; leave the row out"),
    ("[0.5, 0.5]", f'{FIELD} should be an object such as {{"good": 0.9, "bad": 0.1}}, found a'),
    ('"x"', f"{FIELD} should be an object such as"),
    ("1", f"{FIELD} should be an object such as"),
    ("null", "line 2: no field 'label', found 'text', 'probs'; name the right one with --label-"),
]


@pytest.mark.parametrize(("value", "message"), REFUSED, ids=[case[0] for case in REFUSED])
def test_what_is_refused(tmp_path, value, message):
    path = tmp_path / "a.jsonl"
    path.write_text(f'{json.dumps(SOFT)}\n{{"text": "t", "probs": {value}}}\n', encoding="utf-8")
    with pytest.raises(DataError) as refusal:
        read(path)
    assert str(refusal.value).startswith(f"{path}, {message}")
    assert "\n" not in str(refusal.value)


def test_without_asking_a_row_needs_a_label(tmp_path, write_jsonl):
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "t", "probs": {"x": 1}}])
    with pytest.raises(DataError, match="line 1: no field 'label', found 'text', 'probs'"):
        read(path, soft_labels=False)


ENOUGH = [
    # probabilities of the rows, the labels beside them -> enough to learn two labels from
    ([{"x": 0.5, "y": 0.5}], True),
    ([{"x": 1}, {"y": 1}], True),
    ([{"x": 1, "y": 0}], True),
    ([{"x": 1}, {"x": 1}], False),
]


@pytest.mark.parametrize(("soft", "enough"), ENOUGH)
def test_the_labels_of_a_set_are_soft_ones_too(tmp_path, write_jsonl, soft, enough):
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "t", "probs": probs} for probs in soft])
    if enough:
        rows = load_labelled(path, several_labels=True, soft_labels=True)
        assert [dict(row.probabilities) for row in rows] == soft
    else:
        with pytest.raises(DataError, match="every row has the label 'x'; two labels or more"):
            load_labelled(path, several_labels=True, soft_labels=True)


def test_the_fingerprint_of_known_soft_labels_stays_the_same(tmp_path, write_jsonl):
    path = write_jsonl(tmp_path / "a.jsonl", [SOFT, {"text": "t", "probs": {"x": 0.5, "y": 0.5}}])
    assert fingerprint(read(path)) == (
        "d95421431a4bd67c3bc3309eff499b442394fae80869dda4d884eaa833561824"
    )
