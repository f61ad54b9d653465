"""Rows held out to choose by: how many, which, and what is said where that is not as wanted."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgate.errors import DataError
from textgate.rows import Row
from textgate.train.data.holdout import check_held_out, hold_out
from textgate.train.data.split import Columns, split_rows


def rows_of(*pairs):
    """Rows out of a text, its labels, and a dictionary of soft ones each."""
    rows = []
    for line, (text, *labels) in enumerate(pairs, start=1):
        soft = labels.pop() if labels and isinstance(labels[-1], dict) else {}
        rows.append(Row(text, tuple(labels), line, {}, tuple(soft.items())))
    return rows


def labelled(count, labels):
    return rows_of(*((f"text {place}", labels[place % len(labels)]) for place in range(count)))


def test_a_share_of_every_label_is_held_out():
    data = labelled(400, "aaab")
    train, dev = hold_out(data, 0.1, seed=0)
    assert Counter(row.labels for row in dev) == {("a",): 30, ("b",): 10}
    assert Counter(row.labels for row in train) == {("a",): 270, ("b",): 90}
    assert [row.line for row in train] == sorted(row.line for row in train)


def test_the_share_goes_by_the_seed():
    data = labelled(100, "ab")
    assert hold_out(data, 0.2, seed=1) == hold_out(data, 0.2, seed=1)
    assert hold_out(data, 0.2, seed=1) != hold_out(data, 0.2, seed=2)


@pytest.mark.parametrize(
    ("count", "fraction", "held"), [(1, 0.5, 0), (2, 0.01, 1), (3, 0.5, 2), (1000, 0.01, 10)]
)
def test_small_sets(count, fraction, held):
    train, dev = hold_out(labelled(count, "a"), fraction, seed=0)
    assert (len(train), len(dev)) == (count - held, held)


TEXTS = st.sampled_from([f"t{number}" for number in range(12)])
LABELLED = st.lists(st.tuples(TEXTS, st.sampled_from("abc")), min_size=1, max_size=60)


@given(LABELLED, st.floats(0.01, 0.5), st.integers(0, 3))
def test_a_text_is_on_one_side_and_every_label_stays_in_train(pairs, fraction, seed):
    data = rows_of(*pairs)
    train, dev = hold_out(data, fraction, seed=seed)
    assert Counter(row.line for row in train + dev) == Counter(row.line for row in data)
    assert not {row.text for row in train} & {row.text for row in dev}
    assert {row.labels for row in dev} <= {row.labels for row in train}


def test_soft_labels_alone_stay_in_train():
    """Also where the same text has a label elsewhere; beside a label they make no difference."""
    data = rows_of(
        *((f"soft {place}", {"a": 0.5, "b": 0.5}) for place in range(50)),
        *((f"both {place}", "a", {"a": 0.5, "b": 0.5}) for place in range(50)),
        *((f"soft {place}", "a") for place in range(25)),
        *((f"named {place}", "a") for place in range(50)),
    )
    train, dev = hold_out(data, 0.5, seed=0)
    assert Counter(row.labels for row in dev) == {("a",): 50}
    assert {row.text.split()[0] for row in dev} == {"both", "named"}
    assert len(train) == 125


def copied(*groups):
    """Rows of so many copies of so many texts with a label each."""
    pairs = []
    for number, (texts, copies, label) in enumerate(groups):
        for place in range(texts):
            pairs += [(f"text {number} {place}", label)] * copies
    return rows_of(*pairs)


REPEATED = [
    # texts, copies of each and label, of every group; held out are so many texts, so many rows
    ([(50, 6, "a")], (5, 30)),
    ([(30, 10, "a"), (30, 10, "b")], (6, 60)),
    ([(40, 1, "a"), (4, 60, "a")], (14, 14)),  # a third of the texts, and not one 28th
    ([(99, 1, "a"), (1, 1000, "a")], (33, 33)),
    ([(2, 100, "a"), (1, 100, "b")], (1, 100)),  # the least that can be
    ([(3, 1, "a"), (1, 300, "a")], (1, 1)),
]


@pytest.mark.parametrize(("groups", "held"), REPEATED)
def test_rows_count_and_not_texts(groups, held):
    _, dev = hold_out(copied(*groups), 0.1, seed=0)
    assert (len({row.text for row in dev}), len(dev)) == held


def test_rows_of_texts_with_different_labels_count_too():
    """They stay in train, but the share is one of all rows."""
    data = copied((51, 1, "a"), (60, 2, "b")) + copied((0, 0, "x"), (60, 2, "a"))
    train, dev = hold_out(data, 0.1, seed=0)
    assert Counter(row.labels for row in dev) == {("a",): 17}
    assert len(train) == 291 - 17


SAID = [
    (copied((50, 1, "a"), (50, 1, "b")), ""),
    (copied((50, 6, "a"), (50, 6, "b")), ""),
    (list(copied(*((5, 1, f"l{number}") for number in range(77)))), ""),
    (
        copied((2, 100, "a"), (1, 100, "b")),
        (
            "f: the rows held out to choose by all have the label 'a', so their scores say nothing "
            "of the others; with --dev FILE you choose them yourself"
        ),
    ),
    (
        copied((2, 100, "a"), (2, 100, "b")),
        (
            "f: held out to choose by are 200 of 400 rows, not 40 (10%): they have only 4 "
            "different texts, whose rows stay together, and texts with different labels stay in "
            "train; with --dev FILE you choose them yourself"
        ),
    ),
    (
        rows_of(
            *((f"t{number}", f"l{number}") for number in range(88)),
            *(("x", "a"), ("y", "a"), ("z", "b"), ("zz", "b")),
        ),
        (
            "f: held out to choose by are 2 of 92 rows, not 9 (10%): a label, or a combination of "
            "labels, with a single row is not held out; with --dev FILE you choose them yourself"
        ),
    ),
]


@pytest.mark.parametrize(("data", "said"), SAID, ids=[case[1] for case in SAID])
def test_another_number_than_wanted_is_said(data, said):
    _, dev = hold_out(data, 0.1, seed=0)
    assert check_held_out(data, dev, 0.1, file="f") == said


def test_it_is_said_before_training():
    split = split_rows(
        copied((2, 100, "a"), (1, 100, "b")),
        None,
        Columns(),
        task="auto",
        dev_fraction=0.1,
        seed=0,
    )
    assert split.notes[-1].startswith("rows: the rows held out to choose by all have the label 'a'")


def test_rare_combinations_of_labels_are_held_out_too():
    """But never the last row of a label."""
    combinations = [
        (f"text {number}", *(f"l{place}" for place in range(6) if number >> place & 1))
        for number in range(64)
    ]
    train, dev = hold_out(rows_of(*combinations, ("last", "only", "l1")), 0.1, seed=0)
    assert len(dev) == 6
    assert {label for row in train for label in row.labels} == {
        "only",
        *(f"l{place}" for place in range(6)),
    }
    few = rows_of(("a", "x", "y"), ("b", "x"), ("c", "y"), ("d", "z"), ("e", "z", "x"))
    assert len(hold_out(few, 0.5, seed=0)[1]) == 2


NONE_HELD_OUT = [
    (
        copied((1, 30, "a"), (1, 30, "b")),
        (
            "f: the 60 rows with labels have only 2 different texts, and no label has a second "
            "text that could be held out for dev; give --dev FILE with other texts"
        ),
    ),
    (
        copied((1, 5, "a")) + copied((1, 5, "b")),
        (
            "f: the 10 rows with labels have only one text, and no label has a second text that "
            "could be held out for dev; give --dev FILE with other texts"
        ),
    ),
    (
        copied((1, 1, "a"), (1, 1, "b")),
        "f: 2 rows with labels are too few to hold some out for dev; give --dev",
    ),
    (
        rows_of(*((f"t{number}", {"a": 1.0}) for number in range(9))),
        "f: 0 rows with labels are too few to hold some out for dev; give --dev",
    ),
]


@pytest.mark.parametrize(("data", "message"), NONE_HELD_OUT)
def test_why_none_is_held_out(data, message):
    train, dev = hold_out(data, 0.1, seed=0)
    assert (len(train), dev) == (len(data), [])
    with pytest.raises(DataError) as caught:
        check_held_out(data, dev, 0.1, file="f")
    assert str(caught.value) == message


def test_held_out_rows_need_a_label():
    """Those without one can be right, too, but nothing can be measured by them alone."""
    data = rows_of(*((f"t{number}", *(["x"] if number == 7 else [])) for number in range(40)))
    _, dev = hold_out(data, 0.1, seed=0)
    message = (
        "f: none of the 4 rows held out for dev has a label, because a label with a single row"
    )
    with pytest.raises(DataError, match=message):
        check_held_out(data, dev, 0.1, file="f")
