"""Reading of files of rows: the choice of the format, and the checks of a labelled set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from textgate.errors import ConfigError, DataError
from textgate.logs import logger
from textgate.messages import did_you_mean, shown
from textgate.rows.columns import INPUT_FORMATS, SOFT_LABELS, Columns
from textgate.rows.delimited import read_csv, read_tsv
from textgate.rows.jsonl import read_json, read_jsonl
from textgate.rows.labels import joined_note
from textgate.rows.parquet import import_parquet, read_parquet
from textgate.rows.plain import read_fasttext, read_text
from textgate.rows.reading import Header, Note, Reading
from textgate.rows.row import Row
from textgate.rows.source import STANDARD_INPUT, AnyPath, read_lines, source_name

_READERS: dict[str, Callable[[Iterator[str], Reading], Iterator[Row]]] = {  # of lines
    "text": read_text,
    "jsonl": read_jsonl,
    "json": read_json,
    "csv": read_csv,
    "tsv": read_tsv,
    "fasttext": read_fasttext,
}
_EXTENSIONS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "text",
    ".parquet": "parquet",
}
_SPREADSHEETS = (".xlsx", ".xls", ".ods", ".numbers")


def read_rows(
    path: AnyPath,
    columns: Columns | None = None,
    *,
    labelled: bool,
    soft_labels: bool = False,
    may_have_none: bool = False,
    note: Note = logger.warning,
    header: Header = lambda _: None,
) -> Iterator[Row]:
    """Return an iterator over the rows of a file.

    The file is opened when the first row is requested, and read row by row; JSON is held in memory,
    and Parquet a few hundred rows at a time. A row that cannot be used is an error, unless
    ``columns.skip_bad_rows`` is set.

    Args:
        path: the file; ``-`` is standard input. A name that ends in ``.gz`` is decompressed.
        columns: the columns of texts and labels. A format of None is that of the name:
            ``.jsonl``, ``.ndjson``, ``.json``, ``.csv``, ``.tsv``, ``.parquet``, and ``.txt`` or
            standard input for plain text, which is ``fasttext`` where labels are read.
        labelled: whether labels are read; every row must then have them. Otherwise the label's
            column is one of the extras, and the labels of a fastText file are dropped.
        soft_labels: whether, of labelled JSON, the field ``probs`` is read: an object of labels and
            probabilities. A row that has it needs no label.
        may_have_none: whether an empty cell means that no label applies; always so if the columns
            have a label separator.
        note: receives notes about the file, one sentence each.
        header: receives the names of a table's columns, before its first row.

    Raises:
        ConfigError: at once, if the settings cannot work.
        MissingPackageError: at once, if the rows are Parquet and pyarrow is not installed.
        DataError: while iterating, if the file cannot be read or a row cannot be used.
    """
    rows, _ = _opened(
        path,
        columns or Columns(),
        labelled=labelled,
        soft_labels=soft_labels,
        may_have_none=may_have_none,
        collects=False,
        note=note,
        header=header,
    )
    return rows


def load_labelled(
    path: AnyPath,
    columns: Columns | None = None,
    *,
    several_labels: bool = False,
    soft_labels: bool = False,
    may_have_none: bool = False,
    note: Note = logger.warning,
) -> list[Row]:
    """Return all rows of a labelled file.

    Args:
        path: as for `read_rows`, like all arguments except `several_labels`.
        columns: the columns of texts and labels.
        several_labels: whether to refuse a set whose rows all have the same single label.
        soft_labels: whether ``probs`` is read.
        may_have_none: whether an empty cell means that no label applies.
        note: receives notes about the file.

    Raises:
        ConfigError: the settings cannot work.
        DataError: the file cannot be read, some rows cannot be used, or there is nothing to learn
            from.
    """
    found, reading = _opened(
        path,
        columns or Columns(),
        labelled=True,
        soft_labels=soft_labels,
        may_have_none=may_have_none,
        collects=True,
        note=note,
    )
    rows = list(found)
    name = reading.name
    if reading.bad_rows.count and (not rows or not reading.columns.skip_bad_rows):
        joined = joined_note(label for row in rows for label in row.labels)
        raise DataError(
            f"{reading.bad_rows.message(reading.rows)}{f'; {joined}' if joined else ''}"
        )
    if not rows:
        raise DataError(f"{name} has no rows")
    different = {tuple(label for label, _ in row.probabilities) or row.labels for row in rows}
    if different == {()}:
        raise DataError(f"{name}: no row has a label; every list of labels is empty")
    labels, *others = different
    if several_labels and not others and len(labels) == 1:
        raise DataError(
            f"{name}: every row has the label {shown(labels[0])}; two labels or more are needed"
        )
    return rows


def _opened(
    path: AnyPath,
    columns: Columns,
    *,
    labelled: bool,
    soft_labels: bool,
    may_have_none: bool,
    collects: bool,
    note: Note,
    header: Header = lambda _: None,
) -> tuple[Iterator[Row], Reading]:
    """Return the rows of a file and the reading that counts them.

    Raises:
        ConfigError: the settings cannot work or an optional package is missing.
    """
    chosen = columns.format or _format_of(path, labelled=labelled)
    if chosen not in INPUT_FORMATS:
        near = did_you_mean(chosen, INPUT_FORMATS)
        raise ConfigError(f"format {chosen!r} is not one of {', '.join(INPUT_FORMATS)}{near}")
    if labelled and chosen == "text":
        raise ConfigError(
            f"{source_name(path)}: plain text has no labels; use one of the other formats "
            "(--input-format fasttext for lines that start with __label__)"
        )
    names = [name for name, _ in columns.wanted(labelled=labelled)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"the text and the label cannot both be the field {twice!r}")
    if chosen == "tsv" and columns.delimiter not in (None, "\t"):
        raise ConfigError(
            f"{source_name(path)}: TSV is separated by tabs; pass --input-format csv with another "
            "delimiter"
        )
    if chosen == "parquet":
        _check_parquet(path)
    reading = Reading(
        source_name(path),
        columns,
        labelled=labelled,
        soft=soft_labels and chosen in ("json", "jsonl") and SOFT_LABELS not in names,
        may_have_none=may_have_none,
        collects=collects,
        note=note,
        header=header,
    )
    return reading.read(_rows(path, chosen, reading)), reading


def _rows(path: AnyPath, chosen: str, reading: Reading) -> Iterator[Row]:
    if chosen == "parquet":
        yield from read_parquet(path, reading)
        return
    # Closed at once, even after an error, which may be kept for long.
    lines = read_lines(path, reading.columns.encoding, reading.note, option="--encoding")
    with closing(lines):
        yield from _READERS[chosen](lines, reading)


def _format_of(path: AnyPath, *, labelled: bool) -> str:
    """Return the format of a file's name."""
    extension = ".txt"
    if str(path) != STANDARD_INPUT:
        extension = Path(Path(path).name.lower().removesuffix(".gz")).suffix
    if extension in _SPREADSHEETS:
        raise ConfigError(f"{path}: a spreadsheet is not read; save the sheet as CSV in UTF-8")
    if extension not in _EXTENSIONS:
        raise ConfigError(
            f"{path}: the name tells no format; known are "
            f"{' '.join(_EXTENSIONS)} (also with .gz); or pass --input-format: "
            f"{', '.join(INPUT_FORMATS)}"
        )
    chosen = _EXTENSIONS[extension]
    return "fasttext" if chosen == "text" and labelled else chosen


def _check_parquet(path: AnyPath) -> None:
    if str(path) == STANDARD_INPUT:
        raise ConfigError("Parquet cannot be read from standard input; name a file")
    if str(path).lower().endswith(".gz"):
        raise ConfigError(f"{path}: Parquet is compressed inside; decompress the file first")
    import_parquet()
