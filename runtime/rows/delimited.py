"""Reader of CSV and TSV, each with a header."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from itertools import chain

from textgate.errors import DataError
from textgate.messages import counted
from textgate.rows.reading import Reading
from textgate.rows.row import Row
from textgate.rows.source import without_end

_MAX_CELL = 2**30  # characters; the default of the csv module is 131,072
_OTHER_DELIMITERS = {";": "';'", "\t": "tabs", "|": "'|'"}  # and their names
_CSV_ADVICE = "a cell that holds a comma, a quote or a line end is quoted, the quotes in it doubled"
_TSV_ADVICE = "cells are separated by tabs and cannot hold one"
_NO_HEADER = "; the first line names the columns: if the file has none, add it"


def read_csv(lines: Iterator[str], reading: Reading) -> Iterator[Row]:
    """Yield the rows of a CSV file with a header, quoted as RFC 4180 says.

    If no delimiter is given, it is a comma. It is a semicolon, a tab or ``|`` if the header has the
    wanted columns only when it is split there.

    Raises:
        DataError: the quoting, the header or a row is wrong.
    """
    # The limit is global and only ever raised: another reader may be running.
    csv.field_size_limit(max(_MAX_CELL, csv.field_size_limit()))
    return _table(_csv_cells(lines, reading), reading, _CSV_ADVICE)


def read_tsv(lines: Iterator[str], reading: Reading) -> Iterator[Row]:
    """Yield the rows of a TSV file with a header. There is no quoting: a quote is a character.

    Raises:
        DataError: the header or a row is wrong.
    """
    quoted = _QuotedCells(reading)
    try:
        yield from _table(quoted.watched(_tsv_cells(lines, reading)), reading, _TSV_ADVICE)
    finally:
        quoted.report()


def _table(lines: Iterable[tuple[int, list[str]]], reading: Reading, advice: str) -> Iterator[Row]:
    header: list[str] | None = None
    for line, cells in lines:
        location = f"line {line}"
        if header is None:
            where = f"{reading.name}, {location} (the header)"
            if any("\r" in cell for cell in cells) and advice == _TSV_ADVICE:
                raise DataError(
                    f"{where}: the lines end in carriage returns alone; end them in line feeds"
                )
            reading.check_header(cells, where=where, hint=_header_hint(cells, advice))
            header = cells
        elif len(cells) == len(header):
            if cells[-1] == header[-1] and _is_repeated(cells, header):
                reading.note(
                    f"{reading.name}, {location}: repeats the header and is taken for a row; the "
                    "file may be several files in one"
                )
            row = reading.row(list(zip(header, cells, strict=True)), line=line, location=location)
            if row is not None:
                yield row
        elif cells != [""]:  # a blank line is no row
            reading.refuse(
                f"{len(cells)} cells, the header has {len(header)}; {advice}",
                location=location,
                kind="another number of cells than the header",
            )


def _is_repeated(cells: list[str], header: list[str]) -> bool:
    """Return whether a row repeats the header, as in a file made of several files."""
    return len(header) > 1 and [cells[0].removeprefix("\ufeff"), *cells[1:]] == header


def _header_hint(cells: list[str], advice: str) -> str:
    if advice == _TSV_ADVICE and len(cells) == 1 and any(mark in cells[0] for mark in ",;"):
        return "; the file looks like CSV: pass --input-format csv"
    if cells[0].startswith("sep="):
        return "; leave this line out and name the delimiter with --delimiter"
    return _NO_HEADER


def _csv_cells(lines: Iterator[str], reading: Reading) -> Iterator[tuple[int, list[str]]]:
    delimiter = reading.columns.delimiter
    if delimiter is None:
        held: list[str] = []
        delimiter = _delimiter(_held(lines, held), held, reading)
        lines = chain(held, lines)
    reader = csv.reader(lines, strict=True, delimiter=delimiter)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as problem:
            message = f"{reading.name}, line {line}: not valid CSV ({_reason(problem)})"
            raise DataError(f"{message}; {_CSV_ADVICE}") from None
        if cells:
            yield line, cells


def _reason(problem: csv.Error) -> str:
    reason = str(problem).partition(" - ")[0]
    return {
        "unexpected end of data": "a quote is opened and never closed",
        "new-line character seen in unquoted field": "a carriage return within a line; lines end "
        "in a line feed, or in both",
    }.get(reason, reason)


def _held(lines: Iterator[str], held: list[str]) -> Iterator[str]:
    for line in lines:
        held.append(line)
        yield line


def _delimiter(lines: Iterator[str], held: list[str], reading: Reading) -> str:
    """Return the delimiter; the lines up to the end of the header are read."""
    header = _first_cells(lines, ",")
    if header is not None and (not header or reading.has_columns(header)):
        return ","
    others = {mark: _first_cells(iter(held), mark) or [] for mark in _OTHER_DELIMITERS}
    found = next((mark for mark, cells in others.items() if reading.has_columns(cells)), None)
    if found is None and (header is None or len(header) == 1):
        # The wanted columns are missing: the message then names the columns one by one.
        longest = max(others, key=lambda mark: len(others[mark]))
        found = longest if len(others[longest]) > 1 else None
    if found is None:
        return ","
    shown = "'\\t'" if found == "\t" else f"{found!r}"
    reading.note(
        f"{reading.name}: the cells are taken as separated by {_OTHER_DELIMITERS[found]}, "
        f"because of the header; set it with --delimiter {shown}"
    )
    return found


def _first_cells(lines: Iterator[str], delimiter: str) -> list[str] | None:
    """Return the first cells, [] if there are none; None if they are not valid CSV."""
    try:
        return next(filter(None, csv.reader(lines, strict=True, delimiter=delimiter)), [])
    except csv.Error:
        return None


def _tsv_cells(lines: Iterator[str], reading: Reading) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(lines, start=1):
        content = without_end(line)
        reading.watch_returns(content, number)
        yield number, content.split("\t")


class _QuotedCells:
    """Detects quoted cells in a TSV file, which spreadsheets write.

    A quoted cell may hold tabs and line ends, at which it is cut into several cells or rows.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._count = 0
        self._first = 0
        self._opened = 0  # the line of a quote that is still open

    def watched(self, lines: Iterable[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
        """Yield the lines of cells unchanged."""
        for line, cells in lines:
            quoted = line if any(map(_is_quoted, cells)) else 0
            quoted = self._closed(cells, line) or quoted
            if quoted:
                self._count += 1
                self._first = self._first or quoted
            yield line, cells

    def _closed(self, cells: list[str], line: int) -> int:
        """Return the line of the opening quote that one of these cells closes, or 0."""
        found = 0
        for cell in cells:
            if cell.count('"') % 2 == 0:
                continue
            if self._opened and cell.endswith('"'):
                found, self._opened = self._opened, 0
            else:
                self._opened = line if len(cell) > 1 and cell.startswith('"') else 0
        return found

    def report(self) -> None:
        """Note the quoted cells, if there were any."""
        if self._count:
            lines = counted(self._count, "line has", "lines have")
            self._reading.note(
                f"{self._reading.name}: {lines} cells in quotes, such as line {self._first}; TSV "
                "has no quoting, so the quotes belong to the text: if they do not, pass "
                "--input-format csv --delimiter tab"
            )


def _is_quoted(cell: str) -> bool:
    """Return whether a cell is in quotes, with the quotes within it doubled."""
    if len(cell) < 3 or cell[0] != '"' or cell[-1] != '"':
        return False
    inner = cell[1:-1]
    return '"' not in inner.replace('""', "")
