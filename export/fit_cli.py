"""`textgate fit`: from labelled rows to a bundle in one step."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import click
import torch

from textgate.atomic import refuse_occupied
from textgate.bundle.manifest import PRECISIONS, Precision
from textgate.bundle.run import is_run
from textgate.bundle.storage import MANIFEST, bundle_bytes
from textgate.cli import options
from textgate.cli.sections import SectionedCommand, section
from textgate.errors import CheckpointError, ConfigError, ExportError
from textgate.export.exporter import Exported, export
from textgate.export.front_matter import Publication
from textgate.rows import Columns
from textgate.tables import format_bytes, format_count
from textgate.train.fitting import fit
from textgate.train.training.config import TrainingConfig
from textgate.train.training.presets import PRESETS
from textgate.train.training.progress import TerminalProgress
from textgate.train.training.settings import read_settings


@click.command(
    "fit",
    cls=SectionedCommand,
    epilog="For other settings, teachers and export options, use textgate train and textgate "
    "export.",
)
@click.argument("data", type=options.FILE, metavar="DATA")
@section("Output")
@options.folder("Bundle to create.")
@click.option(
    "--run",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Run folder to create and keep; by default OUTPUT.run, removed when the bundle is there.",
)
@click.option("--resume", is_flag=True, help="Continue after an interruption.")
@click.option("--force", is_flag=True, help="Replace an existing bundle in OUTPUT.")
@options.quiet
@section("Data")
@options.dev_or_folds
@options.columns
@section("Model")
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    help="Settings to start from.  [default: default]",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="TOML file of settings, named as in run.json.",
)
@click.option("--seed", type=int, help="Seed of all random numbers.")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="int8",
    show_default=True,
    help="Precision of the bundle.",
)
@section("Card of the bundle")
@options.card
def fit_command(
    data: str,
    output: Path,
    run: Path | None,
    resume: bool,
    force: bool,
    quiet: bool,
    dev: str | None,
    columns: Columns,
    preset: str | None,
    config: Path | None,
    seed: int | None,
    precision: Precision,
    licence: str | None,
    language: tuple[str, ...],
    dataset: tuple[str, ...],
) -> None:
    """Train a classifier on labelled rows and export it as a verified bundle.

    DATA is as for textgate train. An interrupted fit loses nothing: the same command with --resume
    continues it.
    """
    publication = Publication(licence, language, dataset)
    torch.set_num_threads(1)  # steps this small are slower on more threads
    settings = read_settings(config, TrainingConfig) if config is not None else {}
    if seed is not None:
        settings["seed"] = seed
    folder = run or Path(f"{output}.run")
    if folder.resolve().is_relative_to(output.resolve()):
        raise ConfigError(
            f"{folder}: the run cannot be kept where the bundle is to be; choose another folder "
            "for --run"
        )
    refuse_occupied(output, force=force, error=ExportError, complete_marker=MANIFEST)
    if is_run(folder) and not (resume or force):
        raise CheckpointError(
            f"{folder}: a run is there already; continue it with --resume, or replace it with "
            "--force"
        )
    progress = TerminalProgress(quiet=quiet)
    try:
        fit(
            data,
            folder,
            dev=dev,
            preset=preset,
            settings=settings,
            columns=columns,
            resume=resume,
            force=force and not resume,
            progress=progress,
        )
    except KeyboardInterrupt:
        if is_run(folder):
            progress.warn(f"the run is kept in {folder}: --resume continues it")
        raise
    try:
        done = export(folder, output, precision=precision, publication=publication, force=force)
    except BaseException:
        progress.warn(f"the trained run is kept in {folder}: textgate export exports it")
        raise
    if run is None:
        shutil.rmtree(folder, ignore_errors=True)
    for note in done.notes:
        progress.warn(note)
    click.echo(_line(done, precision))
    progress.note(f"to use it: textgate classify -m {shlex.quote(str(output))} 'some text'")


def _line(done: Exported, precision: Precision) -> str:
    quality = done.manifest.scores
    assert quality is not None  # an export measures it  # noqa: S101
    rows = format_count(quality.rows)
    where = f"out of fold on {rows} rows" if done.manifest.out_of_fold else f"on {rows} dev rows"
    return (
        f"{done.path}: {precision}, {format_bytes(bundle_bytes(done.path))}; {where} accuracy "
        f"{quality.accuracy:.4f}, macro-F1 {quality.macro_f1:.4f}"
    )
