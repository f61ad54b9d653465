"""Rows out of tables as text: CSV and TSV, each with a header."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from textgate.errors import DataError
from textgate.rows.columns import Columns, check_header, row_of
from textgate.rows.row import Row
from textgate.rows.source import AnyPath, read_lines, source_name, without_end

_LONGEST_CELL = 2**30  # characters; the csv module stops at 131,072 unless told otherwise
_CSV_ADVICE = "a cell that holds a comma, a quote or a line end is quoted, the quotes in it doubled"
_TSV_ADVICE = "cells are parted by tabs and cannot hold one"


def read_csv(path: AnyPath, columns: Columns) -> Iterator[Row]:
    """Yield the rows of a CSV file with a header, quoted as RFC 4180 says.

    Raises:
        DataError: the quoting, the header or a row is wrong.
    """
    # The limit is the process's: it is only ever raised, for another reader may be under way.
    csv.field_size_limit(max(_LONGEST_CELL, csv.field_size_limit()))
    return _table(path, _csv_cells(path), columns, _CSV_ADVICE)


def read_tsv(path: AnyPath, columns: Columns) -> Iterator[Row]:
    """Yield the rows of a TSV file with a header. Nothing is quoted: a quote is a character.

    Raises:
        DataError: the header or a row is wrong.
    """
    return _table(path, _tsv_cells(path), columns, _TSV_ADVICE)


def _table(
    path: AnyPath,
    lines: Iterator[tuple[int, list[str]]],
    columns: Columns,
    advice: str,
) -> Iterator[Row]:
    name = source_name(path)
    header: list[str] | None = None
    for line, cells in lines:
        where = f"{name}, line {line}"
        if header is None:
            check_header(cells, columns, where=f"{where} (the header)")
            header = cells
        elif len(cells) == len(header):
            record = dict(zip(header, cells, strict=True))
            yield row_of(record, columns, line=line, where=where)
        elif cells != [""]:  # a blank line is no row
            raise DataError(f"{where}: {len(cells)} cells, the header has {len(header)}; {advice}")


def _csv_cells(path: AnyPath) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(read_lines(path), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as problem:
            reason = str(problem).partition(" - ")[0]
            if reason == "unexpected end of data":
                reason = "a quote is opened and never closed"
            message = f"{source_name(path)}, line {line}: not valid CSV ({reason}); {_CSV_ADVICE}"
            raise DataError(message) from None
        if cells:
            yield line, cells


def _tsv_cells(path: AnyPath) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(read_lines(path), start=1):
        yield number, without_end(line).split("\t")
