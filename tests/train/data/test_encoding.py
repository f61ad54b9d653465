"""Encoding of rows: token ids of their texts, targets of their labels."""

from __future__ import annotations

import numpy as np
import pytest

from tests.train.data.examples import rows_of
from textgate.errors import DataError
from textgate.inference.tokenizer import TextTokenizer
from textgate.rows import Row
from textgate.train.data.encoding import encode_rows
from textgate.train.text.vocabulary import build_tokenizer


def tokenizer(*texts):
    return TextTokenizer(build_tokenizer(texts, vocabulary_size=50, max_tokens=4), max_tokens=4)


def test_encoding():
    found = encode_rows(
        rows_of(("a b b", "y"), ("", "x"), ("b c d e f", "x", "y")),
        tokenizer("a b c d e f"),
        ("x", "y"),
        task="multi-label",
        file="f.csv",
    )
    assert [sequence.tolist() for sequence in found.sequences] == [[2, 3, 3], [1], [3, 4, 5, 6]]
    assert found.targets.tolist() == [[0, 1], [1, 0], [1, 1]]
    assert (found.sequences[0].dtype, found.targets.dtype) == (np.int64, np.float32)


SOFT = [
    # row, task -> targets of x, y, z
    (("a", {"x": 0.75, "z": 0.25}), "single-label", [0.75, 0, 0.25]),
    (("a", "y", {"x": 0.75, "z": 0.25}), "single-label", [0.75, 0, 0.25]),  # soft labels come first
    (("a", "y", "z", {"x": 1.0}), "single-label", [1, 0, 0]),
    (("a", {"x": 0.6663, "y": 0.3330}), "single-label", [0.6663 / 0.9993, 0.3330 / 0.9993, 0]),
    (("a", {"x": 0.9, "y": 0.8}), "multi-label", [0.9, 0.8, 0]),
    (("a", "z", {"x": 0.1}), "multi-label", [0.1, 0, 0]),
]


@pytest.mark.parametrize(("row", "task", "targets"), SOFT)
def test_soft_labels_are_targets(row, task, targets):
    found = encode_rows(rows_of(row), tokenizer("a"), ("x", "y", "z"), task=task, file="f")
    np.testing.assert_allclose(found.targets, [targets], rtol=1e-6)
    assert found.targets.dtype == np.float32


def test_without_soft_labels_the_other_labels_count():
    rows = rows_of(("a", "y", {"x": 1.0}), ("a", "z"))
    found = encode_rows(
        rows, tokenizer("a"), ("x", "y", "z"), task="single-label", file="f", soft=False
    )
    assert found.targets.tolist() == [[0, 1, 0], [0, 0, 1]]


def test_more_rows_than_are_encoded_at_a_time():
    texts = [f"w{number % 9}" for number in range(2500)]
    one = tokenizer(*texts)
    found = encode_rows(
        [Row(text, ("x",), 1) for text in texts], one, ("x",), task="multi-label", file="f"
    )
    assert [sequence.tolist() for sequence in found.sequences] == [
        one.encode(text).ids for text in texts
    ]


REFUSED = [
    (("b", "z"), "line 2: the label 'z' does not occur in the training rows, which have 'x', 'y'"),
    (("b", "x", "y"), "line 2: 2 labels in a row of a single-label task"),
    (("b",), "line 2: 0 labels in a row of a single-label task"),
    (("b", {"x": 0.5, "z": 0.5}), "line 2: the label 'z' does not occur in the training rows, "),
    (
        ("b", {"x": 0.5, "y": 0.502}),
        "line 2: the soft labels add up to 1.002; in a single-label task they add up to 1 (use ",
    ),
    (("b", "x", {"x": 0.9, "y": 0.9}), "line 2: the soft labels add up to 1.8; in a single-"),
    (("b", {"x": float("nan")}), "line 2: the soft labels add up to nan; "),
]


@pytest.mark.parametrize(("row", "message"), REFUSED)
def test_rows_that_do_not_fit_the_labels(row, message):
    with pytest.raises(DataError) as caught:
        encode_rows(
            rows_of(("a", "x"), row),
            tokenizer("a"),
            ("x", "y"),
            task="single-label",
            file="dev.csv",
        )
    assert str(caught.value).startswith(f"dev.csv, {message}")


@pytest.mark.parametrize("task", ["single-label", "multi-label"])
def test_rows_with_only_soft_labels_where_these_do_not_count(task):
    with pytest.raises(DataError) as caught:
        encode_rows(
            rows_of(("a", "x"), ("b", {"x": 1.0})),
            tokenizer("a"),
            ("x", "y"),
            task=task,
            file="dev.csv",
            soft=False,
        )
    assert str(caught.value) == (
        "dev.csv, line 2: a dev row needs a label, and this one has only soft labels"
    )


def test_all_unknown_labels_are_named():
    with pytest.raises(DataError) as caught:
        encode_rows(
            rows_of(("a", "x"), ("b", "z"), ("c", "X"), ("d", "z")),
            tokenizer("a"),
            ("x", "y"),
            task="single-label",
            file="dev.csv",
        )
    assert str(caught.value) == (
        "dev.csv, line 2: 2 labels do not occur in the training rows, which have 'x', 'y': "
        "'z' (2 rows, line 2), 'X' (1 row, line 3, which looks like 'x'); correct them, or "
        "leave such rows out"
    )


def test_labels_of_a_run_that_did_not_clean_them():
    data = encode_rows(
        rows_of(("a", "x"), ("b", "y")), tokenizer("a"), ("x ", "y"), task="single-label", file="f"
    )
    assert data.targets.tolist() == [[1, 0], [0, 1]]


def test_of_many_known_labels_some_are_named():
    labels = [f"l{number:02}" for number in range(30)]
    message = (
        r"'L11' \(which looks like 'l11'\) does not .* 'l08', 'l09' and 20 more; correct it, or"
    )
    with pytest.raises(DataError, match=message):
        encode_rows(
            rows_of(("b", "L11")), tokenizer("a"), labels, task="single-label", file="dev.csv"
        )
