"""Checks of rows before training: what prevents learning, or makes scores misleading."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from textgate.errors import DataError
from textgate.messages import counted, listed, shown
from textgate.rows.labels import joined_note, look_of
from textgate.train.data.folds import NEVER
from textgate.train.data.label_set import only_soft

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from textgate.rows import Row
    from textgate.train.data.folds import Folds

_MAX_BALANCED_RATIO = 20  # rows of the most frequent label per row of the rarest
_MAX_NAMED_LABELS = 3
_CHOOSE_DEV = "with --dev FILE you choose them yourself"


def check_rows(
    rows: Sequence[Row], dev_rows: Sequence[Row], *, file: str, dev_file: str
) -> list[str]:
    """Return a sentence for each thing that is odd about the rows, with counts and an example.

    Args:
        rows: the training rows.
        dev_rows: the dev rows; empty if they will be held out of the training rows.
        file: the name of the training rows in the sentences.
        dev_file: the name of the dev rows.

    Raises:
        DataError: every row has the same text.
    """
    if len({row.text for row in rows}) == 1:
        raise DataError(f"{file}: every row has the same text, so there is nothing to learn from")
    label_counts = Counter(label for row in rows for label in _labels(row))
    train_notes = [
        _contradictions(rows),
        _repetitions(rows),
        _empty_texts(rows),
        _single_row_labels(rows, label_counts),
        _imbalance(label_counts),
        _similar_labels(label_counts),
        joined_note(label_counts),
    ]
    dev_notes = [
        _empty_texts(dev_rows),
        _overlap(rows, dev_rows),
        _same_labels(rows, dev_rows, "all rows"),
    ]
    return [
        f"{name}: {note}"
        for name, notes in ((file, train_notes), (dev_file, dev_notes))
        for note in notes
        if note
    ]


def check_held_out(
    rows: Sequence[Row],
    held_out: Sequence[Row],
    fraction: float,
    *,
    file: str,
    group_field: str | None = None,
) -> str:
    """Return a sentence if the rows held out for dev are not what was asked for, else "".

    Args:
        rows: all rows.
        held_out: the rows that are held out.
        fraction: the fraction that was asked for.
        file: the name of the rows in messages.
        group_field: the column of the groups; None without.

    Raises:
        DataError: no row is held out, or no held-out row has a label.
    """
    labelled = [row for row in rows if not only_soft(row)]
    texts = len({row.text for row in labelled})
    texts_shown = f"{texts:,} different texts" if texts != 1 else "one text"
    if not held_out:
        if texts == len(labelled):
            raise DataError(
                f"{file}: {len(labelled):,} rows with labels are too few to hold some out for dev; "
                "give --dev"
            )
        raise DataError(
            f"{file}: the {len(labelled):,} rows with labels have only {texts_shown}, and no label "
            "has a second text that could be held out for dev; give --dev FILE with other texts"
        )
    if not any(row.labels for row in held_out):
        raise DataError(
            f"{file}: none of the {len(held_out):,} rows held out for dev has a label, because a "
            "label with a single row is not held out; give --dev"
        )
    one_sided = _same_labels(labelled, held_out, "all rows held out for dev")
    if one_sided:
        return f"{file}: {one_sided}; {_CHOOSE_DEV}"
    combinations = len({row.labels for row in held_out})
    wanted = max(1, round(len(labelled) * fraction))
    if wanted <= 2 * len(held_out) and len(held_out) <= 2 * wanted + combinations:
        return ""
    if group_field is not None:
        reason = f"near-duplicates and rows of one group of {group_field!r} stay together"
    elif texts < len(labelled):
        reason = (
            f"they have only {texts_shown}, rows with the same text stay together, and texts with "
            "different labels stay in the training rows"
        )
    else:
        reason = "a label, or a combination of labels, with a single row is not held out"
    return (
        f"{file}: {len(held_out):,} of {len(labelled):,} rows are held out for dev, not "
        f"{wanted:,} ({fraction:.0%}): {reason}; {_CHOOSE_DEV}"
    )


def check_folds(rows: Sequence[Row], folds: Folds, *, group_field: str | None, file: str) -> str:
    """Return a sentence if many rows, or all rows of a label, are in no fold, else "".

    Args:
        rows: the rows.
        folds: the folds of the rows.
        group_field: the column of the groups; None without.
        file: the name of the rows in messages.

    Raises:
        DataError: there are not two folds, no row with a label is in one, or all rows in folds
            have the same labels.
    """
    assigned = folds.assignments[0]
    labelled = [
        (row, fold != NEVER) for row, fold in zip(rows, assigned, strict=True) if row.labels
    ]
    measured = {label for row, inside in labelled if inside for label in row.labels}
    same, advice = "near-duplicates", "add rows"
    if group_field is not None:
        same += f" or in one group of {group_field!r}"
        advice += ", choose another --group-field"
    combinations = {rows[index].labels for index in folds.measured}
    if not measured or len(combinations) < 2 or folds.count < 2:
        raise DataError(
            f"{file}: {counted(len(labelled), 'row', 'rows')} with labels cannot be divided into "
            f"folds: at least two labels need two texts each that are not {same}; {advice}, or "
            "give --dev FILE"
        )
    counts = Counter(label for row, _ in labelled for label in row.labels)
    missing = sorted(label for label in counts if counts[label] > 1 and label not in measured)
    if missing:
        return (
            f"{file}: {counted(len(missing), 'label has', 'labels have')} only rows that are "
            f"{same}, so no score counts them: {listed(missing, shown, limit=_MAX_NAMED_LABELS)}"
        )
    left = sum(not inside for _, inside in labelled)
    if 2 * left <= len(labelled):
        return ""
    return (
        f"{file}: {left:,} of {len(labelled):,} rows with labels are in no fold, so no score "
        f"counts them: one of their labels has a single row, or only rows that are {same}"
    )


def _same_labels(rows: Iterable[Row], dev_rows: Sequence[Row], which: str) -> str:
    """Return a note if all dev rows have the same labels, and the training rows have others."""
    if len({row.labels for row in dev_rows}) != 1 or len({row.labels for row in rows}) == 1:
        return ""
    labels = dev_rows[0].labels
    found = f"the label {', '.join(map(shown, labels))}" if labels else "no label"
    return f"{which} have {found}, so their scores say nothing about the other labels"


def _contradictions(rows: Iterable[Row]) -> str:
    """Return a note on texts with different labels; soft labels do not contradict one another."""
    labelled = [row for row in rows if not only_soft(row)]
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
    repeated: list[tuple[Row, Row]] = []
    for row in rows:
        same = first.setdefault((row.text, frozenset(row.labels), row.probabilities), row)
        if same is not row:
            repeated.append((row, same))
    if not repeated:
        return ""
    row, same = repeated[0]
    return (
        f"{counted(len(repeated), 'row repeats', 'rows repeat')} an earlier one, text and label, "
        f"such as line {row.line}, which repeats line {same.line}"
    )


def _empty_texts(rows: Iterable[Row]) -> str:
    lines = [row.line for row in rows if not row.text.strip()]
    if not lines:
        return ""
    return f"{counted(len(lines), 'row has', 'rows have')} an empty text, such as line {lines[0]}"


def _single_row_labels(rows: Iterable[Row], counts: Counter[str]) -> str:
    named = [
        f"{shown(label)} on line {row.line}"
        for row in rows
        for label in _labels(row)
        if counts[label] == 1
    ]
    if not named:
        return ""
    return (
        f"{counted(len(named), 'label has', 'labels have')} a single row, too few to learn from: "
        f"{listed(named, str, limit=_MAX_NAMED_LABELS)}"
    )


def _imbalance(counts: Counter[str]) -> str:
    names = sorted(counts)
    frequent = max(names, key=counts.__getitem__, default="")
    rare = min(names, key=counts.__getitem__, default="")
    if counts[frequent] <= _MAX_BALANCED_RATIO * counts[rare]:
        return ""
    return (
        f"the label {shown(frequent)} has {counts[frequent]:,} rows and {shown(rare)} has "
        f"{counts[rare]:,}, {counts[frequent] / counts[rare]:,.0f} to 1; accuracy says little "
        "about rare labels, macro-F1 does"
    )


def _similar_labels(counts: Counter[str]) -> str:
    """Return a note on labels that look alike, as labels written by hand often do."""
    by_look: dict[str, list[str]] = {}
    for label in counts:
        by_look.setdefault(look_of(label), []).append(label)
    groups = [
        " and ".join(
            f"{shown(label)} ({counted(counts[label], 'row', 'rows')})" for label in sorted(labels)
        )
        for labels in by_look.values()
        if len(labels) > 1
    ]
    if not groups:
        return ""
    return (
        f"labels look alike: {listed(groups, str, limit=_MAX_NAMED_LABELS)}; they are learned "
        "as different labels, so if they mean the same, write them the same way"
    )


def _overlap(rows: Iterable[Row], dev_rows: Sequence[Row]) -> str:
    lines: dict[str, int] = {}
    for row in rows:
        lines.setdefault(row.text, row.line)
    shared = [row for row in dev_rows if row.text in lines]
    if not shared:
        return ""
    if len(shared) == len(dev_rows) and len({row.text for row in shared}) == len(lines):
        return "the texts are those of the training rows, so scores say nothing about new texts"
    row = shared[0]
    return (
        f"the text of {counted(len(shared), 'row', 'rows')} of {len(dev_rows):,} is also in the "
        f"training rows, such as that of line {row.line} (line {lines[row.text]} there); this "
        "makes the scores too high"
    )


def _labels(row: Row) -> tuple[str, ...]:
    """Return a row's labels, or the most probable of its soft ones."""
    if not only_soft(row):
        return row.labels
    return (max(row.probabilities, key=lambda pair: pair[1])[0],)
