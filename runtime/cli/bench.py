"""`textgate bench`: latency of bundles on this machine."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from textgate.bundle.builtin import find_bundle
from textgate.bundle.schema import Fraction, Location, PositiveCount, read_field
from textgate.cli import options
from textgate.cli.sections import SectionedCommand, section
from textgate.errors import ConfigError, DataError

if TYPE_CHECKING:
    from textgate.bench.results import Accuracy
    from textgate.rows import Columns

_LENGTHS = (10, 25, 50, 100)
_MAX_OWN_TEXTS = 2000
_MAX_EVALUATION = 64_000_000  # bytes


@click.command(cls=SectionedCommand)
@section("Bundles")
@options.bundles
@options.engines
@options.threads
@section("Measurement")
@click.option(
    "--lengths",
    metavar="N,N,...",
    callback=options.whole_numbers,
    help="Tokens of texts made of frequent words; those over a bundle's limit are left out.  "
    f"[default: {','.join(map(str, _LENGTHS))}, or none with --text-file]",
)
@click.option(
    "--batch-sizes",
    metavar="N,N,...",
    callback=options.whole_numbers,
    default="1,8,32",
    show_default=True,
    help="Texts per call.",
)
@click.option(
    "--duration",
    type=click.FloatRange(0, 3600),
    default=0.5,
    show_default=True,
    help="Seconds for each bundle at each length and batch size.",
)
@section("Your own texts")
@click.option(
    "--text-file",
    type=options.FILE,
    metavar="FILE",
    help=f"Measure with your own texts: the first {_MAX_OWN_TEXTS:,} of a file of rows.",
)
@options.texts
@section("Output")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--html",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also write a page with plots.",
)
@click.option(
    "--evaluation",
    "evaluations",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="Output of evaluate --json for a bundle, to plot accuracy against latency; one for each "
    "-m, in the same order.",
)
def bench(
    models: tuple[Path | str, ...],
    text_file: str | None,
    lengths: tuple[int, ...] | None,
    batch_sizes: tuple[int, ...],
    duration: float,
    evaluations: tuple[Path, ...],
    as_json: bool,
    html: Path | None,
    columns: Columns,
    threads: int | Literal["auto"],
    engines: tuple[str, ...],
) -> None:
    """Measure the latency of bundles on this machine.

    Each call is timed in three ways, in alternation: tokenizing, running the network, and both.
    Several bundles take turns, too. A time is that of one call, whatever its batch size. A fixed
    calculation, timed between the measurements, shows whether the machine was quiet. Cold start and
    memory are measured in new processes. The command fails if the timed calls do not compute what
    the bundle predicts.
    """
    from textgate.atomic import write_bytes
    from textgate.bench.measure import bundle_names, measure
    from textgate.bench.page import page
    from textgate.bench.report import report

    if html is not None:
        options.require_free(
            html, [*evaluations, *([] if text_file is None else [Path(text_file)])]
        )
    paths = [find_bundle(model) for model in models]
    if evaluations and len(engines) > 1:
        raise click.UsageError("--evaluation needs a single --engine")
    accuracies = _accuracies(bundle_names(paths), evaluations)
    own_texts = [] if text_file is None else _own_texts(text_file, columns)
    if lengths is None:
        lengths = () if own_texts else _LENGTHS
    result = measure(
        paths,
        lengths=lengths,
        batch_sizes=batch_sizes,
        duration=duration,
        threads=threads,
        own_texts=own_texts,
        engines=tuple(dict.fromkeys(engines)),
    )
    result = dataclasses.replace(result, accuracies=accuracies)
    click.echo(json.dumps(result.to_json()) if as_json else report(result))
    if html is not None:
        write_bytes(html, page(result).encode("utf-8"))


def _own_texts(path: str, columns: Columns) -> list[str]:
    """Return the first texts of a file.

    Raises:
        ConfigError: the file's name does not tell its format.
        DataError: the file cannot be read, or holds no text.
    """
    from textgate.rows import read_rows

    rows = read_rows(path, columns, labelled=False, note=options.note)
    texts = [row.text for row in itertools.islice(rows, _MAX_OWN_TEXTS)]
    if not texts:
        raise DataError(f"{path}: there are no texts to measure with")
    return texts


def _accuracies(names: Sequence[str], files: Sequence[Path]) -> tuple[Accuracy, ...]:
    """Return the accuracies in the files, in the order of the bundles.

    Raises:
        ConfigError: there are files, but not as many as bundles.
        DataError: a file is not what `textgate evaluate --json` prints.
    """
    if files and len(files) != len(names):
        raise ConfigError(
            f"{len(files)} evaluations for {len(names)} bundles: give --evaluation once for each "
            "-m, in the same order"
        )
    return tuple(_accuracy(name, file) for name, file in zip(names, files, strict=bool(files)))


def _accuracy(name: str, file: Path) -> Accuracy:
    from textgate.bench.results import Accuracy
    from textgate.bundle import strict_json

    try:
        text = file.read_bytes()
    except OSError as problem:
        raise DataError(f"{file}: cannot be read: {problem.strerror}") from None
    document = strict_json.parse(text, where=str(file), error=DataError, limit=_MAX_EVALUATION)
    field = partial(read_field, document, location=Location(str(file), DataError))
    return Accuracy(
        bundle=name,
        rows=field("rows", PositiveCount),
        accuracy=field("accuracy", Fraction),
        interval=field("accuracy_interval", tuple[Fraction, Fraction]),
    )
