"""Metrics, compared with values computed by hand and with slow versions of the formulas."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgate.errors import DataError
from textgate.evaluation.metrics import (
    Evaluation,
    LabelScores,
    evaluate_multi_label,
    evaluate_single_label,
    wilson_interval,
)

ABC = ("a", "b", "c")

# Given: a a b b a. True: a b b c a.
PROBABILITIES = [
    [0.90, 0.05, 0.05],
    [0.50, 0.40, 0.10],
    [0.20, 0.70, 0.10],
    [0.10, 0.60, 0.30],
    [0.80, 0.10, 0.10],
]
TRUTH = [0, 1, 1, 2, 0]


def test_single_label_by_hand() -> None:
    found = evaluate_single_label(PROBABILITIES, TRUTH, ABC)
    assert found.rows == 5
    assert found.accuracy == 3 / 5
    assert found.confusion == ((2, 0, 0), (1, 1, 0), (0, 1, 0))
    assert found.labels == (
        LabelScores("a", precision=2 / 3, recall=1.0, f1=0.8, support=2),
        LabelScores("b", precision=0.5, recall=0.5, f1=0.5, support=2),
        LabelScores("c", precision=0.0, recall=0.0, f1=0.0, support=1),
    )
    assert found.macro_f1 == pytest.approx((0.8 + 0.5 + 0.0) / 3)
    # Five bins of one row each: the gaps are 0.1, 0.5, 0.3, 0.6 and 0.2.
    assert found.ece == pytest.approx((0.1 + 0.5 + 0.3 + 0.6 + 0.2) / 5)
    assert found.log_loss == pytest.approx(-math.log(0.9 * 0.4 * 0.7 * 0.3 * 0.8) / 5)
    assert found.accuracy_interval == wilson_interval(3, 5)


def test_multi_label_by_hand() -> None:
    probabilities = [[0.9, 0.2, 0.5], [0.4, 0.3, 0.1], [0.8, 0.7, 0.6]]
    truth = [[True, False, True], [True, False, False], [True, False, True]]
    found = evaluate_multi_label(probabilities, truth, ABC)
    # Given: a c; nothing; a b c. True: a c; a; a c.
    assert found.rows == 3
    assert found.accuracy == 1 / 3
    assert found.confusion == ()
    assert found.labels == (
        LabelScores("a", precision=1.0, recall=2 / 3, f1=0.8, support=3),
        LabelScores("b", precision=0.0, recall=0.0, f1=0.0, support=0),
        LabelScores("c", precision=1.0, recall=1.0, f1=1.0, support=2),
    )
    assert found.macro_f1 == pytest.approx(0.6)
    gaps = 0.1 + 0.2 + 0.5 + 0.6 + 0.3 + 0.1 + 0.2 + 0.7 + 0.4
    assert found.ece == pytest.approx(gaps / 9)
    likelihood = 0.9 * 0.8 * 0.5 * 0.4 * 0.7 * 0.9 * 0.8 * 0.3 * 0.6
    assert found.log_loss == pytest.approx(-math.log(likelihood) / 9)
    assert found.accuracy_interval == wilson_interval(1, 3)


@pytest.mark.parametrize(
    ("thresholds", "accuracy"),
    [
        ((), 0.5),
        ((None, None), 0.5),
        ((0.5, 0.5), 0.5),
        ((0.6, None), 1.0),  # the first label is no longer given to the second row
        ((0.9, 0.7), 1.0),  # a probability that equals its threshold reaches it
        ((0.95, None), 0.5),
        ((0.0, 0.0), 0.5),
        ((1.0, 1.0), 0.0),
    ],
)
def test_thresholds(thresholds: tuple[float | None, ...], accuracy: float) -> None:
    probabilities = [[0.9, 0.7], [0.55, 0.8]]
    truth = [[True, True], [False, True]]
    found = evaluate_multi_label(probabilities, truth, ("a", "b"), thresholds=thresholds)
    assert found.accuracy == accuracy


def test_labels_that_nobody_has_or_gets_do_not_count() -> None:
    found = evaluate_single_label([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]], [0, 1], ABC)
    assert found.macro_f1 == 1.0
    assert found.labels[2] == LabelScores("c", precision=0.0, recall=0.0, f1=0.0, support=0)
    nothing = evaluate_multi_label([[0.1, 0.2]], [[False, False]], ("a", "b"))
    assert (nothing.accuracy, nothing.macro_f1) == (1.0, 0.0)


def test_labels_given_but_never_true_count() -> None:
    found = evaluate_single_label([[0.9, 0.1], [0.2, 0.8]], [0, 0], ("a", "b"))
    assert found.macro_f1 == pytest.approx((2 / 3 + 0) / 2)


def test_first_of_equally_probable_labels_is_given() -> None:
    found = evaluate_single_label([[0.2, 0.4, 0.4]], [1], ABC)
    assert found.accuracy == 1.0


@pytest.mark.parametrize(
    ("confidences", "right", "expected"),
    [
        # One bin, (8/15, 9/15]: over- and under-confidence cancel within a bin.
        ([0.55, 0.55, 0.55, 0.55], [True, False, True, False], 0.05),
        # Two bins: (8/15, 9/15] and (9/15, 10/15].
        ([0.55, 0.65], [True, False], (0.45 + 0.65) / 2),
        # A confidence on an edge belongs to the bin below it: 12/15 and 0.75 share one.
        ([0.8, 0.75], [True, False], abs(1 - 0.8 - 0.75) / 2),
        ([0.8, 0.81], [True, False], (0.2 + 0.81) / 2),
        ([1.0, 1.0], [True, True], 0.0),
        ([1.0, 1.0], [False, False], 1.0),
    ],
)
def test_calibration_error_bins(
    confidences: list[float], right: list[bool], expected: float
) -> None:
    probabilities = [[confidence, 1 - confidence] for confidence in confidences]
    truth = [0 if is_right else 1 for is_right in right]
    found = evaluate_single_label(probabilities, truth, ("a", "b"))
    assert found.ece == pytest.approx(expected)


def test_rows_that_get_no_label_are_given_none() -> None:
    truth = [[True, False], [False, False]]
    found = evaluate_multi_label(
        [[0.9, 0.1], [0.9, 0.1]], truth, ("a", "b"), answerable=[True, False]
    )
    assert found.accuracy == 1
    assert found.labels[0].precision == 1
    every = evaluate_multi_label([[0.9, 0.1], [0.9, 0.1]], truth, ("a", "b"))
    assert (every.accuracy, every.log_loss) == (0.5, found.log_loss)


def test_multi_label_calibration_counts_improbable_labels() -> None:
    found = evaluate_multi_label([[0.0, 0.01]], [[False, True]], ("a", "b"))
    assert found.ece == pytest.approx(0.99 / 2)


@pytest.mark.parametrize(
    ("truth", "expected"),
    [([0], pytest.approx(1e-7)), ([1], pytest.approx(-math.log(1e-7)))],
)
def test_log_loss_of_certainty_is_finite(truth: list[int], expected: object) -> None:
    assert evaluate_single_label([[1.0, 0.0]], truth, ("a", "b")).log_loss == expected


def test_float32_noise_around_0_and_1_is_taken_for_0_and_1() -> None:
    probabilities = np.array([[1.0000001, -1e-8]], dtype=np.float32)
    found = evaluate_single_label(probabilities, [0], ("a", "b"))
    assert (found.accuracy, found.ece) == (1.0, 0.0)


def test_to_json_holds_plain_json_values() -> None:
    found = evaluate_single_label(PROBABILITIES, TRUTH, ABC)
    values = found.to_json()
    assert json.loads(json.dumps(values)) == values
    assert list(values) == [
        "rows",
        "accuracy",
        "macro_f1",
        "ece",
        "labels",
        "confusion",
        "log_loss",
        "accuracy_interval",
    ]
    assert values["labels"][1] == {
        "label": "b",
        "precision": 0.5,
        "recall": 0.5,
        "f1": 0.5,
        "support": 2,
    }
    assert values["confusion"] == [[2, 0, 0], [1, 1, 0], [0, 1, 0]]


@pytest.mark.parametrize(
    ("probabilities", "truth", "labels", "message"),
    [
        (np.empty((0, 2)), np.empty(0, dtype=int), ("a", "b"), "at least one row"),
        (np.empty((2, 0)), [0, 0], (), "at least one row and one label"),
        ([0.5, 0.5], [0], ("a", "b"), r"shape \[rows, 2\], one column per label, found \[2\]"),
        ([[0.5, 0.5]], [0], ABC, r"shape \[rows, 3\].* found \[1, 2\]"),
        ([[0.5, 0.5]], [0, 1], ("a", "b"), r"truth: expected whole numbers of shape \[1\]"),
        ([[0.5, 0.5]], [[0]], ("a", "b"), r"truth: .* found int.* of shape \[1, 1\]"),
        ([[0.5, 0.5]], [0.0], ("a", "b"), "truth: .* found float64"),
        ([[0.5, 0.5]], [True], ("a", "b"), "truth: .* found bool"),
        ([[0.5, 0.5], [0.5, 0.5]], [0, 2], ("a", "b"), "truth: row 2: .* 0 to 1, found 2"),
        ([[0.5, 0.5]], [-1], ("a", "b"), "truth: row 1: .* found -1"),
        ([[0.5, 0.5], [0.5, math.nan]], [0, 0], ("a", "b"), "row 2, label 'b': .* found nan"),
        ([[math.inf, 0.5]], [0], ("a", "b"), "row 1, label 'a': .* found inf"),
        ([[2.5, -1.5]], [0], ("a", "b"), "a number from 0 to 1, found 2.5"),
        ([[0.5, -0.5]], [0], ("a", "b"), "a number from 0 to 1, found -0.5"),
    ],
)
def test_single_label_refusals(
    probabilities: object, truth: object, labels: tuple[str, ...], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        evaluate_single_label(probabilities, truth, labels)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("probabilities", "truth", "thresholds", "message"),
    [
        (np.empty((0, 2)), np.empty((0, 2), dtype=bool), (), "at least one row"),
        ([[0.5]], [[True]], (), r"shape \[rows, 2\].* found \[1, 1\]"),
        ([[0.5, math.nan]], [[True, True]], (), "row 1, label 'b': .* found nan"),
        ([[0.5, 0.5]], [[1, 0]], (), r"booleans of shape \[1, 2\], found int"),
        ([[0.5, 0.5]], [True, False], (), r"booleans .* found bool of shape \[2\]"),
        ([[0.5, 0.5]], [[True, False]], (0.5,), r"one per label \(2\) or none, found 1"),
        ([[0.5, 0.5]], [[True, False]], (None, 1.5), "label 'b': .* found 1.5"),
        ([[0.5, 0.5]], [[True, False]], (math.nan, None), "label 'a': .* found nan"),
    ],
)
def test_multi_label_refusals(
    probabilities: object, truth: object, thresholds: tuple[float | None, ...], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        evaluate_multi_label(probabilities, truth, ("a", "b"), thresholds=thresholds)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (0, 10, 0.0, 0.27754),
        (10, 10, 0.72246, 1.0),
        (5, 10, 0.23659, 0.76341),
        (1, 1, 0.20654, 1.0),
        (81, 263, 0.2553, 0.3662),  # these four: Newcombe 1998, table I
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=6e-5)


@pytest.mark.parametrize("trials", [1, 11, 12, 20, 22, 1_000, 10**9])
def test_wilson_interval_reaches_0_and_1_exactly(trials: int) -> None:
    assert wilson_interval(0, trials)[0] == 0.0
    assert wilson_interval(trials, trials)[1] == 1.0


def test_wilson_interval_widens_with_z() -> None:
    assert wilson_interval(3, 9, z=0.0) == pytest.approx((1 / 3, 1 / 3))
    narrow, wide = wilson_interval(3, 9, z=1.0), wilson_interval(3, 9, z=3.0)
    assert wide[0] < narrow[0] < 1 / 3 < narrow[1] < wide[1]


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (1, 0), (-1, 5), (6, 5), (0, -1)])
def test_wilson_interval_refusals(successes: int, trials: int) -> None:
    with pytest.raises(DataError, match=f"found {successes} of {trials}"):
        wilson_interval(successes, trials)


@settings(deadline=None)
@given(st.integers(1, 10**9), st.data())
def test_wilson_interval_holds_the_fraction(trials: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, trials))
    low, high = wilson_interval(successes, trials)
    assert 0 <= low <= successes / trials <= high <= 1
    assert low < high
    mirrored = wilson_interval(trials - successes, trials)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-9)


# Fractions of 997, a prime, fall on no edge of a bin but 0 and 1, where rounding would decide.
_FRACTION = st.integers(0, 997).map(lambda part: part / 997)


_SingleLabelRows = tuple[np.ndarray, np.ndarray, tuple[str, ...]]
_MultiLabelRows = tuple[np.ndarray, np.ndarray, tuple[str, ...], list[float | None]]


@st.composite
def _single_label_rows(draw: st.DrawFn) -> _SingleLabelRows:
    labels = draw(st.integers(1, 5))
    rows = draw(st.integers(1, 12))
    row = st.lists(_FRACTION, min_size=labels, max_size=labels)
    probabilities = draw(st.lists(row, min_size=rows, max_size=rows))
    truth = draw(st.lists(st.integers(0, labels - 1), min_size=rows, max_size=rows))
    return np.array(probabilities), np.array(truth), tuple("abcde"[:labels])


@st.composite
def _multi_label_rows(
    draw: st.DrawFn,
) -> _MultiLabelRows:
    probabilities, _, labels = draw(_single_label_rows())
    size = probabilities.size
    truth = np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size)))
    threshold = st.none() | _FRACTION
    thresholds = draw(st.lists(threshold, min_size=len(labels), max_size=len(labels)))
    return probabilities, truth.reshape(probabilities.shape), labels, thresholds


@settings(deadline=None)
@given(_single_label_rows())
def test_single_label_agrees_with_slow_version(
    case: _SingleLabelRows,
) -> None:
    probabilities, truth, labels = case
    rows = probabilities.tolist()
    chosen = [row.index(max(row)) for row in rows]
    columns = range(len(labels))
    found = evaluate_single_label(probabilities, truth, labels)
    assert found.confusion == tuple(
        tuple(sum((t, g) == pair for pair in zip(truth, chosen, strict=True)) for g in columns)
        for t in columns
    )
    decisions = [
        (label, [t == column for t in truth], [g == column for g in chosen])
        for column, label in enumerate(labels)
    ]
    _assert_scores(found, decisions)
    outcomes = [t == g for t, g in zip(truth, chosen, strict=True)]
    assert found.accuracy == sum(outcomes) / len(rows)
    assert found.ece == pytest.approx(_slow_ece([max(row) for row in rows], outcomes))
    losses = [-math.log(_clipped(row[t])) for row, t in zip(rows, truth, strict=True)]
    assert found.log_loss == pytest.approx(sum(losses) / len(losses))


@settings(deadline=None)
@given(_multi_label_rows())
def test_multi_label_agrees_with_slow_version(
    case: _MultiLabelRows,
) -> None:
    probabilities, truth, labels, thresholds = case
    found = evaluate_multi_label(probabilities, truth, labels, thresholds=thresholds)
    limits = [0.5 if threshold is None else threshold for threshold in thresholds]
    chosen = [[p >= limit for p, limit in zip(row, limits, strict=True)] for row in probabilities]
    matches = [g == t for g, t in zip(chosen, truth.tolist(), strict=True)]
    assert found.accuracy == sum(matches) / len(matches)
    decisions = [
        (label, [row[column] for row in truth.tolist()], [row[column] for row in chosen])
        for column, label in enumerate(labels)
    ]
    _assert_scores(found, decisions)
    flat, outcomes = probabilities.ravel().tolist(), truth.ravel().tolist()
    assert found.ece == pytest.approx(_slow_ece(flat, outcomes))
    losses = [-math.log(_clipped(p if t else 1 - p)) for p, t in zip(flat, outcomes, strict=True)]
    assert found.log_loss == pytest.approx(sum(losses) / len(losses))


@settings(deadline=None)
@given(_single_label_rows(), st.randoms(use_true_random=False))
def test_single_label_properties(case: _SingleLabelRows, random: Random) -> None:
    probabilities, truth, labels = case
    found = evaluate_single_label(probabilities, truth, labels)
    assert found.accuracy == pytest.approx(np.trace(np.array(found.confusion)) / found.rows)
    assert sum(map(sum, found.confusion)) == found.rows == sum(s.support for s in found.labels)
    _assert_ranges(found)
    order = list(range(len(truth)))
    random.shuffle(order)
    _assert_equal(evaluate_single_label(probabilities[order], truth[order], labels), found)


@settings(deadline=None)
@given(_multi_label_rows(), st.randoms(use_true_random=False))
def test_multi_label_properties(case: _MultiLabelRows, random: Random) -> None:
    probabilities, truth, labels, thresholds = case
    found = evaluate_multi_label(probabilities, truth, labels, thresholds=thresholds)
    _assert_ranges(found)
    order = list(range(len(truth)))
    random.shuffle(order)
    shuffled = evaluate_multi_label(
        probabilities[order], truth[order], labels, thresholds=thresholds
    )
    _assert_equal(shuffled, found)


def _assert_scores(found: Evaluation, decisions: list[tuple[str, list[bool], list[bool]]]) -> None:
    """Compare the labels' scores with counts; a decision is (label, true rows, given rows)."""
    counted = []
    for scores, (label, true, chosen) in zip(found.labels, decisions, strict=True):
        hits = sum(t and g for t, g in zip(true, chosen, strict=True))
        precision = hits / sum(chosen) if any(chosen) else 0.0
        recall = hits / sum(true) if any(true) else 0.0
        both = precision + recall
        f1 = 2 * precision * recall / both if both else 0.0
        assert (scores.label, scores.support) == (label, sum(true))
        assert (scores.precision, scores.recall) == (precision, recall)
        assert scores.f1 == pytest.approx(f1)
        if any(true) or any(chosen):
            counted.append(f1)
    assert found.macro_f1 == pytest.approx(sum(counted) / len(counted) if counted else 0.0)


def _slow_ece(confidences: list[float], outcomes: list[bool]) -> float:
    total = 0.0
    for bin_number in range(15):
        low, high = bin_number / 15, (bin_number + 1) / 15
        inside = [
            (confidence, outcome)
            for confidence, outcome in zip(confidences, outcomes, strict=True)
            if low < confidence <= high or (bin_number == 0 and confidence == 0)
        ]
        if inside:
            confidence = sum(pair[0] for pair in inside) / len(inside)
            accuracy = sum(pair[1] for pair in inside) / len(inside)
            total += len(inside) / len(outcomes) * abs(accuracy - confidence)
    return total


def _clipped(probability: float) -> float:
    return min(max(probability, 1e-7), 1 - 1e-7)


def _assert_ranges(found: Evaluation) -> None:
    fractions = [found.accuracy, found.macro_f1, found.ece, *found.accuracy_interval]
    for scores in found.labels:
        fractions += [scores.precision, scores.recall, scores.f1]
    assert all(0 <= fraction <= 1 for fraction in fractions)
    assert 0 < found.log_loss <= -math.log(1e-7) + 1e-9


def _assert_equal(one: Evaluation, other: Evaluation) -> None:
    """Compare evaluations; the order of a sum may change its last digits."""
    assert one.ece == pytest.approx(other.ece)
    assert one.log_loss == pytest.approx(other.log_loss)
    assert replace(one, ece=other.ece, log_loss=other.log_loss) == other
