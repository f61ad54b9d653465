from __future__ import annotations

import numpy as np
import pytest

from textgate.errors import ConfigError, ExportError
from textgate.evaluation.coverage import LabelThreshold
from textgate.export.thresholds import Answers, fit_thresholds

# Answers "a" at 0.9, 0.8, 0.7 (wrong) and 0.6; "b" at 0.95 and 0.55 (wrong); often enough to tell.
TIMES = 100
PROBABILITIES = np.array(
    [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4], [0.05, 0.95], [0.45, 0.55]] * TIMES,
    dtype=np.float32,
)
TRUTH = np.array([[1, 0], [1, 0], [0, 1], [1, 0], [0, 1], [1, 0]] * TIMES, dtype=bool)


def fit(
    wish: str,
    fraction: float,
    probabilities: np.ndarray = PROBABILITIES,
    truth: np.ndarray = TRUTH,
    *,
    multi_label: bool = False,
) -> tuple[LabelThreshold, ...]:
    return fit_thresholds(
        probabilities,
        truth,
        ["a", "b"],
        answers=Answers(wish, fraction),
        multi_label=multi_label,
    )


@pytest.mark.parametrize(
    ("precision", "expected"),
    [(0.5, (0.6, 0.55)), (0.75, (0.6, 0.95)), (0.8, (0.8, 0.95)), (0.96, (0.8, 0.95))],
)
def test_the_lowest_threshold_that_is_precise_enough(
    precision: float, expected: tuple[float, float]
) -> None:
    chosen = fit("precision", precision)
    assert [one.threshold for one in chosen] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("coverage", "expected"), [(0.97, (0.6, 0.55)), (0.75, (0.7, 0.55)), (0.5, (0.8, 0.95))]
)
def test_the_highest_threshold_that_covers_enough(
    coverage: float, expected: tuple[float, float]
) -> None:
    chosen = fit("coverage", coverage)
    assert [one.threshold for one in chosen] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("wish", "fraction", "expected"),
    [
        ("precision", 0.8, [("a", 400, 200, 200), ("b", 200, 100, 100)]),
        ("coverage", 0.75, [("a", 400, 300, 200), ("b", 200, 200, 100)]),
    ],
)
def test_the_effect_of_a_threshold_is_reported(
    wish: str, fraction: float, expected: list[tuple[str, int, int, int]]
) -> None:
    chosen = fit(wish, fraction)
    assert [(one.label, one.answers, one.kept, one.right) for one in chosen] == expected


def test_equal_scores_are_kept_together() -> None:
    probabilities = np.array([[0.8, 0.2], [0.8, 0.2], [0.1, 0.9]] * 50, dtype=np.float32)
    truth = np.array([[1, 0], [0, 1], [0, 1]] * 50, dtype=bool)
    with pytest.raises(ExportError, match=r"label 'a' a precision of 0\.9 .*the best has 0\.500"):
        fit("precision", 0.9, probabilities, truth)


def test_a_label_that_is_never_the_answer_gets_no_threshold() -> None:
    probabilities = np.array([[0.8, 0.2], [0.7, 0.3]] * 50, dtype=np.float32)
    truth = np.array([[1, 0], [1, 0]] * 50, dtype=bool)
    for wish in ("precision", "coverage"):
        assert fit(wish, 0.9, probabilities, truth)[1] == LabelThreshold("b", None, 0, 0, 0)


# What so few rows cannot tell


@pytest.mark.parametrize(
    ("fraction", "rows"), [(0.5, 5), (0.8, 14), (0.9, 29), (0.95, 59), (0.99, 299)]
)
def test_the_rows_that_a_fraction_needs(fraction: float, rows: int) -> None:
    """All of them are right by chance in at most 5 % of the cases."""
    assert Answers("precision", fraction).rows_needed == rows
    assert fraction**rows <= 0.05 < fraction ** (rows - 1)


@pytest.mark.parametrize("wish", ["precision", "coverage"])
@pytest.mark.parametrize("count", [1, 23, 28])
def test_too_few_answers_are_refused_even_if_all_are_right(wish: str, count: int) -> None:
    probabilities = np.array([[0.75, 0.25]] * count + [[0.1, 0.9]] * 100, dtype=np.float32)
    with pytest.raises(ExportError) as caught:
        fit(wish, 0.9, probabilities, probabilities > 0.5)
    message = str(caught.value)
    assert f"the label 'a' is the answer in {count} of {count + 100} verification rows" in message
    assert f"29 are needed to show a {wish} of 0.9" in message
    assert "verify on more rows (--verify FILE), or ask for at most 0." in message
    possible = float(message.rpartition(" ")[2])
    assert Answers(wish, possible).rows_needed <= count
    enough = np.concatenate([probabilities, probabilities[:1].repeat(29 - count, axis=0)])
    assert fit(wish, 0.9, enough, enough > 0.5)[0].threshold == 0.75


@pytest.mark.parametrize(("wish", "fraction"), [("precision", 0.9), ("coverage", 0.5)])
def test_answers_that_are_all_certain_are_refused(wish: str, fraction: float) -> None:
    """Their threshold would be 1, and slightly less certain texts would get no answer."""
    probabilities = np.array([[1.0, 0.0], [0.1, 0.9]] * 100, dtype=np.float32)
    with pytest.raises(ExportError, match=r"^the label 'a' would get the threshold 1: the 100 ans"):
        fit(wish, fraction, probabilities, probabilities > 0.5)


def test_a_few_lucky_answers_do_not_make_a_threshold() -> None:
    """The 5 most probable of 100 answers are right, which is no evidence of precision."""
    scores = np.linspace(0.99, 0.51, 100, dtype=np.float32)
    truth = np.arange(100) % 5 != 4
    truth[:5] = True
    probabilities = np.stack([scores, 1 - scores], axis=1)
    with pytest.raises(ExportError, match=r"on 29 or more of its 100 answers .*the best has 0\.8"):
        fit("precision", 0.9, probabilities, np.stack([truth, ~truth], axis=1))


@pytest.mark.parametrize("fraction", [-1.0, 0.0, 1.0, 2.0, float("nan"), float("inf")])
def test_fractions_that_no_rows_can_show(fraction: float) -> None:
    with pytest.raises(ConfigError, match=r"precision must be (below 1:|a number above 0 )"):
        Answers("precision", fraction)


# Several labels a row


def test_labels_of_a_multi_label_model_are_independent() -> None:
    probabilities = np.array([[0.9, 0.8], [0.7, 0.2], [0.3, 0.6]] * 50, dtype=np.float32)
    truth = np.array([[1, 1], [1, 0], [0, 0]] * 50, dtype=bool)
    chosen = fit("precision", 0.9, probabilities, truth, multi_label=True)
    assert [one.threshold for one in chosen] == pytest.approx([0.7, 0.8])


def test_coverage_is_of_the_answers_without_a_threshold() -> None:
    """Coverage of all rows would give a rare label to nine rows in ten."""
    scores = np.concatenate([np.linspace(0.99, 0.5, 50), np.linspace(0.2, 0.01, 950)])
    probabilities = np.stack([scores, scores], axis=1).astype(np.float32)
    chosen = fit("coverage", 0.9, probabilities, probabilities > 0.7, multi_label=True)
    assert all(one.threshold == pytest.approx(0.55) for one in chosen)
    assert all((one.answers, one.kept) == (50, 45) for one in chosen)
