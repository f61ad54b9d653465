"""Going on with a file of results: what it holds, and which rows have none yet."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from textgate.errors import DataError
from textgate.rows.row import Row

_TABLES = ("csv", "tsv")
_ANSWER = {"label", "score", "scores", "truncated", "reason"}
_ANSWER_BY_LABEL = ("score:", "top:")
_ADVICE = "--resume goes on with the same rows, bundle and format"


@dataclass(frozen=True)
class Written:
    """What a file of results holds.

    Attributes:
        path: the file.
        format: of the results.
        header: a table's first line; "" where there is none.
        last: the last whole result, "" where there is none.
        count: how many whole results there are.
        size: bytes up to the end of the last of them.
    """

    path: Path
    format: str
    header: str
    last: str
    count: int
    size: int


def read_written(path: Path, result_format: str) -> Written:
    """Return what a file of results holds; a result that is not whole does not count.

    Args:
        path: the file.
        result_format: one of `RESULT_FORMATS`.

    Raises:
        DataError: the file cannot be read, or it does not hold a single whole line.
    """
    if not path.is_file():  # what a device or a pipe holds has no end, or none yet
        raise DataError(f"{path}: is no file, and --resume goes on with one")
    records = [b"", b""]  # the first and the last
    count = size = read = quotes = 0
    begun: list[bytes] = []
    try:
        with path.open("rb") as stream:
            for line in stream:
                begun.append(line)
                read += len(line)
                quotes += line.count(b'"')
                # A line end within quotes belongs to a cell.
                if line.endswith(b"\n") and not (result_format == "csv" and quotes % 2):
                    records[min(count, 1)] = b"".join(begun)
                    begun.clear()
                    count, size = count + 1, read
        first, last = (record.decode("utf-8") for record in records)
    except OSError as problem:
        raise DataError(f"{path}: cannot be read: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not a file of results: it is not UTF-8") from None
    if read and not count:
        raise DataError(f"{path}: holds no whole result; pass --force to write it anew")
    if result_format in _TABLES:
        return Written(path, result_format, first, last, max(0, count - 1), size)
    return Written(path, result_format, "", last or first, count, size)


def rows_left(
    rows: Iterable[Row],
    written: Written,
    *,
    source: str,
    rendered: Callable[[Row], str],
    ranked: bool = False,
) -> Iterator[Row]:
    """Pass over the rows that have results and return the others.

    The file's header, where it has one, and its last result are compared with the rows.

    Args:
        rows: all rows.
        written: what the file holds.
        source: how messages name where the rows are from.
        rendered: returns what is written for a row that is answered in some way; the first time
            with the header above it.
        ranked: whether a result has the scores of its most probable labels alone.

    Raises:
        DataError: the file does not hold the results of these rows, or a row cannot be read.
    """
    rest = iter(rows)
    first = next(rest, None) if written.header or written.count else None
    if first is None:
        _require(written, 0, source)
        return rest
    line = rendered(first)
    if not line.startswith(written.header):
        header = line.partition("\n")[0]
        raise DataError(
            f"{written.path}: its first line is not the header of these results, {header!r}; "
            f"{_ADVICE}"
        )
    if not written.count:
        return itertools.chain([first], rest)
    number = 1
    last = first
    for number, last in zip(range(2, written.count + 1), rest, strict=False):  # noqa: B007
        pass
    _require(written, number, source)
    line = line[len(written.header) :] if number == 1 else rendered(last)
    where = f"{written.path}, result {number}"
    try:
        found, expected = (_own_part(one, written, ranked) for one in (written.last, line))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, csv.Error):
        raise DataError(f"{where}: not a result in {written.format}; {_ADVICE}") from None
    if found != expected:
        raise DataError(f"{where}: not of row {number} of {source}; {_ADVICE}")
    return rest


def _require(written: Written, rows: int, source: str) -> None:
    if rows < written.count:
        raise DataError(
            f"{written.path}: holds {written.count} results, but {source} has only {rows} rows; "
            f"{_ADVICE}"
        )


def _own_part(line: str, written: Written, ranked: bool) -> object:
    """Return what a result says of its row and of the bundle, without the answer.

    Raises:
        ValueError: the line is not a result; or one of the errors that reading it may bring.
    """
    if written.format == "jsonl":
        value = json.loads(line)
        own = {name: cell for name, cell in value.items() if name not in _ANSWER}
        return own, len(value["scores"]) if ranked else list(value["scores"])
    if written.format == "text":
        _, score, *best, text = line.rstrip("\n").split("\t")
        return float(score) >= 0, len(best), text
    names, cells = (_cells(part, written.format) for part in (written.header, line))
    return [
        cell
        for name, cell in zip(names, cells, strict=True)
        if name not in _ANSWER and not name.startswith(_ANSWER_BY_LABEL)
    ]


def _cells(line: str, result_format: str) -> list[str]:
    if result_format == "tsv":
        return line.rstrip("\n").split("\t")
    csv.field_size_limit(max(len(line), csv.field_size_limit()))
    return next(csv.reader(io.StringIO(line, newline=""), strict=True))
