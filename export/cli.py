"""`textgate export`."""

from __future__ import annotations

from pathlib import Path

import click

from textgate.bundle.manifest import PRECISIONS, Precision
from textgate.bundle.storage import bundle_bytes
from textgate.cli import options
from textgate.evaluation.coverage import label_thresholds, threshold_table
from textgate.export.exporter import Exported
from textgate.export.exporter import export as export_run
from textgate.export.front_matter import Publication
from textgate.export.operators import format_report
from textgate.export.quality import MAX_ACCURACY_DROP
from textgate.export.thresholds import Answers
from textgate.rows import Columns
from textgate.tables import format_bytes, format_table
from textgate.train.training.progress import TerminalProgress

_QUIET_SECONDS = 10.0  # work shorter than this reports no progress
_MAX_SHOWN_THRESHOLDS = 20


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@options.folder("Bundle to create.")
@click.option("--precision", type=click.Choice(PRECISIONS), default="int8", show_default=True)
@click.option(
    "--embedding-bits",
    type=click.Choice(["8", "4"]),
    default="8",
    show_default=True,
    help="Bits per value of the embedding, with int8.",
)
@click.option(
    "--verify",
    type=options.FILE,
    metavar="FILE",
    help="Labelled rows to verify on; by default the run's dev rows, or its training rows if folds "
    "chose.",
)
@click.option(
    "--max-accuracy-drop",
    type=float,
    default=100 * MAX_ACCURACY_DROP,
    show_default=True,
    help="Accuracy that quantization may lose on these rows, in points; a loss of up to three rows "
    "is always allowed.",
)
@click.option(
    "--fallback",
    is_flag=True,
    help="Raise precision piece by piece, cheapest first, until the loss is accepted.",
)
@click.option(
    "--max-size",
    "max_bytes",
    metavar="SIZE",
    callback=options.byte_count,
    help="Maximum size of the bundle, such as 500KB; rare words and embedding bits are dropped to "
    "fit.",
)
@click.option(
    "--min-precision",
    type=float,
    metavar="FRACTION",
    callback=options.positive_fraction,
    help="Choose thresholds at which this fraction of each label's answers is right, such as 0.95.",
)
@click.option(
    "--coverage",
    type=float,
    metavar="FRACTION",
    callback=options.positive_fraction,
    help="Choose thresholds at which this fraction of each label's answers is kept, such as 0.9.",
)
@click.option(
    "--allow-useless",
    is_flag=True,
    help="Export a network that is not better than the most frequent label alone.",
)
@click.option("--force", is_flag=True, help="Replace an existing bundle in OUTPUT.")
@options.columns
@options.card
def export(
    run: Path,
    output: Path,
    precision: Precision,
    embedding_bits: str,
    verify: str | None,
    max_accuracy_drop: float,
    fallback: bool,
    max_bytes: int | None,
    min_precision: float | None,
    coverage: float | None,
    allow_useless: bool,
    force: bool,
    columns: Columns,
    licence: str | None,
    language: tuple[str, ...],
    dataset: tuple[str, ...],
) -> None:
    """Turn a finished run into a verified bundle.

    Export compares the float32 graph with torch, and the quantized graph with the float32 graph on
    real rows and with itself in other batches and chunks. If a check fails, nothing is published.
    """
    if min_precision is not None and coverage is not None:
        raise click.UsageError("give --min-precision or --coverage, not both")
    if not 0 <= max_accuracy_drop <= 100:
        raise click.BadParameter(
            f"{max_accuracy_drop:g} is not a number of points from 0 to 100",
            param_hint="'--max-accuracy-drop'",
        )
    answers = None
    if min_precision is not None:
        answers = Answers("precision", min_precision)
    elif coverage is not None:
        answers = Answers("coverage", coverage)
    done = export_run(
        run,
        output,
        publication=Publication(licence, language, dataset),
        precision=precision,
        embedding_bits=int(embedding_bits),
        verify=verify,
        columns=columns,
        max_accuracy_drop=max_accuracy_drop / 100,
        fallback=fallback,
        max_bytes=max_bytes,
        answers=answers,
        allow_useless=allow_useless,
        force=force,
        progress=TerminalProgress(lines_after=_QUIET_SECONDS),
    )
    comparison = done.comparison
    click.echo(format_report(done.manifest), err=True)
    click.echo(
        "float32 graph against torch: probabilities differ by "
        f"{done.torch_difference:.1e} at most\n"
        f"{precision} against float32 on {comparison.rows:,} rows: probabilities differ by "
        f"{comparison.largest:.4f} at most, {comparison.mean:.5f} on average; same decision in "
        f"{comparison.agreement:.2%}; {_scores(done)}\n"
        "texts alone, in a batch and in chunks: probabilities differ by "
        f"{done.batch_difference:.1e} at most",
        err=True,
    )
    if answers is not None:
        _print_thresholds(done, answers)
    for note in done.notes:
        click.echo(note, err=True)
    click.echo(f"{output}: {precision}, {format_bytes(bundle_bytes(output))}")


def _scores(done: Exported) -> str:
    """Return the scores of both graphs, or those of cross-validation."""
    if done.manifest.out_of_fold and (quality := done.manifest.scores) is not None:
        return f"out of fold accuracy {quality.accuracy:.4f}, macro-F1 {quality.macro_f1:.4f}"
    before, after = done.comparison.before, done.comparison.after
    return (
        f"accuracy {before.accuracy:.4f} to {after.accuracy:.4f}, macro-F1 "
        f"{before.macro_f1:.4f} to {after.macro_f1:.4f}"
    )


def _print_thresholds(done: Exported, answers: Answers) -> None:
    """Print the thresholds and their effect on the rows they were chosen on."""
    chosen = [one for one in label_thresholds(done.manifest) if one.threshold is not None]
    without = len(done.manifest.labels) - len(chosen)
    if chosen:
        header, rows, align = threshold_table(chosen)
        title = f"thresholds for {answers}, chosen on these {done.comparison.rows:,} rows:"
        click.echo(title, err=True)
        click.echo(format_table(header, rows[:_MAX_SHOWN_THRESHOLDS], align=align), err=True)
    if len(chosen) > _MAX_SHOWN_THRESHOLDS:
        more = len(chosen) - _MAX_SHOWN_THRESHOLDS
        click.echo(f"and {more:,} more: textgate inspect {done.path}", err=True)
    if without:
        click.echo(
            f"labels that are never the answer on these rows, and get no threshold: {without:,}",
            err=True,
        )
