"""`textgate bench`: how long a bundle takes on this machine."""

from __future__ import annotations

import dataclasses
import json
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from textgate.cli import options
from textgate.errors import ConfigError
from textgate.machine import this_machine
from textgate.tables import format_bytes, format_ms, format_table

if TYPE_CHECKING:
    from textgate.classifier import Classifier

_TEXTS = 16  # different texts a workload takes in turn
_LOADS = 5
_WORDS = 500  # how many frequent words the texts are made of


@click.command()
@options.bundle
@click.option(
    "--lengths",
    metavar="N,N,...",
    callback=options.whole_numbers,
    default="10,25,50,100",
    show_default=True,
    help="Tokens of a text; those over the bundle's limit are left out.",
)
@click.option(
    "--batch-sizes",
    metavar="N,N,...",
    callback=options.whole_numbers,
    default="1,8,32",
    show_default=True,
    help="Texts a call.",
)
@click.option("--seconds", default=0.5, show_default=True, help="Time for each line of the table.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@options.threads
def bench(
    model: Path,
    lengths: tuple[int, ...],
    batch_sizes: tuple[int, ...],
    seconds: float,
    as_json: bool,
    threads: int | Literal["auto"],
) -> None:
    """Measure a bundle's latency on this machine.

    Tokenizing, running and both together are timed in alternation, on texts made of the bundle's
    own frequent words. Times are those of one call, whatever its batch size.
    """
    result = measure(
        model, lengths=lengths, batch_sizes=batch_sizes, seconds=seconds, threads=threads
    )
    click.echo(json.dumps(result) if as_json else _report(result))


def measure(
    path: Path,
    *,
    lengths: tuple[int, ...],
    batch_sizes: tuple[int, ...],
    seconds: float,
    threads: int | Literal["auto"] = 1,
) -> dict[str, Any]:
    """Return what `bench` prints, as JSON-ready values; times in milliseconds.

    Raises:
        BundleError: the bundle cannot be loaded.
        ConfigError: no length fits the bundle.
    """
    from textgate.classifier import Classifier

    load_times = []
    for _ in range(_LOADS):
        begun = time.perf_counter()
        classifier = Classifier.load(path, threads=threads)
        classifier.predict("warm")
        load_times.append((time.perf_counter() - begun) * 1000)
    manifest = classifier.manifest
    fitting = [tokens for tokens in lengths if tokens <= manifest.max_tokens]
    if not fitting:
        raise ConfigError(f"every length is over the bundle's {manifest.max_tokens} tokens")
    rows = [
        _measure_row(classifier, tokens, batch_size, seconds)
        for tokens in fitting
        for batch_size in batch_sizes
    ]
    return {
        "bundle": str(path),
        "precision": manifest.precision,
        "cell": manifest.architecture.cell,
        "threads": threads,
        "machine": dataclasses.asdict(this_machine()),
        "load_ms": statistics.median(load_times),
        "bytes": {name: entry.size for name, entry in manifest.files.items()},
        "rows": rows,
    }


def measure_together(
    classifiers: Mapping[str, Classifier], *, tokens: int, seconds: float = 1.0
) -> dict[str, float]:
    """Return the median time of one prediction of each classifier, in milliseconds.

    They are timed in alternation, each on texts of `tokens` of its own words.
    """
    from textgate.latency import measure_alternating, percentiles, texts_of_length

    workloads = {
        name: _in_turn(
            classifier.predict, texts_of_length(classifier.stages().words(_WORDS), tokens, _TEXTS)
        )
        for name, classifier in classifiers.items()
    }
    times = measure_alternating(workloads, seconds=seconds)
    return {name: percentiles(values).p50 for name, values in times.items()}


def _measure_row(
    classifier: Classifier, tokens: int, batch_size: int, seconds: float
) -> dict[str, Any]:
    from textgate.latency import measure_alternating, percentiles, texts_of_length

    stages = classifier.stages()
    texts = texts_of_length(stages.words(_WORDS), tokens, _TEXTS * batch_size)
    batches = [texts[at : at + batch_size] for at in range(0, len(texts), batch_size)]
    encoded = [stages.encode(batch) for batch in batches]
    times = measure_alternating(
        {
            "tokenize": _in_turn(stages.encode, batches),
            "run": _in_turn(stages.run, encoded),
            "both": _in_turn(classifier.predict_proba, batches),
        },
        seconds=seconds,
    )
    both = percentiles(times["both"])
    return {
        "tokens": tokens,
        "batch_size": batch_size,
        **{name: dataclasses.asdict(percentiles(values)) for name, values in times.items()},
        "texts_per_second": batch_size / both.p50 * 1000,
    }


def _in_turn(function: Callable[[Any], object], arguments: list[Any]) -> Callable[[], object]:
    """Return a call that takes the next argument each time."""
    place = 0

    def call() -> object:
        nonlocal place
        place = (place + 1) % len(arguments)
        return function(arguments[place])

    return call


def _report(result: dict[str, Any]) -> str:
    machine = result["machine"]
    header = [
        "tokens", "batch", "tokenize p50", "run p50", "both p50", "both p90", "both p99", "texts/s",
    ]  # fmt: skip
    rows = [
        [
            str(row["tokens"]),
            str(row["batch_size"]),
            format_ms(row["tokenize"]["p50"]),
            format_ms(row["run"]["p50"]),
            format_ms(row["both"]["p50"]),
            format_ms(row["both"]["p90"]),
            format_ms(row["both"]["p99"]),
            f"{row['texts_per_second']:,.0f}",
        ]
        for row in result["rows"]
    ]
    sizes = ", ".join(f"{name} {format_bytes(size)}" for name, size in result["bytes"].items())
    return "\n".join(
        [
            (
                f"{result['bundle']}: {result['cell']}, {result['precision']}, "
                f"{result['threads']} thread(s)"
            ),
            (
                f"{machine['processor']} ({' '.join(machine['features'])}), "
                f"{machine['cpus']} CPUs, load {machine['load']}, "
                f"onnxruntime {machine['versions']['onnxruntime']}"
            ),
            f"load and first prediction {format_ms(result['load_ms'])}; {sizes}",
            "",
            format_table(header, rows, align=">" * len(header)),
        ]
    )
