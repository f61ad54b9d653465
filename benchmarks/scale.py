"""Ray and Spark beside `textgate classify --jobs 2` on the same Parquet, and beside the plain way.

    python benchmarks/scale.py [--rows 10000000]

Every rate is that of the rows between a small and a larger corpus: the time that a command takes
for the larger one, less the time for the small one, so that starting an engine does not count. The
commands alternate, round by round, on 2,000,000 rows; then each does all of the rows once, for the
cost of a billion. Also measured: what an actor costs at its start and in memory beyond an actor of
Ray that does nothing, the memory that a file of 5 GB in one row group needs, and a class as a user
would write it around an ONNX Runtime session, in the same actor pool. It needs the extras `ray` and
`spark`, Java, and some 15 GB of disk. With 10,000,000 rows it takes about half an hour on two
processors of 25,000 texts a second each.
"""

from __future__ import annotations

import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
from common import SAMPLE, Goal, median_ratio, output_option, write_result
from pages.templates import goals as goal_table
from pyarrow import parquet

from textgate.bundle.builtin import bundled_path
from textgate.rows import read_rows

WORDS = 25  # of a text
FILE_ROWS = 100_000
SMALL_ROWS = 2 * FILE_ROWS  # a file for each worker
ROUND_ROWS = 2_000_000
LARGE_FILE_BYTES = 5 * 10**9
BILLION = 10**9
PLAIN_ROWS = 200_000

MIN_RATE = 0.85  # of that of `textgate classify --jobs 2`
MAX_START = 1.5  # seconds of an actor beyond Ray's own
MAX_MEMORY_MB = 60.0  # of an actor beyond Ray's own, in MB of 1,000,000 bytes

SPARK = {
    "SPARK_LOCAL_IP": "127.0.0.1",
    "PYSPARK_PYTHON": sys.executable,
    "PYSPARK_SUBMIT_ARGS": "--master local[2] --driver-memory 2g pyspark-shell",
}
PEAK = """
import resource, sys
from pathlib import Path
from textgate.scale.folders import Folder
from textgate.scale.partitions import Partition, read_tables
size = (Path(sys.argv[1]) / sys.argv[2]).stat().st_size
whole = Partition(sys.argv[2], "", size, 0)
rows = sum(table.num_rows for table in read_tables(Folder(sys.argv[1]), whole))
print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@click.command()
@click.option("--rows", type=click.IntRange(SMALL_ROWS * 2), default=10**7, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@output_option("scale")
def main(rows: int, rounds: int, output: Path) -> None:
    """Measure how fast, how heavy and how costly textgate is on Ray and Spark."""
    model = bundled_path("sentiment")
    with tempfile.TemporaryDirectory(prefix="textgate-scale-") as kept:
        folder = Path(kept)
        counts = (SMALL_ROWS, min(ROUND_ROWS, rows), rows)
        corpora = {count: corpus(folder / str(count), count) for count in sorted(set(counts))}
        took = seconds_taken(folder, corpora, model, counts, rounds)
        peak = large_file_peak(folder)
    actors = actor_costs(model, rounds)
    rates = {way: rate(counts[0], counts[1], *took[way][:2]) for way in took}
    beside = {way: median_ratio(found, rates["classify"]) for way, found in rates.items()}
    plain = actors.pop("plain_rate")
    goals = [
        *(
            Goal(f"rows/s of {way} beside classify --jobs 2", found[0], MIN_RATE, at_least=True)
            for way, found in beside.items()
            if way != "classify"
        ),
        Goal("seconds of an actor's start beyond Ray's own", actors["start_seconds"], MAX_START),
        Goal("MB of an actor beyond Ray's own", actors["memory_mb"], MAX_MEMORY_MB),
    ]
    result = write_result(
        output,
        {
            "rows": rows,
            "words": WORDS,
            "rounds": rounds,
            "ways": [
                {
                    "way": way,
                    "rows_per_second": found,
                    "ratio": list(beside[way]),
                    **cost(statistics.median(took[way][0]), took[way][2][0], rows),
                }
                for way, found in rates.items()
            ],
            "actor": actors,
            "plain": {"rows_per_second": plain, "times": actors["textgate_rate"] / plain},
            "large_file": {"bytes": LARGE_FILE_BYTES, "peak_bytes": peak},
        },
        goals,
    )
    click.echo(goal_table(result))


def seconds_taken(
    folder: Path, corpora: dict[int, Path], model: Path, counts: tuple[int, int, int], rounds: int
) -> dict[str, tuple[list[float], list[float], list[float]]]:
    """Return the seconds of each way: for the small corpus, that of a round, and all rows once."""
    ways = {
        "classify": lambda source: alone_seconds(folder, source, model),
        "ray": lambda source: seconds(folder, "ray", source, model),
        "spark": lambda source: seconds(folder, "spark", source, model),
    }
    found: dict[str, tuple[list[float], list[float], list[float]]]
    found = {way: ([], [], []) for way in ways}
    for turn in (*[0, 1] * rounds, 2):
        for way, timed in ways.items():
            found[way][turn].append(timed(corpora[counts[turn]]))
            click.echo(f"{way}: {counts[turn]:,} rows in {found[way][turn][-1]:.1f} s", err=True)
    return found


def rate(small: int, large: int, before: list[float], after: list[float]) -> list[float]:
    """Return the rows a second between two corpora, of each round."""
    return [(large - small) / (end - begin) for begin, end in zip(before, after, strict=True)]


def cost(start: float, whole: float, rows: int) -> dict[str, float]:
    """Return the seconds of all rows, their rate, and the hours of two cores for a billion."""
    reached = (rows - SMALL_ROWS) / (whole - start)
    hours = BILLION / reached / 3600
    return {"seconds": whole, "rate": reached, "hours": hours, "core_hours": 2 * hours}


# Corpora


def texts() -> Iterator[str]:
    """Yield texts of WORDS words, cut from the sample reviews, without end."""
    words = [
        word
        for row in read_rows(SAMPLE / "train.jsonl.gz", labelled=False)
        for word in row.text.split()
    ]
    # A step that has no factor in common with the count, so that texts seldom repeat.
    for start in itertools.count(0, 7):
        begin = start % (len(words) - WORDS)
        yield " ".join(words[begin : begin + WORDS])


def corpus(folder: Path, rows: int) -> Path:
    """Write files of FILE_ROWS rows, and all of the rows as one file for `textgate classify`."""
    folder.mkdir()
    source = texts()
    schema = pa.schema([("id", pa.int64()), ("text", pa.string())])
    with parquet.ParquetWriter(folder / "whole.parquet", schema) as whole:
        for start in range(0, rows, FILE_ROWS):
            count = min(FILE_ROWS, rows - start)
            table = pa.table(
                {"id": range(start, start + count), "text": list(itertools.islice(source, count))},
                schema=schema,
            )
            whole.write_table(table)
            parquet.write_table(table, folder / f"part-{start // FILE_ROWS:05}.parquet")
    return folder


# Commands


def alone_seconds(folder: Path, source: Path, model: Path) -> float:
    """Return the seconds of `textgate classify --jobs 2` on the rows as one file."""
    results = folder / "results.jsonl"
    return run_seconds(
        [
            "classify",
            "-m",
            model,
            "-i",
            source / "whole.parquet",
            "-o",
            results,
            "--jobs",
            "2",
            "--force",
        ]
    )


def seconds(folder: Path, engine: str, source: Path, model: Path) -> float:
    """Return the seconds of `textgate scale` with two workers on this machine."""
    with tempfile.TemporaryDirectory(dir=folder) as results:
        pattern = source / "part-*.parquet"
        return run_seconds(["scale", engine, "-m", model, "-i", pattern, "-o", results])


def run_seconds(arguments: list[str | Path]) -> float:
    """Return the seconds that a command takes."""
    begun = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "textgate", *map(str, arguments)],
        env=os.environ | SPARK,
        capture_output=True,
        check=True,
    )
    return time.perf_counter() - begun


# Actors


def private_bytes() -> int:
    """Return the memory of this process that it shares with no other."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8").splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


class Nothing:
    """An actor that imports what Ray's blocks need and returns its memory."""

    def __call__(self, table: pa.Table) -> dict[str, list[int]]:  # noqa: ARG002
        """Return the memory of the process, once."""
        return {"bytes": [private_bytes()]}


class Classifies:
    """The actor of `textgate.scale.ray.classify`, which returns its memory."""

    def __init__(self, job: Any, files: Any) -> None:
        from textgate.scale.ray import _Actor  # measured as it is

        self._actor = _Actor(job, files)

    def __call__(self, table: pa.Table) -> dict[str, list[int]]:
        """Classify the rows, and return the memory of the process."""
        for _ in self._actor(table):
            pass
        return {"bytes": [private_bytes()]}


class Plain:
    """What a user would write around the graph: a tokenizer, padding, and ONNX Runtime."""

    def __init__(self, model: str) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(f"{model}/tokenizer.json")
        self._tokenizer.enable_padding()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(f"{model}/model.onnx", options)

    def __call__(self, frame: Any) -> Any:
        """Add the column of labels to a data frame."""
        import numpy as np

        encoded = self._tokenizer.encode_batch(frame["text"].tolist())
        feeds = {
            "input_ids": np.array([one.ids for one in encoded], dtype=np.int64),
            "lengths": np.array([sum(one.attention_mask) for one in encoded], dtype=np.int64),
        }
        probabilities = self._session.run(["probabilities"], feeds)[0]
        frame["label"] = probabilities.argmax(axis=1)
        return frame


def actor_costs(model: Path, rounds: int) -> dict[str, float]:
    """Return what an actor costs beyond Ray's own, and the rates of one actor."""
    import ray

    from textgate.scale.job import bundle_files, open_job
    from textgate.scale.ray import _Shipped, classify

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
    ray.data.DataContext.get_current().enable_progress_bars = False
    job, path = open_job(model)
    shipped = _Shipped(bundle_files(path))
    one = ray.data.from_arrow(pa.table({"text": list(itertools.islice(texts(), 1000))}))
    many = ray.data.from_arrow(pa.table({"text": list(itertools.islice(texts(), PLAIN_ROWS))}))
    many = many.materialize()

    def timed(data: Any) -> tuple[float, Any]:
        begun = time.perf_counter()
        found = data.materialize()
        return time.perf_counter() - begun, found

    starts, memories = [], []
    one_actor = ray.data.ActorPoolStrategy(size=1)
    pool = {"batch_format": "pyarrow", "batch_size": None, "compute": one_actor}
    timed(one.map_batches(Nothing, **pool))  # the first one is slower
    for _ in range(rounds):
        base, empty = timed(one.map_batches(Nothing, **pool))
        ours, full = timed(one.map_batches(Classifies, fn_constructor_args=(job, shipped), **pool))
        starts.append(ours - base)
        memories.append(full.take()[0]["bytes"] - empty.take()[0]["bytes"])
    plain, _ = timed(
        many.map_batches(
            Plain,
            fn_constructor_args=(str(path),),
            batch_format="pandas",
            batch_size=256,
            compute=one_actor,
        )
    )
    ours, _ = timed(classify(many, model, concurrency=1))
    ray.shutdown()
    return {
        "start_seconds": statistics.median(starts),
        "memory_mb": statistics.median(memories) / 1e6,
        "plain_rate": PLAIN_ROWS / plain,
        "textgate_rate": PLAIN_ROWS / ours,
    }


# One large file


def large_file_peak(folder: Path) -> int:
    """Return the peak memory of a process that reads a file of 5 GB in one row group."""
    page = pa.array([os.urandom(5000).hex() for _ in range(1000)])
    count = LARGE_FILE_BYTES // sum(map(len, page.to_pylist()))
    schema = pa.schema([("text", pa.string())])
    with parquet.ParquetWriter(
        folder / "large.parquet", schema, use_dictionary=False, compression="none"
    ) as writer:
        table = pa.table({"text": pa.chunked_array([page] * count)})
        writer.write_table(table, row_group_size=table.num_rows)
    arguments = [sys.executable, "-c", PEAK, str(folder), "large.parquet"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    _, peak = map(int, done.stdout.split())
    return peak


if __name__ == "__main__":
    main()
