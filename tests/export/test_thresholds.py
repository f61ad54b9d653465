from __future__ import annotations

import numpy as np
import pytest

from textgate.errors import ExportError
from textgate.export.thresholds import thresholds_for_coverage, thresholds_for_precision

# Answers "a" at 0.9, 0.8, 0.7 (wrong) and 0.6; "b" at 0.95 and 0.55 (wrong).
PROBABILITIES = np.array(
    [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4], [0.05, 0.95], [0.45, 0.55]], dtype=np.float32
)
TRUTH = np.array([[1, 0], [1, 0], [0, 1], [1, 0], [0, 1], [1, 0]], dtype=bool)


@pytest.mark.parametrize(
    ("precision", "expected"),
    [(0.5, (0.6, 0.55)), (0.75, (0.6, 0.95)), (0.8, (0.8, 0.95)), (1.0, (0.8, 0.95))],
)
def test_the_lowest_threshold_that_is_precise_enough(
    precision: float, expected: tuple[float, float]
) -> None:
    chosen = thresholds_for_precision(
        PROBABILITIES, TRUTH, ["a", "b"], share=precision, multi_label=False
    )
    assert chosen == pytest.approx(expected)


@pytest.mark.parametrize(
    ("coverage", "expected"), [(1.0, (0.6, 0.55)), (0.75, (0.7, 0.55)), (0.5, (0.8, 0.95))]
)
def test_the_highest_threshold_that_covers_enough(
    coverage: float, expected: tuple[float, float]
) -> None:
    chosen = thresholds_for_coverage(
        PROBABILITIES, TRUTH, ["a", "b"], share=coverage, multi_label=False
    )
    assert chosen == pytest.approx(expected)


def test_equal_scores_are_answered_together() -> None:
    probabilities = np.array([[0.8, 0.2], [0.8, 0.2], [0.1, 0.9]], dtype=np.float32)
    truth = np.array([[1, 0], [0, 1], [0, 1]], dtype=bool)
    with pytest.raises(ExportError, match=r"label 'a' a precision of 0\.9 .*the best has 0\.500"):
        thresholds_for_precision(probabilities, truth, ["a", "b"], share=0.9, multi_label=False)


def test_a_label_that_is_never_the_answer_gets_no_threshold() -> None:
    probabilities = np.array([[0.8, 0.2], [0.7, 0.3]], dtype=np.float32)
    truth = np.array([[1, 0], [1, 0]], dtype=bool)
    for choose in (
        lambda: thresholds_for_precision(
            probabilities, truth, ["a", "b"], share=0.9, multi_label=False
        ),
        lambda: thresholds_for_coverage(
            probabilities, truth, ["a", "b"], share=0.9, multi_label=False
        ),
    ):
        assert choose()[1] is None


def test_every_label_of_a_multi_label_model_has_answers_of_its_own() -> None:
    probabilities = np.array([[0.9, 0.8], [0.7, 0.2], [0.3, 0.6]], dtype=np.float32)
    truth = np.array([[1, 1], [1, 0], [0, 0]], dtype=bool)
    chosen = thresholds_for_precision(probabilities, truth, ["a", "b"], share=1.0, multi_label=True)
    assert chosen == pytest.approx((0.7, 0.8))
