"""What quantization costs and saves: bytes, speed and accuracy of the reference networks.

Trains each network on each set for several seeds, exports it in float32 and in int8, scores both on
the test rows, and times them against each other in one run, in alternation, on one thread.

    python benchmarks/quantization.py --data ../shared/data

Without `--data` it uses the sample reviews of this repository. Runs are kept in `--cache`: a second
call only exports and measures.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from blocks import BLOCKS
from common import PATH, SAMPLE, cache_option, output_option, write_result

from textgate.bench.timing import (
    bootstrap_ratio_interval,
    measure_alternating,
    percentiles,
    ratio_of_medians,
)
from textgate.evaluation.evaluate import evaluate_rows
from textgate.export import export
from textgate.inference.classifier import Classifier
from textgate.rows import load_labelled
from textgate.train import fit
from textgate.train.fit.progress import TerminalProgress

LENGTHS = (10, 100)
PRECISIONS = ("float32", "int8")


@click.command()
@click.option("--data", type=PATH, help="Folder with a folder for each set.")
@click.option("--sets", default="sst2,trec,banking77", show_default=True)
@click.option("--cells", default="lstm,gru,rnn", show_default=True)
@click.option("--seeds", default="0,1,2", show_default=True)
@click.option("--epochs", type=int, help="In place of the preset's, for a smoke run.")
@click.option("--seconds", default=8.0, show_default=True, help="Time for each pair and length.")
@cache_option("quantization")
@output_option("quantization")
def main(
    data: Path | None,
    sets: str,
    cells: str,
    seeds: str,
    epochs: int | None,
    seconds: float,
    cache: Path,
    output: Path,
) -> None:
    """Measure what quantization costs and saves."""
    torch.set_num_threads(1)
    folders = [SAMPLE] if data is None else [data / name for name in sets.split(",")]
    scored: list[dict[str, Any]] = []
    first_bundles: dict[str, Path] = {}
    for folder in folders:
        for cell in cells.split(","):
            for seed in seeds.split(","):
                bundles = cache / f"{folder.name}-{cell}-{seed}"
                settings = {"seed": int(seed)} | ({"epochs": epochs} if epochs else {})
                figures = score(folder, f"seed-{cell}", settings, bundles)
                scored.append({"data": folder.name, "cell": cell, "seed": int(seed), **figures})
                first_bundles.setdefault(cell, bundles)
    timed = [
        {"cell": cell, **times}
        for cell, bundles in first_bundles.items()
        for times in compared_times(bundles, seconds)
    ]
    result = write_result(output, {"scored": scored, "timed": timed})
    print(BLOCKS["quantization"].text(result))


def score(folder: Path, preset: str, settings: dict[str, Any], bundles: Path) -> dict[str, Any]:
    """Train (or take up) a network, export it twice into `bundles`, and score both."""
    run = bundles.with_name(bundles.name + ".run")
    fitted = fit(
        folder / "train.jsonl.gz",
        run,
        dev=folder / "dev.jsonl.gz",
        preset=preset,
        settings=settings,
        resume=True,
        progress=TerminalProgress(),
    )
    rows = load_labelled(folder / "test.jsonl.gz")
    found: dict[str, Any] = {
        "test_rows": len(rows),
        "dev_accuracy": fitted.model.metrics["accuracy"],
    }
    probabilities = {}
    for precision in PRECISIONS:
        # The limit is lifted: a loss is to be measured here, not refused.
        exported = export(
            run, bundles / precision, precision=precision, max_accuracy_drop=1.0, force=True
        )
        classifier = Classifier.load(exported.path)
        probabilities[precision] = classifier.predict_proba([row.text for row in rows])
        quality = evaluate_rows(classifier, rows, file=folder.name).metrics
        found[f"{precision}_accuracy"] = quality.accuracy
        found[f"{precision}_bytes"] = exported.manifest.files["model.onnx"].size
    before, after = (probabilities[precision] for precision in PRECISIONS)
    difference = np.abs(after - before)
    found["agreement"] = float((after.argmax(axis=1) == before.argmax(axis=1)).mean())
    found["largest_difference"] = float(difference.max())
    found["mean_difference"] = float(difference.mean())
    return found


def compared_times(bundles: Path, seconds: float) -> Iterator[dict[str, Any]]:
    """Time one text at a time through both graphs, tokens already known."""
    stages = {name: Classifier.load(bundles / name).stages() for name in PRECISIONS}
    for tokens in LENGTHS:
        words = stages["int8"].words(500)[:tokens]
        text = " ".join(words[place % len(words)] for place in range(tokens))
        encoded = stages["int8"].encode([text])
        times = measure_alternating(
            {name: partial(stage.run, encoded) for name, stage in stages.items()}, seconds=seconds
        )
        low, high = bootstrap_ratio_interval(times["int8"], times["float32"])
        yield {
            "tokens": tokens,
            "float32_ms": percentiles(times["float32"]).p50,
            "int8_ms": percentiles(times["int8"]).p50,
            "ratio": ratio_of_medians(times["int8"], times["float32"]),
            "low": low,
            "high": high,
        }


if __name__ == "__main__":
    main()
