"""Reading rows: the formats, how one is chosen, and what a labelled set must hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from textgate.errors import ConfigError, DataError
from textgate.rows.columns import PROBABILITIES, Columns
from textgate.rows.delimited import read_csv, read_tsv
from textgate.rows.jsonl import read_jsonl
from textgate.rows.parquet import import_parquet, read_parquet
from textgate.rows.plain import read_fasttext, read_text
from textgate.rows.row import Row
from textgate.rows.source import STANDARD_INPUT, AnyPath, source_name

_READERS: dict[str, Callable[[AnyPath, Columns], Iterator[Row]]] = {
    "text": read_text,
    "jsonl": read_jsonl,
    "csv": read_csv,
    "tsv": read_tsv,
    "fasttext": read_fasttext,
    "parquet": read_parquet,
}
_EXTENSIONS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "text",
    ".parquet": "parquet",
}

FORMATS = ("text", "jsonl", "csv", "tsv", "fasttext", "parquet")


def read_rows(
    path: AnyPath,
    *,
    format: str | None = None,  # noqa: A002 - the option's own name
    text_field: str = "text",
    label_field: str = "label",
    labelled: bool,
    soft_labels: bool = False,
) -> Iterator[Row]:
    """Return an iterator over the rows of a file that holds one row (or a few hundred) at a time.

    The file is opened when the first row is asked for.

    Args:
        path: the file; ``-`` is standard input. A name that ends in ``.gz`` is decompressed.
        format: one of `FORMATS`; None goes by the name: ``.jsonl``, ``.ndjson``, ``.csv``,
            ``.tsv``, ``.parquet``, and ``.txt`` or standard input for plain text, which is
            ``fasttext`` where labels are read.
        text_field: the column of the texts. Plain text and fastText files have no columns.
        label_field: the column of the labels.
        labelled: whether labels are read, and every row must have them. Otherwise the label's
            column is one of the extras, and a fastText file's labels are dropped.
        soft_labels: whether, of labelled JSON Lines, the field ``probs`` is read: an object of
            labels and probabilities. A row that has it needs no label.

    Raises:
        ConfigError: at once, if the settings cannot work.
        MissingPackageError: at once, if the rows are Parquet and pyarrow is not installed.
        DataError: while iterating, if the file cannot be read or a row is not what it should be.
    """
    chosen = format or _format_of(path, labelled=labelled)
    if chosen not in _READERS:
        raise ConfigError(f"format {chosen!r} is not one of {', '.join(FORMATS)}")
    if labelled and chosen == "text":
        raise ConfigError(
            f"{source_name(path)}: plain text has no labels; use one of the other formats "
            "(--input-format fasttext for lines that start with __label__)"
        )
    if labelled and text_field == label_field:
        raise ConfigError(f"the text and the label cannot both be the field {text_field!r}")
    if chosen == "parquet":
        _check_parquet(path)
    if not labelled:
        return _READERS[chosen](path, Columns(text_field, None))
    soft = soft_labels and chosen == "jsonl" and PROBABILITIES not in (text_field, label_field)
    return _READERS[chosen](path, Columns(text_field, label_field, soft))


def load_labelled(
    path: AnyPath,
    *,
    format: str | None = None,  # noqa: A002 - the option's own name
    text_field: str = "text",
    label_field: str = "label",
    several_labels: bool = False,
    soft_labels: bool = False,
) -> list[Row]:
    """Return all rows of a labelled file.

    Args:
        path: as for `read_rows`, and so the next three.
        format: the file's format.
        text_field: the column of the texts.
        label_field: the column of the labels.
        several_labels: whether a set in which every row has the same one label is refused.
        soft_labels: as for `read_rows`.

    Raises:
        ConfigError: the settings cannot work.
        DataError: the file cannot be read, a row is wrong, or there is nothing to learn from.
    """
    rows = list(
        read_rows(
            path,
            format=format,
            text_field=text_field,
            label_field=label_field,
            labelled=True,
            soft_labels=soft_labels,
        )
    )
    name = source_name(path)
    if not rows:
        raise DataError(f"{name} has no rows")
    different = {tuple(label for label, _ in row.probabilities) or row.labels for row in rows}
    if different == {()}:
        raise DataError(f"{name}: no row has a label; every list of labels is empty")
    labels, *others = different
    if several_labels and not others and len(labels) == 1:
        raise DataError(
            f"{name}: every row has the label {labels[0]!r}; two labels or more are needed"
        )
    return rows


def _format_of(path: AnyPath, *, labelled: bool) -> str:
    """Return the format that a file's name stands for."""
    extension = ".txt"
    if str(path) != STANDARD_INPUT:
        extension = Path(Path(path).name.lower().removesuffix(".gz")).suffix
    if extension not in _EXTENSIONS:
        raise ConfigError(
            f"{path}: the name does not say which format it is; known are "
            f"{' '.join(_EXTENSIONS)} (also with .gz); or pass --input-format: {', '.join(FORMATS)}"
        )
    chosen = _EXTENSIONS[extension]
    return "fasttext" if chosen == "text" and labelled else chosen


def _check_parquet(path: AnyPath) -> None:
    if str(path) == STANDARD_INPUT:
        raise ConfigError("Parquet cannot be read from standard input; name a file")
    if str(path).lower().endswith(".gz"):
        raise ConfigError(f"{path}: Parquet is compressed inside; decompress the file first")
    import_parquet()
