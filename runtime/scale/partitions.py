"""Partitions of a corpus: files of Parquet, or ranges of row groups of large ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple

import pyarrow as pa
from pyarrow import parquet

from textgate.errors import DataError
from textgate.messages import reason
from textgate.scale.folders import File, Folder, matching

_SPLIT_BYTES = 128 * 2**20  # of a file, from which on it may be several partitions
_GROUP_BYTES = 32 * 2**20  # of the partitions that a worker is given at once, at most about
_GROUP_PARTITIONS = 64  # that a worker is given at once, at most
_GROUPS = 256  # of a corpus, at least, if it has the partitions: then workers end at about one time
_FOOTERS = 16  # that are read at the same time
_MAX_BATCH = 16384  # rows in memory
_BUFFER_BYTES = 2**20  # of a column, read ahead


class Partition(NamedTuple):
    """A file, or a range of its row groups, whose results are one file.

    Attributes:
        source: the file, in the folder of the corpus.
        output: the file of the results, in the folder of the results.
        size: the bytes of `source`.
        modified: the time of its last change, in nanoseconds since 1970.
        first: its first row group.
        end: the row group after its last one; None for all of the file.
    """

    source: str
    output: str
    size: int
    modified: int
    first: int = 0
    end: int | None = None


def corpus(address: str) -> tuple[Folder, list[Partition]]:
    """Return the folder of a corpus and its partitions, the same ones for the same files.

    Args:
        address: a file, a folder or a pattern; see `matching`.

    Raises:
        DataError: there is no such file.
        ConfigError: no filesystem is known for the address.
    """
    base, pattern = matching(address)
    folder = Folder(base)
    files = [file for file in folder.files() if pattern.fullmatch(file.name)]
    if not files:
        raise DataError(
            f"{folder.name}: no file there matches; give a Parquet file, a folder of them, or a "
            "pattern such as 'reviews/*.parquet'"
        )
    with ThreadPoolExecutor(_FOOTERS) as pool:
        split = pool.map(lambda file: _partitions(folder, file), files)
        partitions = [partition for several in split for partition in several]
    outputs: dict[str, str] = {}
    for partition in partitions:
        other = outputs.setdefault(partition.output, partition.source)
        if other != partition.source:
            raise DataError(
                f"{folder.name}: {other} and {partition.source} would have their results in the "
                f"same file {partition.output}; rename one of them"
            )
    return folder, partitions


def groups(partitions: Iterable[Partition]) -> Iterator[list[Partition]]:
    """Yield partitions that one worker does in one go: many small ones, or a large one."""
    listed = list(partitions)
    sizes = [one.size if one.end is None else _SPLIT_BYTES for one in listed]
    most_bytes = max(1, min(_GROUP_BYTES, sum(sizes) // _GROUPS))
    most = min(_GROUP_PARTITIONS, -(-len(listed) // _GROUPS))
    group: list[Partition] = []
    size = 0
    for partition, its_size in zip(listed, sizes, strict=True):
        group.append(partition)
        size += its_size
        if size >= most_bytes or len(group) == most:
            yield group
            group, size = [], 0
    if group:
        yield group


def read_tables(folder: Folder, partition: Partition) -> Iterator[pa.Table]:
    """Yield the rows of a partition, a bounded number at a time; at least one table.

    Raises:
        DataError: the file is missing, is not Parquet or is damaged.
    """
    try:
        with (
            folder.open(partition.source) as stream,
            # Without a buffer, a column of a whole row group would be read at once.
            parquet.ParquetFile(stream, buffer_size=_BUFFER_BYTES, pre_buffer=False) as file,
        ):
            end = file.num_row_groups if partition.end is None else partition.end
            chosen = list(range(partition.first, end))
            empty = True
            for batch in file.iter_batches(_MAX_BATCH, row_groups=chosen, use_threads=False):
                empty = False
                yield pa.Table.from_batches([batch])
            if empty:
                yield file.schema_arrow.empty_table()
    except (OSError, ValueError, pa.ArrowException) as problem:
        raise DataError(
            f"{folder.name}/{partition.source}: cannot be read as Parquet: {reason(problem)}"
        ) from None


def _partitions(folder: Folder, file: File) -> list[Partition]:
    if file.size < _SPLIT_BYTES:
        return [Partition(file.name, file.name, file.size, file.modified)]
    try:
        with folder.open(file.name) as stream:
            footer = parquet.ParquetFile(stream).metadata
    except (OSError, ValueError, pa.ArrowException):  # said by the worker that reads it
        return [Partition(file.name, file.name, file.size, file.modified)]
    bounds = [0]
    size = 0
    for number in range(footer.num_row_groups):
        size += footer.row_group(number).total_byte_size
        if size >= _SPLIT_BYTES:
            bounds.append(number + 1)
            size = 0
    if size or len(bounds) == 1:
        bounds.append(footer.num_row_groups)
    count = len(bounds) - 1
    if count == 1:
        return [Partition(file.name, file.name, file.size, file.modified)]
    stem = file.name.removesuffix(".parquet")
    return [
        Partition(
            file.name,
            f"{stem}-{number:05}-of-{count:05}.parquet",
            file.size,
            file.modified,
            first,
            end,
        )
        for number, (first, end) in enumerate(pairwise(bounds))
    ]
