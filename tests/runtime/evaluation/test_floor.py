"""Floor of a classifier: the scores of an answer that needs no text."""

from __future__ import annotations

import numpy as np
import pytest

from textgate.evaluation.floor import Floor, beats_floor, find_floor

# Rows of each label, and the floor: the accuracy of the most frequent label, and the larger
# macro-F1 of that answer and of guessing.
SINGLE_LABEL = [
    ([50, 50], 0.5, 0.5),
    ([90, 10], 0.9, 0.5),
    ([99, 1], 0.99, 0.5),
    ([40, 30, 30], 0.4, 1 / 3),
    ([1, 1, 1, 1], 0.25, 0.25),
    ([7, 0], 1.0, 1.0),  # all measured rows have one label
    ([10, 10, 0, 0], 0.5, 0.5),  # no measured row has the other labels
]


@pytest.mark.parametrize(("counts", "accuracy", "macro_f1"), SINGLE_LABEL)
def test_the_floor_of_one_label_per_row(counts, accuracy, macro_f1):
    truth = np.repeat(np.eye(len(counts), dtype=bool), counts, axis=0)
    floor = find_floor(truth, multi_label=False)
    assert (floor.accuracy, floor.macro_f1) == pytest.approx((accuracy, macro_f1))


# Labels of each row, and the floor: the accuracy of giving each label that more than half of the
# rows have, and the mean of the labels' F1 of the better of always giving it and guessing.
SEVERAL_LABELS = [
    ([[1, 0], [1, 0], [1, 0], [0, 1]], 0.75, (2 * 0.75 / 1.75 + 0.25) / 2),
    ([[1, 1], [1, 1], [1, 1], [0, 1]], 0.75, (2 * 0.75 / 1.75 + 1) / 2),
    ([[0, 0], [0, 0], [1, 0], [0, 1]], 0.5, 0.25),
    ([[1], [0]], 0.5, 0.5),
    ([[0, 0], [0, 0]], 1.0, 0.0),
    ([[1, 0], [1, 0]], 1.0, 1.0),
    ([[1, 0, 0], [0, 0, 0]], 0.5, 0.5),
]


@pytest.mark.parametrize(("truth", "accuracy", "macro_f1"), SEVERAL_LABELS)
def test_the_floor_of_several_labels_per_row(truth, accuracy, macro_f1):
    floor = find_floor(np.array(truth, dtype=bool), multi_label=True)
    assert (floor.accuracy, floor.macro_f1) == pytest.approx((accuracy, macro_f1))


@pytest.mark.parametrize(
    ("accuracy", "macro_f1", "beaten"),
    [
        (0.91, 0.5, True),
        (0.9, 0.5, False),  # it always gives that label
        (0.9, 0.59, False),
        (0.89, 0.59, False),
        (0.85, 0.6, True),  # it finds the rare label
        (0.5, 0.4, False),
    ],
)
def test_it_is_beaten_by_accuracy_or_clearly_by_macro_f1(accuracy, macro_f1, beaten):
    metrics = {
        "accuracy": accuracy,
        "macro_f1": macro_f1,
        "majority_accuracy": 0.9,
        "floor_macro_f1": 0.5,
    }
    assert Floor(0.9, 0.5).is_beaten(accuracy, macro_f1) is beaten
    assert beats_floor(metrics) is beaten


def test_a_run_of_an_earlier_release_has_no_floor():
    assert beats_floor({"accuracy": 0.1, "macro_f1": 0.1})
