"""Memory over millions of predictions by several threads that share a classifier.

The texts have all lengths, so that every input shape occurs. After a warm-up the resident memory is
read every second; it should stay constant.

    python benchmarks/soak.py
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import click
from common import PATH, Goal, cache_option, output_option, reference_bundle, write_result
from pages.templates import goals as goal_table

from textgate import Classifier

PRESET = "seed-lstm"
MAX_WORDS = 120  # of a text, more than the network reads
WORDS = "a good film , the worst of all . wonderful \u4e2d\u6587 caf\u00e9 \U0001f600 xyzzy".split()  # noqa: SIM905
SAMPLE_SECONDS = 1.0  # between two readings of the memory
MAX_SPREAD_MB = 5.0  # MB of 1,000,000 bytes


@click.command()
@click.option("--predictions", default=10_000_000, show_default=True, help="After the warm-up.")
@click.option("--warm-up", default=200_000, show_default=True, help="Predictions before them.")
@click.option("--threads", default=8, show_default=True)
@click.option("--bundle", type=PATH, help="By default the seed LSTM in int8.")
@cache_option("reference")
@output_option("soak")
def main(
    predictions: int,
    warm_up: int,
    threads: int,
    bundle: Path | None,
    cache: Path,
    output: Path,
) -> None:
    """Measure the memory over many predictions."""
    path = bundle or reference_bundle(cache, PRESET)
    with Classifier.load(path) as classifier:
        for _ in sizes_while_predicting(classifier, warm_up, threads, seed=0):
            pass
        begun = time.monotonic()
        before = resident_bytes()
        sizes = [before, *sizes_while_predicting(classifier, predictions, threads, seed=1)]
        seconds = time.monotonic() - begun
    goal = Goal("MB between least and most", (max(sizes) - min(sizes)) / 1e6, MAX_SPREAD_MB)
    result = {
        "network": path.name if bundle else PRESET,
        "predictions": predictions,
        "warm_up": warm_up,
        "threads": threads,
        "seconds": seconds,
        "after_warm_up_mb": before / 1e6,
        "at_the_end_mb": sizes[-1] / 1e6,
        "least_mb": min(sizes) / 1e6,
        "most_mb": max(sizes) / 1e6,
    }
    print(goal_table(write_result(output, result, [goal])))


def sizes_while_predicting(
    classifier: Classifier, predictions: int, threads: int, *, seed: int
) -> Iterator[int]:
    """Predict texts in several threads; yield the resident bytes at intervals and at the end."""
    numbers = itertools.count()
    failures: list[Exception] = []

    def work(own: int) -> None:
        draw = Random(seed * threads + own)
        try:
            while next(numbers) < predictions:
                classifier.predict(" ".join(draw.choices(WORDS, k=draw.randint(0, MAX_WORDS))))
        except Exception as problem:  # raised by the main thread
            failures.append(problem)

    at_work = [threading.Thread(target=work, args=(own,)) for own in range(threads)]
    for thread in at_work:
        thread.start()
    for thread in at_work:
        while thread.is_alive():
            thread.join(SAMPLE_SECONDS)
            yield resident_bytes()
    if failures:
        raise failures[0]


def resident_bytes() -> int:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
