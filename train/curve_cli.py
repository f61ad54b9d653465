"""`textgate curve`: would more labels help?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
import torch

from textgate.atomic import write_bytes
from textgate.bench.plots import Axis, Series, as_file, plot
from textgate.cli import options
from textgate.cli.sections import SectionedCommand, section
from textgate.rows import Columns
from textgate.tables import format_count, format_table
from textgate.train.curve import MAX_ROWS, LearningCurve, learning_curve
from textgate.train.training.config import TASKS
from textgate.train.training.progress import TerminalProgress

if TYPE_CHECKING:
    from textgate.bundle.architecture import TaskSetting

_PICTURE = ".svg"


@click.command(
    cls=SectionedCommand,
    epilog=f"If there are more than {MAX_ROWS:,} rows, that many are drawn.",
)
@click.argument("data", type=options.FILE, metavar="DATA")
@section("Data")
@options.group_field
@options.columns
@click.option(
    "--task",
    type=click.Choice(TASKS),
    default="auto",
    help="auto: multi-label if a row has several labels or none.",
)
@section("Output")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--plot",
    "picture",
    type=click.Path(path_type=Path),
    metavar="FILE.svg",
    help="Also write a picture of the curve.",
)
@options.quiet
def curve(
    data: str,
    columns: Columns,
    group_field: str | None,
    task: TaskSetting,
    picture: Path | None,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """Estimate whether more labels would help.

    DATA is as for textgate train. The rows are classified out of fold, after training on a quarter,
    on a half and on all rows of the other folds. No network is trained: the linear branch and a
    head over the frozen encoder are solved, which takes seconds for a few hundred rows. A trained
    network may be better.
    """
    if picture is not None:
        if picture.suffix.lower() != _PICTURE:
            raise click.UsageError(f"--plot writes SVG: name a file that ends in {_PICTURE}")
        options.require_free(picture, [Path(data)])
    torch.set_num_threads(1)
    found = learning_curve(
        data,
        columns=columns,
        task=task,
        group_field=group_field,
        progress=TerminalProgress(quiet=quiet),
    )
    click.echo(json.dumps(found.to_json()) if as_json else _report(found))
    if picture is not None:
        write_bytes(picture, _drawn(found).encode("utf-8"))


def _report(found: LearningCurve) -> str:
    header = ["part", "training rows", found.measure, "95 % interval"]
    rows = [
        [
            f"{point.fraction:.0%}",
            format_count(point.rows),
            f"{point.score:.4f}",
            f"{point.interval[0]:.4f} to {point.interval[1]:.4f}",
        ]
        for point in found.points
    ]
    return f"{format_table(header, rows, align='>>>>')}\n\n{found.meaning}"


def _drawn(found: LearningCurve) -> str:
    """Return the file of the picture."""
    points = tuple((float(point.rows), point.score) for point in found.points)
    series = Series(found.measure, points, tuple(point.interval for point in found.points))
    x = Axis("training rows", from_zero=True)
    y = Axis(f"{found.measure}, out of fold", show="{:.2f}".format)
    return as_file(plot(f"{found.measure} by training rows", [series], x, y))
