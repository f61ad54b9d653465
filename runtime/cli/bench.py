"""`textgate bench`: how long bundles take on this machine, side by side."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from textgate.bundle.builtin import find_bundle
from textgate.bundle.schema import Place, PositiveCount, Share, read_field
from textgate.cli import options
from textgate.errors import ConfigError, DataError

if TYPE_CHECKING:
    from textgate.bench.results import Accuracy
    from textgate.inference.classifier import Classifier
    from textgate.rows import Columns

_LENGTHS = (10, 25, 50, 100)
_TEXTS = 16  # different texts a workload takes in turn
_OWN_TEXTS = 2000  # as many of the user's own are timed and compared
_EVALUATION_LIMIT = 64_000_000  # bytes


@click.command()
@options.bundles
@click.option(
    "--text-file",
    type=options.FILE,
    metavar="FILE",
    help=f"Measure with your own texts: the first {_OWN_TEXTS:,} of any file that classify reads.",
)
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
    help="Texts a call.",
)
@click.option(
    "--duration",
    default=0.5,
    show_default=True,
    help="Seconds for each bundle at each length and batch size.",
)
@click.option(
    "--evaluation",
    "evaluations",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="What evaluate --json printed for a bundle, to set accuracy against latency; one for each "
    "-m, in the same order.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--html", type=click.Path(path_type=Path), metavar="FILE", help="Write a page with plots, too."
)
@options.texts
@options.threads
@options.engines
def bench(
    models: tuple[Path, ...],
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

    Tokenizing, running and both together are timed in alternation, bundles too; times are those of
    one call, whatever its batch size. A fixed piece of work in between tells whether the machine
    was quiet. Cold start and memory are those of fresh processes. Fails if what was timed is not
    what the bundle predicts.
    """
    from textgate.atomic import write_bytes
    from textgate.bench.measure import bundle_names, measure
    from textgate.bench.page import page
    from textgate.bench.report import report

    if html is not None:
        _require_free(html, [*evaluations, *([] if text_file is None else [Path(text_file)])])
    paths = [find_bundle(model) for model in models]
    if evaluations and len(engines) > 1:
        raise click.UsageError("--evaluation goes with one --engine")
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


def measure_together(
    classifiers: Mapping[str, Classifier], *, tokens: int, seconds: float = 1.0
) -> dict[str, float]:
    """Return the median time of one prediction of each classifier, in milliseconds.

    They are timed in alternation, each on texts of `tokens` of its own words.
    """
    from textgate.bench.measure import WORDS, in_turn
    from textgate.bench.timing import measure_alternating, percentiles, texts_of_length

    workloads = {
        name: in_turn(
            classifier.predict, texts_of_length(classifier.stages().words(WORDS), tokens, _TEXTS)
        )
        for name, classifier in classifiers.items()
    }
    times = measure_alternating(workloads, seconds=seconds)
    return {name: percentiles(values).p50 for name, values in times.items()}


def _require_free(page: Path, read: Sequence[Path]) -> None:
    """Refuse a page that cannot be written, before minutes of measuring.

    Raises:
        DataError: its folder is missing, or it is one of the files that are read.
    """
    if not page.parent.is_dir():
        raise DataError(f"{page}: there is no folder {page.parent}; make it first")
    if page.exists() and any(path.exists() and page.samefile(path) for path in read):
        raise DataError(f"{page}: is what is read; write the page to another file")


def _own_texts(path: str, columns: Columns) -> list[str]:
    """Return the first texts of a file.

    Raises:
        ConfigError: the file's name does not tell its format.
        DataError: the file cannot be read, or holds no text.
    """
    from textgate.rows import read_rows

    rows = read_rows(path, columns, labelled=False, note=options.note)
    texts = [row.text for row in itertools.islice(rows, _OWN_TEXTS)]
    if not texts:
        raise DataError(f"{path}: there are no texts to measure with")
    return texts


def _accuracies(names: Sequence[str], files: Sequence[Path]) -> tuple[Accuracy, ...]:
    """Return what the evaluations say, in the order of the bundles.

    Raises:
        ConfigError: there are some, but not as many as bundles.
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
    document = strict_json.parse(text, where=str(file), error=DataError, limit=_EVALUATION_LIMIT)
    field = partial(read_field, document, place=Place(str(file), DataError))
    return Accuracy(
        bundle=name,
        rows=field("rows", PositiveCount),
        accuracy=field("accuracy", Share),
        interval=field("accuracy_interval", tuple[Share, Share]),
    )
