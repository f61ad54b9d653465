"""Rows held out for dev: how many, and which."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.train.data.examples import copied, rows_of
from textgate.train.data.holdout import hold_out


def labelled(count, labels):
    return rows_of(*((f"text {index}", labels[index % len(labels)]) for index in range(count)))


def test_a_fraction_of_every_label_is_held_out():
    data = labelled(400, "aaab")
    train, dev = hold_out(data, 0.1, seed=0)
    assert Counter(row.labels for row in dev) == {("a",): 30, ("b",): 10}
    assert Counter(row.labels for row in train) == {("a",): 270, ("b",): 90}
    assert [row.line for row in train] == sorted(row.line for row in train)


def test_the_seed_decides_which_rows():
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


def test_rows_with_only_soft_labels_stay_in_train():
    """So does another row of the same text; beside a label, soft labels make no difference."""
    data = rows_of(
        *((f"soft {index}", {"a": 0.5, "b": 0.5}) for index in range(50)),
        *((f"both {index}", "a", {"a": 0.5, "b": 0.5}) for index in range(50)),
        *((f"soft {index}", "a") for index in range(25)),
        *((f"named {index}", "a") for index in range(50)),
    )
    train, dev = hold_out(data, 0.5, seed=0)
    assert Counter(row.labels for row in dev) == {("a",): 50}
    assert {row.text.split()[0] for row in dev} == {"both", "named"}
    assert len(train) == 125


REPEATED = [
    # per group: texts, copies of each, label; then the texts and the rows that are held out
    ([(50, 6, "a")], (5, 30)),
    ([(30, 10, "a"), (30, 10, "b")], (6, 60)),
    ([(40, 1, "a"), (4, 60, "a")], (14, 14)),  # at most a third of the texts
    ([(99, 1, "a"), (1, 1000, "a")], (33, 33)),
    ([(2, 100, "a"), (1, 100, "b")], (1, 100)),  # at least one text
    ([(3, 1, "a"), (1, 300, "a")], (1, 1)),
]


@pytest.mark.parametrize(("groups", "held"), REPEATED)
def test_the_fraction_is_of_rows_and_not_of_texts(groups, held):
    _, dev = hold_out(copied(*groups), 0.1, seed=0)
    assert (len({row.text for row in dev}), len(dev)) == held


def test_the_fraction_includes_texts_with_different_labels():
    """They stay in train, but the fraction is one of all rows."""
    data = copied((51, 1, "a"), (60, 2, "b")) + copied((0, 0, "x"), (60, 2, "a"))
    train, dev = hold_out(data, 0.1, seed=0)
    assert Counter(row.labels for row in dev) == {("a",): 17}
    assert len(train) == 291 - 17


def test_rare_combinations_of_labels_are_held_out_too():
    """The last row of a label never is."""
    combinations = [
        (f"text {number}", *(f"l{bit}" for bit in range(6) if number >> bit & 1))
        for number in range(64)
    ]
    train, dev = hold_out(rows_of(*combinations, ("last", "only", "l1")), 0.1, seed=0)
    assert len(dev) == 6
    assert {label for row in train for label in row.labels} == {
        "only",
        *(f"l{bit}" for bit in range(6)),
    }
    few = rows_of(("a", "x", "y"), ("b", "x"), ("c", "y"), ("d", "z"), ("e", "z", "x"))
    assert len(hold_out(few, 0.5, seed=0)[1]) == 2
