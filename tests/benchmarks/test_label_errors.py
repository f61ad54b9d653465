"""The benchmark of label errors: what it plants, and how it counts."""

from __future__ import annotations

import numpy as np
import pytest

from textgate.rows import Row


@pytest.fixture(scope="module")
def label_errors(script):
    return script("label_errors")


def test_planted_labels_are_other_labels(label_errors):
    rows = [Row(f"text {number}", ("abc"[number % 3],), number + 7) for number in range(40)]
    changed, wrong = label_errors.plant(rows, 0.25, np.random.default_rng(0))
    assert len(wrong) == 10
    assert [row.line for row in changed] == list(range(40))
    assert {
        row.line for row, old in zip(changed, rows, strict=True) if row.labels != old.labels
    } == wrong
    assert {row.labels for row in changed} == {("a",), ("b",), ("c",)}


def test_the_scores_of_a_list(label_errors):
    assert label_errors.scores([1, 2, 3, 9], {1, 3, 5, 7}) == {
        "listed": 4, "precision": 0.5, "recall": 0.5, "at_k": 0.5, "at_half_k": 0.5,
    }  # fmt: skip
    assert label_errors.scores([], {1, 3})["precision"] == 0


def test_the_goals_compare_with_the_best_peer(label_errors):
    methods = [
        {"name": name, "at_k": {"mean": mean}}
        for name, mean in (("textgate", 0.8), ("cleanlab", 0.7), ("cleanlab, by margin", 0.81))
    ]
    (goal,) = label_errors.goals([{"data": "films", "methods": methods}])
    assert (round(goal.value, 3), goal.reached) == (-0.01, False)
    assert label_errors.goals([{"data": "films", "methods": methods[:1]}]) == []
