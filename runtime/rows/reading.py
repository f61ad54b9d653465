"""State of reading one file: the requirements on its rows, and the oddities found so far."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import TypeAlias

from textgate.errors import DataError
from textgate.messages import counted, did_you_mean, listed, shown
from textgate.rows.bad_rows import LEAVE_OUT, BadRowError, BadRows
from textgate.rows.columns import SOFT_LABELS, Columns
from textgate.rows.labels import (
    LabelError,
    applies,
    clean_label,
    labels_of,
    probabilities_of,
)
from textgate.rows.row import Row, require_row

Note: TypeAlias = Callable[[str], object]
Header: TypeAlias = Callable[[Sequence[str]], object]
Pairs: TypeAlias = Sequence[tuple[str, object]]

_MAX_NAMED = 20  # columns
_TABLES = {"\t": "tsv", ",": "csv", ";": "csv", "|": "csv"}  # delimiter -> format


class Reading:
    """Requirements on the rows of a file, and the oddities of those that have been read.

    Args:
        name: the name of the file in messages.
        columns: its columns of texts and labels.
        labelled: whether labels are read.
        soft: whether soft labels are read from `SOFT_LABELS`; they replace a missing label.
        may_have_none: whether an empty cell means that no label applies.
        collects: whether bad rows are counted and left out; otherwise the first one is an error.
        note: receives notes about the file, one sentence each.
        header: receives the names of a table's columns.

    Attributes:
        rows: the number of rows so far, including bad ones.
        bad_rows: the rows that were left out.
    """

    def __init__(
        self,
        name: str,
        columns: Columns,
        *,
        labelled: bool,
        soft: bool = False,
        may_have_none: bool = False,
        collects: bool = False,
        note: Note,
        header: Header = lambda _: None,
    ) -> None:
        self.name = name
        self.columns = columns
        self.labelled = labelled
        self.soft = soft
        self.note = note
        self._header = header
        self.rows = 0
        self.bad_rows = BadRows()
        self.several_texts = len(columns.text_fields) > 1
        self._may_have_none = may_have_none or columns.label_separator is not None
        self._collects = collects or columns.skip_bad_rows
        self._wanted = columns.wanted(labelled=labelled)
        self._own_labels = [(field, clean_label(field)) for field in columns.label_fields]
        # A row may lack some of several text or label fields; one that all rows lack is a mistake.
        self._unseen = (
            {name for name, option in self._wanted if option != "--label-field"}
            if self.several_texts or (labelled and self._own_labels)
            else set()
        )
        self._cleaned = 0
        self._first_cleaned: tuple[str, str] | None = None
        self._label_names: dict[str, str] = {}
        self._returns = 0  # lines with carriage returns in them
        self._first_return = 0

    def read(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield the rows of a reader, and note oddities at the end, even after an error.

        Raises:
            DataError: as the reader does; or no row had a field that was named.
        """
        try:
            yield from rows
            if self._unseen and self.rows > self.bad_rows.count:
                raise DataError(
                    f"{self.name}: no row has the field {shown(min(self._unseen))}; name the right "
                    f"one with {dict(self._wanted)[min(self._unseen)]}"
                )
        finally:
            self._report()

    def row(self, pairs: Pairs, *, line: int, location: str) -> Row | None:
        """Return the row of a record, or None if it is left out.

        Args:
            pairs: the names and values of its columns, in order.
            line: the number of the row in its file.
            location: the location of the row in messages.

        Raises:
            BadRowError: the row cannot be used, and such rows are not left out.
        """
        self.rows += 1
        try:
            return self._row(pairs, line, location)
        except BadRowError as problem:
            self._refuse(problem)
            return None

    def labelled_line(
        self, text: str, words: Sequence[str], *, line: int, prefix: str
    ) -> Row | None:
        """Return the row of a line of a fastText file, or None if it is left out.

        Args:
            text: the text.
            words: the words after the prefixes before it.
            line: the number of the line.
            prefix: the prefix of labels.

        Raises:
            BadRowError: the row cannot be used, and such rows are not left out.
        """
        self.rows += 1
        if not self.labelled:
            return Row(text, (), line)
        location, what = f"line {line}", f"the label after {prefix}"
        try:
            if not words and not self._may_have_none:
                raise self._bad(
                    f"no label; a line starts with {prefix}NAME, and .txt is a fastText file "
                    f"where labels are read{self.table_hint(text)}",
                    location,
                    f"no {prefix}NAME in front",
                )
            each = (self.labels(word, what=what, location=location) for word in words)
            return Row(text, tuple(dict.fromkeys(chain.from_iterable(each))), line)
        except BadRowError as problem:
            self._refuse(problem)
            return None

    def refuse(self, problem: str, *, location: str, kind: str) -> None:
        """Count a row that cannot be used.

        Raises:
            BadRowError: such rows are not left out.
        """
        self.rows += 1
        self._refuse(self._bad(problem, location, kind))

    def labels(self, value: object, *, what: str, location: str) -> tuple[str, ...]:
        """Return the labels in a value.

        Args:
            value: the value of a cell or a field.
            what: the name of the value in messages.
            location: the location of the row in messages.

        Raises:
            BadRowError: the value is not a label.
        """
        try:
            return labels_of(
                value,
                where=what,
                separator=self.columns.label_separator,
                may_be_none=self._may_have_none,
                clean=lambda label: self._clean(label, location),
            )
        except LabelError as problem:
            raise self._bad(str(problem), location, problem.kind) from None

    def watch_returns(self, line: str, number: int) -> None:
        """Count carriage returns within a line, which may be ends of lines."""
        if "\r" in line.rstrip("\r"):
            self._returns += 1
            self._first_return = self._first_return or number

    def cleaned(self, row: Row) -> Row:
        """Return a row with clean labels.

        Raises:
            DataError: a label is empty, or two soft labels become the same.
        """
        location = f"line {row.line}"
        labels = tuple(dict.fromkeys(self._clean(label, location) for label in row.labels))
        soft = tuple((self._clean(label, location), value) for label, value in row.probabilities)
        if (labels, soft) == (row.labels, row.probabilities):
            return row
        if not all((*labels, *dict(soft))):
            raise DataError(f"{self.name}, {location}: a label is empty; leave it out")
        if len(dict(soft)) != len(soft):
            raise DataError(f"{self.name}, {location}: two soft labels differ only in white space")
        return dataclasses.replace(row, labels=labels, probabilities=soft)

    def has_columns(self, names: Collection[str]) -> bool:
        """Return whether these names include all wanted columns."""
        return all(name in names for name, _ in self._wanted)

    def table_hint(self, line: str) -> str:
        """Return a hint about a line of plain text that looks like another format."""
        beginning = line.strip()
        if beginning.startswith('{"'):
            return "; it looks like JSON Lines: pass --input-format jsonl"
        if beginning in ("[", "[{") or beginning.startswith('[{"'):
            return "; it looks like a list in JSON: pass --input-format json"
        for mark, advice in _TABLES.items():
            cells = [cell.strip('"') for cell in line.split(mark)]
            if len(cells) > 1 and self.has_columns(cells):
                return f"; it looks like a table's header: pass --input-format {advice}"
        return ""

    def check_header(self, names: Sequence[str], *, where: str, hint: str = "") -> None:
        """Refuse a table that lacks a wanted column, or has it twice.

        Args:
            names: the names of its columns.
            where: the name of the header in messages.
            hint: a hint to add if a column is missing.

        Raises:
            DataError: the table cannot be used.
        """
        problem = self._lacking(names)
        if problem:
            raise DataError(f"{where}: {problem}{hint}")
        for name, _ in self._wanted:
            if names.count(name) > 1:
                raise DataError(
                    f"{where}: {names.count(name)} columns are named {shown(name)}; rename all "
                    "but one"
                )
        self._unseen.clear()
        self._header(names)

    def _row(self, pairs: Pairs, line: int, location: str) -> Row:
        record = dict(pairs)
        if self._unseen:
            self._unseen.difference_update(record)
        if not self.labelled:
            self._require_columns(record, location)
            text = self._text(record, location)
            taken = self.columns.text_fields
            extras = {name: value for name, value in record.items() if name not in taken}
            return Row(text, (), line, extras, cells=tuple(pairs))
        used = {name for name, _ in self._wanted}
        probabilities: tuple[tuple[str, float], ...] = ()
        if self.soft and record.get(SOFT_LABELS) is not None:
            probabilities = self._probabilities(record[SOFT_LABELS], location)
            used.add(SOFT_LABELS)
        has_label = not probabilities or any(
            record.get(name) is not None for name, option in self._wanted if "label" in option
        )
        self._require_columns(record, location, has_label=has_label)
        text = self._text(record, location)
        labels = self._labels(record, location) if has_label else ()
        extras = {name: value for name, value in record.items() if name not in used}
        return Row(text, labels, line, extras, probabilities)

    def _require_columns(
        self, record: dict[str, object], location: str, *, has_label: bool = True
    ) -> None:
        for name, option in self._wanted:
            optional = {"--text-field": self.several_texts, "--label-fields": True}.get(option)
            if name in record or optional or (not has_label and "label" in option):
                continue
            raise self._bad(self._lacking(record), location, f"no field {shown(name)}")

    def _lacking(self, names: Collection[str]) -> str:
        """Return the message about the first wanted column that is missing, or ""."""
        for name, option in self._wanted:
            if name not in names:
                found = listed(list(names), limit=_MAX_NAMED) or "no field at all"
                return (
                    f"no field {shown(name)}{did_you_mean(name, names)}, found {found}; name the "
                    f"right one with {option}"
                )
        return ""

    def _text(self, record: dict[str, object], location: str) -> str:
        texts: list[str] = []
        for name in self.columns.text_fields:
            value = record.get(name)
            if isinstance(value, str):
                texts.append(value)
            elif value is not None or not self.several_texts:
                raise self._bad(
                    f"the text (field {shown(name)}) should be a string, found {shown(value)}",
                    location,
                    "a text that is not a string",
                )
        if not texts:
            names = ", ".join(map(shown, self.columns.text_fields))
            raise self._bad(f"no text in any of the fields {names}", location, "no text")
        return "\n".join(filter(str.strip, texts)) if self.several_texts else texts[0]

    def _labels(self, record: dict[str, object], location: str) -> tuple[str, ...]:
        if not self._own_labels:
            field = self.columns.label
            what = f"the label (field {shown(field)})"
            return self.labels(record[field], what=what, location=location)
        try:
            return tuple(
                label
                for field, label in self._own_labels
                if applies(record.get(field), where=f"the label field {shown(field)}")
            )
        except LabelError as problem:
            raise self._bad(str(problem), location, problem.kind) from None

    def _probabilities(self, value: object, location: str) -> tuple[tuple[str, float], ...]:
        try:
            return probabilities_of(
                value,
                where=f"the soft labels (field {SOFT_LABELS!r})",
                clean=lambda label: self._clean(label, location),
            )
        except LabelError as problem:
            raise self._bad(str(problem), location, problem.kind) from None

    def _clean(self, label: str, location: str) -> str:
        cleaned = self._label_names.get(label)
        if cleaned is None:
            cleaned = self._label_names[label] = clean_label(label)
        if cleaned != label:
            self._cleaned += 1
            self._first_cleaned = self._first_cleaned or (label, location)
        return cleaned

    def _bad(self, problem: str, location: str, kind: str) -> BadRowError:
        return BadRowError(f"{self.name}, {location}: {problem}", location, kind, problem)

    def _refuse(self, problem: BadRowError) -> None:
        if not self._collects:
            raise BadRowError(
                f"{problem}; {LEAVE_OUT} rows like it",
                problem.location,
                problem.kind,
                problem.problem,
            )
        self.bad_rows.add(problem)

    def _report(self) -> None:
        if self._first_cleaned is not None:
            label, location = self._first_cleaned
            labels = counted(self._cleaned, "label", "labels")
            self.note(
                f"{self.name}: white space, invisible characters and separate accents were "
                f"normalized in {labels}, such as {label!a} on {location}, which is read as "
                f"{shown(self._label_names[label])}"
            )
        if self._returns:
            lines = counted(self._returns, "line has", "lines have")
            self.note(
                f"{self.name}: {lines} carriage returns within, such as line {self._first_return}; "
                "if these end lines, replace them by line feeds"
            )
        if self.columns.skip_bad_rows and self.bad_rows.count:
            self.note(self.bad_rows.note(self.name, self.rows))


def with_clean_labels(rows: Iterable[Row], *, name: str, note: Note) -> list[Row]:
    """Return rows that were made by a program with clean labels, as the rows of files have them.

    Args:
        rows: the rows.
        name: their name in messages.
        note: receives a note if labels were changed.

    Raises:
        DataError: one of them is not a `Row` of a text and labels, or two of its soft labels become
            the same.
    """
    given = list(rows)
    for number, row in enumerate(given):
        require_row(row, where=f"{name}[{number}]")
    reading = Reading(name, Columns(), labelled=True, note=note)
    return list(reading.read(map(reading.cleaned, given)))
