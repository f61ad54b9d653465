"""Fingerprints of sets of rows, and the requirements of a labelled set."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from textgate.errors import DataError
from textgate.rows import Columns, Row, fingerprint, load_labelled, read_rows


def save(path, content):
    path.write_text(content, encoding="utf-8")
    return path


ROWS = [Row("a", ("x",), 1), Row("b", (), 2), Row("", ("y", "z"), 3)]


def test_the_fingerprint_of_known_rows_stays_the_same():
    assert fingerprint([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert fingerprint(ROWS) == "32848fa077f4441998a2af40e5c25a974789a3f43dc989854cb2549a3cd0899c"


@pytest.mark.parametrize(
    "other",
    [
        ROWS[::-1],
        ROWS[:2],
        [Row("A", ("x",), 1), *ROWS[1:]],
        [Row("a", ("y",), 1), *ROWS[1:]],
        [Row("a", (), 1), *ROWS[1:]],
        [*ROWS[:2], Row("", ("z", "y"), 3)],
        [*ROWS[:2], Row("", ("yz",), 3)],
        [Row("ab", ("x",), 1), Row("", (), 2), ROWS[2]],
        [Row("a", ("x",), 1, {}, (("x", 1.0),)), *ROWS[1:]],
        [Row("a", ("x",), 1, weight=2.0), *ROWS[1:]],
    ],
)
def test_the_fingerprint_tells_order_and_content_apart(other):
    assert fingerprint(other) != fingerprint(ROWS)


def test_the_fingerprint_does_not_know_the_file(tmp_path):
    csv = save(tmp_path / "a.csv", "id,text,label\n1,a,x\n")
    jsonl = save(tmp_path / "a.jsonl", '\n{"text": "a", "label": "x"}')
    assert fingerprint(read_rows(csv, labelled=True)) == fingerprint(
        read_rows(jsonl, labelled=True)
    )


SHORT = st.text(max_size=3)
SOFT = st.dictionaries(SHORT, st.sampled_from([0.0, 0.25, 1.0]), max_size=2)
LABELLED = st.lists(st.tuples(SHORT, st.lists(SHORT, max_size=3), SOFT), max_size=4)


@settings(deadline=None)
@given(LABELLED, LABELLED)
@example([("a", ["b"], {})], [("ab", [], {})])
@example([("a", [], {}), ("b", [], {})], [("a", ["b"], {})])
@example([("a", [], {"b": 1.0})], [("a", ["b"], {})])
@example([("a", [], {"b": 1.0})], [("a", [], {"b": 0.25})])
@example([("a", [], {}), ("a", [], {"b": 1.0})], [("a", [], {"b": 1.0}), ("a", [], {})])
def test_the_fingerprint_is_equal_only_for_equal_rows(one, other):
    def of(rows):
        return fingerprint(
            Row(text, tuple(labels), 1, {}, tuple(soft.items())) for text, labels, soft in rows
        )

    def listed(rows):  # objects with their names in another order are equal, but other rows
        return [(text, labels, list(soft.items())) for text, labels, soft in rows]

    assert (of(one) == of(other)) == (listed(one) == listed(other))


def test_the_fingerprint_takes_a_lone_surrogate():
    assert fingerprint([Row("\ud800", (), 1)]) != fingerprint([Row("\ud801", (), 1)])


def test_load_labelled_returns_every_row(tmp_path):
    path = save(tmp_path / "a.tsv", "t\tl\na\tx\nb\ty\n")
    rows = load_labelled(path, Columns("t", "l"), several_labels=True)
    assert [(row.text, row.labels) for row in rows] == [("a", ("x",)), ("b", ("y",))]


def test_one_label_is_enough_unless_several_are_asked_for(tmp_path):
    path = save(tmp_path / "a.csv", "text,label\na,x\nb,x\n")
    assert len(load_labelled(path)) == 2
    with pytest.raises(DataError, match="every row has the label 'x'; two labels or more"):
        load_labelled(path, several_labels=True)


def test_one_label_on_some_rows_can_be_learned(tmp_path):
    path = save(tmp_path / "a.jsonl", '{"text": "a", "label": ["x"]}\n{"text": "b", "label": []}\n')
    assert len(load_labelled(path, several_labels=True)) == 2


def test_two_labels_on_every_row_are_several(tmp_path):
    path = save(tmp_path / "a.jsonl", '{"text": "a", "label": ["x", "y"]}')
    assert len(load_labelled(path, several_labels=True)) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no rows"),
        ("\n\n", "has no rows"),
        ('{"text": "a", "label": []}', ": no row has a label; every list of labels is empty"),
    ],
)
def test_a_set_with_nothing_to_learn_from(tmp_path, content, message):
    path = save(tmp_path / "a.jsonl", content)
    with pytest.raises(DataError, match=f"^{path} ?{message}$"):
        load_labelled(path)
