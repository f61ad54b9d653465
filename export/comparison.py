"""`textgate compare`: several networks trained, exported and measured on the same rows."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import torch

from textgate.architecture import parameter_count
from textgate.atomic import write_bytes
from textgate.classifier import Classifier
from textgate.cli import options
from textgate.cli.bench import measure_together
from textgate.cli.evaluate import evaluate_rows
from textgate.cli.sections import SectionedCommand, section
from textgate.errors import DataError
from textgate.export.exporter import PRECISIONS, export
from textgate.machine import this_machine
from textgate.rows import Columns, load_labelled
from textgate.tables import format_bytes, format_count, format_ms, format_table
from textgate.train.fitting import fit
from textgate.train.presets import PRESETS
from textgate.train.progress import TerminalProgress

RESULT = "comparison.json"
_SEEDS = ("seed-lstm", "seed-gru")


@dataclass(frozen=True)
class Compared:
    """One line of the comparison.

    Attributes:
        preset: what was trained.
        parameters: trainable parameters of the logical network.
        bundle_bytes: size of the bundle without its card.
        accuracy: on the test rows, of the exported bundle.
        low: lower end of the accuracy's 95 % interval.
        high: upper end.
        train_seconds: time of the epochs.
        p50_ms: median time of a call with one text of `tokens` tokens, tokenizing included.
        tokens: tokens of the texts that were timed.
    """

    preset: str
    parameters: int
    bundle_bytes: int
    accuracy: float
    low: float
    high: float
    train_seconds: float
    p50_ms: float
    tokens: int


@click.command(cls=SectionedCommand)
@click.argument("data", type=options.FILE, metavar="DATA")
@section("Output")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder for the runs, the bundles and comparison.json.",
)
@click.option("--force", is_flag=True, help="Replace the runs and bundles in OUTPUT.")
@options.quiet
@section("Data")
@click.option(
    "--test",
    type=options.FILE,
    metavar="FILE",
    required=True,
    help="Labelled rows that score the bundles.",
)
@click.option(
    "--dev",
    type=options.FILE,
    metavar="FILE",
    help="Rows that choose the epoch; by default a part of DATA.",
)
@options.columns
@section("Networks")
@click.option(
    "--preset",
    "presets",
    type=click.Choice(list(PRESETS)),
    multiple=True,
    default=_SEEDS,
    show_default=True,
    help="Preset to train; can be repeated.",
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="int8",
    show_default=True,
    help="Precision of the bundles.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of all random numbers.")
@click.option(
    "--tokens",
    type=click.IntRange(min=1),
    default=25,
    show_default=True,
    help="Length of the texts that are timed.",
)
def compare(
    data: str,
    test: str,
    dev: str | None,
    presets: tuple[str, ...],
    precision: str,
    tokens: int,
    seed: int,
    output: Path,
    force: bool,
    columns: Columns,
    quiet: bool,
) -> None:
    """Train several presets on the same rows, export them, and print one table.

    Latencies are measured in alternation, one text a call, on one thread, tokenizing included.
    """
    torch.set_num_threads(1)  # for steps this small, more threads mostly wait for each other
    rows = load_labelled(test, columns, note=options.note)
    names = list(dict.fromkeys(presets))
    seconds = {}
    progress = TerminalProgress(quiet=quiet)
    for name in names:
        progress.note(f"-- {name}")
        fitted = fit(
            data,
            output / f"{name}.run",
            dev=dev,
            preset=name,
            settings={"seed": seed},
            columns=columns,
            force=force,
            progress=progress,
        )
        seconds[name] = sum(epoch.seconds for epoch in fitted.model.history)
        export(fitted.path, output / name, precision=precision, force=force)
    classifiers = {name: Classifier.load(output / name) for name in names}
    latencies = measure_together(classifiers, tokens=tokens)
    lines = []
    for name, classifier in classifiers.items():
        manifest = classifier.manifest
        quality = evaluate_rows(classifier, rows, file=test)
        lines.append(
            Compared(
                preset=name,
                parameters=parameter_count(manifest.architecture),
                bundle_bytes=sum(
                    entry.size for file, entry in manifest.files.items() if file != "README.md"
                ),
                accuracy=quality.accuracy,
                low=quality.accuracy_interval[0],
                high=quality.accuracy_interval[1],
                train_seconds=seconds[name],
                p50_ms=latencies[name],
                tokens=tokens,
            )
        )
    result = {"machine": asdict(this_machine()), "rows": [asdict(line) for line in lines]}
    text = json.dumps(result, indent=2) + "\n"
    try:
        write_bytes(output / RESULT, text.encode("utf-8"))
    except OSError as problem:
        raise DataError(f"{output / RESULT}: cannot be written: {problem.strerror}") from None
    click.echo(comparison_table(lines))


def comparison_table(lines: list[Compared]) -> str:
    """Return the comparison as a table for a terminal."""
    header = ["network", "parameters", "bundle", "accuracy", "95 % interval", "training"]
    return format_table(
        [*header, f"p50, {lines[0].tokens} tokens"],
        [
            [
                line.preset,
                format_count(line.parameters),
                format_bytes(line.bundle_bytes),
                f"{line.accuracy:.4f}",
                f"{line.low:.4f} to {line.high:.4f}",
                f"{line.train_seconds:.0f} s",
                format_ms(line.p50_ms),
            ]
            for line in lines
        ],
        align="<>>>>>>",
    )
