"""Accuracy against time and against size, by cell, width and precision, and for linear models.

Trains the default recipe, without the packaged encoder, with every cell and several widths. Exports
each network in float32 and in int8, and times all of them and the peers in alternation, one text
per call, on texts of the set. A model is on the Pareto front if no other model is at least as
accurate and faster (or smaller).

    python benchmarks/pareto.py --data ../shared/data --set sst2

Trained networks are cached in `--cache`; a second call continues. Without `--data` the script uses
the sample reviews of this repository.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
from accuracy_peers import MODULES, missing, outcome
from common import PATH, cache_option, output_option, write_result
from pages.blocks import BLOCKS
from sets import Split, find_sets, in_processes

from textgate.bench.noise import fixed_work, noise_in
from textgate.bench.timing import measure_alternating, percentiles
from textgate.bundle.storage import bundle_bytes
from textgate.evaluation.evaluate import evaluate_rows
from textgate.export import export
from textgate.inference.classifier import Classifier
from textgate.rows import load_labelled
from textgate.train import fit

CELLS = ("rnn", "gru", "lstm")
WIDTHS = (30, 62, 126, 254)
PRECISIONS = ("float32", "int8")
TEXTS = 32


@dataclass(frozen=True)
class Point:
    """One classifier: accuracy on the test rows, size in bytes, milliseconds per text.

    Points of one `kind` are one series of the picture. `fast` and `small` mark the fronts of
    accuracy against time and of accuracy against size.
    """

    name: str
    kind: str
    accuracy: float
    bytes: int
    p50: float
    fast: bool = False
    small: bool = False


@click.command()
@click.option("--data", type=PATH, help="Folder of sets.")
@click.option("--set", "name", default="", help="The set to use.")
@click.option("--seconds", default=120.0, show_default=True, help="Measuring time, all together.")
@click.option("--seed", default=0, show_default=True)
@click.option("--jobs", default=2, show_default=True, help="Networks trained at the same time.")
@click.option("--cells", default=",".join(CELLS), show_default=True)
@click.option("--widths", default=",".join(map(str, WIDTHS)), show_default=True)
@click.option("--epochs", type=int, help="Instead of the recipe's, for a smoke run.")
@cache_option("pareto")
@output_option("pareto")
def main(
    data: Path | None,
    name: str,
    seconds: float,
    seed: int,
    jobs: int,
    cells: str,
    widths: str,
    epochs: int | None,
    cache: Path,
    output: Path,
) -> None:
    """Train, export, measure, and write one file."""
    (split,) = find_sets(data, (name,) if name else ())
    cache.mkdir(parents=True, exist_ok=True)
    settings: dict[str, Any] = {"seed": seed} | ({"epochs": epochs} if epochs else {})
    work = itertools.product(cells.split(","), map(int, widths.split(",")))
    made = in_processes(jobs, partial(bundles_of, split, settings, cache), work)
    bundles = {kind: path for found in made for kind, path in found.items()}
    points, noise = measured(split, bundles, seconds)
    result = {
        "data": split.name,
        "test_rows": len(split.test_rows),
        "seed": seed,
        "noise": asdict(noise_in([noise])),
        "points": [asdict(point) for point in points],
    }
    print(BLOCKS["pareto"].text(write_result(output, result)))


def bundles_of(
    split: Split, settings: dict[str, Any], cache: Path, cell: str, width: int
) -> dict[tuple[str, str], Path]:
    """Train a network and export it in every precision; return the bundles by name and kind."""
    run = cache / f"{split.name}-{cell}-{width}-{settings['seed']}.run"
    chosen = {**settings, "cell": cell, "hidden_sizes": (width,)}
    fit(split.train, run, dev=split.dev, settings=chosen, pretrained="none", resume=True)
    found = {}
    for precision in PRECISIONS:
        bundle = run.with_suffix(f".{precision}")
        if not bundle.exists():
            export(run, bundle, precision=precision, allow_useless=True)
        found[f"{cell.upper()} {width}, {precision}", f"{cell.upper()}, {precision}"] = bundle
    return found


def measured(
    split: Split, bundles: dict[tuple[str, str], Path], seconds: float
) -> tuple[list[Point], list[int]]:
    """Return all points, and the times of fixed work between their calls."""
    rows = load_labelled(split.test)
    texts = [row.text for row in rows[:: max(1, len(rows) // TEXTS)]][:TEXTS]
    with ExitStack() as stack:
        found: dict[str, Point] = {}
        calls = {}
        for (name, kind), path in bundles.items():
            classifier = stack.enter_context(Classifier.load(path))
            quality = evaluate_rows(classifier, rows, file=str(split.test)).metrics
            found[name] = Point(name, kind, quality.accuracy, bundle_bytes(path), 0.0)
            calls[name] = classifier.predict
        for name in MODULES:
            if missing(name):
                click.echo(f"{name}: {missing(name)} is not installed; left out", err=True)
                continue
            peer = outcome(name, split)
            found[name] = Point(name, name, peer.accuracy, peer.bytes, 0.0)
            calls[name] = peer.classify
        turns = {name: partial(_all, call, texts) for name, call in calls.items()}
        times = measure_alternating({**turns, "": fixed_work}, seconds=seconds)
    fixed = times.pop("")
    timed = [
        replace(found[name], p50=percentiles(each).p50 / len(texts)) for name, each in times.items()
    ]
    return with_fronts(timed), fixed


def with_fronts(points: list[Point]) -> list[Point]:
    """Return the points with `fast` and `small` set."""
    return [
        replace(
            point,
            fast=not any(_beats(other, point, "p50") for other in points),
            small=not any(_beats(other, point, "bytes") for other in points),
        )
        for point in points
    ]


def _all(call: Callable[[str], object], texts: list[str]) -> None:
    for text in texts:
        call(text)


def _beats(other: Point, point: Point, cost: str) -> bool:
    """Return whether another point is as good in both figures and better in one."""
    theirs, ours = getattr(other, cost), getattr(point, cost)
    as_good = other.accuracy >= point.accuracy and theirs <= ours
    return bool(as_good and (other.accuracy > point.accuracy or theirs < ours))


if __name__ == "__main__":
    main()
