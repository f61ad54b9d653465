"""Labelled rows that a sentence encoder learns in addition to its teacher's vectors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from textgate.bundle.run import DataSummary, written_name
from textgate.errors import ConfigError, DataError
from textgate.rows import fingerprint, load_labelled
from textgate.rows.source import source_name
from textgate.train.data.checks import check_rows
from textgate.train.data.encoding import encode_rows
from textgate.train.data.label_set import find_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textgate.rows import Columns, Row
    from textgate.train.data.dataset import Dataset
    from textgate.train.data.encoding import Encoder

_MIN_ROWS = 20  # per task
_HELD_OUT_FRACTION = 0.01
_MAX_HELD_OUT = 500  # rows per task


@dataclass(frozen=True)
class LabelledSummary(DataSummary):
    """The rows of a task.

    Attributes:
        labels: its labels, in the order of the outputs of its head.
    """

    labels: tuple[str, ...]


@dataclass(frozen=True)
class LabelledRows:
    """A file of labelled rows, which is a task with labels of its own.

    Attributes:
        summary: name, fingerprint and labels.
        notes: a sentence for each thing that was found in the file.
        rows: the rows, each with one label.
    """

    summary: LabelledSummary
    notes: tuple[str, ...]
    rows: Sequence[Row]

    def encode(self, tokenizer: Encoder, *, seed: int) -> EncodedTask:
        """Return the encoded rows, of which 1 % are held out: at least one, at most 500."""
        file, labels = self.summary.file, self.summary.labels
        encoded = encode_rows(self.rows, tokenizer, labels, task="single-label", file=file)
        order = np.random.default_rng([seed, 0]).permutation(len(encoded))
        wanted = min(_MAX_HELD_OUT, max(1, round(_HELD_OUT_FRACTION * len(encoded))))
        return EncodedTask(encoded.subset(np.sort(order[wanted:])), encoded.subset(order[:wanted]))


@dataclass(frozen=True)
class EncodedTask:
    """The encoded rows of a task.

    Attributes:
        train: the rows that are learned.
        held_out: the rows that the accuracy is measured on.
    """

    train: Dataset
    held_out: Dataset


def load_tasks(paths: Sequence[str | Path], columns: Columns) -> list[LabelledRows]:
    """Return the rows of each file.

    Args:
        paths: files of labelled rows in any format.
        columns: where the files keep text and label.

    Raises:
        ConfigError: a format is unknown, or `paths` is not a list.
        DataError: a file cannot be read, has too few rows, or only one label or text; or a row has
            several labels or none.
    """
    if isinstance(paths, str | Path):  # a string is a sequence of strings, too
        raise ConfigError(
            f"the files of labelled rows should be a list, not {paths!s}; put it in one"
        )
    return [_load(path, columns) for path in paths]


def _load(path: str | Path, columns: Columns) -> LabelledRows:
    notes: list[str] = []
    rows = load_labelled(path, columns, several_labels=True, note=notes.append)
    file = written_name(Path(source_name(path)).name)
    labels, task = find_labels(rows, task="auto", file=file)
    if task == "multi-label":
        wrong = next(row for row in rows if len(row.labels) != 1)
        raise DataError(
            f"{file}, line {wrong.line}: {len(wrong.labels) or 'no'} labels, but an encoder learns "
            "one label per row; leave such rows out"
        )
    if len(rows) < _MIN_ROWS:
        raise DataError(
            f"{file}: {len(rows)} rows are too few for an encoder to learn their labels; give at "
            f"least {_MIN_ROWS}, or leave the file out"
        )
    notes += check_rows(rows, [], file=file, dev_file=file)
    notes.append(f"{file}: {len(rows):,} rows with {len(labels):,} labels to learn as well")
    return LabelledRows(
        LabelledSummary(file, len(rows), fingerprint(rows), labels), tuple(notes), rows
    )
