"""Corpora in Parquet, and how their results are compared with those of one process."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from textgate.scale.worker import Worker

TEXTS = (
    "What a lovely evening we had!",
    "A tedious mess.",
    None,
    "",
    "zqxj vwkp",
    "The store opens at nine. " * 40,
    "It starts well, but the rest is dull.",
)


def texts(count, seed=0):
    """Texts of which every seventh is missing."""
    return [
        text and f"{text} {number * (seed + 1)}"
        for number in range(count)
        for text in [TEXTS[number % len(TEXTS)]]
    ]


def write(path, values, kind=None):
    """A file of texts, each with a number."""
    kind = kind or pa.string()
    path.parent.mkdir(parents=True, exist_ok=True)
    if pa.types.is_dictionary(kind):
        column = pa.array(values, pa.string()).dictionary_encode()
    else:
        column = pa.array(values, kind)
    # Not compressed: Spark's library of the usual codec does not load on every system.
    table = pa.table({"id": range(len(values)), "text": column})
    parquet.write_table(table, path, compression="none")
    return path


def require_equal(table, values, alone):
    """Every row has the result that one process has for its text, bit for bit."""
    assert table.num_rows == len(values)
    for row, text, wanted in zip(table.to_pylist(), values, alone(values), strict=True):
        assert row["text"] == text
        if wanted is None:
            assert (row["label"], row["score"], row["truncated"]) == (None, None, None)
            assert "should be a string, found null" in row["error"]
        else:
            found = (row["label"], row["score"], row["reason"], row["truncated"], row["error"])
            assert found == (
                wanted.label, wanted.score, wanted.reason, wanted.truncated, None,
            )  # fmt: skip


def require_complete(folder, numbers, alone):
    """Every row of these files of the corpus `many` has one result, that of one process."""
    assert len(list(folder.glob("*.parquet"))) == len(numbers)
    for number in numbers:
        require_equal(read(folder / f"{number:02}.parquet"), texts(20, number), alone)
    assert not list(folder.rglob("*.partial"))


def here(job, path, place, groups):
    """Does groups of partitions in this process."""
    worker = Worker(job, path, place)
    return map(worker.run, groups)


def read(path: Path) -> pa.Table:
    """A file of results, without the columns that its folders' names hold."""
    return parquet.ParquetFile(path).read()
