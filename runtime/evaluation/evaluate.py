"""Evaluation of a classifier on labelled rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from textgate.errors import ConfigError, DataError, needing
from textgate.evaluation.coverage import (
    CoveragePoint,
    coverage_curve,
    coverage_point,
    uncalibrated,
)
from textgate.evaluation.metrics import Evaluation, evaluate_multi_label, evaluate_single_label
from textgate.evaluation.plots import plot_confusion, plot_coverage, plot_reliability
from textgate.html_page import table
from textgate.inference.arguments import is_missing, texts_of
from textgate.inference.prediction import DEFAULT_THRESHOLD
from textgate.messages import counted, listed, quoted
from textgate.rows import Row
from textgate.rows.labels import label_indices, labels_of, require_known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from textgate.bundle.manifest import Manifest
    from textgate.inference.classifier import Classifier
    from textgate.inference.prediction import Scores

_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)  # of the coverage curve


@dataclass(frozen=True)
class ScoredRows:
    """Labelled rows with what a classifier says of them, without abstaining.

    Attributes:
        rows: the rows.
        labels: the labels of the classifier.
        multi_label: whether several labels can apply.
        truth: whether each row has each label, bool [rows, labels].
        probabilities: of the labels, float32 [rows, labels].
        given: the labels that the classifier gives, bool [rows, labels].
        answerable: whether each row has a token that the classifier knows, bool [rows].
        answered: whether the classifier, with its own thresholds, gives one of the labels, bool
            [rows].
    """

    rows: Sequence[Row]
    labels: tuple[str, ...]
    multi_label: bool
    truth: NDArray[np.bool_]
    probabilities: NDArray[np.float32]
    given: NDArray[np.bool_]
    answerable: NDArray[np.bool_]
    answered: NDArray[np.bool_]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether the classifier gives exactly the right labels, bool [rows]."""
        return np.asarray((self.truth == self.given).all(axis=1))

    def names(self, applying: NDArray[np.bool_]) -> tuple[str, ...]:
        """Return the labels that apply, of bool [labels]."""
        return tuple(self.labels[column] for column in np.flatnonzero(applying))


@dataclass(frozen=True)
class ClassifierEvaluation:
    """Metrics of a classifier on labelled rows, with its calibration and coverage.

    A notebook shows them as tables. The plots need matplotlib (extra ``plots``); each draws into
    `axes`, or into a new figure, and returns the axes.

    Attributes:
        metrics: accuracy, F1, calibration error and so on.
        temperature: the bundle's temperature.
        ece_uncalibrated: the calibration error without the temperature.
        coverage: coverage and accuracy at several thresholds, and at the bundle's own if it has
            any; () for a multi-label classifier.
        scored: the rows, with what the classifier says of them.
        index: the index of the texts, if they were a pandas Series; otherwise None.
    """

    metrics: Evaluation
    temperature: float
    ece_uncalibrated: float
    coverage: tuple[CoveragePoint, ...]
    scored: ScoredRows = field(compare=False, repr=False)
    index: Any = field(default=None, compare=False, repr=False)

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

    def to_pandas(self) -> Any:
        """Return a pandas DataFrame with a row for each text, in their order and with their index.

        Its columns are `line`, `text`, `label`, `predicted` (the most probable label; of a
        multi-label classifier, `label` and `predicted` are lists), `score` (the probability of the
        most probable label), `right`, and `answered` (whether the text has a known token).

        Raises:
            MissingPackageError: pandas is not installed.
        """
        with needing("plots", "to_pandas"):
            import pandas

        scored = self.scored
        truth, given = (
            [scored.names(labels) for labels in matrix] for matrix in (scored.truth, scored.given)
        )
        return pandas.DataFrame(
            {
                "line": [row.line for row in scored.rows],
                "text": [row.text for row in scored.rows],
                "label": [_cell(labels, scored.multi_label) for labels in truth],
                "predicted": [_cell(labels, scored.multi_label) for labels in given],
                "score": scored.probabilities.max(axis=1),
                "right": scored.right,
                "answered": scored.answerable,
            },
            index=self.index,
        )

    def plot_confusion(self, axes: Any = None) -> Any:
        """Draw the confusion matrix.

        Raises:
            ConfigError: the classifier is multi-label.
            MissingPackageError: matplotlib is not installed.
        """
        self._require_one_label("a confusion matrix")
        return plot_confusion(self.metrics.confusion, self.scored.labels, axes)

    def plot_reliability(self, axes: Any = None) -> Any:
        """Draw how often answers are right, by their probability.

        Of a multi-label classifier, each label of each row is one answer, and right if it applies.

        Raises:
            MissingPackageError: matplotlib is not installed.
        """
        scored = self.scored
        if scored.multi_label:
            values, outcomes = scored.probabilities.ravel(), scored.truth.ravel()
        else:
            values, outcomes = scored.probabilities.max(axis=1), scored.right
        return plot_reliability(values, outcomes, self.metrics.ece, axes)

    def plot_coverage(self, axes: Any = None) -> Any:
        """Draw the accuracy of the answers against the fraction of rows that are answered.

        Raises:
            ConfigError: the classifier is multi-label.
            MissingPackageError: matplotlib is not installed.
        """
        self._require_one_label("a coverage curve")
        scored = self.scored
        best = scored.probabilities.max(axis=1)
        return plot_coverage(best, scored.right, scored.answerable, axes)

    def _require_one_label(self, what: str) -> None:
        if self.scored.multi_label:
            raise ConfigError(f"a multi-label classifier has no {what.partition(' ')[2]}")

    def _repr_html_(self) -> str:
        shown = self.metrics._repr_html_()
        if self.coverage:
            header, rows, align = coverage_table(self.coverage)
            shown += table(header, rows, "Coverage", align=align)
        return shown


def coverage_table(
    points: Sequence[CoveragePoint],
) -> tuple[list[str], list[list[str]], str]:
    """Return a coverage curve as a table: header, rows and alignment."""
    rows = [
        [
            "bundle's own" if point.threshold is None else f"{point.threshold:.2f}",
            f"{point.coverage:.2%}",
            "-" if point.accuracy is None else f"{point.accuracy:.4f}",
        ]
        for point in points
    ]
    return ["abstain below", "answered", "accuracy of the answers"], rows, ">>>"


def evaluate(
    classifier: Classifier,
    texts: Iterable[str],
    labels: Iterable[object],
    *,
    among: Iterable[str] | None = None,
    missing: Literal["error", "empty"] = "error",
) -> ClassifierEvaluation:
    """Return the evaluation of a classifier on texts and their labels.

    Args:
        classifier: the classifier.
        texts: a list of texts, a column of a table, and so on.
        labels: the label of each text, or for a multi-label classifier a list of labels.
        among: the labels that can be right, at least two, of a single-label classifier: their
            probabilities are scaled to a sum of 1, and the others are left out; None for all.
        missing: ``error`` refuses missing texts; ``empty`` reads them as "".

    Raises:
        DataError: a text is missing or not a str; a label is missing or unknown to the classifier;
            there are not as many labels as texts, or none.
        ConfigError: `missing` is neither of the two; `among` is not two or more of the labels, or
            the classifier is multi-label.
    """
    read = list(texts_of(texts, "evaluate", missing=missing))
    values = _labels_of(labels)
    if len(values) != len(read):
        raise DataError(
            f"{counted(len(read), 'text', 'texts')}, but {counted(len(values), 'label', 'labels')}"
        )
    if not read:
        raise DataError("there are no texts to evaluate on")
    rows = [
        Row(text, found, number + 1)
        for number, (text, found) in enumerate(zip(read, values, strict=True))
    ]
    index = getattr(texts, "index", None)  # of a list, a method
    found = evaluate_rows(classifier, rows, file="texts", among=among)
    return found if callable(index) else replace(found, index=index)


def _labels_of(labels: Any) -> list[tuple[str, ...]]:
    """Return the labels of each text in a list, a column of a table, and so on.

    Raises:
        DataError: it is not a series of labels, or a label is missing or no label.
    """
    of_table = hasattr(type(labels), "columns") or isinstance(labels, Mapping)
    values = labels
    for method in ("to_list", "tolist"):  # of a column, and of an array
        if hasattr(type(labels), method):
            values = getattr(labels, method)()
            break
    unsuitable = isinstance(values, str | bytes | Set) or not isinstance(values, Iterable)
    if of_table or unsuitable:
        raise DataError(f"labels should be a list with those of each text, not {quoted(labels)}")
    found = []
    for number, value in enumerate(values):
        where = f"labels[{number}]"
        if is_missing(value):
            raise DataError(
                f"{where} is missing ({value!r}); give the row a label or leave the row out"
            )
        several = isinstance(value, tuple | Set | np.ndarray)
        found.append(labels_of(list(value) if several else value, where=where))
    return found


def evaluate_rows(
    classifier: Classifier,
    rows: Sequence[Row],
    *,
    file: str,
    among: Iterable[str] | None = None,
) -> ClassifierEvaluation:
    """Return the evaluation of a classifier on labelled rows.

    Args:
        classifier: the classifier.
        rows: the rows.
        file: the name of their file, for messages.
        among: as for `evaluate`.

    Raises:
        DataError: a row has a label that the classifier does not know, or that is not in `among`,
            or more than one label where one is possible.
        ConfigError: `among` is not two or more of the labels, or the classifier is multi-label.
    """
    manifest = classifier.manifest
    scored = scored_rows(classifier, rows, file=file, among=among)
    before = uncalibrated(
        scored.probabilities, manifest.temperature, multi_label=scored.multi_label
    )
    return ClassifierEvaluation(
        metrics=_metrics(manifest, scored, scored.probabilities),
        temperature=manifest.temperature,
        ece_uncalibrated=_metrics(manifest, scored, before).ece,
        coverage=_coverage(manifest, scored),
        scored=scored,
    )


def scored_rows(
    classifier: Classifier,
    rows: Sequence[Row],
    *,
    file: str,
    replaced: NDArray[np.float32] | None = None,
    among: Iterable[str] | None = None,
) -> ScoredRows:
    """Return labelled rows with what a classifier says of them.

    Args:
        classifier: the classifier.
        rows: the rows.
        file: the name of their file, for messages.
        replaced: probabilities to take instead of the classifier's, float32 [rows, labels]; NaN
            where there are none.
        among: as for `evaluate`.

    Raises:
        DataError: as `evaluate_rows`.
        ConfigError: as `evaluate_rows`.
    """
    manifest = classifier.manifest
    columns = _columns(manifest, among)
    labels = tuple(manifest.labels[column] for column in columns)
    if among is not None:
        require_known(
            ((row.line, row.labels) for row in rows), labels, file=file, among="among those chosen,"
        )
    truth, scores = truth_and_scores(classifier, rows, file=file)
    truth, probabilities = truth[:, columns], scores.probabilities
    if replaced is not None:
        probabilities = np.where(np.isnan(replaced), probabilities, replaced)
    answered = _answered(manifest, probabilities, columns) & scores.answerable
    if among is not None:
        probabilities = probabilities[:, columns]
        probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
    return ScoredRows(
        rows=rows,
        labels=labels,
        multi_label=manifest.task == "multi-label",
        truth=truth,
        probabilities=probabilities,
        given=_given(manifest, probabilities, scores.answerable),
        answerable=scores.answerable,
        answered=answered,
    )


def _columns(manifest: Manifest, among: Iterable[str] | None) -> list[int]:
    """Return the columns of the labels that can be right."""
    if among is None:
        return list(range(len(manifest.labels)))
    chosen = {among} if isinstance(among, str) else set(among)
    if unknown := sorted(chosen - set(manifest.labels)):
        raise ConfigError(
            f"{listed(unknown)}: not among the model's labels, which are {listed(manifest.labels)}"
        )
    if manifest.task == "multi-label":
        raise ConfigError("the labels of a multi-label classifier do not compete: leave out among")
    if len(chosen) < 2:
        raise ConfigError("among needs at least two labels")
    return [column for column, label in enumerate(manifest.labels) if label in chosen]


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


def _given(
    manifest: Manifest, probabilities: NDArray[np.float32], answerable: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return the labels that a bundle gives, without abstaining, bool [rows, labels]."""
    if manifest.task != "multi-label":
        best = probabilities.argmax(axis=1)
        return np.asarray(best[:, None] == np.arange(probabilities.shape[1]))
    thresholds = [
        DEFAULT_THRESHOLD if threshold is None else threshold for threshold in manifest.thresholds
    ]
    return np.asarray((probabilities >= np.array(thresholds)) & answerable[:, None])


def _answered(
    manifest: Manifest, probabilities: NDArray[np.float32], columns: Sequence[int]
) -> NDArray[np.bool_]:
    """Return whether the label that a bundle gives is one of some columns, bool [rows]."""
    if manifest.task == "multi-label":
        return np.ones(len(probabilities), dtype=np.bool_)
    lowest = np.array([threshold or 0.0 for threshold in manifest.thresholds])
    best = probabilities.argmax(axis=1)
    return np.asarray(np.isin(best, columns) & (probabilities.max(axis=1) >= lowest[best]))


def _metrics(
    manifest: Manifest,
    scored: ScoredRows,
    probabilities: NDArray[np.float32] | NDArray[np.float64],
) -> Evaluation:
    if scored.multi_label:
        return evaluate_multi_label(
            probabilities,
            scored.truth,
            scored.labels,
            thresholds=manifest.thresholds,
            answerable=scored.answerable,
        )
    return evaluate_single_label(probabilities, scored.truth.argmax(axis=1), scored.labels)


def _coverage(manifest: Manifest, scored: ScoredRows) -> tuple[CoveragePoint, ...]:
    if scored.multi_label:
        return ()
    probabilities, answerable = scored.probabilities, scored.answerable
    indices = scored.truth.argmax(axis=1)
    # The most probable of n labels has a probability of at least 1 / n.
    useful = [threshold for threshold in _THRESHOLDS if threshold >= 1 / len(scored.labels)]
    points = coverage_curve(probabilities, indices, useful, answerable=answerable)
    if any(threshold is not None for threshold in manifest.thresholds):
        points.append(coverage_point(None, scored.answered, scored.right))
    return tuple(points)


def _cell(labels: tuple[str, ...], multi_label: bool) -> object:
    """Return the labels of a row as the value of a cell."""
    return list(labels) if multi_label else labels[0]
