"""Rows as batches: each row once an epoch, in an order of its own, labels where they belong."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from textgate.errors import DataError
from textgate.inference.tokenizer import PADDING_ID, TextTokenizer
from textgate.rows import Row
from textgate.train.data.dataset import Dataset, encode_rows, find_labels, pad
from textgate.train.text.vocabulary import build_tokenizer


def rows_of(*pairs):
    """Rows out of a text, its labels, and a dictionary of soft ones each."""
    rows = []
    for line, (text, *labels) in enumerate(pairs, start=1):
        soft = labels.pop() if labels and isinstance(labels[-1], dict) else {}
        rows.append(Row(text, tuple(labels), line, {}, tuple(soft.items())))
    return rows


def dataset(lengths):
    """Rows whose first id is their place."""
    sequences = tuple(np.full(length, place + 1) for place, length in enumerate(lengths))
    return Dataset(sequences, np.arange(len(lengths), dtype=np.float32)[:, None])


def places(batches):
    return [(batch.ids[:, 0] - 1).tolist() for batch in batches]


# Batches

LENGTHS = st.lists(st.integers(1, 30), min_size=1, max_size=80)


@given(LENGTHS, st.integers(1, 9), st.integers(0, 5), st.integers(1, 4))
def test_every_row_is_in_one_batch_of_the_epoch(lengths, size, seed, epoch):
    data = dataset(lengths)
    batches = list(data.shuffled_batches(size, seed=seed, epoch=epoch))
    found = places(batches)
    assert sorted(itertools.chain(*found)) == list(range(len(lengths)))
    assert all(1 <= len(batch) <= size for batch in found)
    for batch, batch_places in zip(batches, found, strict=True):
        assert batch.lengths.tolist() == [lengths[place] for place in batch_places]
        assert batch.targets[:, 0].tolist() == batch_places  # targets go with their rows
        padding = torch.arange(batch.ids.shape[1]) >= batch.lengths[:, None]
        assert (batch.ids[padding] == PADDING_ID).all()


def test_the_order_depends_on_seed_and_epoch_alone():
    data = dataset([1 + place % 7 for place in range(200)])

    def order(seed, epoch):
        return places(data.shuffled_batches(8, seed=seed, epoch=epoch))

    first = order(0, 1)
    np.random.default_rng(0).random(100)
    torch.manual_seed(5)
    assert order(0, 1) == first
    assert order(0, 2) != first
    assert order(1, 1) != first


def test_batches_are_of_similar_length():
    data = dataset([1 + place * 37 % 50 for place in range(400)])
    spreads = [
        int(batch.lengths.max() - batch.lengths.min())
        for batch in data.shuffled_batches(8, seed=0, epoch=1)
    ]
    assert max(spreads) <= 2
    order = [int(batch.lengths[0]) for batch in data.shuffled_batches(8, seed=0, epoch=1)]
    assert order != sorted(order)  # but the batches are in no order


@given(LENGTHS, st.integers(1, 9))
def test_batches_by_length_name_their_places(lengths, size):
    data = dataset(lengths)
    seen = []
    for at, batch in data.batches_by_length(size):
        assert (batch.ids[:, 0] - 1).tolist() == at.tolist()
        seen.extend(at.tolist())
    assert sorted(seen) == list(range(len(lengths)))
    assert [lengths[place] for place in seen] == sorted(lengths)


def test_pad():
    ids, lengths = pad([np.array([5, 6]), np.array([7])])
    assert ids.tolist() == [[5, 6], [7, PADDING_ID]]
    assert lengths.tolist() == [2, 1]


# Encoding


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
    (("a", "y", {"x": 0.75, "z": 0.25}), "single-label", [0.75, 0, 0.25]),  # they come first
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


def test_where_they_do_not_count_labels_do():
    rows = rows_of(("a", "y", {"x": 1.0}), ("a", "z"))
    found = encode_rows(
        rows, tokenizer("a"), ("x", "y", "z"), task="single-label", file="f", soft=False
    )
    assert found.targets.tolist() == [[0, 1, 0], [0, 0, 1]]


def test_more_rows_than_are_encoded_at_a_time():
    texts = [f"w{place % 9}" for place in range(2500)]
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
def test_soft_labels_alone_where_they_do_not_count(task):
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
        "dev.csv, line 2: a row to choose by needs a label, not only soft ones"
    )


def test_all_labels_that_do_not_occur_are_named():
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
        "'z' (2 rows, line 2), 'X' (1 row, line 3, which looks like 'x')"
    )


def test_labels_of_a_run_from_before_they_were_cleaned():
    data = encode_rows(
        rows_of(("a", "x"), ("b", "y")), tokenizer("a"), ("x ", "y"), task="single-label", file="f"
    )
    assert data.targets.tolist() == [[1, 0], [0, 1]]


def test_of_many_labels_some_are_named():
    labels = [f"l{number:02}" for number in range(30)]
    message = r"'L11' \(which looks like 'l11'\) does not .* 'l08', 'l09' and 20 more$"
    with pytest.raises(DataError, match=message):
        encode_rows(
            rows_of(("b", "L11")), tokenizer("a"), labels, task="single-label", file="dev.csv"
        )


# Labels


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
def test_labels_that_do_not_do(pairs, task, message):
    with pytest.raises(DataError) as caught:
        find_labels(rows_of(*pairs), task=task, file="f")
    assert str(caught.value).startswith(message)
