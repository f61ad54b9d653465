"""Overhead of `Classifier.predict` over tokenizing and running the network alone.

For the reference networks in int8 and texts of 25 tokens, one at a time on one thread, it compares
a call of `Classifier.predict` with a bare `tokenizer.encode` and a bare `session.run` on the same
files. All three are timed in alternation.

    python benchmarks/overhead.py
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import click
import numpy as np
from common import Goal, cache_option, output_option, reference_bundle, write_result
from pages.templates import goals as goal_table
from tokenizers import Tokenizer

from textgate import Classifier
from textgate.bench.timing import (
    bootstrap_ratio_interval,
    measure_alternating,
    percentiles,
    ratio_of_medians,
    texts_of_length,
)
from textgate.inference.session import make_session

PRESETS = ("seed-lstm", "seed-gru", "seed-rnn")
TOKENS = 25
TEXTS = 64
WORDS = 500  # frequent words that the texts are made of
MAX_RATIO = 1.25


@click.command()
@click.option("--seconds", default=20.0, show_default=True, help="Measuring time per network.")
@cache_option("reference")
@output_option("overhead")
def main(seconds: float, cache: Path, output: Path) -> None:
    """Measure the overhead of `predict`."""
    networks, goals = [], []
    for preset in PRESETS:
        work = workloads(reference_bundle(cache, preset))
        times = measure_alternating(work, seconds=seconds, warm_up=200)
        bare = [sum(pair) for pair in zip(times["encode"], times["run"], strict=True)]
        ratio = ratio_of_medians(times["predict"], bare)
        goals.append(Goal(f"{preset}: predict / bare", ratio, MAX_RATIO))
        found = {name: asdict(percentiles(taken)) for name, taken in times.items()}
        interval = bootstrap_ratio_interval(times["predict"], bare)
        networks.append({"network": preset, "milliseconds": found, "interval": interval})
    print(goal_table(write_result(output, {"tokens": TOKENS, "networks": networks}, goals)))


def workloads(bundle: Path) -> dict[str, Callable[[], object]]:
    """Return calls of `predict`, `encode` and `run` that go through the same texts."""
    classifier = Classifier.load(bundle)
    tokenizer = Tokenizer.from_file(str(bundle / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    session = make_session((bundle / "model.onnx").read_bytes())
    texts = texts_of_length(classifier.stages().words(WORDS), TOKENS, TEXTS)
    feeds = []
    for text in texts:
        ids = tokenizer.encode(text).ids
        if len(ids) != TOKENS:
            raise click.ClickException(f"{len(ids)} tokens instead of {TOKENS}: {text!r}")
        feed = {"input_ids": np.array([ids]), "lengths": np.array([TOKENS])}
        found = session.run(["probabilities"], feed)[0][0].tolist()
        if list(classifier.predict(text).scores.values()) != found:
            raise click.ClickException(f"different answers for {text!r}")
        feeds.append(feed)
    predicted, encoded, run = itertools.cycle(texts), itertools.cycle(texts), itertools.cycle(feeds)
    return {
        "predict": lambda: classifier.predict(next(predicted)),
        "encode": lambda: tokenizer.encode(next(encoded)).ids,
        "run": lambda: session.run(["probabilities"], next(run)),
    }


if __name__ == "__main__":
    main()
