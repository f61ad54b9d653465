"""Labelled rows out of files, told apart: those to learn from and those to choose by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textgate.bundle.run import written_name
from textgate.errors import DataError
from textgate.rows import Columns, Row, load_labelled
from textgate.rows.reading import with_clean_labels
from textgate.rows.source import source_name
from textgate.train.data.checks import notes
from textgate.train.data.dataset import find_labels
from textgate.train.data.holdout import check_held_out, hold_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textgate.bundle.architecture import Task, TaskSetting
    from textgate.rows.reading import Note


@dataclass(frozen=True)
class SplitRows:
    """Rows to learn from and rows to choose by.

    Attributes:
        train: the rows to learn from.
        dev: the rows to choose by, at least one.
        labels: the labels of `train`, in the order of their names.
        task: ``single-label`` or ``multi-label``.
        file: how messages name the rows to learn from.
        dev_file: how they name the others.
        notes: what somebody should know of the rows, a sentence each.
    """

    train: list[Row]
    dev: list[Row]
    labels: tuple[str, ...]
    task: Task
    file: str
    dev_file: str
    notes: tuple[str, ...]


def split_rows(
    data: str | Path | Sequence[Row],
    dev: str | Path | Sequence[Row] | None,
    columns: Columns,
    *,
    task: TaskSetting,
    dev_fraction: float,
    seed: int,
) -> SplitRows:
    """Return the rows of two files, or those of one file in two parts.

    Args:
        data: a file of labelled rows, or the rows.
        dev: rows to choose by; None holds some of `data` out.
        columns: where files keep text and label.
        task: ``single-label``, ``multi-label``, or ``auto``: whatever the rows show.
        dev_fraction: the share that is held out.
        seed: of what is held out.

    Raises:
        DataError: the rows are missing, malformed, too few, or do not suit a classifier.
        ConfigError: a file's format is not known.
    """
    said: list[str] = []
    rows, file = _load_rows(
        data,
        columns,
        several_labels=task != "multi-label",
        soft_labels=True,
        may_have_none=task == "multi-label",
        note=said.append,
    )
    labels, task = find_labels(rows, task=task, file=file)
    held_out, dev_file = (
        ([], file)
        if dev is None
        else _load_rows(dev, columns, may_have_none=task == "multi-label", note=said.append)
    )
    said += notes(rows, held_out, file=file, dev_file=dev_file)
    if dev is None:
        train, held_out = hold_out(rows, dev_fraction, seed=seed)
        note = check_held_out(rows, held_out, dev_fraction, file=file)
        rows, said = train, [*said, note] if note else said
    return SplitRows(rows, held_out, labels, task, file, dev_file, tuple(said))


def _load_rows(
    data: str | Path | Sequence[Row],
    columns: Columns,
    *,
    several_labels: bool = False,
    soft_labels: bool = False,
    may_have_none: bool,
    note: Note,
) -> tuple[list[Row], str]:
    """Return labelled rows and what messages call them.

    Args:
        data: a file of labelled rows, or the rows.
        columns: where files keep text and label.
        several_labels: as for `textgate.rows.load_labelled`, and so the next ones.
        soft_labels: whether rows may have probabilities instead of a label.
        may_have_none: whether an empty cell means that no label applies.
        note: hears what somebody should know.

    Raises:
        DataError: the rows are missing or malformed.
        ConfigError: the file's format is not known.
    """
    if isinstance(data, str | Path):
        rows = load_labelled(
            data,
            columns,
            several_labels=several_labels,
            soft_labels=soft_labels,
            may_have_none=may_have_none,
            note=note,
        )
        return rows, written_name(Path(source_name(data)).name)
    rows = with_clean_labels(data, name="rows", note=note)
    if not rows:
        raise DataError("no rows were given")
    return rows, "rows"
