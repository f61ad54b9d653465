"""Learning curve: the score out of fold after training on parts of the rows.

For speed no network is trained: the linear branch and the head over the frozen encoder are solved.
Their penalties are those of the lowest log loss out of fold. Cross-validation of few rows prefers
penalties in the middle instead, where the losses are alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from textgate.evaluation.floor import find_floor
from textgate.rows import Columns, load_labelled, read_rows
from textgate.rows.source import STANDARD_INPUT
from textgate.train.preparation import Sources, prepare
from textgate.train.training.calibration import calibrated_loss, mixed_scales
from textgate.train.training.crossvalidation import heads_out_of_fold, linear_out_of_fold, mix
from textgate.train.training.initialization import can_be_probed
from textgate.train.training.presets import RECIPE
from textgate.train.training.probe import pooled_states
from textgate.train.training.progress import Progress
from textgate.train.training.scoring import evaluate_logits, out_of_fold_interval, score_name
from textgate.train.training.settings import format_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from textgate.bundle.architecture import TaskSetting
    from textgate.rows import Row
    from textgate.train.data.folds import Folds, Part
    from textgate.train.preparation import Preparation

FRACTIONS = (0.25, 0.5, 1.0)  # of the training rows of each fold
MAX_ROWS = 20_000
_FOLDS = 5
_SMALL_GAIN = 0.02  # a larger one is worth the labels
_DRAWS = 1000  # of the bootstrap
_CHUNK = 100  # draws at once
_MIN_RESAMPLED = 20  # rows; if fewer are all right, no resample says that they may not be


@dataclass(frozen=True)
class Point:
    """One point of a learning curve.

    Attributes:
        fraction: of the training rows of each fold.
        rows: number of training rows, the mean of the folds.
        score: accuracy, or macro-F1 for multi-label, of the held-out rows.
        interval: its 95 % interval: `out_of_fold_interval` for accuracy, by bootstrap for macro-F1.
    """

    fraction: float
    rows: int
    score: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class LearningCurve:
    """Scores of the same held-out rows after training on nested parts of the others.

    Attributes:
        measure: ``accuracy`` or ``macro-F1``.
        rows: number of held-out rows of all folds together.
        points: the points, the smallest part first.
        gain: score of the last point minus that of the one before.
        gain_interval: its 95 % interval, by a bootstrap of the rows with both predictions.
        floor: score without reading the text.
        learned: whether the last point is better than the score without reading the text.
    """

    measure: str
    rows: int
    points: tuple[Point, ...]
    gain: float
    gain_interval: tuple[float, float]
    floor: float
    learned: bool

    @property
    def meaning(self) -> str:
        """One or two sentences that say whether more labels would help."""
        before, last = self.points[-2:]
        name, (low, high) = f"{self.measure[0].upper()}{self.measure[1:]}", last.interval
        if not self.learned:
            return (
                f"Nothing was learned that can be measured: {self.measure} is {last.score:.3f} "
                f"({low:.3f} to {high:.3f}) with all rows, and {self.floor:.3f} without reading "
                "the texts. Label more rows, or check that the labels follow from the texts."
            )
        low, high = self.gain_interval
        at = f"at {before.fraction:.0%} of the rows"
        if low > 0:
            return (
                f"{name} rises from {before.score:.3f} {at} to {last.score:.3f} at 100%: more "
                "labels are likely to help."
            )
        return (
            f"{name} is {before.score:.3f} {at} and {last.score:.3f} at 100%, no clear gain "
            f"({low:+.3f} to {high:+.3f}): "
        ) + (
            "more labels like these are unlikely to help much."
            if high < _SMALL_GAIN
            else "the rows are too few to tell whether more labels would help."
        )

    def to_json(self) -> dict[str, Any]:
        """Return the curve as JSON-ready values."""
        points = [vars(point) for point in self.points]
        return {**vars(self), "points": points, "meaning": self.meaning}


def learning_curve(
    data: str | Path | Sequence[Row],
    *,
    columns: Columns | None = None,
    task: TaskSetting = "auto",
    group_field: str | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> LearningCurve:
    """Return the scores out of fold after training on a quarter, a half and all of the rows.

    Args:
        data: a file of labelled rows, or the rows; of more than 20,000 rows as many are drawn.
        columns: which columns of the file hold text and labels.
        task: ``single-label``, ``multi-label``, or ``auto``, which goes by the rows.
        group_field: column of the groups that no fold splits.
        seed: seed of the folds and of the parts.
        progress: receives notes and steps.

    Raises:
        DataError: the rows are missing, malformed, too few, or do not suit a classifier.
        ConfigError: the format of the file is unknown.
    """
    progress, columns = progress or Progress(), columns or Columns()
    generator = np.random.default_rng([seed, 3])
    sources = Sources(
        _at_most(data, columns, task, generator, progress),
        None,
        columns,
        group_field=group_field,
        packaged=True,
    )
    ready = prepare(sources, RECIPE, {"folds": _FOLDS, "task": task, "seed": seed})
    for warning in ready.warnings:
        progress.warn(warning)
    assert ready.folds is not None  # noqa: S101 - they were asked for
    pooled = _frozen_features(ready, progress)
    told = "words and bigrams" + ("" if pooled is None else ", and the encoder english")
    progress.note(
        f"{len(ready.dev):,} rows, {format_labels(len(ready.manifest.labels))}; features: {told}"
    )
    folds = [_stratified(ready, part, generator) for part in ready.folds.parts()]
    points = []
    for fraction in FRACTIONS:
        parts = [
            replace(part, inside=part.inside[: max(1, round(fraction * len(part.inside)))])
            for part in folds
        ]
        total = sum(len(part.inside) for part in parts)
        progress.begin(f"{fraction:.0%} of the rows", total)
        points.append(
            (fraction, round(total / len(parts)), _out_of_fold(ready, pooled, parts, progress))
        )
        progress.end()
    return _curve(ready, ready.folds, points, generator)


def _at_most(
    data: str | Path | Sequence[Row],
    columns: Columns,
    task: TaskSetting,
    generator: np.random.Generator,
    progress: Progress,
) -> str | Path | Sequence[Row]:
    """Return the data, or `MAX_ROWS` rows drawn from it if it has more."""
    if isinstance(data, str | Path):
        if str(data) == STANDARD_INPUT:
            return data
        read = read_rows(data, columns, labelled=False, note=lambda _: None)
        if len(list(islice(read, MAX_ROWS + 1))) <= MAX_ROWS:
            return data
        empty = task == "multi-label"
        data = load_labelled(
            data,
            columns,
            several_labels=not empty,
            soft_labels=True,
            may_have_none=empty,
            note=progress.warn,
        )
    if len(data) <= MAX_ROWS:
        return data
    progress.note(f"{MAX_ROWS:,} of {len(data):,} rows are drawn")
    return [data[index] for index in sorted(generator.permutation(len(data))[:MAX_ROWS])]


def _frozen_features(ready: Preparation, progress: Progress) -> NDArray[np.float32] | None:
    """Return the pooled states of all rows, float32 [rows, pooled]; None without an encoder."""
    initialization, architecture = ready.initialization, ready.manifest.architecture
    if not can_be_probed(initialization, architecture):
        return None
    progress.begin("encoding", len(ready.train))
    encoder = initialization.network(architecture, seed=ready.config.seed)
    pooled = pooled_states(encoder, ready.train)
    progress.end()
    return pooled


def _stratified(ready: Preparation, part: Part, generator: np.random.Generator) -> Part:
    """Return a part whose training rows are ordered so that every prefix is stratified.

    The rows of each combination of labels are spread evenly.
    """
    _, strata = np.unique(ready.train.targets > 0.5, axis=0, return_inverse=True)
    inside = generator.permutation(part.inside)
    positions = np.empty(len(inside))
    for stratum in np.unique(strata):
        own = np.flatnonzero(strata[inside] == stratum)
        positions[own] = (np.arange(len(own)) + generator.random()) / max(1, len(own))
    return replace(part, inside=inside[np.argsort(positions)])


def _out_of_fold(
    ready: Preparation,
    pooled: NDArray[np.float32] | None,
    parts: Sequence[Part],
    progress: Progress,
) -> NDArray[np.float32]:
    """Return the logits of the held-out rows, float32 [rows, labels].

    The penalties, and the parts that are added up, are chosen by the lowest log loss.

    Args:
        ready: the rows and the settings.
        pooled: the frozen features of all rows.
        parts: the folds.
        progress: receives every fold.
    """
    rows, targets, architecture = ready.train, ready.dev.targets, ready.manifest.architecture
    weights = ready.dev.weights
    config, output = ready.config, architecture.output
    linear = linear_out_of_fold(
        rows, parts, targets, config=config, output=output, progress=progress
    )
    network = None
    if pooled is not None:
        projection = ready.initialization.projection
        network, _ = heads_out_of_fold(
            pooled, rows, parts, targets, projection=projection, config=config, output=output
        )
    multi_label = architecture.task == "multi-label"

    def loss(logits: NDArray[np.float32]) -> float:
        return calibrated_loss(logits, targets, multi_label=multi_label, weights=weights)

    alone: NDArray[np.float32] = min(linear, key=loss)
    if network is None:
        return alone
    frozen = min(network, key=loss)
    scales = mixed_scales(frozen, alone, targets, multi_label=multi_label, weights=weights)
    return min(mix(frozen, alone, scales), alone, key=loss)


def _curve(
    ready: Preparation,
    folds: Folds,
    found: Sequence[tuple[float, int, NDArray[np.float32]]],
    generator: np.random.Generator,
) -> LearningCurve:
    """Return the curve of the logits with each part of the rows."""
    labels, targets = ready.manifest.labels, ready.dev.targets
    multi_label = ready.manifest.architecture.task == "multi-label"
    truth = targets > 0.5
    given = [_decisions(logits, multi_label=multi_label) for _, _, logits in found]
    accuracies, f1 = _resampled(truth, given, generator)
    scores = f1 if multi_label else accuracies
    points = []
    for number, (fraction, rows, logits) in enumerate(found):
        quality = evaluate_logits(logits, targets, labels, multi_label=multi_label)
        if multi_label:
            score, interval = quality.macro_f1, _interval(scores[number])
        else:
            score = quality.accuracy
            interval = out_of_fold_interval(score, len(targets), folds.count)
        points.append(Point(fraction, rows, score, interval))
    floor = find_floor(truth, multi_label=multi_label)
    return LearningCurve(
        measure=score_name(multi_label=multi_label),
        rows=len(targets),
        points=tuple(points),
        gain=points[-1].score - points[-2].score,
        gain_interval=_interval(scores[-1] - scores[-2]),
        floor=floor.macro_f1 if multi_label else floor.accuracy,
        # Where labels are rare, class weights may cost accuracy and still find them.
        learned=(len(targets) >= _MIN_RESAMPLED and _interval(f1[-1])[0] > floor.macro_f1)
        or (not multi_label and points[-1].interval[0] > floor.accuracy),
    )


def _decisions(logits: NDArray[np.float32], *, multi_label: bool) -> NDArray[np.bool_]:
    if multi_label:
        return logits >= 0.0
    given: NDArray[np.bool_] = np.arange(logits.shape[1]) == logits.argmax(axis=1)[:, None]
    return given


def _resampled(
    truth: NDArray[np.bool_], given: Sequence[NDArray[np.bool_]], generator: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return accuracy and macro-F1 of every classifier on resampled rows, [classifiers, draws].

    A draw is the same for all classifiers. Each row is in it as often as a Poisson variable says,
    which is the bootstrap for many rows.
    """
    accuracies, f1 = np.empty((2, len(given), _DRAWS))
    for start in range(0, _DRAWS, _CHUNK):
        draws = slice(start, start + _CHUNK)
        times = generator.poisson(1.0, (_CHUNK, len(truth))).astype(np.float32)
        support = times @ truth
        for number, answers in enumerate(given):
            right = (answers == truth).all(axis=1)
            accuracies[number, draws] = times @ right / np.maximum(1.0, times.sum(axis=1))
            both = support + times @ answers
            each = 2.0 * (times @ (answers & truth)) / np.maximum(1.0, both)
            f1[number, draws] = each.sum(axis=1) / np.maximum(1, (both > 0).sum(axis=1))
    return accuracies, f1


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(values, (0.025, 0.975)).tolist()
    return low, high
