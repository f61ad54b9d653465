"""What a stream costs: a word at the front of a text, far behind in it, and inside a long word.

Takes a seed LSTM in int8 that reads up to 4,096 tokens and feeds it texts word by word, timing
every call on one thread. The times of the different places come from the same texts, so that a busy
machine slows them all.

    python benchmarks/streaming.py
"""

from __future__ import annotations

import gc
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter_ns

import click
from blocks import goals as reached
from common import Goal, cache_option, output_option, reference_bundle, write_result

from textgate.classifier import Classifier
from textgate.latency import (
    bootstrap_ratio_interval,
    measure_alternating,
    percentiles,
    ratio_of_medians,
    texts_of_length,
)
from textgate.tables import format_count, format_ms, format_table

PRESET = "seed-lstm"
MAX_TOKENS = 4096
PLACES = (10, 100, 1000, 4000)  # the word of a text that is timed, and its neighbours
NEIGHBOURS = 5  # on either side
LONG_WORDS = (10, 100, 1000, 6400, 16384)  # characters, none of them a separator
BOUND = 1.2  # of the 1,000th word's time over the 10th's
WORDS = 500  # how many frequent words the texts are made of


@dataclass(frozen=True)
class Place:
    """What it costs to go on behind a text of so many words.

    Attributes:
        word: the number of the word that is fed, the first being 1.
        feed_us: median time of feeding it, in microseconds.
        p99_us: 99 of 100 took no longer.
        predict_us: median time of predicting the whole text up to it.
    """

    word: int
    feed_us: float
    p99_us: float
    predict_us: float


@dataclass(frozen=True)
class LongWord:
    """What it costs to feed a character to an unfinished word of so many."""

    characters: int
    feed_us: float


@click.command()
@click.option("--texts", default=40, show_default=True, help="Texts to feed.")
@cache_option("reference")
@output_option("streaming")
def main(texts: int, cache: Path, output: Path) -> None:
    """Measure what a stream costs."""
    classifier = Classifier.load(reference_bundle(cache, PRESET, max_tokens=MAX_TOKENS))
    times = feed_times(classifier, texts)
    predicted = predict_times(classifier)
    places = [
        Place(
            word=place,
            feed_us=1000 * percentiles(times[place]).p50,
            p99_us=1000 * percentiles(times[place]).p99,
            predict_us=predicted[place],
        )
        for place in PLACES
    ]
    goal = Goal("1,000th word / 10th", ratio_of_medians(times[1000], times[10]), BOUND)
    low, high = bootstrap_ratio_interval(times[1000], times[10])
    words = long_words(classifier)
    result = {
        "network": PRESET,
        "precision": classifier.manifest.precision,
        "texts": texts,
        "calls_per_place": len(times[10]),
        "places": [asdict(place) for place in places],
        "ratio_1000_to_10": goal.value,
        "interval": [low, high],
        "long_words": [asdict(word) for word in words],
    }
    told = reached(write_result(output, result, [goal]))
    lines = [
        [format_count(place.word), *map(_shown, (place.feed_us, place.p99_us, place.predict_us))]
        for place in places
    ]
    header = ["word", "feed p50", "feed p99", "predict the whole"]
    print(format_table(header, lines), told, sep="\n\n", end="\n\n")
    lines = [[format_count(word.characters), _shown(word.feed_us)] for word in words]
    print(format_table(["characters of a word", "one more, p50"], lines))


def feed_times(classifier: Classifier, count: int) -> dict[int, list[int]]:
    """Feed texts word by word; return the nanoseconds of the calls around each place."""
    words = classifier.stages().words(WORDS)
    times: dict[int, list[int]] = {place: [] for place in PLACES}
    length = max(PLACES) + NEIGHBOURS
    gc.disable()
    for text in texts_of_length(words, length, count):
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


def predict_times(classifier: Classifier) -> dict[int, float]:
    """Return the median time of predicting a text of each length, in microseconds."""
    words = classifier.stages().words(WORDS)
    result = {}
    for place in PLACES:
        (text,) = texts_of_length(words, place, 1)
        times = measure_alternating(
            {"predict": lambda text=text: classifier.predict(text)}, seconds=1
        )
        result[place] = 1000 * percentiles(times["predict"]).p50
    return result


def long_words(classifier: Classifier) -> list[LongWord]:
    """Time one more character of words of different lengths, in alternation."""
    begun = {}
    for characters in LONG_WORDS:
        begun[characters] = classifier.stream()
        begun[characters].feed("a" * characters)
    times = measure_alternating(
        {
            str(characters): lambda stream=stream: stream.copy().feed("a")
            for characters, stream in begun.items()
        },
        seconds=3,
    )
    return [
        LongWord(int(characters), 1000 * percentiles(taken).p50)
        for characters, taken in times.items()
    ]


def _shown(microseconds: float) -> str:
    return format_ms(microseconds / 1000)


if __name__ == "__main__":
    main()
