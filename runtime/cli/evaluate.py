"""`textgate evaluate`: how good a bundle is on labelled rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from textgate.classifier import Classifier
from textgate.cli import options
from textgate.errors import DataError
from textgate.rows import Row, load_labelled
from textgate.tables import format_count, format_table

if TYPE_CHECKING:
    from textgate.metrics import Evaluation

_LARGEST_CONFUSION = 12  # labels; a larger table is only in the JSON


@click.command()
@click.argument("data", metavar="DATA")
@options.bundle
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@options.columns
@options.threads
def evaluate(
    data: str,
    model: Path,
    as_json: bool,
    text_field: str,
    label_field: str,
    input_format: str | None,
    threads: int | Literal["auto"],
) -> None:
    """Score a bundle on labelled rows.

    Accuracy is that of the most probable label over all rows, before any abstaining; for a
    multi-label model, the share of rows with exactly the right labels.
    """
    classifier = Classifier.load(model, threads=threads)
    rows = load_labelled(
        data,
        format=input_format,
        text_field=text_field,
        label_field=label_field,
        several_labels=False,
    )
    result = evaluate_rows(classifier, rows, file=data)
    click.echo(json.dumps(result.to_json()) if as_json else _report(result))


def evaluate_rows(classifier: Classifier, rows: list[Row], *, file: str) -> Evaluation:
    """Return the quality of a classifier on labelled rows.

    Args:
        classifier: the classifier.
        rows: the rows.
        file: how messages name them.

    Raises:
        DataError: a label the classifier does not know, or more than one where one is possible.
    """
    import numpy as np

    from textgate.metrics import evaluate_multi_label, evaluate_single_label

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
    probabilities = classifier.predict_proba([row.text for row in rows])
    if multi_label:
        thresholds = classifier.manifest.thresholds
        return evaluate_multi_label(probabilities, truth, labels, thresholds=thresholds)
    return evaluate_single_label(probabilities, truth.argmax(axis=1), labels)


def _report(result: Evaluation) -> str:
    low, high = result.accuracy_interval
    lines = [
        f"rows               {format_count(result.rows)}",
        f"accuracy           {result.accuracy:.4f}  (95 % interval {low:.4f} to {high:.4f})",
        f"macro-F1           {result.macro_f1:.4f}",
        f"calibration error  {result.ece:.4f}",
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
    return "\n".join(lines)
