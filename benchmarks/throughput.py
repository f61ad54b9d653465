"""Files of rows: the gain of a second worker, and the memory that a long file needs.

Runs `textgate classify` with the seed LSTM in int8 on files made of the sample reviews. One file is
classified with one worker and with two, in alternation, timed after the imports. A file of a
million rows shows the peak memory compared with an idle process that has loaded the model: the
memory of the command and the private memory of each worker process.

    python benchmarks/throughput.py
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import click
from common import SAMPLE, Goal, cache_option, output_option, reference_bundle, write_result
from pages.templates import goals as goal_table

from textgate.bench.timing import bootstrap_ratio_interval, ratio_of_medians
from textgate.rows import read_rows

PRESET = "seed-lstm"
JOBS = (1, 2)
MIN_GAIN = 1.8  # of two workers over one
MAX_GROWTH_MB = 60.0  # MB of 1,000,000 bytes

STATUS = """
import sys
def kilobytes(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field))
"""
IDLE = f"""{STATUS}
import textgate.cli.classify
from textgate import Classifier
with Classifier.load(sys.argv[1]) as classifier:
    classifier.predict("a film")
    print(kilobytes("VmRSS:"))
"""
WORK = f"""{STATUS}
import atexit, time
import textgate.cli.classify
from textgate.cli import main
begun = time.perf_counter_ns()
atexit.register(lambda: print(kilobytes("VmHWM:"), time.perf_counter_ns() - begun))
main()
"""
SAMPLE_SECONDS = 0.2  # between two readings of the workers' memory


@click.command()
@click.option("--rows", default=100_000, show_default=True, help="Rows of the timed file.")
@click.option("--rounds", default=7, show_default=True, help="Runs per number of workers.")
@click.option("--lines", default=1_000_000, show_default=True, help="Rows of the long file.")
@cache_option("reference")
@output_option("throughput")
def main(rows: int, rounds: int, lines: int, cache: Path, output: Path) -> None:
    """Measure files of rows."""
    bundle = reference_bundle(cache, PRESET)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        short, long = (written(folder / f"{count}.jsonl", count) for count in (rows, lines))
        times: dict[int, list[int]] = {jobs: [] for jobs in JOBS}
        for number in range(rounds):
            for jobs in JOBS if number % 2 else JOBS[::-1]:
                times[jobs].append(classified(bundle, short, folder, jobs)[1])
        same = [(folder / f"results-{jobs}.jsonl").read_bytes() for jobs in JOBS]
        if same[0] != same[1]:
            raise click.ClickException("the results depend on the number of workers")
        (idle,) = printed(IDLE, bundle)
        peaks = {jobs: classified(bundle, long, folder, jobs, look=True)[0] for jobs in JOBS}
    growth = {jobs: (peak - idle) * 1024 / 1e6 for jobs, peak in peaks.items()}
    goals = [
        Goal("two workers / one", ratio_of_medians(times[1], times[2]), MIN_GAIN, at_least=True),
        Goal(f"MB more for {lines:,} rows", max(growth.values()), MAX_GROWTH_MB),
    ]
    medians = {jobs: statistics.median(times[jobs]) / 1e9 for jobs in JOBS}
    result = {
        "network": PRESET,
        "rows": rows,
        "seconds": medians,
        "rows_per_second": {jobs: rows / seconds for jobs, seconds in medians.items()},
        "interval": bootstrap_ratio_interval(times[1], times[2]),
        "lines": lines,
        "idle_mb": idle * 1024 / 1e6,
        "growth_mb": growth,
    }
    print(goal_table(write_result(output, result, goals)))


def written(path: Path, count: int) -> Path:
    """Write a file of `count` rows that repeats the sample reviews, and return its path."""
    texts = [row.text for row in read_rows(SAMPLE / "train.jsonl.gz", labelled=False)]
    with path.open("w", encoding="utf-8") as file:
        for number, text in enumerate(itertools.islice(itertools.cycle(texts), count)):
            file.write(json.dumps({"id": number, "text": text}) + "\n")
    return path


def classified(
    bundle: Path, rows: Path, folder: Path, jobs: int, *, look: bool = False
) -> tuple[int, int]:
    """Classify a file with the command; return its peak memory in KiB, and nanoseconds.

    With `look` the memory includes that of the workers; reading it takes time.
    """
    output = folder / f"results-{jobs}.jsonl"
    options = ["classify", "-m", bundle, "-i", rows, "-o", output, "--force", "--jobs", str(jobs)]
    workers: dict[str, int] = {}
    peak, taken = printed(WORK, *options, workers=workers if look else None)
    return peak + sum(workers.values()), taken


def printed(code: str, *arguments: str | Path, workers: dict[str, int] | None = None) -> list[int]:
    """Run Python code, return the numbers it prints, and record its children's peak memory."""
    # This process may have limited the tokenizer's threads; its children must not inherit that.
    environment = {
        name: value for name, value in os.environ.items() if name != "TOKENIZERS_PARALLELISM"
    }
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while workers is not None and process.poll() is None:
        for child, size in private_kilobytes(process.pid).items():
            workers[child] = max(size, workers.get(child, 0))
        time.sleep(SAMPLE_SECONDS)
    out, errors = process.communicate()
    if process.returncode:
        raise click.ClickException(errors)
    return [int(number) for number in out.split()]


def private_kilobytes(parent: int) -> dict[str, int]:
    """Return the private memory of each child of a process."""
    found = {}
    with suppress(OSError):  # a process may have ended
        listed = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii")
        for child in listed.split():
            rollup = Path(f"/proc/{child}/smaps_rollup").read_text(encoding="ascii")
            found[child] = sum(
                int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_")
            )
    return found


if __name__ == "__main__":
    main()
