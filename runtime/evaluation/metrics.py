"""Metrics of probabilities against true labels: accuracy, F1, calibration error, log loss.

Training, the verification of an export and `textgate evaluate` share these definitions, so that
their numbers can be compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from textgate.errors import DataError
from textgate.html_page import table
from textgate.inference.prediction import DEFAULT_THRESHOLD
from textgate.tables import format_count

_BINS = 15  # equal-width bins of the calibration error
_MAX_CONFUSION = 12  # labels; a larger table would be hard to read
_CLIP = 1e-7  # about float32's resolution at 1: a probability nearer to 0 or 1 is saturated
_TOLERANCE = 1e-3  # of rounding, which may carry a probability outside 0 to 1

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]
_Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LabelScores:
    """Precision, recall and F1 of one label.

    Attributes:
        label: the label's name.
        precision: fraction of the rows given this label that have it; 0 if no row was given it.
        recall: fraction of the rows with this label that were given it; 0 if no row has it.
        f1: harmonic mean of precision and recall; 0 if both are 0.
        support: rows that have this label.
    """

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Evaluation:
    """Metrics of a classifier's probabilities on labelled rows.

    Attributes:
        rows: how many rows were scored.
        accuracy: fraction of the rows that are right: the most probable label is the true one, or,
            for multi-label, exactly the true labels were given (subset accuracy).
        macro_f1: unweighted mean of the labels' F1. A label that no row has and no row was given
            is left out of the mean; 0 if no label is left.
        ece: expected calibration error, from 0 to 1 (Guo et al. 2017, "On Calibration of Modern
            Neural Networks"), over 15 bins of equal width.
        labels: every label's scores, in the order of the columns.
        confusion: rows counted by true label (outer) and given label (inner); ``()`` for
            multi-label.
        log_loss: mean of ``-log p(truth)`` in nats, over rows, or over every label decision of
            every row for multi-label. Probabilities are clipped to 1e-7 from 0 and 1.
        accuracy_interval: Wilson's 95 % interval of the accuracy.
    """

    rows: int
    accuracy: float
    macro_f1: float
    ece: float
    labels: tuple[LabelScores, ...]
    confusion: tuple[tuple[int, ...], ...]
    log_loss: float
    accuracy_interval: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        """Return the evaluation as JSON-ready values."""
        return {
            **vars(self),
            "labels": [dict(vars(scores)) for scores in self.labels],
            "confusion": [list(row) for row in self.confusion],
            "accuracy_interval": list(self.accuracy_interval),
        }

    def _repr_html_(self) -> str:
        low, high = self.accuracy_interval
        facts = [
            ["rows", format_count(self.rows)],
            ["accuracy", f"{self.accuracy:.4f} (95 % interval {low:.4f} to {high:.4f})"],
            ["macro-F1", f"{self.macro_f1:.4f}"],
            ["calibration error", f"{self.ece:.4f}"],
            ["log loss", f"{self.log_loss:.4f}"],
        ]
        tables = [(("", "all labels"), facts, "<<"), label_table(self)]
        if confusion := confusion_table(self):
            tables.append(confusion)
        return "".join(
            table(header, rows, "Evaluation", align=align) for header, rows, align in tables
        )


_Table = tuple[Sequence[str], Sequence[Sequence[str]], str]


def label_table(metrics: Evaluation) -> _Table:
    """Return the scores of each label as a table: header, rows and alignment."""
    rows = [
        [
            scores.label,
            f"{scores.precision:.4f}",
            f"{scores.recall:.4f}",
            f"{scores.f1:.4f}",
            format_count(scores.support),
        ]
        for scores in metrics.labels
    ]
    return ["label", "precision", "recall", "F1", "rows"], rows, "<>>>>"


def confusion_table(metrics: Evaluation) -> _Table | None:
    """Return the confusion matrix as such a table; None without one or with more than 12 labels."""
    names = [scores.label for scores in metrics.labels]
    if not metrics.confusion or len(names) > _MAX_CONFUSION:
        return None
    rows = [
        [name, *(format_count(count) for count in counts)]
        for name, counts in zip(names, metrics.confusion, strict=True)
    ]
    return ["true \\ predicted", *names], rows, "<" + ">" * len(names)


def evaluate_single_label(
    probabilities: npt.ArrayLike, truth: npt.ArrayLike, labels: Sequence[str]
) -> Evaluation:
    """Score rows that have one label each.

    The label given to a row is its most probable one; of equal probabilities, the first. The
    calibration error compares that label's probability with how often it is right.

    Args:
        probabilities: floats from 0 to 1 [rows, labels].
        truth: whole numbers [rows], each the column of the row's true label.
        labels: the labels' names, in the order of the columns.

    Raises:
        DataError: there are no rows or labels, shapes disagree, a probability is not a number from
            0 to 1, or a true label is not a column.
    """
    scores = _checked_probabilities(probabilities, labels)
    rows, count = scores.shape
    expected = _checked_columns(truth, rows, count)
    given = scores.argmax(axis=1).astype(np.int64)
    right = given == expected
    confusion = np.bincount(expected * count + given, minlength=count * count)
    return _evaluation(
        labels,
        right=right,
        hits=np.bincount(expected[right], minlength=count),
        given=np.bincount(given, minlength=count),
        support=np.bincount(expected, minlength=count),
        confusion=tuple(tuple(row) for row in confusion.reshape(count, count).tolist()),
        ece=_calibration_error(scores[np.arange(rows), given], right),
        chances=scores[np.arange(rows), expected],
    )


def evaluate_multi_label(
    probabilities: npt.ArrayLike,
    truth: npt.ArrayLike,
    labels: Sequence[str],
    *,
    thresholds: Sequence[float | None] = (),
    answerable: npt.ArrayLike = True,
) -> Evaluation:
    """Score rows that have any number of labels each.

    A row is given every label whose probability reaches the label's threshold. The calibration
    error takes every label of every row as one decision, and compares the label's probability with
    how often the label applies.

    Args:
        probabilities: floats from 0 to 1 [rows, labels].
        truth: booleans [rows, labels], true where the row has the label.
        labels: the labels' names, in the order of the columns.
        thresholds: one per label, ``None`` for 0.5; ``()`` is 0.5 for every label.
        answerable: booleans [rows], false for rows that get no label, whatever the probabilities.

    Raises:
        DataError: there are no rows or labels, shapes disagree, or a probability or threshold is
            not a number from 0 to 1.
    """
    scores = _checked_probabilities(probabilities, labels)
    present = np.asarray(truth)
    if present.dtype != np.bool_ or present.shape != scores.shape:
        raise DataError(
            f"truth: expected booleans of shape {_shape(scores)}, "
            f"found {present.dtype} of shape {_shape(present)}"
        )
    reached = scores >= _checked_thresholds(thresholds, labels)
    given = reached & np.reshape(answerable, (-1, 1))
    return _evaluation(
        labels,
        right=(given == present).all(axis=1),
        hits=(given & present).sum(axis=0),
        given=given.sum(axis=0),
        support=present.sum(axis=0),
        confusion=(),
        ece=_calibration_error(scores.ravel(), present.ravel()),
        chances=np.where(present, scores, 1 - scores),
    )


def wilson_interval(successes: float, trials: float, z: float = 1.96) -> tuple[float, float]:
    """Return Wilson's score interval of a proportion (Wilson 1927), 95 % for the default `z`.

    Args:
        successes: how many of the trials succeeded.
        trials: how many there were.
        z: standard normal quantile of the interval.

    Raises:
        DataError: there are no trials, or not from 0 to `trials` successes.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise DataError(
            f"a proportion needs at least one trial and no more successes than trials, "
            f"found {successes} of {trials}"
        )
    proportion = successes / trials
    spread = z * z / trials
    centre = proportion + spread / 2
    margin = z * math.sqrt(proportion * (1 - proportion) / trials + spread / (4 * trials))
    # At the ends the formula gives exactly 0 and 1, which rounding would miss.
    low = 0.0 if successes == 0 else (centre - margin) / (1 + spread)
    high = 1.0 if successes == trials else (centre + margin) / (1 + spread)
    return max(0.0, low), min(1.0, high)


def _evaluation(
    labels: Sequence[str],
    *,
    right: _Bools,
    hits: _Ints,
    given: _Ints,
    support: _Ints,
    confusion: tuple[tuple[int, ...], ...],
    ece: float,
    chances: _Floats,
) -> Evaluation:
    """Return the metrics that follow from counts, with those that do not.

    `right` is one flag per row. `hits`, `given` and `support` count, for each label, the rows that
    have it and were given it, were given it, and have it. `chances` are the probabilities of the
    true outcomes, in any shape.
    """
    precision = _fractions(hits, given)
    recall = _fractions(hits, support)
    f1 = _fractions(2 * hits, given + support)
    seen = (given + support) > 0
    columns = zip(
        labels, precision.tolist(), recall.tolist(), f1.tolist(), support.tolist(), strict=True
    )
    rows, successes = len(right), int(right.sum())
    return Evaluation(
        rows=rows,
        accuracy=successes / rows,
        macro_f1=float(f1[seen].mean()) if seen.any() else 0.0,
        ece=ece,
        labels=tuple(LabelScores(*column) for column in columns),
        confusion=confusion,
        log_loss=float(-np.log(np.clip(chances, _CLIP, 1 - _CLIP)).mean()),
        accuracy_interval=wilson_interval(successes, rows),
    )


def _fractions(parts: _Ints, wholes: _Ints) -> _Floats:
    """Return parts / wholes, 0 where the whole is 0."""
    return np.asarray(parts / np.maximum(wholes, 1), dtype=np.float64)


def _calibration_error(confidences: _Floats, outcomes: _Bools) -> float:
    """Return the mean gap between confidence and outcome over bins, weighted by their size.

    A bin holds the confidences above its lower edge, up to its upper edge; the first also holds 0.
    """
    bins = np.clip(np.ceil(confidences * _BINS).astype(np.int64) - 1, 0, _BINS - 1)
    # |mean outcome - mean confidence| times the bin's size is the size of the summed difference.
    gaps = np.bincount(bins, weights=outcomes - confidences, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(confidences))


def _checked_probabilities(probabilities: npt.ArrayLike, labels: Sequence[str]) -> _Floats:
    """Return the probabilities as float64 [rows, labels], inside 0 to 1."""
    scores = np.asarray(probabilities, dtype=np.float64)
    if scores.ndim != 2 or scores.shape[1] != len(labels):
        raise DataError(
            f"probabilities: expected shape [rows, {len(labels)}], one column per label, "
            f"found {_shape(scores)}"
        )
    if not scores.size:
        raise DataError("probabilities: there must be at least one row and one label to score")
    sound = (scores >= -_TOLERANCE) & (scores <= 1 + _TOLERANCE)
    if not sound.all():
        row, column = (int(index) for index in np.argwhere(~sound)[0])
        raise DataError(
            f"probabilities: row {row + 1}, label {labels[column]!r}: "
            f"expected a number from 0 to 1, found {scores[row, column]:g}"
        )
    return np.clip(scores, 0.0, 1.0)


def _checked_columns(truth: npt.ArrayLike, rows: int, count: int) -> _Ints:
    """Return the true labels' columns as int64 [rows]."""
    columns = np.asarray(truth)
    if not np.issubdtype(columns.dtype, np.integer) or columns.shape != (rows,):
        raise DataError(
            f"truth: expected whole numbers of shape [{rows}], "
            f"found {columns.dtype} of shape {_shape(columns)}"
        )
    outside = (columns < 0) | (columns >= count)
    if outside.any():
        row = int(outside.argmax())
        raise DataError(
            f"truth: row {row + 1}: expected a column from 0 to {count - 1}, found {columns[row]}"
        )
    return columns.astype(np.int64)


def _checked_thresholds(thresholds: Sequence[float | None], labels: Sequence[str]) -> _Floats:
    """Return one threshold per label [labels]."""
    given = thresholds if len(thresholds) else [None] * len(labels)
    if len(given) != len(labels):
        raise DataError(
            f"thresholds: expected one per label ({len(labels)}) or none, found {len(given)}"
        )
    chosen = [DEFAULT_THRESHOLD if threshold is None else threshold for threshold in given]
    for label, threshold in zip(labels, chosen, strict=True):
        if not 0 <= threshold <= 1:
            raise DataError(
                f"thresholds: label {label!r}: expected a number from 0 to 1, found {threshold:g}"
            )
    return np.array(chosen, dtype=np.float64)


def _shape(array: npt.NDArray[Any]) -> str:
    return str(list(array.shape))
