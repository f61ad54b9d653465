"""`textgate pretrain`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click
import torch

from textgate.bundle.architecture import CELLS
from textgate.cli import options
from textgate.cli.sections import SectionedCommand, section
from textgate.rows import Columns
from textgate.tables import format_count
from textgate.train.pretraining.pretrain import pretrain
from textgate.train.pretraining.pretraining_config import PretrainingConfig
from textgate.train.training.progress import TerminalProgress

_setting = partial(options.setting, PretrainingConfig())


@click.command(
    "pretrain",
    cls=SectionedCommand,
    epilog="The default settings are the network of the default preset. 1 % of the texts are held "
    "out, at least 50 and at most 2,000. The epoch with the lowest perplexity on them is kept. "
    "After an interruption, --resume continues from the last checkpoint, also within an epoch.",
)
@click.argument("texts", type=options.FILE, metavar="TEXTS...", nargs=-1, required=True)
@section("Output")
@options.folder("Folder to create, for textgate train --pretrained.")
@click.option("--resume", is_flag=True, help="Continue the pretraining in OUTPUT, if there is one.")
@click.option("--force", is_flag=True, help="Replace the pretraining in OUTPUT, if there is one.")
@options.quiet
@section("Data")
@options.texts
@section("Network")
@_setting("--cell", "cell", "Recurrent cell.", type=click.Choice(CELLS))
@_setting("--vocabulary-size", "vocabulary_size", "Maximum number of subword tokens.", type=int)
@_setting("--max-tokens", "max_tokens", "Maximum number of tokens read from a text.", type=int)
@_setting(
    "--vectors",
    "vectors",
    "Word vectors that initialize the embedding.",
    type=options.FILE,
    metavar="english|none|FILE",
)
@_setting("--embedding-size", "embedding_size", "Width of the embedding.", type=int)
@_setting("--hidden", "hidden_size", "Units of the recurrent layer.", type=int)
@section("Training")
@_setting("--epochs", "epochs", "Passes over the texts.", type=int)
@_setting("--batch-size", "batch_size", "Texts per step.", type=int)
@_setting(
    "--learning-rate",
    "learning_rate",
    "Peak learning rate of Adam; it then decays to 0.",
    type=float,
)
@_setting("--seed", "seed", "Seed of all random numbers.", type=int)
@options.device
@options.torch_threads
def pretrain_command(
    texts: tuple[str, ...],
    output: Path,
    device: str,
    threads: int,
    resume: bool,
    force: bool,
    columns: Columns,
    quiet: bool,
    **settings: Any,
) -> None:
    """Train a language model on texts without labels, for classifiers to start from.

    TEXTS are files of rows in any format, whose labels are ignored, or .txt with one text per line.
    Give the result to textgate train --pretrained.
    """
    if resume and force:
        raise click.UsageError("--resume continues a run and --force replaces it: give only one")
    torch.set_num_threads(threads)
    made = pretrain(
        texts,
        output,
        settings={name: value for name, value in settings.items() if value is not None},
        columns=columns,
        device=device,
        resume=resume,
        force=force,
        progress=TerminalProgress(quiet=quiet),
    )
    outcome = made.outcome
    click.echo(
        f"{output}: epoch {outcome.best_epoch} of {len(outcome.history)}, perplexity "
        f"{outcome.perplexity:,.1f} on {format_count(made.manifest.held_out)} held-out texts, "
        f"{format_count(made.manifest.vocabulary_size)} words"
    )
