"""Label set and task of training rows."""

from __future__ import annotations

import pytest

from tests.train.data.examples import rows_of
from textgate.errors import DataError
from textgate.train.data.label_set import find_labels


@pytest.mark.parametrize(
    ("pairs", "task", "labels", "found"),
    [
        ([("a", "y"), ("b", "x"), ("c", "y")], "auto", ("x", "y"), "single-label"),
        ([("a", "10"), ("b", "9")], "auto", ("10", "9"), "single-label"),  # names, not numbers
        ([("a", label) for label in "hgfedcba"], "auto", tuple("abcdefgh"), "single-label"),
        ([("a", "y"), ("b", "x", "y")], "auto", ("x", "y"), "multi-label"),
        ([("a", "y"), ("b",)], "auto", ("y",), "multi-label"),
        ([("a", "y"), ("b", "x")], "multi-label", ("x", "y"), "multi-label"),
        ([("a", "y"), ("b", "x")], "single-label", ("x", "y"), "single-label"),
        ([("a", "y"), ("b", {"x": 1.0})], "auto", ("x", "y"), "single-label"),
        ([("a", "y", {"z": 0.0, "x": 1.0})], "auto", ("x", "y", "z"), "single-label"),
        ([("a", {"x": 0.4, "y": 0.6005})], "auto", ("x", "y"), "single-label"),
        (
            [("a", {"x": 0.4, "y": 0.6}), ("b", {"x": 0.9, "y": 0.9})],
            "auto",
            ("x", "y"),
            "multi-label",
        ),
        ([("a", "y"), ("b", {"x": 0.9, "y": 0.9})], "auto", ("x", "y"), "single-label"),
        ([("a", "y"), ("b",), ("c", {"x": 1.0})], "auto", ("x", "y"), "multi-label"),
        ([("a", {"x": 1.0})], "multi-label", ("x",), "multi-label"),
        ([("a", {"x": 1.0, "y": 0.0})], "single-label", ("x", "y"), "single-label"),
    ],
)
def test_labels_and_task(pairs, task, labels, found):
    assert find_labels(rows_of(*pairs), task=task, file="f") == (labels, found)


@pytest.mark.parametrize(
    ("pairs", "task", "message"),
    [
        ([("a",), ("b",)], "auto", "f: no row has a label"),
        ([("a", "x"), ("b", "x")], "auto", "f: every row has the label 'x'; a classifier needs"),
        ([("a", "x"), ("b", "x", "y")], "single-label", "f, line 2: 2 labels in a row of a single"),
        ([("a", "x"), ("b",)], "single-label", "f, line 2: 0 labels in a row of a single"),
        (
            [("a", "x"), ("b",), ("c", "x", "y"), ("d",)],
            "single-label",
            "f, line 2: 0 labels in a row of a single-label task (and 2 other rows like it); use",
        ),
        ([("a", "x"), ("b", "y\ud800")], "auto", "f, line 2: the label 'y\\ud800' holds half a"),
        ([("a", "x"), ("b", {"\ud800": 1.0})], "auto", "f, line 2: the label '\\ud800' holds half"),
        ([("a", {"x": 1.0}), ("b", "x")], "auto", "f: every row has the label 'x'; a classifier"),
        ([("a", {"x": 1.0}), ("b",)], "single-label", "f, line 2: 0 labels in a row of a single"),
    ],
)
def test_labels_that_are_refused(pairs, task, message):
    with pytest.raises(DataError) as caught:
        find_labels(rows_of(*pairs), task=task, file="f")
    assert str(caught.value).startswith(message)
