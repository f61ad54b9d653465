"""`textgate train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import torch

from textgate.architecture import CELLS
from textgate.cli import options
from textgate.tables import format_count
from textgate.train.config import TASKS
from textgate.train.fitting import Columns, fit
from textgate.train.presets import PRESETS
from textgate.train.progress import TerminalProgress


def poolings(
    ctx: click.Context,  # noqa: ARG001
    param: click.Parameter,  # noqa: ARG001
    value: str | None,
) -> tuple[str, ...] | None:
    """Read names of poolings joined by ``+``; the network checks them."""
    return None if value is None else tuple(value.split("+"))


@click.command(epilog="An option that is not given keeps the preset's value.")
@click.argument("data", metavar="DATA")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Run to make.")
@click.option("--dev", metavar="FILE", help="Rows that decide when to stop; else some of DATA.")
@click.option(
    "--preset", type=click.Choice(list(PRESETS)), help="Settings to start from.  [default: default]"
)
@click.option("--cell", type=click.Choice(CELLS))
@click.option("--vocabulary-size", type=int, help="Most words, with padding and the unknown word.")
@click.option("--embedding-size", type=int)
@click.option(
    "--hidden",
    "hidden_sizes",
    metavar="N,N,...",
    callback=options.whole_numbers,
    help="Units of each recurrent layer, as in 128,64.",
)
@click.option(
    "--bidirectional/--one-directional", default=None, help="Two directions cannot stream."
)
@click.option(
    "--pooling",
    metavar="NAME+NAME",
    callback=poolings,
    help="last, max, mean, attention, or several: max+mean.",
)
@click.option(
    "--dense",
    "dense_sizes",
    metavar="N,N,...|none",
    callback=options.whole_numbers_or_none,
    help="Units of hidden dense layers.",
)
@click.option("--embedding-dropout", type=float)
@click.option("--layer-dropout", type=float, help="Between recurrent layers.")
@click.option("--head-dropout", type=float)
@click.option("--max-tokens", type=int, help="Tokens of a text that are read.")
@click.option("--task", type=click.Choice(TASKS), help="auto: several labels in a row, or none.")
@click.option("--set", "sets", multiple=True, metavar="NAME=VALUE")
@click.option("--epochs", type=int, help="Most passes over the rows.")
@click.option("--patience", type=int, help="Epochs without progress on dev before it stops.")
@click.option("--batch-size", type=int)
@click.option("--learning-rate", type=float)
@click.option("--dev-fraction", type=float, help="Share of DATA held out when there is no --dev.")
@click.option("--seed", type=int)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, mps or auto.")
@click.option(
    "--threads",
    type=click.IntRange(min=1, max=1024),
    default=1,
    show_default=True,
    help="Threads torch may use. Steps are small: on a busy machine several wait for each other.",
)
@click.option("--resume", is_flag=True, help="Go on with the run in OUTPUT, if there is one.")
@click.option("--force", is_flag=True, help="Replace the run in OUTPUT, if there is one.")
@options.columns
def train(
    data: str,
    output: Path,
    dev: str | None,
    preset: str | None,
    device: str,
    threads: int,
    resume: bool,
    force: bool,
    text_field: str,
    label_field: str,
    input_format: str | None,
    sets: tuple[str, ...],
    **settings: Any,
) -> None:
    """Train a classifier on labelled rows.

    DATA is JSON Lines, CSV, TSV, a fastText file (`__label__x` in front of each line), gzip of
    these, or Parquet.
    """
    if resume and force:
        raise click.UsageError("--resume goes on with a run and --force replaces it: give one")
    torch.set_num_threads(threads)
    given = {name: value for name, value in settings.items() if value is not None}
    import json
    for item in sets:
        name, _, value = item.partition("=")
        try:
            given[name] = json.loads(value)
        except ValueError:
            given[name] = value
        if isinstance(given[name], list): given[name] = tuple(given[name])
    fitted = fit(
        data,
        output,
        dev=dev,
        preset=preset,
        settings=given,
        columns=Columns(text_field, label_field, input_format),
        device=device,
        resume=resume,
        force=force,
        progress=TerminalProgress(),
    )
    metrics = fitted.model.metrics
    click.echo(
        f"{output}: epoch {fitted.model.best_epoch} of {len(fitted.model.history)}, on "
        f"{format_count(fitted.manifest.dev.rows)} dev rows accuracy {metrics['accuracy']:.4f}, "
        f"macro-F1 {metrics['macro_f1']:.4f}, calibration error {metrics['ece']:.4f} "
        f"({metrics['ece_uncalibrated']:.4f} before temperature {fitted.model.temperature:.2f})"
    )
