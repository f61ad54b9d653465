"""Training and dev rows: read, checked, and held out where no dev rows are given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textgate.bundle.run import written_name
from textgate.errors import ConfigError, DataError
from textgate.messages import counted, did_you_mean
from textgate.rows import Columns, Row, load_labelled
from textgate.rows.reading import with_clean_labels
from textgate.rows.source import source_name
from textgate.train.data.checks import check_folds, check_held_out, check_rows
from textgate.train.data.folds import Folds, assign_folds
from textgate.train.data.holdout import hold_out
from textgate.train.data.label_set import find_labels
from textgate.train.data.weights import that_count, with_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from textgate.bundle.architecture import Task, TaskSetting
    from textgate.rows.reading import Note

_REPEATS = 2  # of cross-validation with at most so many rows
_MAX_REPEATED_ROWS = 150


@dataclass(frozen=True)
class SplitRows:
    """Training rows and dev rows.

    Attributes:
        train: the training rows.
        dev: the dev rows, at least one.
        labels: the labels of `train`, in the order of their names.
        task: ``single-label`` or ``multi-label``.
        file: the name of the training rows in messages.
        dev_file: the name of the dev rows in messages.
        notes: a sentence for each thing that is odd about the rows.
        folds: the folds of the training rows, which make `dev` the rows that are in a fold; None
            without.
    """

    train: list[Row]
    dev: list[Row]
    labels: tuple[str, ...]
    task: Task
    file: str
    dev_file: str
    notes: tuple[str, ...]
    folds: Folds | None = None


def split_rows(
    data: str | Path | Sequence[Row],
    dev: str | Path | Sequence[Row] | None,
    columns: Columns,
    *,
    task: TaskSetting,
    dev_fraction: float,
    seed: int,
    group_field: str | None = None,
    weight_field: str | None = None,
    folds: Callable[[int], int] = lambda _: 0,
) -> SplitRows:
    """Return training and dev rows from two files, or from one.

    Args:
        data: a file of labelled rows, or the rows.
        dev: the dev rows; None holds out a part of `data`, or makes folds of it.
        columns: where the files keep text and label.
        task: ``single-label``, ``multi-label``, or ``auto``, which goes by the rows.
        dev_fraction: the fraction that is held out.
        seed: seed of the hold-out and of the folds.
        group_field: column of the groups that the hold-out and the folds do not split.
        weight_field: column of the weights of the rows; the dev rows may lack it. Rows with weight
            0 are left out.
        folds: returns the number of folds for a number of rows; 0 holds out dev rows.

    Raises:
        DataError: the rows are missing, malformed, too few, or do not suit a classifier.
        ConfigError: the format of a file is unknown, or there are groups and dev rows.
    """
    if dev is not None and group_field is not None:
        raise ConfigError(
            "group_field does not go with --dev, because nothing is held out and there are no "
            "folds; leave one of them out"
        )
    notes: list[str] = []
    empty_labels = task == "multi-label"
    rows, file = _load_rows(
        data, columns, training=True, empty_labels=empty_labels, note=notes.append
    )
    rows = _weighted(rows, weight_field, file, note=notes.append)
    labels, found = find_labels(rows, task=task, file=file)
    if dev is not None:
        dev_rows, dev_file = _load_rows(
            dev, columns, training=False, empty_labels=empty_labels, note=notes.append
        )
        if not any(weight_field in row.extras for row in dev_rows):
            weight_field = None
        dev_rows = _weighted(dev_rows, weight_field, dev_file, note=notes.append)
        notes += check_rows(rows, dev_rows, file=file, dev_file=dev_file)
        return SplitRows(rows, dev_rows, labels, found, file, dev_file, tuple(notes))
    notes += check_rows(rows, [], file=file, dev_file=file)
    count = folds(len(rows))
    if count:
        repeats = _REPEATS if len(rows) <= _MAX_REPEATED_ROWS else 1
        found_folds = Folds(
            tuple(
                _assigned(rows, count, seed=seed + repeat, group_field=group_field, file=file)
                for repeat in range(repeats)
            )
        )
        note = check_folds(rows, found_folds, group_field=group_field, file=file)
        measured = [rows[index] for index in found_folds.measured]
        notes += filter(None, [note])
        return SplitRows(rows, measured, labels, found, file, file, tuple(notes), found_folds)
    if group_field is None:
        train, dev_rows = hold_out(rows, dev_fraction, seed=seed)
    else:
        count = max(2, round(1 / dev_fraction))
        fold = _assigned(rows, count, seed=seed, group_field=group_field, file=file)
        train = [row for row, number in zip(rows, fold, strict=True) if number != 0]
        dev_rows = [row for row, number in zip(rows, fold, strict=True) if number == 0]
    note = check_held_out(rows, dev_rows, dev_fraction, file=file, group_field=group_field)
    return SplitRows(train, dev_rows, labels, found, file, file, (*notes, *filter(None, [note])))


def _assigned(
    rows: Sequence[Row], count: int, *, seed: int, group_field: str | None, file: str
) -> NDArray[np.int64]:
    if group_field is not None and not any(group_field in row.extras for row in rows):
        others = dict.fromkeys(name for row in rows for name in row.extras)
        raise DataError(
            f"{file}: no column {group_field!r} besides those of text and label"
            f"{did_you_mean(group_field, others)}; name another one with --group-field, or leave "
            "the option out"
        )
    try:
        return assign_folds(rows, count, seed=seed, group_field=group_field)
    except DataError as problem:
        raise DataError(f"{file}, {problem}") from None


def _weighted(rows: list[Row], field: str | None, file: str, *, note: Note) -> list[Row]:
    """Return the rows that count, with the weights of a column, or with their own."""
    if field is not None:
        rows = with_weights(rows, field, file=file)
    kept = that_count(rows, file=file)
    if len(kept) < len(rows):
        left_out = len(rows) - len(kept)
        note(f"{file}: {counted(left_out, 'row has', 'rows have')} weight 0, as if absent")
    return kept


def _load_rows(
    data: str | Path | Sequence[Row],
    columns: Columns,
    *,
    training: bool,
    empty_labels: bool,
    note: Note,
) -> tuple[list[Row], str]:
    """Return labelled rows and their name in messages; training rows can have only soft labels."""
    if isinstance(data, str | Path):
        rows = load_labelled(
            data,
            columns,
            several_labels=training and not empty_labels,
            soft_labels=training,
            may_have_none=empty_labels,
            note=note,
        )
        return rows, written_name(Path(source_name(data)).name)
    rows = with_clean_labels(data, name="rows", note=note)
    if not rows:
        raise DataError("no rows were given")
    return rows, "rows"
