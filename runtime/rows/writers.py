"""Writing results: one line a text, in the format that the next program reads."""

from __future__ import annotations

import csv
import json
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from textgate.errors import ConfigError, DataError

RESULT_FORMATS = ("text", "jsonl", "csv", "tsv")

_DIGITS = 6  # of every score; float32 holds no more
_LABEL_SEPARATOR = "|"  # between the labels of one text, where there is no list
_LINE_BREAKING = re.compile(r"\r\n|[\t\n\r]")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class Sink(Protocol):
    """What lines are written to."""

    def write(self, text: str, /) -> object:
        """Take a text."""


class _Result(NamedTuple):
    """The arguments of `ResultWriter.write`."""

    text: str
    extras: Mapping[str, object]
    label: str | Sequence[str]
    score: float
    scores: Mapping[str, float]
    truncated: bool
    reason: str | None

    @property
    def joined_label(self) -> str:
        """The label, or the labels in one string."""
        return self.label if isinstance(self.label, str) else _LABEL_SEPARATOR.join(self.label)


class ResultWriter(ABC):
    """Writes the results of classifying texts, one call a text; `open_writer` makes one.

    Lone surrogates, which UTF-8 cannot hold, become U+FFFD.
    """

    def __init__(self, stream: Sink) -> None:
        self._stream = stream

    def write(  # noqa: PLR0917 - the columns of a result, in their order
        self,
        text: str,
        extras: Mapping[str, object],
        label: str | Sequence[str],
        score: float,
        scores: Mapping[str, float],
        truncated: bool,
        reason: str | None = None,
    ) -> None:
        """Write one result.

        Args:
            text: the text as it was read.
            extras: the other columns of its row. One that is named like a column of the result
                is written as ``input.NAME``.
            label: the label, or the list of labels of a multi-label result.
            score: the probability of the label (of a list: whatever the caller ranks by).
            scores: the probability of every label, or of the most probable ones, the best first.
            truncated: whether only the text's beginning was classified.
            reason: why there is no label, or None; it is written in JSON Lines.

        Raises:
            DataError: the extras cannot be written in this format.
            OSError: the stream cannot take the line.
        """
        line = self._line(_Result(text, extras, label, score, scores, truncated, reason))
        self._stream.write(_without_surrogates(line))

    @abstractmethod
    def _line(self, result: _Result) -> str:
        """Return what is written for one result, with its line end."""


def open_writer(
    stream: Sink,
    format: str,  # noqa: A002 - the option's own name
    labels: Sequence[str],
    *,
    top_k: int | None = None,
) -> ResultWriter:
    """Return a writer of results onto an open stream, which stays the caller's to close.

    Args:
        stream: takes the lines; their encoding should be UTF-8, their ends untranslated.
        format: ``text`` (label, score and text, for reading), ``jsonl``, ``csv`` or ``tsv``.
        labels: every label, in the order of their columns in CSV and TSV.
        top_k: how many labels, the most probable ones, are written with their scores in place of
            the scores of all; None for all.

    Raises:
        ConfigError: the format is not one of `RESULT_FORMATS`.
    """
    if format == "text":
        return _TextWriter(stream, ranked=top_k is not None)
    if format == "jsonl":
        return _JsonLinesWriter(stream)
    if format in ("csv", "tsv"):
        return _TableWriter(stream, labels, top_k=top_k, quoted=format == "csv")
    raise ConfigError(f"format {format!r} is not one of {', '.join(RESULT_FORMATS)}")


class _TextWriter(ResultWriter):
    """Label, score and text, parted by tabs; before the text, the best labels and their scores."""

    def __init__(self, stream: Sink, *, ranked: bool) -> None:
        super().__init__(stream)
        self._ranked = ranked

    def _line(self, result: _Result) -> str:
        label, text = _on_one_line(result.joined_label), _on_one_line(result.text)
        best = ""
        if self._ranked:
            best = "".join(
                f"\t{_on_one_line(name)}\t{score:.4f}" for name, score in result.scores.items()
            )
        return f"{label}\t{result.score:.4f}{best}\t{text}\n"


class _JsonLinesWriter(ResultWriter):
    """One object a line: the extras, then the result.

    Written piece by piece: an encoder that is handed the whole takes three times as long.
    """

    _COLUMNS = ("text", "label", "score", "scores", "truncated", "reason")

    def _line(self, result: _Result) -> str:
        label = result.label if isinstance(result.label, str) else list(result.label)
        scores = [f"{_encoded(name)}:{_number(one)}" for name, one in result.scores.items()]
        reason = "" if result.reason is None else f',"reason":{_encoded(result.reason)}'
        columns = (
            f'"text":{_encoded(result.text)},"label":{_encoded(label)},'
            f'"score":{_number(result.score)},"scores":{{{",".join(scores)}}},'
            f'"truncated":{"true" if result.truncated else "false"}{reason}}}\n'
        )
        if not result.extras:
            return "{" + columns
        return _json(_renamed(result.extras, self._COLUMNS))[:-1] + "," + columns


class _TableWriter(ResultWriter):
    """A header, made of the first row's columns, and a row a result."""

    def __init__(
        self, stream: Sink, labels: Sequence[str], *, top_k: int | None, quoted: bool
    ) -> None:
        super().__init__(stream)
        self._labels = tuple(labels) if top_k is None else None
        self._row = _csv_row if quoted else _tsv_row
        if top_k is None:
            scores = [f"score:{name}" for name in labels]
        else:
            scores = [f"{name}:{n}" for n in range(1, top_k + 1) for name in ("top", "score")]
        self._columns = ("text", "label", "score", *scores, "truncated")
        self._extras: list[str] | None = None
        self._count = 0

    def _line(self, result: _Result) -> str:
        others = _renamed(result.extras, self._columns)
        header = ""
        self._count += 1
        if self._extras is None:
            self._extras = list(others)
            header = self._row([*others, *self._columns])
        elif others.keys() != set(self._extras):
            raise DataError(
                f"result {self._count}: its row has the columns {_listed(others)}, the first row "
                f"had {_listed(self._extras)}; a table needs the same ones, so write jsonl instead"
            )
        cells = [_cell(others[name]) for name in self._extras]
        cells += (result.text, result.joined_label, _number(result.score))
        if self._labels is None:
            for name, score in result.scores.items():
                cells += (name, _number(score))
        else:
            cells += [_number(result.scores[name]) for name in self._labels]
        cells.append(_cell(result.truncated))
        return header + self._row(cells)


def _renamed(extras: Mapping[str, object], taken: Collection[str]) -> dict[str, object]:
    """Return the extras under names that the result's columns do not have."""
    renamed: dict[str, object] = {}
    for name, value in extras.items():
        free = name
        while free in taken or (free != name and free in extras):
            free = f"input.{free}"
        renamed[free] = value
    return renamed


def _without_surrogates(line: str) -> str:
    try:
        line.encode("utf-8")  # several times as fast as looking for them
    except UnicodeEncodeError:
        return _LONE_SURROGATE.sub("\ufffd", line)
    return line


def _number(score: float) -> str:
    """Return a score in JSON, which is the same in tables."""
    rounded = round(float(score), _DIGITS)
    return repr(rounded) if math.isfinite(rounded) else "null"


def _listed(names: Collection[str]) -> str:
    return ", ".join(repr(name) for name in names) or "text alone"


def _on_one_line(text: str) -> str:
    return _LINE_BREAKING.sub(" ", text)


def _tsv_row(cells: Sequence[str]) -> str:
    return "\t".join(_on_one_line(cell) for cell in cells) + "\n"


class _Echo:
    """Gives back what it is to write, and so does `writerow` of a writer on it."""

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
    """Return compact JSON; what JSON has no type for is written as a string, NaN as null."""
    try:
        try:
            return _encoded(value)
        except ValueError:
            return _encoded(_finite(value))
    except RecursionError:
        raise DataError(
            "a column of the input is nested too deeply to be written again; write the text format"
        ) from None


def _as_text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


# Made once: json.dumps makes an encoder at every call.
_encoded = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_as_text
).encode


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
