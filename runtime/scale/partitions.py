"""Partitions of a corpus: files of Parquet, or ranges of row groups of large ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import NamedTuple

import pyarrow as pa
from pyarrow import parquet

from textgate.errors import DataError
from textgate.messages import did_you_mean, listed, reason
from textgate.rows.columns import Columns
from textgate.scale.folders import File, Folder, matching

_SPLIT_BYTES = 128 * 2**20  # of a file, from which on it may be several partitions
_GROUP_BYTES = 32 * 2**20  # of the partitions that a worker is given at once, at most about
_GROUP_PARTITIONS = 64  # that a worker is given at once, at most
_GROUPS = 256  # of a corpus, at least, if it has the partitions: then workers end at about one time
_PART = re.compile(r"(?:-\d{5,}-of-\d{5,})?(?:\.parquet)?$")  # end of the name of results
_FOOTERS = 16  # that are read at the same time
_MAX_BATCH_ROWS = 16384  # in memory
_MAX_BATCH_BYTES = 32 * 2**20  # in memory, about, unless one row has more
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


class Corpus(NamedTuple):
    """A corpus.

    Attributes:
        folder: the folder.
        pattern: the expression that the names of its files match.
        partitions: its partitions, the same ones for the same files.
    """

    folder: Folder
    pattern: re.Pattern[str]
    partitions: list[Partition]


def corpus(address: str) -> Corpus:
    """Return the corpus of an address.

    Args:
        address: a file, a folder or a pattern; see `matching`.

    Raises:
        DataError: there is no such file.
        ConfigError: no filesystem is known for the address.
    """
    is_file = "*" not in address and Folder(address).is_file()
    base, pattern, recursive = matching(address, is_file=is_file)
    folder = Folder(base)
    files = [file for file in folder.files(recursive=recursive) if pattern.fullmatch(file.name)]
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
    return Corpus(folder, pattern, partitions)


def require_texts(folder: Folder, partitions: Sequence[Partition], columns: Columns) -> None:
    """Refuse a corpus in which no file has a column of texts, which is a mistyped name.

    Raises:
        DataError: there is no such column.
    """

    def lacks(partition: Partition) -> list[str]:
        """Return the names of the columns, if none of them is one of texts."""
        try:
            with _opened(folder, partition) as file:
                names: list[str] = file.schema_arrow.names
        except DataError:  # said by the worker that reads it
            return []
        return [] if set(names) & set(columns.text_fields) else names

    first = lacks(partitions[0])
    if not first:
        return
    with ThreadPoolExecutor(_FOOTERS) as pool:
        if all(pool.map(lacks, partitions[1:])):
            wanted = columns.text_fields[0]
            raise DataError(
                f"{folder.name}: no file has a column {wanted!r}{did_you_mean(wanted, first)}; "
                f"{partitions[0].source} has {listed(first)}; name the right one with --text-field"
            )


def superseded(names: Iterable[str], partitions: Sequence[Partition]) -> list[str]:
    """Return the results of files that were divided into other partitions than now.

    Args:
        names: the names of files of results.
        partitions: the partitions of the corpus.
    """
    now = {partition.output for partition in partitions}
    stems = {partition.source.removesuffix(".parquet") for partition in partitions}
    return [name for name in names if name not in now and _PART.sub("", name) in stems]


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
        DataError: the file is missing, is not Parquet, is damaged, or has another size than it had.
    """
    with _opened(folder, partition) as file:
        end = file.num_row_groups if partition.end is None else partition.end
        chosen = list(range(partition.first, end))
        count = _batch_rows(file.metadata, chosen)
        empty = True
        for batch in file.iter_batches(count, row_groups=chosen, use_threads=False):
            empty = False
            yield pa.Table.from_batches([batch])
        if empty:
            yield file.schema_arrow.empty_table()


@contextmanager
def _opened(folder: Folder, partition: Partition) -> Iterator[parquet.ParquetFile]:
    name = f"{folder.name}/{partition.source}"
    try:
        with folder.open(partition.source) as stream:
            if stream.size() != partition.size:
                raise DataError(f"{name}: has changed since the command began; run it again")
            with parquet.ParquetFile(
                stream,
                # Without a buffer, a column of a whole row group would be read at once.
                buffer_size=_BUFFER_BYTES,
                pre_buffer=False,
                # Spark's timestamps; in nanoseconds, those after 2262 would become others.
                coerce_int96_timestamp_unit="us",
            ) as file:
                yield file
    except (OSError, ValueError, pa.ArrowException) as problem:
        raise DataError(f"{name}: cannot be read as Parquet: {reason(problem)}") from None


def _batch_rows(footer: parquet.FileMetaData, chosen: Sequence[int]) -> int:
    """Return how many rows of some row groups may be in memory at once."""
    row_groups = [footer.row_group(number) for number in chosen]
    size = max(
        (one.total_byte_size // one.num_rows for one in row_groups if one.num_rows), default=0
    )
    return max(1, min(_MAX_BATCH_ROWS, _MAX_BATCH_BYTES // max(size, 1)))


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
    if bounds[-1] < footer.num_row_groups:
        bounds.append(footer.num_row_groups)
    count = len(bounds) - 1
    if count < 2:
        return [Partition(file.name, file.name, file.size, file.modified)]
    stem = file.name.removesuffix(".parquet")
    return [
        Partition(
            file.name,
            f"{stem}-{number:05}-of-{count:05}.parquet",  # as in _PART
            file.size,
            file.modified,
            first,
            end,
        )
        for number, (first, end) in enumerate(pairwise(bounds))
    ]
