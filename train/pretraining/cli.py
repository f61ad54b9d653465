"""`textgate pretrain`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import torch

from textgate.bundle.architecture import CELLS
from textgate.cli import options
from textgate.cli.sections import SectionedCommand, section
from textgate.rows import Columns
from textgate.tables import format_count
from textgate.train.pretraining.pretrain import pretrain
from textgate.train.pretraining.pretraining_config import DISTILLATION, PretrainingConfig
from textgate.train.training.progress import TerminalProgress

_DEFAULTS = SimpleNamespace(
    **{
        name: value if taught == value else f"{value}; {taught} with --teacher"
        for (name, value), taught in zip(
            vars(PretrainingConfig()).items(), vars(DISTILLATION).values(), strict=True
        )
    }
)
_setting = partial(options.setting, _DEFAULTS)


@click.command(
    "pretrain",
    cls=SectionedCommand,
    epilog="Without --teacher, the default settings are the network of the default preset. 1 % of "
    "the texts are held out, at least 50 and at most 2,000. The best epoch on them is kept: by "
    "perplexity, or with --teacher by the cosine with its vectors. After an interruption, --resume "
    "continues from the last checkpoint, also within an epoch or among the teacher's vectors.",
)
@click.argument("texts", type=options.FILE, metavar="TEXTS...", nargs=-1, required=True)
@section("Output")
@options.folder("Folder to create, for textgate train --encoder.")
@click.option("--resume", is_flag=True, help="Continue the pretraining in OUTPUT, if there is one.")
@click.option("--force", is_flag=True, help="Replace the pretraining in OUTPUT, if there is one.")
@options.quiet
@section("Data")
@options.columns
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
@click.option(
    "--teacher",
    type=options.FILE,
    metavar="minilm|FOLDER",
    help="Sentence transformer whose vectors of the texts are learned, instead of a language "
    "model: minilm, or a folder with config.json, model.safetensors and tokenizer.json. Needs "
    "textgate[teacher].",
)
@click.option(
    "--labelled",
    type=options.FILE,
    metavar="FILE",
    multiple=True,
    help="Rows with one label each, which the encoder also learns; each file is a task with its "
    "own labels. Needs --teacher; can be repeated.",
)
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
    teacher: str | None,
    labelled: tuple[str, ...],
    device: str,
    threads: int,
    resume: bool,
    force: bool,
    columns: Columns,
    quiet: bool,
    **settings: Any,
) -> None:
    """Pretrain a network on texts without labels, for classifiers to start from.

    It becomes a language model, or with --teacher a sentence encoder. TEXTS are files of rows in
    any format, whose labels are ignored, or .txt with one text per line. Give the result to
    textgate train --encoder.
    """
    if resume and force:
        raise click.UsageError("--resume continues a run and --force replaces it: give only one")
    torch.set_num_threads(threads)
    made = pretrain(
        texts,
        output,
        teacher=teacher,
        labelled=labelled,
        settings={name: value for name, value in settings.items() if value is not None},
        columns=columns,
        device=device,
        resume=resume,
        force=force,
        progress=TerminalProgress(quiet=quiet),
    )
    outcome = made.outcome
    click.echo(
        f"{output}: epoch {outcome.best_epoch} of {len(outcome.history)}, {outcome.score} on "
        f"{format_count(made.manifest.held_out)} held-out texts, "
        f"{format_count(made.manifest.vocabulary_size)} words"
    )
