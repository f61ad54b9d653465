"""Evaluation of a classifier on labelled rows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from textgate.errors import DataError
from textgate.evaluation.coverage import (
    CoveragePoint,
    coverage_curve,
    own_coverage,
    uncalibrated,
)
from textgate.evaluation.metrics import Evaluation, evaluate_multi_label, evaluate_single_label
from textgate.rows.labels import label_indices, require_known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from textgate.inference.classifier import Classifier
    from textgate.inference.prediction import Scores
    from textgate.rows import Row

_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)  # of the coverage curve


@dataclass(frozen=True)
class ClassifierEvaluation:
    """Metrics of a classifier on labelled rows, with its calibration and coverage.

    Attributes:
        metrics: accuracy, F1, calibration error and so on.
        temperature: the bundle's temperature.
        ece_uncalibrated: the calibration error without the temperature.
        coverage: coverage and accuracy at several thresholds, and at the bundle's own if it has
            any; () for a multi-label classifier.
    """

    metrics: Evaluation
    temperature: float
    ece_uncalibrated: float
    coverage: tuple[CoveragePoint, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the evaluation as JSON-ready values."""
        document = {
            **self.metrics.to_json(),
            "temperature": self.temperature,
            "ece_uncalibrated": self.ece_uncalibrated,
        }
        if self.coverage:
            document["coverage"] = [asdict(point) for point in self.coverage]
        return document


def evaluate_rows(
    classifier: Classifier, rows: Sequence[Row], *, file: str
) -> ClassifierEvaluation:
    """Return the evaluation of a classifier on labelled rows.

    Args:
        classifier: the classifier.
        rows: the rows.
        file: the name of their file, for messages.

    Raises:
        DataError: a row has a label that the classifier does not know, or more than one label
            where one is possible.
    """
    manifest = classifier.manifest
    truth, scores = truth_and_scores(classifier, rows, file=file)
    before = uncalibrated(
        scores.probabilities, manifest.temperature, multi_label=manifest.task == "multi-label"
    )
    return ClassifierEvaluation(
        metrics=_metrics(classifier, truth, scores.probabilities, scores.answerable),
        temperature=manifest.temperature,
        ece_uncalibrated=_metrics(classifier, truth, before, scores.answerable).ece,
        coverage=_coverage(classifier, truth, scores),
    )


def truth_and_scores(
    classifier: Classifier, rows: Sequence[Row], *, file: str
) -> tuple[NDArray[np.bool_], Scores]:
    """Return the true labels of rows, bool [rows, labels], and the scores of the network.

    Arguments and errors are those of `evaluate_rows`.
    """
    labels = classifier.labels
    if classifier.manifest.task != "multi-label":
        _require_one_label(rows, file=file)
    require_known(
        ((row.line, row.labels) for row in rows),
        labels,
        file=file,
        among="among the model's, which are",
    )
    indices = label_indices(labels)
    truth = np.zeros((len(rows), len(labels)), dtype=np.bool_)
    for number, row in enumerate(rows):
        truth[number, [indices[label] for label in row.labels]] = True
    return truth, classifier.scores([row.text for row in rows])


def _require_one_label(rows: Sequence[Row], *, file: str) -> None:
    wrong = [row for row in rows if len(row.labels) != 1]
    if wrong:
        others = f" (and {len(wrong) - 1:,} other rows like it)" if len(wrong) > 1 else ""
        raise DataError(
            f"{file}, line {wrong[0].line}: {len(wrong[0].labels)} labels{others}, but the model "
            "gives one"
        )


def _metrics(
    classifier: Classifier,
    truth: NDArray[np.bool_],
    probabilities: NDArray[np.float32] | NDArray[np.float64],
    answerable: NDArray[np.bool_],
) -> Evaluation:
    manifest = classifier.manifest
    if manifest.task == "multi-label":
        return evaluate_multi_label(
            probabilities,
            truth,
            manifest.labels,
            thresholds=manifest.thresholds,
            answerable=answerable,
        )
    return evaluate_single_label(probabilities, truth.argmax(axis=1), manifest.labels)


def _coverage(
    classifier: Classifier, truth: NDArray[np.bool_], scores: Scores
) -> tuple[CoveragePoint, ...]:
    manifest = classifier.manifest
    if manifest.task == "multi-label":
        return ()
    probabilities, answerable = scores.probabilities, scores.answerable
    indices = truth.argmax(axis=1)
    # The most probable of n labels has a probability of at least 1 / n.
    useful = [threshold for threshold in _THRESHOLDS if threshold >= 1 / len(manifest.labels)]
    points = coverage_curve(probabilities, indices, useful, answerable=answerable)
    if any(threshold is not None for threshold in manifest.thresholds):
        points.append(
            own_coverage(probabilities, indices, manifest.thresholds, answerable=answerable)
        )
    return tuple(points)
