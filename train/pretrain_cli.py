"""`textgate pretrain`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click
import torch

from textgate.architecture import CELLS
from textgate.cli import options
from textgate.tables import format_count
from textgate.train.pretraining import pretrain
from textgate.train.pretraining_config import PretrainingConfig
from textgate.train.progress import TerminalProgress
from textgate.train.split import Columns

_setting = partial(options.setting, PretrainingConfig())


@click.command(
    "pretrain",
    epilog="The defaults are the default preset's network. 1 % of the texts are held out, from 50 "
    "to 2,000; the epoch with the best perplexity on them is kept. Interrupted, it goes on with "
    "--resume, also in the middle of an epoch.",
)
@click.argument("texts", type=options.FILE, metavar="TEXTS...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder to make, for textgate train --pretrained.",
)
@_setting("--cell", "cell", type=click.Choice(CELLS))
@_setting("--hidden", "hidden_size", "Units of the recurrent layer.", type=int)
@_setting("--embedding-size", "embedding_size", type=int)
@_setting("--vocabulary-size", "vocabulary_size", "Most subword tokens.", type=int)
@_setting(
    "--vectors",
    "vectors",
    "What the embedding starts from.",
    type=options.FILE,
    metavar="english|none|FILE",
)
@_setting("--max-tokens", "max_tokens", "Tokens of a text that are read.", type=int)
@_setting("--epochs", "epochs", "Passes over the texts.", type=int)
@_setting("--batch-size", "batch_size", type=int)
@_setting("--learning-rate", "learning_rate", type=float)
@_setting("--seed", "seed", type=int)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, mps or auto.")
@click.option(
    "--threads",
    type=click.IntRange(min=1, max=1024),
    default=1,
    show_default=True,
    help="Threads torch may use.",
)
@click.option("--resume", is_flag=True, help="Go on with what is in OUTPUT, if there is something.")
@click.option("--force", is_flag=True, help="Replace what is in OUTPUT, if there is something.")
@options.texts
def pretrain_command(
    texts: tuple[str, ...],
    output: Path,
    device: str,
    threads: int,
    resume: bool,
    force: bool,
    text_field: str,
    input_format: str | None,
    **settings: Any,
) -> None:
    """Train a language model on texts without labels, for classifiers to start from.

    TEXTS are files of rows in any format, whose labels are ignored, or .txt with one text a line.
    What is made is for textgate train --pretrained.
    """
    if resume and force:
        raise click.UsageError("--resume goes on with a run and --force replaces it: give one")
    torch.set_num_threads(threads)
    made = pretrain(
        texts,
        output,
        settings={name: value for name, value in settings.items() if value is not None},
        columns=Columns(text=text_field, format=input_format),
        device=device,
        resume=resume,
        force=force,
        progress=TerminalProgress(),
    )
    outcome = made.outcome
    click.echo(
        f"{output}: epoch {outcome.best_epoch} of {len(outcome.history)}, perplexity "
        f"{outcome.perplexity:,.1f} on {format_count(made.manifest.held_out)} held-out texts, "
        f"{format_count(made.manifest.vocabulary_size)} words"
    )
