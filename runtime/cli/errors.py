"""`textgate errors`: mistakes of a bundle, likely label errors, near-duplicates and slices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from textgate.cli import options
from textgate.rows import Columns, load_labelled
from textgate.rows.source import source_name
from textgate.tables import format_table, printable

if TYPE_CHECKING:
    from textgate.evaluation.error_report import ErrorReport, Section

_MAX_CELL = 80  # characters in a table
_MAX_WORDS = 160


@click.command()
@click.argument("data", type=options.FILE, metavar="DATA")
@options.bundle
@click.option(
    "--run",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Run that the bundle was exported from, trained with folds. Rows of DATA that it "
    "was trained on have their out-of-fold predictions.",
)
@click.option(
    "--train",
    type=options.FILE,
    metavar="FILE",
    help="Training rows: also list the rows of DATA that nearly repeat one of them.",
)
@click.option(
    "--slice-by",
    multiple=True,
    metavar="COLUMN",
    help="Show accuracy by the values of this column; repeat it for several.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="List at most so many mistakes, label errors, near-duplicates and values of a column.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--html",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also write a page by itself, with explanations.",
)
@options.columns
@options.threads
@options.engine
def errors(
    data: str,
    model: Path,
    run: Path | None,
    train: str | None,
    slice_by: tuple[str, ...],
    limit: int,
    as_json: bool,
    html: Path | None,
    columns: Columns,
    threads: int | Literal["auto"],
    engine: str,
) -> None:
    """Show the errors of a bundle on labelled rows, and likely errors of the labels.

    DATA are rows that the bundle was not trained on; or, with --run, its training rows. A label is
    likely wrong if the model is surer of another one than it usually is for rows of that one
    (confident learning). Mistakes that are not label errors show what the model has yet to learn:
    the words behind each confusion, and the slices where it is worse.
    """
    from textgate.atomic import write_bytes
    from textgate.evaluation.error_analysis import find_errors
    from textgate.evaluation.error_report import page, warning
    from textgate.inference.classifier import Classifier

    if html is not None:
        options.require_free(html, [Path(path) for path in (data, train) if path is not None])
    classifier = Classifier.load(model, threads=threads, engine=engine)
    several = classifier.manifest.task == "multi-label"
    rows = load_labelled(data, columns, may_have_none=several, note=options.note)
    train_rows = (
        []
        if train is None
        else load_labelled(train, columns, may_have_none=several, note=options.note)
    )
    report = find_errors(
        classifier,
        rows,
        file=source_name(data),
        run=run,
        train=train_rows,
        slice_by=slice_by,
        limit=limit,
    )
    if warned := warning(report):
        options.note(warned)
    if html is not None:  # first, because the reader of the output may stop
        write_bytes(html, page(report).encode("utf-8"))
    click.echo(json.dumps(report.to_json()) if as_json else _report(report))


def _report(report: ErrorReport) -> str:
    from textgate.evaluation.error_report import parts, summary

    blocks = ["\n".join(map(printable, summary(report)))]
    for part in parts(report):
        table = format_table(
            part.header,
            _shortened(part),
            align=part.align,
        )
        blocks.append(f"{printable(part.title)}\n{part.about}\n\n{table}")
    return "\n\n".join(blocks)


def _cut(text: str, limit: int) -> str:
    """Return the beginning of a text on one line."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


def _shortened(part: Section) -> list[list[str]]:
    """Return the cells of a table, cut off."""
    limits = [_MAX_WORDS if title == "words" else _MAX_CELL for title in part.header]
    return [[_cut(*cell) for cell in zip(row, limits, strict=True)] for row in part.rows]
