"""`textgate evaluate`: how good a bundle is on labelled rows."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import click
import numpy as np
from numpy.typing import NDArray

from textgate.classifier import Classifier
from textgate.cli import options
from textgate.coverage import coverage_curve, own_coverage, uncalibrated
from textgate.errors import DataError
from textgate.metrics import Evaluation, evaluate_multi_label, evaluate_single_label
from textgate.rows import Row, load_labelled
from textgate.tables import format_count, format_table

_ABSTAIN_BELOW = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
_LARGEST_CONFUSION = 12  # labels; a larger table is only in the JSON


@click.command()
@click.argument("data", metavar="DATA")
@options.bundle
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@options.columns
@options.threads
@options.engine
def evaluate(
    data: str,
    model: Path,
    as_json: bool,
    text_field: str,
    label_field: str,
    input_format: str | None,
    threads: int | Literal["auto"],
    engine: str,
) -> None:
    """Score a bundle on labelled rows.

    Accuracy is that of the most probable label over all rows, before any abstaining; for a
    multi-label model, the share of rows with exactly the right labels. Below it stands what
    abstaining would buy: how many rows are answered, and how many of the answers are right.
    """
    classifier = Classifier.load(model, threads=threads, engine=engine)
    rows = load_labelled(
        data,
        format=input_format,
        text_field=text_field,
        label_field=label_field,
        several_labels=False,
    )
    truth, probabilities = truth_and_probabilities(classifier, rows, file=data)
    result = _evaluation(classifier, truth, probabilities)
    more = _calibration(classifier, truth, probabilities, result)
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
    return _evaluation(classifier, *truth_and_probabilities(classifier, rows, file=file))


def truth_and_probabilities(
    classifier: Classifier, rows: list[Row], *, file: str
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Return what applies to each row and how probable the classifier finds it.

    Both are [rows, labels].

    Raises:
        DataError: a label the classifier does not know, or more than one where one is possible.
    """
    labels = classifier.labels
    column = {label: index for index, label in enumerate(labels)}
    multi_label = classifier.manifest.task == "multi-label"
    truth = np.zeros((len(rows), len(labels)), dtype=np.bool_)
    for index, row in enumerate(rows):
        if not multi_label and len(row.labels) != 1:
            raise DataError(
                f"{file}, line {row.line}: {len(row.labels)} labels, but the model gives one"
            )
        for label in row.labels:
            if label not in column:
                raise DataError(
                    f"{file}, line {row.line}: the model does not know the label {label!r}; it "
                    f"knows {', '.join(labels)}"
                )
            truth[index, column[label]] = True
    return truth, classifier.predict_proba([row.text for row in rows])


def _evaluation(
    classifier: Classifier,
    truth: NDArray[np.bool_],
    probabilities: NDArray[np.float32] | NDArray[np.float64],
) -> Evaluation:
    manifest = classifier.manifest
    if manifest.task == "multi-label":
        return evaluate_multi_label(
            probabilities, truth, manifest.labels, thresholds=manifest.thresholds
        )
    return evaluate_single_label(probabilities, truth.argmax(axis=1), manifest.labels)


def _calibration(
    classifier: Classifier,
    truth: NDArray[np.bool_],
    probabilities: NDArray[np.float32],
    result: Evaluation,
) -> dict[str, Any]:
    """Return the calibration error without the temperature, and what abstaining would buy."""
    manifest = classifier.manifest
    multi_label = manifest.task == "multi-label"
    before = uncalibrated(probabilities, manifest.temperature, multi_label=multi_label)
    more: dict[str, Any] = {
        "temperature": manifest.temperature,
        "ece_uncalibrated": _evaluation(classifier, truth, before).ece,
    }
    if not multi_label:
        least = 1 / len(result.labels)
        wanted = [threshold for threshold in _ABSTAIN_BELOW if threshold >= least]
        columns = truth.argmax(axis=1)
        points = coverage_curve(probabilities, columns, wanted)
        if any(threshold is not None for threshold in manifest.thresholds):
            points.append(own_coverage(probabilities, columns, manifest.thresholds))
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
