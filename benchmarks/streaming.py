"""What a stream costs: a word at the front of a text, and far behind in it.

Takes a seed LSTM in int8 that reads up to 4,096 tokens and feeds it texts word by word, timing
every call on one thread. The times of the different places come from the same texts, so that a busy
machine slows them all.

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
PLACES = (10, 100, 1000, 4000)  # the word of a text that is timed, and its neighbours
NEIGHBOURS = 5  # on either side
BOUND = 1.2  # of the 1,000th word's time over the 10th's
WORDS = 500  # how many frequent words the texts are made of


@click.command()
@click.option("--texts", default=40, show_default=True, help="Texts to feed.")
@cache_option("reference")
@output_option("streaming")
def main(texts: int, cache: Path, output: Path) -> None:
    """Measure what a stream costs."""
    classifier = Classifier.load(reference_bundle(cache, PRESET, max_tokens=MAX_TOKENS))
    words = classifier.stages().words(WORDS)
    times = feed_times(classifier, words, texts)
    places = []
    for place, taken in times.items():
        (text,) = texts_of_length(words, place, 1)
        whole = measure_alternating({"": lambda text=text: classifier.predict(text)}, seconds=1)
        found = percentiles(taken)
        us = {"feed_us": found.p50, "p99_us": found.p99, "predict_us": percentiles(whole[""]).p50}
        places.append({"word": place, **{name: 1000 * ms for name, ms in us.items()}})
    goal = Goal("1,000th word / 10th", ratio_of_medians(times[1000], times[10]), BOUND)
    result = {
        "network": PRESET,
        "precision": classifier.manifest.precision,
        "texts": texts,
        "calls_per_place": len(times[10]),
        "places": places,
        "ratio_1000_to_10": goal.value,
        "interval": bootstrap_ratio_interval(times[1000], times[10]),
    }
    print(goal_table(write_result(output, result, [goal])))


def feed_times(classifier: Classifier, words: list[str], count: int) -> dict[int, list[int]]:
    """Feed texts word by word; return the nanoseconds of the calls around each place."""
    times: dict[int, list[int]] = {place: [] for place in PLACES}
    gc.disable()
    for text in texts_of_length(words, max(PLACES) + NEIGHBOURS, count):
        stream = classifier.stream()
        stream.copy().feed(text)  # warms up what the first call of a process has to make
        taken = []
        for word in text.split():
            piece = f" {word}"
            begun = perf_counter_ns()
            stream.feed(piece)
            taken.append(perf_counter_ns() - begun)
        for place in PLACES:
            times[place].extend(taken[place - NEIGHBOURS - 1 : place + NEIGHBOURS])
    gc.enable()
    return times


if __name__ == "__main__":
    main()
