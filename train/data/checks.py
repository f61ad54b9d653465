"""A look at the rows before training: what will keep a network from learning, or a score honest."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from textgate.errors import DataError
from textgate.messages import counted, listed, shown
from textgate.rows.labels import joined_note, look_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from textgate.rows import Row

_IMBALANCE = 20  # times as many rows of one label as of another
_MOST_NAMED = 3  # labels


def notes(rows: Sequence[Row], dev_rows: Sequence[Row], *, file: str, dev_file: str) -> list[str]:
    """Return what somebody should know of the rows, a sentence each, with counts and examples.

    Takes one pass for each question.

    Args:
        rows: the training rows.
        dev_rows: the rows to choose by; none where they will be held out of the training rows.
        file: how sentences name the training rows.
        dev_file: how they name the others.

    Raises:
        DataError: every row has the same text.
    """
    if len({row.text for row in rows}) == 1:
        raise DataError(f"{file}: every row has the same text, so there is nothing to learn from")
    found = [
        _contradictions(rows),
        _repetitions(rows),
        _empty_texts(rows),
        _lonely_labels(rows),
        _imbalance(rows),
        _alike(rows),
        joined_note(_label_counts(rows)),
    ]
    of_dev = [_empty_texts(dev_rows), _overlap(rows, dev_rows)]
    return [
        f"{name}: {note}"
        for name, some in ((file, found), (dev_file, of_dev))
        for note in some
        if note
    ]


def _contradictions(rows: Iterable[Row]) -> str:
    """Soft labels do not contradict one another: whoever gave them may have doubts."""
    labelled = [row for row in rows if row.labels or not row.probabilities]
    first: dict[str, Row] = {}
    other: dict[str, Row] = {}
    for row in labelled:
        if set(first.setdefault(row.text, row).labels) != set(row.labels):
            other.setdefault(row.text, row)
    if not other:
        return ""
    concerned = sum(row.text in other for row in labelled)
    text = next(iter(other))
    return (
        f"{counted(len(other), 'text has', 'texts have')} different labels in different rows, "
        f"{concerned:,} in all, such as lines {first[text].line} and {other[text].line}"
    )


def _repetitions(rows: Iterable[Row]) -> str:
    first: dict[object, Row] = {}
    repeating: list[tuple[Row, Row]] = []
    for row in rows:
        same = first.setdefault((row.text, frozenset(row.labels), row.probabilities), row)
        if same is not row:
            repeating.append((row, same))
    if not repeating:
        return ""
    row, same = repeating[0]
    return (
        f"{counted(len(repeating), 'row repeats', 'rows repeat')} an earlier one, text and label, "
        f"such as line {row.line}, which repeats line {same.line}"
    )


def _empty_texts(rows: Iterable[Row]) -> str:
    lines = [row.line for row in rows if not row.text.strip()]
    if not lines:
        return ""
    return f"{counted(len(lines), 'row has', 'rows have')} an empty text, such as line {lines[0]}"


def _lonely_labels(rows: Sequence[Row]) -> str:
    counts = _label_counts(rows)
    lonely = {label for label, count in counts.items() if count == 1}
    if not lonely:
        return ""
    named = [
        f"{shown(label)} on line {row.line}"
        for row in rows
        for label in _labels(row)
        if label in lonely
    ]
    return (
        f"{counted(len(lonely), 'label has', 'labels have')} a single row, too few to learn from: "
        f"{listed(named, str, limit=_MOST_NAMED)}"
    )


def _imbalance(rows: Iterable[Row]) -> str:
    counts = _label_counts(rows)
    names = sorted(counts)
    frequent = max(names, key=counts.__getitem__, default="")
    rare = min(names, key=counts.__getitem__, default="")
    if counts[frequent] <= _IMBALANCE * counts[rare]:
        return ""
    return (
        f"the label {shown(frequent)} has {counts[frequent]:,} rows and {shown(rare)} has "
        f"{counts[rare]:,}, {counts[frequent] / counts[rare]:,.0f} to 1; a good accuracy says "
        "little of rare labels, macro-F1 does"
    )


def _alike(rows: Iterable[Row]) -> str:
    """Labels are as many as the words that name them; people who write them by hand forget that."""
    counts = _label_counts(rows)
    alike: dict[str, list[str]] = {}
    for label in counts:
        alike.setdefault(look_of(label), []).append(label)
    groups = [sorted(labels) for labels in alike.values() if len(labels) > 1]
    if not groups:
        return ""
    named = [
        " and ".join(f"{shown(label)} ({counted(counts[label], 'row', 'rows')})" for label in group)
        for group in groups
    ]
    return (
        f"labels look alike: {listed(named, str, limit=_MOST_NAMED)}; they are learned as "
        "different ones, so if they mean the same, write them in one way"
    )


def _overlap(rows: Iterable[Row], dev_rows: Sequence[Row]) -> str:
    lines: dict[str, int] = {}
    for row in rows:
        lines.setdefault(row.text, row.line)
    shared = [row for row in dev_rows if row.text in lines]
    if not shared:
        return ""
    if len(shared) == len(dev_rows) and len({row.text for row in shared}) == len(lines):
        return "the texts are those of the training rows, so scores say nothing of new texts"
    row = shared[0]
    return (
        f"the text of {counted(len(shared), 'row', 'rows')} of {len(dev_rows):,} is in the "
        f"training rows too, such as that of line {row.line} (line {lines[row.text]} there); "
        "scores are too good by them"
    )


def _label_counts(rows: Iterable[Row]) -> Counter[str]:
    return Counter(label for row in rows for label in _labels(row))


def _labels(row: Row) -> tuple[str, ...]:
    """Return a row's labels, or the most probable of its soft ones."""
    if row.labels or not row.probabilities:
        return row.labels
    return (max(row.probabilities, key=lambda pair: pair[1])[0],)
