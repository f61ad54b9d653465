"""Accuracy against time and against size: cells, widths and precisions, with linear models beside.

Trains the default recipe with every cell and several widths, exports each network in float32 and in
int8, and measures all of them and the peers in one run, in alternation, one text a call, on texts
of the set. A network is on the front if no other one of any kind is both at least as accurate and
faster (or smaller).

    python benchmarks/pareto.py --data ../shared/data --set sst2

What is trained is kept in `--cache`: a second call goes on from there. Without `--data` it uses the
sample reviews of this repository.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch
from accuracy_peers import MODULES, missing, outcome
from blocks import BLOCKS
from common import PATH, cache_option, output_option, write_result
from sets import Split, find_sets

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
    """One classifier: accuracy on the test rows, size of its files, milliseconds of a text.

    `kind` is what is drawn in one look; `fast` and `small` say whether it is on the front of
    accuracy and time, and on that of accuracy and size.
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
@click.option("--set", "name", default="", help="Which of them.")
@click.option("--seconds", default=120.0, show_default=True, help="For measuring, all together.")
@click.option("--seed", default=0, show_default=True)
@click.option("--jobs", default=2, show_default=True, help="Networks trained at a time.")
@click.option("--cells", default=",".join(CELLS), show_default=True)
@click.option("--widths", default=",".join(map(str, WIDTHS)), show_default=True)
@click.option("--epochs", type=int, help="In place of the recipe's, for a smoke run.")
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
    work = list(itertools.product(cells.split(","), map(int, widths.split(","))))
    with ProcessPoolExecutor(jobs, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        made = pool.map(partial(bundles_of, split, settings, cache), *zip(*work, strict=True))
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
    fit(split.train, run, dev=split.dev, settings=chosen, resume=True)
    found = {}
    for precision in PRECISIONS:
        bundle = run.with_suffix(f".{precision}")
        if not bundle.exists():
            export(run, bundle, precision=precision)
        found[f"{cell.upper()} {width}, {precision}", f"{cell.upper()}, {precision}"] = bundle
    return found


def measured(
    split: Split, bundles: dict[tuple[str, str], Path], seconds: float
) -> tuple[list[Point], list[int]]:
    """Return all points, and times of a fixed piece of work in between."""
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
    """Return the points, each knowing whether it is on the fronts."""
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
    """Return whether another point is as good in both ways and better in one."""
    theirs, ours = getattr(other, cost), getattr(point, cost)
    as_good = other.accuracy >= point.accuracy and theirs <= ours
    return bool(as_good and (other.accuracy > point.accuracy or theirs < ours))


if __name__ == "__main__":
    main()
