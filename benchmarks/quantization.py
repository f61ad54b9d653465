"""What quantization costs and saves: bytes, speed and accuracy of the reference networks.

Trains each network on each set for several seeds, exports it in float32 and in int8, scores both on
the test rows, and times them against each other in one run, in alternation, on one thread.

    python benchmarks/quantization.py --data ../shared/data

Without `--data` it uses the sample reviews of this repository. Runs are kept in `--cache`: a second
call only exports and measures.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import click
import numpy as np
import torch
from blocks import BLOCKS
from common import PATH, SAMPLE, cache_option, output_option, write_result

from textgate.classifier import Classifier
from textgate.cli.evaluate import evaluate_rows
from textgate.export import export
from textgate.latency import (
    bootstrap_ratio_interval,
    measure_alternating,
    percentiles,
    ratio_of_medians,
)
from textgate.rows import load_labelled
from textgate.train import fit
from textgate.train.progress import TerminalProgress

LENGTHS = (10, 100)


@dataclass(frozen=True)
class Scored:
    """One trained network, exported twice and scored on test rows."""

    data: str
    cell: str
    seed: int
    test_rows: int
    dev_accuracy: float
    float32_accuracy: float
    int8_accuracy: float
    agreement: float
    largest_difference: float
    mean_difference: float
    float32_bytes: int
    int8_bytes: int
    export_seconds: float


@dataclass(frozen=True)
class Timed:
    """One network's int8 graph against its float32 graph."""

    cell: str
    tokens: int
    float32_ms: float
    int8_ms: float
    ratio: float
    low: float
    high: float


@dataclass(frozen=True)
class LargeExport:
    """How long it takes to export and verify a bundle of about 2 MB."""

    bundle_bytes: int
    seconds: float


@click.command()
@click.option("--data", type=PATH, help="Folder with a folder for each set.")
@click.option("--sets", default="sst2,trec,banking77", show_default=True)
@click.option("--cells", default="lstm,gru,rnn", show_default=True)
@click.option("--seeds", default="0,1,2", show_default=True)
@click.option("--seconds", default=8.0, show_default=True, help="Time for each pair and length.")
@cache_option("quantization")
@output_option("quantization")
def main(
    data: Path | None, sets: str, cells: str, seeds: str, seconds: float, cache: Path, output: Path
) -> None:
    """Measure what quantization costs and saves."""
    torch.set_num_threads(1)
    folders = [SAMPLE] if data is None else [data / name for name in sets.split(",")]
    scored, first_bundles = [], {}
    for folder in folders:
        for cell in cells.split(","):
            for seed in map(int, seeds.split(",")):
                bundles = cache / f"{folder.name}-{cell}-{seed}"
                scored.append(score(folder, cell, seed, bundles))
                first_bundles.setdefault(cell, bundles)
    timed = [
        timing
        for cell, bundles in first_bundles.items()
        for timing in compare_times(cell, bundles, seconds)
    ]
    large = export_large(cache / "large")
    result = {
        "large_export": asdict(large),
        "scored": [asdict(row) for row in scored],
        "timed": [asdict(row) for row in timed],
    }
    print(BLOCKS["quantization"].text(write_result(output, result)))


def score(folder: Path, cell: str, seed: int, bundles: Path) -> Scored:
    """Train (or take up) a network, export it twice into `bundles`, and score both."""
    run = bundles.with_name(bundles.name + ".run")
    fitted = fit(
        folder / "train.jsonl.gz",
        run,
        dev=folder / "dev.jsonl.gz",
        preset=f"seed-{cell}",
        settings={"seed": seed},
        resume=True,
        progress=TerminalProgress(),
    )
    rows = load_labelled(folder / "test.jsonl.gz")
    texts = [row.text for row in rows]
    probabilities, accuracies, sizes = {}, {}, {}
    seconds = 0.0
    for precision in ("float32", "int8"):
        begun = time.perf_counter()
        # The limit is lifted: a loss is to be measured here, not refused.
        exported = export(
            run, bundles / precision, precision=precision, max_accuracy_drop=1.0, force=True
        )
        seconds = time.perf_counter() - begun
        classifier = Classifier.load(exported.path)
        probabilities[precision] = classifier.predict_proba(texts)
        accuracies[precision] = evaluate_rows(classifier, rows, file=folder.name).accuracy
        sizes[precision] = exported.manifest.files["model.onnx"].size
    difference = np.abs(probabilities["int8"] - probabilities["float32"])
    same = probabilities["int8"].argmax(axis=1) == probabilities["float32"].argmax(axis=1)
    return Scored(
        data=folder.name,
        cell=cell,
        seed=seed,
        test_rows=len(rows),
        dev_accuracy=fitted.model.metrics["accuracy"],
        float32_accuracy=accuracies["float32"],
        int8_accuracy=accuracies["int8"],
        agreement=float(same.mean()),
        largest_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        float32_bytes=sizes["float32"],
        int8_bytes=sizes["int8"],
        export_seconds=seconds,
    )


def export_large(bundle: Path) -> LargeExport:
    """Train a network with a large embedding for one epoch, and time its export as int8."""
    run = bundle.with_name(bundle.name + ".run")
    fit(
        SAMPLE / "train.jsonl.gz",
        run,
        dev=SAMPLE / "dev.jsonl.gz",
        settings={"vocabulary_size": 20_000, "embedding_size": 112, "epochs": 1},
        resume=True,
        progress=TerminalProgress(),
    )
    begun = time.perf_counter()
    exported = export(run, bundle, max_accuracy_drop=1.0, force=True)
    seconds = time.perf_counter() - begun
    return LargeExport(sum(entry.size for entry in exported.manifest.files.values()), seconds)


def compare_times(cell: str, bundles: Path, seconds: float) -> list[Timed]:
    """Time one text at a time through both graphs, tokens already known."""
    stages = {name: Classifier.load(bundles / name).stages() for name in ("float32", "int8")}
    result = []
    for tokens in LENGTHS:
        words = stages["int8"].words(500)[:tokens]
        text = " ".join(words[place % len(words)] for place in range(tokens))
        encoded = stages["int8"].encode([text])
        times = measure_alternating(
            {name: partial(stage.run, encoded) for name, stage in stages.items()}, seconds=seconds
        )
        low, high = bootstrap_ratio_interval(times["int8"], times["float32"])
        result.append(
            Timed(
                cell=cell,
                tokens=tokens,
                float32_ms=percentiles(times["float32"]).p50,
                int8_ms=percentiles(times["int8"]).p50,
                ratio=ratio_of_medians(times["int8"], times["float32"]),
                low=low,
                high=high,
            )
        )
    return result


if __name__ == "__main__":
    main()
