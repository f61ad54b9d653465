"""Size, speed and accuracy of the reference networks in int8 compared with float32.

Trains each network on each set with several seeds, exports it in float32 and in int8, scores both
on the test rows, and times both in alternation on one thread.

    python benchmarks/quantization.py --data ../shared/data

Without `--data` the script uses the sample reviews of this repository. Runs are cached in
`--cache`; a second call only exports and measures.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from common import PATH, cache_option, output_option, write_result
from pages.blocks import BLOCKS
from sets import Split, find_sets

from textgate.bench.timing import (
    bootstrap_ratio_interval,
    measure_alternating,
    percentiles,
    ratio_of_medians,
)
from textgate.evaluation.evaluate import evaluate_rows
from textgate.export import export
from textgate.inference.classifier import Classifier
from textgate.train import fit
from textgate.train.training.progress import TerminalProgress

LENGTHS = (10, 100)
PRECISIONS = ("float32", "int8")


@click.command()
@click.option("--data", type=PATH, help="Folder of sets.")
@click.option("--sets", default="sst2,trec,banking77", show_default=True)
@click.option("--cells", default="lstm,gru,rnn", show_default=True)
@click.option("--seeds", default="0,1,2", show_default=True)
@click.option("--epochs", type=int, help="Instead of the recipe's, for a smoke run.")
@click.option("--seconds", default=8.0, show_default=True, help="Time per pair and length.")
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
    """Compare int8 with float32."""
    torch.set_num_threads(1)
    scored: list[dict[str, Any]] = []
    first_bundles: dict[str, Path] = {}
    for split in find_sets(data, () if data is None else tuple(sets.split(","))):
        for cell in cells.split(","):
            for seed in seeds.split(","):
                bundles = cache / f"{split.name}-{cell}-{seed}"
                settings = {"seed": int(seed)} | ({"epochs": epochs} if epochs else {})
                figures = score(split, f"seed-{cell}", settings, bundles)
                scored.append({"data": split.name, "cell": cell, "seed": int(seed), **figures})
                first_bundles.setdefault(cell, bundles)
    timed = [
        {"cell": cell, **times}
        for cell, bundles in first_bundles.items()
        for times in compared_times(bundles, seconds)
    ]
    result = write_result(output, {"scored": scored, "timed": timed})
    print(BLOCKS["quantization"].text(result))


def score(split: Split, preset: str, settings: dict[str, Any], bundles: Path) -> dict[str, Any]:
    """Train a network or continue its run, export it twice into `bundles`, and score both."""
    run = bundles.with_name(bundles.name + ".run")
    fitted = fit(
        split.train,
        run,
        dev=split.dev,
        preset=preset,
        settings=settings,
        resume=True,
        progress=TerminalProgress(),
    )
    rows = split.test_rows
    found: dict[str, Any] = {
        "test_rows": len(rows),
        "dev_accuracy": fitted.model.metrics["accuracy"],
    }
    probabilities = {}
    for precision in PRECISIONS:
        # No limit of the loss: the loss is the result.
        exported = export(
            run,
            bundles / precision,
            precision=precision,
            max_accuracy_drop=1.0,
            allow_useless=True,
            force=True,
        )
        classifier = Classifier.load(exported.path)
        probabilities[precision] = classifier.predict_proba([row.text for row in rows])
        quality = evaluate_rows(classifier, rows, file=str(split.test)).metrics
        found[f"{precision}_accuracy"] = quality.accuracy
        found[f"{precision}_bytes"] = exported.manifest.files["model.onnx"].size
    before, after = (probabilities[precision] for precision in PRECISIONS)
    difference = np.abs(after - before)
    found["agreement"] = float((after.argmax(axis=1) == before.argmax(axis=1)).mean())
    found["largest_difference"] = float(difference.max())
    found["mean_difference"] = float(difference.mean())
    return found


def compared_times(bundles: Path, seconds: float) -> Iterator[dict[str, Any]]:
    """Time both graphs on one text, without tokenizing."""
    stages = {name: Classifier.load(bundles / name).stages() for name in PRECISIONS}
    for tokens in LENGTHS:
        words = stages["int8"].words(500)[:tokens]
        text = " ".join(words[index % len(words)] for index in range(tokens))
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
