"""`textgate evaluate`: how good a bundle is on labelled rows."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import click
import numpy as np
from numpy.typing import NDArray

from textgate.cli import options
from textgate.errors import DataError
from textgate.evaluation.coverage import coverage_curve, own_coverage, uncalibrated
from textgate.evaluation.metrics import Evaluation, evaluate_multi_label, evaluate_single_label
from textgate.inference.classifier import Classifier
from textgate.inference.prediction import Scores
from textgate.rows import Columns, Row, load_labelled
from textgate.rows.labels import label_places, require_known
from textgate.tables import format_count, format_table

_ABSTAIN_BELOW = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
_LARGEST_CONFUSION = 12  # labels; a larger table is only in the JSON


@click.command()
@click.argument("data", type=options.FILE, metavar="DATA")
@options.bundle
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@options.columns
@options.threads
@options.engine
def evaluate(
    data: str,
    model: Path,
    as_json: bool,
    columns: Columns,
    threads: int | Literal["auto"],
    engine: str,
) -> None:
    """Score a bundle on labelled rows.

    Accuracy is that of the most probable label over all rows, before any abstaining; for a
    multi-label model, the share of rows with exactly the right labels. Below it stands what
    abstaining would buy: how many rows are answered, and how many of the answers are right. A row
    without a token that the model knows counts as one that is not answered.
    """
    classifier = Classifier.load(model, threads=threads, engine=engine)
    rows = load_labelled(
        data,
        columns,
        may_have_none=classifier.manifest.task == "multi-label",
        note=options.note,
    )
    truth, scores = truth_and_scores(classifier, rows, file=data)
    result = _evaluation(classifier, truth, scores.probabilities, scores.answerable)
    more = _calibration(classifier, truth, scores, result)
    if as_json:
        click.echo(json.dumps({**result.to_json(), **more}))
    else:
        click.echo(_report(result, more))


def evaluate_rows(classifier: Classifier, rows: list[Row], *, file: str) -> Evaluation:
    """Return the quality of a classifier on labelled rows.

    Args:
        classifier: the classifier.
        rows: the rows.
        file: how messages name them.

    Raises:
        DataError: a label the classifier does not know, or more than one where one is possible.
    """
    truth, scores = truth_and_scores(classifier, rows, file=file)
    return _evaluation(classifier, truth, scores.probabilities, scores.answerable)


def truth_and_scores(
    classifier: Classifier, rows: list[Row], *, file: str
) -> tuple[NDArray[np.bool_], Scores]:
    """Return what applies to each row, [rows, labels], and what the network says of it.

    Raises:
        DataError: a label the classifier does not know, or more than one where one is possible.
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
    places = label_places(labels)
    truth = np.zeros((len(rows), len(labels)), dtype=np.bool_)
    for index, row in enumerate(rows):
        truth[index, [places[label] for label in row.labels]] = True
    return truth, classifier.scores([row.text for row in rows])


def _require_one_label(rows: list[Row], *, file: str) -> None:
    odd = [row for row in rows if len(row.labels) != 1]
    if odd:
        others = f" (and {len(odd) - 1:,} other rows like it)" if len(odd) > 1 else ""
        raise DataError(
            f"{file}, line {odd[0].line}: {len(odd[0].labels)} labels{others}, but the model gives "
            "one"
        )


def _evaluation(
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


def _calibration(
    classifier: Classifier,
    truth: NDArray[np.bool_],
    scores: Scores,
    result: Evaluation,
) -> dict[str, Any]:
    """Return the calibration error without the temperature, and what abstaining would buy."""
    manifest = classifier.manifest
    multi_label = manifest.task == "multi-label"
    probabilities, answerable = scores.probabilities, scores.answerable
    before = uncalibrated(probabilities, manifest.temperature, multi_label=multi_label)
    more: dict[str, Any] = {
        "temperature": manifest.temperature,
        "ece_uncalibrated": _evaluation(classifier, truth, before, answerable).ece,
    }
    if not multi_label:
        least = 1 / len(result.labels)
        wanted = [threshold for threshold in _ABSTAIN_BELOW if threshold >= least]
        columns = truth.argmax(axis=1)
        points = coverage_curve(probabilities, columns, wanted, answerable=answerable)
        if any(threshold is not None for threshold in manifest.thresholds):
            points.append(
                own_coverage(probabilities, columns, manifest.thresholds, answerable=answerable)
            )
        more["coverage"] = [asdict(point) for point in points]
    return more


def _report(result: Evaluation, more: dict[str, Any]) -> str:
    low, high = result.accuracy_interval
    lines = [
        f"rows               {format_count(result.rows)}",
        f"accuracy           {result.accuracy:.4f}  (95 % interval {low:.4f} to {high:.4f})",
        f"macro-F1           {result.macro_f1:.4f}",
        (
            f"calibration error  {result.ece:.4f}  ({more['ece_uncalibrated']:.4f} without the "
            f"temperature {more['temperature']:.2f})"
        ),
        f"log loss           {result.log_loss:.4f}",
        "",
        format_table(
            ["label", "precision", "recall", "F1", "rows"],
            [
                [
                    scores.label,
                    f"{scores.precision:.4f}",
                    f"{scores.recall:.4f}",
                    f"{scores.f1:.4f}",
                    format_count(scores.support),
                ]
                for scores in result.labels
            ],
            align="<>>>>",
        ),
    ]
    if result.confusion and len(result.labels) <= _LARGEST_CONFUSION:
        names = [scores.label for scores in result.labels]
        table = format_table(
            ["true \\ given", *names],
            [
                [name, *(format_count(count) for count in counts)]
                for name, counts in zip(names, result.confusion, strict=True)
            ],
            align="<" + ">" * len(names),
        )
        lines += ["", table]
    if "coverage" in more:
        table = format_table(
            ["abstain below", "answered", "accuracy of the answers"],
            [
                [
                    "as the bundle" if point["threshold"] is None else f"{point['threshold']:.2f}",
                    f"{point['coverage']:.2%}",
                    "-" if point["accuracy"] is None else f"{point['accuracy']:.4f}",
                ]
                for point in more["coverage"]
            ],
            align=">>>",
        )
        lines += ["", table]
    return "\n".join(lines)
