"""`textgate evaluate`: metrics of a bundle on labelled rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import click

from textgate.cli import options
from textgate.evaluation.evaluate import ClassifierEvaluation, coverage_table, evaluate_rows
from textgate.evaluation.metrics import confusion_table, label_table
from textgate.inference.classifier import Classifier
from textgate.rows import Columns, load_labelled
from textgate.tables import format_count, format_table


@click.command()
@click.argument("data", type=options.FILE, metavar="DATA")
@options.bundle
@click.option(
    "--among",
    metavar="LABEL",
    multiple=True,
    help="Compare only the labels given so, at least two, such as --among negative --among "
    "positive for rows without neutral ones.  [default: all]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@options.columns
@options.threads
@options.engine
def evaluate(
    data: str,
    model: Path | str,
    among: tuple[str, ...],
    as_json: bool,
    columns: Columns,
    threads: int | Literal["auto"],
    engine: str,
) -> None:
    """Score a bundle on labelled rows.

    Accuracy is the fraction of all rows whose most probable label is right, without abstaining; for
    a multi-label model, it is the fraction of rows with exactly the right labels. The last table
    shows the effect of abstaining: the fraction of rows that are answered, and the accuracy of the
    answers. A row without a token that the model knows counts as not answered.
    """
    classifier = Classifier.load(model, threads=threads, engine=engine)
    rows = load_labelled(
        data,
        columns,
        may_have_none=classifier.manifest.task == "multi-label",
        note=options.note,
    )
    result = evaluate_rows(classifier, rows, file=data, among=among or None)
    click.echo(json.dumps(result.to_json()) if as_json else _report(result))


def _report(result: ClassifierEvaluation) -> str:
    metrics = result.metrics
    low, high = metrics.accuracy_interval
    lines = [
        f"rows               {format_count(metrics.rows)}",
        f"accuracy           {metrics.accuracy:.4f}  (95 % interval {low:.4f} to {high:.4f})",
        f"macro-F1           {metrics.macro_f1:.4f}",
        (
            f"calibration error  {metrics.ece:.4f}  ({result.ece_uncalibrated:.4f} without the "
            f"temperature {result.temperature:.2f})"
        ),
        f"log loss           {metrics.log_loss:.4f}",
    ]
    tables = [label_table(metrics)]
    if confusion := confusion_table(metrics):
        tables.append(confusion)
    if result.coverage:
        tables.append(coverage_table(result.coverage))
    for header, rows, align in tables:
        lines += ["", format_table(header, rows, align=align)]
    return "\n".join(lines)
