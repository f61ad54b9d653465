"""Rows out of Parquet files, by way of pyarrow, which is imported when it is needed."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any, BinaryIO

from textgate.errors import DataError, needing
from textgate.rows.columns import Columns, check_header, row_of
from textgate.rows.row import Row
from textgate.rows.source import AnyPath, open_binary, source_name, unreadable

_BATCH = 256  # rows held at a time


def import_parquet() -> ModuleType:
    """Return `pyarrow.parquet`.

    Raises:
        MissingPackageError: pyarrow is not installed.
    """
    with needing("parquet", "reading Parquet"):
        import pyarrow.parquet
    return pyarrow.parquet  # type: ignore[no-any-return]


def read_parquet(path: AnyPath, columns: Columns) -> Iterator[Row]:
    """Yield the rows of a Parquet file, a few hundred of them in memory at a time.

    Raises:
        DataError: the file is not Parquet or is damaged, or a column or a value is wrong.
        MissingPackageError: pyarrow is not installed.
    """
    name = source_name(path)
    number = 0
    # Opened here and not by pyarrow, which takes some names for addresses on the network.
    with open_binary(path) as stream:
        for record in _records(stream, name, columns):
            number += 1
            yield row_of(record, columns, line=number, where=f"{name}, row {number}")


def _records(stream: BinaryIO, name: str, columns: Columns) -> Iterator[dict[str, Any]]:
    import pyarrow

    parquet = import_parquet()
    try:
        with parquet.ParquetFile(stream) as file:
            check_header(file.schema_arrow.names, columns, where=name)
            for batch in file.iter_batches(batch_size=_BATCH):
                yield from batch.to_pylist()
    except (OSError, ValueError, OverflowError, pyarrow.ArrowException) as problem:
        raise DataError(unreadable(name, problem)) from None
