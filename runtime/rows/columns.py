"""Which columns hold the text and the label, and one row out of one record's columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from textgate.errors import DataError
from textgate.rows.row import Row
from textgate.suggestion import did_you_mean

PROBABILITIES = "probs"  # the column of soft labels

_LONGEST_SHOWN = 60  # characters of a value, so that a message stays one line
_MOST_SHOWN = 20  # column names


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the columns that are read.

    Attributes:
        text: the column of the texts.
        label: the column of the labels, or None where rows are read without labels.
        soft: whether `PROBABILITIES` is read too, and stands in for a label that is not there.
    """

    text: str
    label: str | None
    soft: bool = False


def row_of(record: Mapping[str, object], columns: Columns, *, line: int, where: str) -> Row:
    """Return the row that a record holds.

    Args:
        record: values by column name.
        columns: which of them are the text and the label.
        line: the row's place in its file.
        where: how messages name that place.

    Raises:
        DataError: a column is missing or its value is not what it should be.
    """
    taken = {columns.text, columns.label}
    probabilities: tuple[tuple[str, float], ...] = ()
    if columns.soft and record.get(PROBABILITIES) is not None:
        field = f"{where}: the soft labels (field {PROBABILITIES!r})"
        probabilities = probabilities_of(record[PROBABILITIES], where=field)
        taken.add(PROBABILITIES)
        if columns.label is not None and record.get(columns.label) is None:
            columns = Columns(columns.text, None)
    check_columns(record, columns, where=where)
    text = record[columns.text]
    if not isinstance(text, str):
        raise DataError(
            f"{where}: the text (field {columns.text!r}) should be a string, found {shown(text)}"
        )
    labels: tuple[str, ...] = ()
    if columns.label is not None:
        field = f"{where}: the label (field {columns.label!r})"
        labels = labels_of(record[columns.label], where=field)
    extras = {name: value for name, value in record.items() if name not in taken}
    return Row(text, labels, line, extras, probabilities)


def check_columns(names: Collection[str], columns: Columns, *, where: str) -> None:
    """Refuse a record or a header that lacks one of the columns.

    Raises:
        DataError: naming what is missing, what is there, and the option that says otherwise.
    """
    for wanted, option in ((columns.text, "--text-field"), (columns.label, "--label-field")):
        if wanted is not None and wanted not in names:
            raise DataError(
                f"{where}: no field {wanted!r}{did_you_mean(wanted, names)}, found "
                f"{_listed(list(names))}; name the right one with {option}"
            )


def check_header(names: Sequence[str], columns: Columns, *, where: str) -> None:
    """Refuse a table's header that lacks one of the columns or names one twice.

    Raises:
        DataError: the header cannot be used.
    """
    check_columns(names, columns, where=where)
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise DataError(f"{where}: {count} columns are named {shown(name)}; rename all but one")


def labels_of(value: object, *, where: str) -> tuple[str, ...]:
    """Return the labels that a value holds: one, or a list of any number.

    A label is a string that is not blank, a whole number, or true or false.

    Raises:
        DataError: the value is not a label, or a list of labels.
    """
    if isinstance(value, list):
        return tuple(dict.fromkeys(_label(item, where) for item in value))
    return (_label(value, where),)


def probabilities_of(value: object, *, where: str) -> tuple[tuple[str, float], ...]:
    """Return the soft labels that a value holds: an object of labels and probabilities.

    Raises:
        DataError: the value is something else, or no label is at all probable.
    """
    if not isinstance(value, dict):
        raise DataError(
            f'{where} should be an object such as {{"good": 0.9, "bad": 0.1}}, found {shown(value)}'
        )
    for label, probability in value.items():
        _label(label, f"{where} name a label that")
        known = isinstance(probability, int | float) and not isinstance(probability, bool)
        if not known or not 0 <= probability <= 1:
            raise DataError(
                f"{where} should be numbers from 0 to 1, found {shown(probability)} for "
                f"{shown(label)}"
            )
    if not any(value.values()):
        raise DataError(f"{where} give no label a probability above 0; leave the row out")
    return tuple((label, float(probability)) for label, probability in value.items())


def shown(value: object) -> str:
    """Return a value as messages quote it: on one line, cut where it is long."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str | bytes):
        quoted = repr(value[:_LONGEST_SHOWN])
        return quoted if len(value) <= _LONGEST_SHOWN else f"{quoted}..."
    quoted = repr(value)
    return quoted if len(quoted) <= _LONGEST_SHOWN else f"{quoted[:_LONGEST_SHOWN]}..."


def _label(value: object, where: str) -> str:
    if isinstance(value, str):
        if not value.strip():
            raise DataError(f"{where} is empty; give the row a label or leave the row out")
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if value is None:
        raise DataError(f"{where} is null; give the row a label or leave the row out")
    if isinstance(value, float):
        raise DataError(
            f"{where} is the number {value!r}, but labels are names; if it is a score to be "
            "predicted, turn it into labels first (for instance 'low' and 'high')"
        )
    raise DataError(
        f"{where} should be a string, a whole number, true or false, or a list of these, "
        f"found {shown(value)}"
    )


def _listed(names: Sequence[str]) -> str:
    listed = ", ".join(shown(name) for name in names[:_MOST_SHOWN])
    more = len(names) - _MOST_SHOWN
    return (listed or "no field at all") + (f" and {more} more" if more > 0 else "")
