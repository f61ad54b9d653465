"""`textgate compare`: several networks trained, exported and measured on the same rows."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import torch

from textgate.atomic import refuse_occupied, write_bytes
from textgate.bench.machine import this_machine
from textgate.bench.measure import measure_together
from textgate.bundle.architecture import parameter_count
from textgate.bundle.manifest import PRECISIONS, Precision
from textgate.bundle.run import RUN
from textgate.bundle.storage import MANIFEST, bundle_bytes
from textgate.cli import options
from textgate.cli.sections import SectionedCommand, section
from textgate.errors import CheckpointError, DataError, ExportError, TextgateError
from textgate.evaluation.evaluate import evaluate_rows
from textgate.export.exporter import export
from textgate.inference.classifier import Classifier
from textgate.rows import Columns, load_labelled
from textgate.rows.source import STANDARD_INPUT
from textgate.tables import format_bytes, format_count, format_ms, format_table
from textgate.train.fitting import fit
from textgate.train.training.presets import PRESETS
from textgate.train.training.progress import TerminalProgress

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from textgate.evaluation.metrics import Evaluation
    from textgate.train.fitting import FittedRun

RESULT = "comparison.json"
_DEFAULT_PRESETS = ("seed-lstm", "seed-gru")


@dataclass(frozen=True)
class Compared:
    """Figures of one network.

    Attributes:
        preset: name of its preset.
        parameters: number of trainable parameters.
        bundle_bytes: size of the bundle.
        accuracy: on the test rows, of the exported bundle.
        low: lower end of the accuracy's 95 % interval.
        high: upper end.
        train_seconds: training time, all epochs together.
        p50_ms: median time per text of `tokens` tokens, tokenizing included, in milliseconds.
        tokens: length of the timed texts.
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
@options.folder("Folder for the runs, the bundles and comparison.json.")
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
@options.dev
@options.columns
@section("Networks")
@click.option(
    "--preset",
    "presets",
    type=click.Choice(list(PRESETS)),
    multiple=True,
    default=_DEFAULT_PRESETS,
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
    precision: Precision,
    tokens: int,
    seed: int,
    output: Path,
    force: bool,
    columns: Columns,
    quiet: bool,
) -> None:
    """Train several presets on the same rows, export them, and print one table.

    Latencies are measured in alternation, one text per call, on one thread, tokenizing included. If
    a network fails, the others are finished; the table names it, and the exit status is 1.
    """
    torch.set_num_threads(1)  # steps this small are slower on more threads
    names = list(dict.fromkeys(presets))
    if STANDARD_INPUT in (data, dev) and len(names) > 1:
        raise click.UsageError("DATA and --dev are read once per network; name files instead of -")
    _refuse_targets(output, names, force=force)
    rows = load_labelled(test, columns, note=options.note)
    progress = TerminalProgress(quiet=quiet, lines_after=0.0)
    trained: dict[str, FittedRun] = {}
    classifiers: dict[str, Classifier] = {}
    qualities: dict[str, Evaluation] = {}
    problems: dict[str, TextgateError] = {}
    for number, name in enumerate(names, start=1):
        progress.note(f"-- {name}, {number} of {len(names)}")
        try:
            fitted = fit(
                data,
                output / f"{name}.run",
                dev=dev,
                preset=name,
                settings={"seed": seed},
                columns=columns,
                force=force,
                progress=TerminalProgress(quiet=quiet),
            )
            progress.note(f"exporting {name} as {precision}")
            export(
                fitted.path,
                output / name,
                precision=precision,
                allow_useless=True,  # the table shows how good each network is
                force=force,
                progress=progress,
            )
            classifier = Classifier.load(output / name)
            progress.note(f"scoring {name} on {format_count(len(rows))} rows")
            qualities[name] = evaluate_rows(classifier, rows, file=test).metrics
        except TextgateError as problem:
            if isinstance(problem, DataError) and number == 1:
                raise  # the other networks read the same rows
            problems[name] = problem
            progress.warn(f"{name} failed: {problem}")
        else:
            trained[name], classifiers[name] = fitted, classifier
    if not classifiers:
        raise next(iter(problems.values()))
    progress.note(f"timing {len(classifiers)} bundles on texts of {tokens} tokens")
    latencies = measure_together(classifiers, tokens=tokens)
    lines = [
        Compared(
            preset=name,
            parameters=parameter_count(classifier.manifest.architecture),
            bundle_bytes=bundle_bytes(classifier.path),
            accuracy=qualities[name].accuracy,
            low=qualities[name].accuracy_interval[0],
            high=qualities[name].accuracy_interval[1],
            train_seconds=sum(epoch.seconds for epoch in trained[name].model.history),
            p50_ms=latencies[name],
            tokens=tokens,
        )
        for name, classifier in classifiers.items()
    ]
    reasons = {name: str(problem) for name, problem in problems.items()}
    result = {
        "machine": asdict(this_machine()),
        "rows": [asdict(line) for line in lines],
        "failed": [{"preset": name, "reason": reason} for name, reason in reasons.items()],
    }
    _write(output / RESULT, result)
    header, cells, align = comparison_table(lines, failed=reasons)
    click.echo(format_table(header, cells, align=align))
    for name, reason in reasons.items():
        click.echo(f"{name} failed: {reason}")
    if problems:
        raise TextgateError(
            f"{len(problems)} of {len(names)} networks failed: {', '.join(reasons)}"
        )


def comparison_table(
    lines: Sequence[Compared], *, failed: Collection[str] = ()
) -> tuple[list[str], list[list[str]], str]:
    """Return the comparison as a table: header, rows and alignment.

    Args:
        lines: the measured networks, at least one.
        failed: names of the networks that failed.
    """
    header = ["network", "parameters", "bundle", "accuracy", "95 % interval", "training"]
    header.append(f"p50, {lines[0].tokens} tokens")
    rows = [
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
    ]
    rows.extend([name, "-", "-", "failed", "-", "-", "-"] for name in failed)
    return header, rows, "<>>>>>>"


def _refuse_targets(output: Path, names: Sequence[str], *, force: bool) -> None:
    """Refuse existing runs and bundles before the first network is trained.

    Raises:
        CheckpointError: a run exists.
        ExportError: a bundle exists.
    """
    for name in names:
        run, bundle = output / f"{name}.run", output / name
        refuse_occupied(run, force=force, error=CheckpointError, complete_marker=RUN)
        refuse_occupied(bundle, force=force, error=ExportError, complete_marker=MANIFEST)


def _write(path: Path, result: dict[str, Any]) -> None:
    text = json.dumps(result, indent=2) + "\n"
    try:
        write_bytes(path, text.encode("utf-8"))
    except OSError as problem:
        raise DataError(f"{path}: cannot be written: {problem.strerror}") from None
