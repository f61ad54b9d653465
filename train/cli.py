"""`textgate train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import torch

from textgate.architecture import CELLS
from textgate.cli import options
from textgate.tables import format_count
from textgate.train.config import CRITERIA, SCHEDULES, TASKS, TOKENIZERS
from textgate.train.fitting import fit
from textgate.train.presets import PRESETS
from textgate.train.progress import TerminalProgress
from textgate.train.settings import read_settings
from textgate.train.split import Columns


def poolings(
    ctx: click.Context,  # noqa: ARG001
    param: click.Parameter,  # noqa: ARG001
    value: str | None,
) -> tuple[str, ...] | None:
    """Read names of poolings joined by ``+``; the network checks them."""
    return None if value is None else tuple(value.split("+"))


@click.command(
    epilog="An option that is not given keeps the preset's value. The default preset looks at the "
    "rows to choose some, and says which and why."
)
@click.argument("data", type=options.FILE, metavar="DATA")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Run to make.")
@click.option(
    "--dev",
    type=options.FILE,
    metavar="FILE",
    help="Rows that decide when to stop; else some of DATA.",
)
@click.option(
    "--preset", type=click.Choice(list(PRESETS)), help="Settings to start from.  [default: default]"
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="TOML file of settings, by the names in run.json; options go before it.",
)
@click.option("--cell", type=click.Choice(CELLS))
@click.option(
    "--tokenizer", type=click.Choice(TOKENIZERS), help="Rare words unknown, or in pieces."
)
@click.option("--vocabulary-size", type=int, help="Most tokens, with padding and the unknown one.")
@click.option(
    "--vectors",
    type=options.FILE,
    metavar="english|none|FILE",
    help="What the embedding starts from: GloVe, word2vec or fastText text, or .npy with words.",
)
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
@click.option("--linear-size", type=int, help="Columns of the linear branch; 0 for no branch.")
@click.option("--linear-buckets", type=int, help="Most pairs of words it knows; 0 for no branch.")
@click.option("--embedding-dropout", type=float)
@click.option("--layer-dropout", type=float, help="Between recurrent layers.")
@click.option("--head-dropout", type=float)
@click.option("--token-dropout", type=float, help="Share of the tokens made unknown in training.")
@click.option("--adversarial", type=float, help="Size of the worst step of a text's embedding.")
@click.option("--label-smoothing", type=float)
@click.option(
    "--class-weights", type=float, help="How much rare labels count: 0 as all, 1 balanced."
)
@click.option(
    "--teacher",
    "teachers",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="PATH",
    help="Run, bundle or fine-tuned transformer whose answers are learned, too; repeat it for the "
    "mean of several.",
)
@click.option(
    "--unlabelled",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="Texts that the teachers label, one a line of .txt or rows; repeat it.",
)
@click.option(
    "--teacher-weight",
    type=float,
    help="How much teachers count beside the label of a row: 0 nothing, 1 alone.",
)
@click.option(
    "--pretrained",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="What textgate pretrain made; the embedding and the first recurrent layer start from it.",
)
@click.option("--max-tokens", type=int, help="Tokens of a text that are read.")
@click.option("--task", type=click.Choice(TASKS), help="auto: several labels in a row, or none.")
@click.option("--epochs", type=int, help="Most passes over the rows.")
@click.option("--patience", type=int, help="Epochs without progress on dev before it stops.")
@click.option("--criterion", type=click.Choice(CRITERIA), help="What chooses the epoch on dev.")
@click.option("--batch-size", type=int)
@click.option("--learning-rate", type=float)
@click.option("--schedule", type=click.Choice(SCHEDULES), help="Of the learning rate.")
@click.option("--average", type=float, help="Decay of the weights' moving average; 0 for none.")
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
    config: Path | None,
    teachers: tuple[Path, ...],
    unlabelled: tuple[Path, ...],
    pretrained: Path | None,
    device: str,
    threads: int,
    resume: bool,
    force: bool,
    text_field: str,
    label_field: str,
    input_format: str | None,
    **settings: Any,
) -> None:
    """Train a classifier on labelled rows.

    DATA is JSON Lines, CSV, TSV, a fastText file (`__label__x` in front of each line), gzip of
    these, or Parquet. JSON Lines may give `"probs": {"label": 0.9, ...}` instead of a label.
    """
    if resume and force:
        raise click.UsageError("--resume goes on with a run and --force replaces it: give one")
    if not teachers:
        if unlabelled:
            raise click.UsageError(
                "--unlabelled needs somebody to label the texts: add --teacher PATH, a finished "
                "run or a bundle with the labels of DATA"
            )
        if settings["teacher_weight"] is not None:
            raise click.UsageError("--teacher-weight says nothing without --teacher PATH: add one")
    torch.set_num_threads(threads)
    given = read_settings(config) if config is not None else {}
    given |= {name: value for name, value in settings.items() if value is not None}
    fitted = fit(
        data,
        output,
        dev=dev,
        preset=preset,
        settings=given,
        columns=Columns(text_field, label_field, input_format),
        teachers=teachers,
        unlabelled=unlabelled,
        pretrained=pretrained,
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
