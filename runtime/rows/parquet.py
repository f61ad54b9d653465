"""Reader of Parquet files, with pyarrow, which is imported when it is needed."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import BinaryIO

from textgate.errors import DataError, needing
from textgate.rows.reading import Pairs, Reading
from textgate.rows.row import Row
from textgate.rows.source import AnyPath, open_binary, unreadable

_MAX_BATCH = 256  # rows in memory


def import_parquet() -> ModuleType:
    """Return `pyarrow.parquet`.

    Raises:
        MissingPackageError: pyarrow is not installed.
    """
    with needing("parquet", "reading Parquet"):
        import pyarrow.parquet
    return pyarrow.parquet  # type: ignore[no-any-return]


def read_parquet(path: AnyPath, reading: Reading) -> Iterator[Row]:
    """Yield the rows of a Parquet file, a few hundred of them in memory at a time.

    Raises:
        DataError: the file is not Parquet or is damaged, or a column or a value is wrong.
        MissingPackageError: pyarrow is not installed.
    """
    number = 0
    # Opened here, because pyarrow takes some names for addresses on the network.
    with open_binary(path) as stream:
        for pairs in _records(stream, reading):
            number += 1
            row = reading.row(pairs, line=number, location=f"row {number}")
            if row is not None:
                yield row


def _records(stream: BinaryIO, reading: Reading) -> Iterator[Pairs]:
    import pyarrow

    parquet = import_parquet()
    try:
        with parquet.ParquetFile(stream) as file:
            names = file.schema_arrow.names
            reading.check_header(names, where=reading.name)
            for batch in file.iter_batches(batch_size=_MAX_BATCH):
                # Not as dictionaries: columns that are not read may have the same name.
                columns = [column.to_pylist() for column in batch.columns]
                for values in zip(*columns, strict=True):
                    yield list(zip(names, values, strict=True))
    except (OSError, ValueError, OverflowError, pyarrow.ArrowException) as problem:
        raise DataError(unreadable(reading.name, problem)) from None
