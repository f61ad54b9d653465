"""Writers of results, one line per text, in several formats."""

from __future__ import annotations

import csv
import json
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from textgate.errors import ConfigError, DataError
from textgate.messages import did_you_mean, listed
from textgate.tables import printable

if TYPE_CHECKING:
    from textgate.rows.reading import Pairs

RESULT_FORMATS = ("text", "jsonl", "csv", "tsv")

SCORE_DIGITS = 6  # decimals; float32 holds no more
LABEL_SEPARATOR = "|"  # between the labels of one text, in formats without lists
_LINE_BREAKING = re.compile(r"\r\n|[\t\n\r]")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class Sink(Protocol):
    """A target of lines."""

    def write(self, text: str, /) -> object:
        """Write a text."""


class _Result(NamedTuple):
    """The arguments of `ResultWriter.write`."""

    text: str
    cells: Pairs
    label: str | Sequence[str]
    score: float
    scores: Mapping[str, float]
    truncated: bool
    reason: str | None


class ResultWriter(ABC):
    """Writes results, one call per text; `open_writer` returns one.

    Lone surrogates, which UTF-8 cannot hold, become U+FFFD.
    """

    def __init__(self, stream: Sink, label_separator: str = LABEL_SEPARATOR) -> None:
        self._stream = stream
        self._label_separator = label_separator

    def write(  # noqa: PLR0917 - the columns of a result, in their order
        self,
        text: str,
        cells: Pairs,
        label: str | Sequence[str],
        score: float,
        scores: Mapping[str, float],
        truncated: bool,
        reason: str | None = None,
    ) -> None:
        """Write one result.

        Args:
            text: the text as it was read.
            cells: the cells of its row, including the text, in order; they are written before those
                of the result. A column with the name of a column of the result is written as
                ``input.NAME``.
            label: the label, or the list of labels of a multi-label result.
            score: the probability of the most probable label.
            scores: the probabilities of all labels, or of the most probable ones in descending
                order.
            truncated: whether only the beginning of the text was classified.
            reason: the reason for no label, or None; only JSON Lines hold it.

        Raises:
            DataError: the columns cannot be written in this format.
            OSError: the stream cannot take the line.
        """
        line = self._line(_Result(text, cells, label, score, scores, truncated, reason))
        self._stream.write(_without_surrogates(line))

    def begin(self, names: Sequence[str]) -> None:
        """Write the header of a table; other formats have none.

        `write` does so before the first result.

        Args:
            names: the columns of the rows.
        """
        self._stream.write(_without_surrogates(self._header(names)))

    def joined(self, label: str | Sequence[str]) -> str:
        """Return a label, or several labels in one string."""
        return label if isinstance(label, str) else self._label_separator.join(label)

    def _header(self, names: Sequence[str]) -> str:  # noqa: ARG002
        """Return the header with its line end; "" if the format has none."""
        return ""

    @abstractmethod
    def _line(self, result: _Result) -> str:
        """Return the line of one result, with its line end."""


def open_writer(
    stream: Sink,
    format: str,  # noqa: A002 - the option's own name
    labels: Sequence[str],
    *,
    top_k: int | None = None,
    multi_label: bool = False,
    label_separator: str = LABEL_SEPARATOR,
) -> ResultWriter:
    """Return a writer of results to an open stream, which the caller closes.

    Args:
        stream: the target; it should encode in UTF-8 and leave line ends as they are.
        format: ``text`` (label, score and text, for reading), ``jsonl``, ``csv`` or ``tsv``.
        labels: every label, in the order of their columns in CSV and TSV.
        top_k: how many labels, the most probable ones, are written with their scores instead of the
            scores of all labels; None for all.
        multi_label: whether a text may have several labels.
        label_separator: the text between several labels, in all formats but ``jsonl``.

    Raises:
        ConfigError: the format is not one of `RESULT_FORMATS`, or the separator could not separate
            the labels of one text.
    """
    if format not in RESULT_FORMATS:
        near = did_you_mean(format, RESULT_FORMATS)
        raise ConfigError(f"format {format!r} is not one of {', '.join(RESULT_FORMATS)}{near}")
    if format == "jsonl":
        return _JsonLinesWriter(stream)
    if not label_separator:
        raise ConfigError("the label separator is empty; give one such as ; or |")
    if multi_label:
        require_separator(label_separator, labels, format)
    if format == "text":
        return _TextWriter(stream, label_separator, ranked=top_k is not None)
    return _TableWriter(stream, labels, label_separator, top_k=top_k, quoted=format == "csv")


def require_separator(separator: str, labels: Sequence[str], result_format: str) -> None:
    """Refuse a separator that could not separate the labels of one text.

    Raises:
        ConfigError: a label holds the separator, or the format cannot hold it.
    """
    if result_format != "csv" and _LINE_BREAKING.search(separator):
        raise ConfigError(
            f"the label separator {separator!r} would become a space in {result_format}, which "
            "holds neither tabs nor line ends within; give another, or write jsonl or csv"
        )
    divided = next((label for label in labels if separator in label), None)
    if divided is not None:
        raise ConfigError(
            f"the label {divided!r} holds {separator!r}, which separates the labels of a "
            "text; give another with --label-separator, or write jsonl"
        )


def for_reading(text: str) -> str:
    """Return a text on one line, without what a terminal would act on.

    Tabs and line ends become spaces, lone surrogates U+FFFD, and other control characters escapes
    with a backslash.
    """
    line = _on_one_line(text)
    return line if line.isprintable() else printable(_without_surrogates(line))


class _TextWriter(ResultWriter):
    """Label, score and text, separated by tabs; with `top_k`, the best labels before the text."""

    def __init__(self, stream: Sink, label_separator: str, *, ranked: bool) -> None:
        super().__init__(stream, label_separator)
        self._ranked = ranked

    def _line(self, result: _Result) -> str:
        label, text = for_reading(self.joined(result.label)), for_reading(result.text)
        best = ""
        if self._ranked:
            best = "".join(
                f"\t{for_reading(name)}\t{score:.4f}" for name, score in result.scores.items()
            )
        return f"{label}\t{result.score:.4f}{best}\t{text}\n"


class _JsonLinesWriter(ResultWriter):
    """One object per line: the cells of the row, then the result.

    A column with the name of an earlier one, which tables may have, gets a number. The object is
    written in pieces, which is three times as fast as encoding it as a whole.
    """

    _COLUMNS = ("label", "score", "scores", "truncated", "reason")

    def _line(self, result: _Result) -> str:
        label = result.label if isinstance(result.label, str) else list(result.label)
        scores = [f"{_encoded(name)}:{_number(one)}" for name, one in result.scores.items()]
        reason = "" if result.reason is None else f',"reason":{_encoded(result.reason)}'
        own = (
            f'"label":{_encoded(label)},"score":{_number(result.score)},'
            f'"scores":{{{",".join(scores)}}},'
            f'"truncated":{"true" if result.truncated else "false"}{reason}}}\n'
        )
        names = _numbered(renamed_columns([name for name, _ in result.cells], self._COLUMNS))
        values = (value for _, value in result.cells)
        cells = _json(dict(zip(names, values, strict=True)))
        return f"{cells[:-1]},{own}" if names else f"{{{own}"


class _TableWriter(ResultWriter):
    """A header with the columns of the first row, and one row per result."""

    def __init__(
        self,
        stream: Sink,
        labels: Sequence[str],
        label_separator: str,
        *,
        top_k: int | None,
        quoted: bool,
    ) -> None:
        super().__init__(stream, label_separator)
        self._labels = tuple(labels) if top_k is None else None
        self._row = _csv_row if quoted else _tsv_row
        if top_k is None:
            scores = [f"score:{name}" for name in labels]
        else:
            scores = [f"{name}:{n}" for n in range(1, top_k + 1) for name in ("top", "score")]
        self._columns = ("label", "score", *scores, "truncated")
        self._names: list[str] | None = None  # of the rows' columns
        self._count = 0

    def _header(self, names: Sequence[str]) -> str:
        self._names = list(names)
        return self._row([*renamed_columns(names, self._columns), *self._columns])

    def _line(self, result: _Result) -> str:
        header = ""
        self._count += 1
        if self._names is None:
            header = self._header([name for name, _ in result.cells])
        cells = [_cell(value) for value in self._values(result.cells)]
        cells += (self.joined(result.label), _number(result.score))
        if self._labels is None:
            for name, score in result.scores.items():
                cells += (name, _number(score))
        else:
            cells += [_number(result.scores[name]) for name in self._labels]
        cells.append(_cell(result.truncated))
        return header + self._row(cells)

    def _values(self, cells: Pairs) -> list[object]:
        """Return the values of a row in the order of the header."""
        names = self._names or []
        found = [name for name, _ in cells]
        if found == names:
            return [value for _, value in cells]
        if sorted(found) == sorted(names) and len(set(names)) == len(names):
            values = dict(cells)
            return [values[name] for name in names]
        raise DataError(
            f"result {self._count}: its row has the columns {listed(found) or 'none'}, the first "
            f"row had {listed(names) or 'none'}; a table needs the same ones, so write jsonl "
            "instead"
        )


def renamed_columns(names: Sequence[str], taken: Collection[str]) -> list[str]:
    """Return the names of a row's columns, changed if a column of the result has the same name."""
    renamed = []
    for name in names:
        free = name
        while free in taken or (free != name and free in names):
            free = f"input.{free}"
        renamed.append(free)
    return renamed


def _numbered(names: Sequence[str]) -> list[str]:
    """Return different names: the second ``x`` becomes ``x.2``."""
    if len(set(names)) == len(names):
        return list(names)
    different: dict[str, None] = {}
    for name in names:
        free, number = name, 1
        while free in different or (number > 1 and free in names):
            number += 1
            free = f"{name}.{number}"
        different[free] = None
    return list(different)


def _without_surrogates(line: str) -> str:
    try:
        line.encode("utf-8")  # several times as fast as a search
    except UnicodeEncodeError:
        return _LONE_SURROGATE.sub("\ufffd", line)
    return line


def _number(score: float) -> str:
    """Return a score as JSON and tables hold it."""
    rounded = round(float(score), SCORE_DIGITS)
    return repr(rounded) if math.isfinite(rounded) else "null"


def _on_one_line(text: str) -> str:
    return _LINE_BREAKING.sub(" ", text)


def _tsv_row(cells: Sequence[str]) -> str:
    return "\t".join(_on_one_line(cell) for cell in cells) + "\n"


class _Echo:
    """Returns what it is given to write, so that `writerow` returns the line."""

    def write(self, line: str) -> str:
        return line


# Some releases of the csv module quote a carriage return only if it is in the line terminator.
_csv_writer = csv.writer(_Echo(), lineterminator="\r\n")


def _csv_row(cells: Sequence[str]) -> str:
    line: str = _csv_writer.writerow(cells)
    return line.removesuffix("\r\n") + "\n"


def _cell(value: object) -> str:
    if value is None or value != value:  # noqa: PLR0124 - NaN alone differs from itself
        return ""
    if isinstance(value, str):
        return value
    return _json(value) if isinstance(value, bool | int | float | list | dict) else _as_text(value)


def _json(value: object) -> str:
    """Return compact JSON; types that JSON lacks are written as strings, NaN as null."""
    try:
        try:
            return _encoded(value)
        except ValueError:
            return _encoded(_finite(value))
    except RecursionError:
        raise DataError(
            "a column of the input is nested too deeply to be written; write the text format"
        ) from None


def _as_text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


# Made once: json.dumps makes an encoder in every call.
_encoded = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_as_text
).encode


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
