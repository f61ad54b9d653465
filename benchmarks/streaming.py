"""Time per word of a stream, at the beginning of a text and far into it.

Feeds texts word by word to a seed LSTM in int8 that reads up to 4,096 tokens, and times every call
on one thread. The times at all positions come from the same texts, so that a busy machine slows all
of them.

    python benchmarks/streaming.py
"""

from __future__ import annotations

import gc
from pathlib import Path
from time import perf_counter_ns

import click
from common import Goal, cache_option, output_option, reference_bundle, write_result
from pages.templates import goals as goal_table

from textgate.bench.timing import (
    bootstrap_ratio_interval,
    measure_alternating,
    percentiles,
    ratio_of_medians,
    texts_of_length,
)
from textgate.inference.classifier import Classifier

PRESET = "seed-lstm"
MAX_TOKENS = 4096
POSITIONS = (10, 100, 1000, 4000)  # timed words of a text, with their neighbours
NEIGHBOURS = 5  # on each side
MAX_RATIO = 1.2  # of the 1,000th word's time to the 10th's
WORDS = 500  # frequent words that the texts are made of


@click.command()
@click.option("--texts", default=40, show_default=True, help="Texts to feed.")
@cache_option("reference")
@output_option("streaming")
def main(texts: int, cache: Path, output: Path) -> None:
    """Measure the time per word of a stream."""
    classifier = Classifier.load(reference_bundle(cache, PRESET, max_tokens=MAX_TOKENS))
    words = classifier.stages().words(WORDS)
    times = feed_times(classifier, words, texts)
    positions = []
    for position, taken in times.items():
        (text,) = texts_of_length(words, position, 1)
        whole = measure_alternating({"": lambda text=text: classifier.predict(text)}, seconds=1)
        found = percentiles(taken)
        us = {"feed_us": found.p50, "p99_us": found.p99, "predict_us": percentiles(whole[""]).p50}
        positions.append({"word": position, **{name: 1000 * ms for name, ms in us.items()}})
    goal = Goal("1,000th word / 10th", ratio_of_medians(times[1000], times[10]), MAX_RATIO)
    result = {
        "network": PRESET,
        "precision": classifier.manifest.precision,
        "texts": texts,
        "calls_per_place": len(times[10]),
        "places": positions,
        "ratio_1000_to_10": goal.value,
        "interval": bootstrap_ratio_interval(times[1000], times[10]),
    }
    print(goal_table(write_result(output, result, [goal])))


def feed_times(classifier: Classifier, words: list[str], count: int) -> dict[int, list[int]]:
    """Feed texts word by word; return the nanoseconds of the calls around each position."""
    times: dict[int, list[int]] = {position: [] for position in POSITIONS}
    gc.disable()
    for text in texts_of_length(words, max(POSITIONS) + NEIGHBOURS, count):
        stream = classifier.stream()
        stream.copy().feed(text)  # warm-up
        taken = []
        for word in text.split():
            piece = f" {word}"
            begun = perf_counter_ns()
            stream.feed(piece)
            taken.append(perf_counter_ns() - begun)
        for position in POSITIONS:
            times[position].extend(taken[position - NEIGHBOURS - 1 : position + NEIGHBOURS])
    gc.enable()
    return times


if __name__ == "__main__":
    main()
