"""Distillation: the probabilities of teachers become targets of the network.

Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", with calibrated probabilities
instead of a raised temperature. Several teachers are an ensemble: the mean of them counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from textgate.bundle.run import ModelSummary, Teaching, written_name
from textgate.errors import CheckpointError, DataError
from textgate.inference.batching import windows
from textgate.train.teaching.teachers import teacher_probabilities
from textgate.train.training.checkpoint import read_tensors, reporting_damage, write_tensors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from textgate.rows import Row
    from textgate.train.data.unlabelled import Unlabelled
    from textgate.train.teaching.teachers import Teacher
    from textgate.train.training.progress import Progress

_WINDOW = 4096  # texts that are labelled together, enough to form batches of similar length
_PREDICTIONS = "targets"  # name of the tensor in the file


@dataclass(frozen=True)
class Distillation:
    """Teachers and the texts that they label.

    Attributes:
        teachers: the teachers, which have the same labels.
        labels: the labels, in the order of the network's outputs.
        rows: the labelled training rows.
        unlabelled: texts that only the teachers label.
    """

    teachers: tuple[Teacher, ...]
    labels: tuple[str, ...]
    rows: Sequence[Row]
    unlabelled: Unlabelled

    def __len__(self) -> int:
        return len(self.rows) + len(self.unlabelled)

    @property
    def summary(self) -> Teaching:
        """Names and checksums of teachers and texts, for the manifest of the run."""
        return Teaching(
            tuple(ModelSummary(_name(item.path), item.sha256) for item in self.teachers),
            self.unlabelled.summaries,
        )

    def texts(self) -> Iterator[str]:
        """Yield all texts: those of the labelled rows, then the unlabelled ones."""
        yield from (row.text for row in self.rows)
        yield from self.unlabelled

    def mix(
        self,
        targets: NDArray[np.float32],
        *,
        weight: float,
        kept: Path,
        device: torch.device,
        progress: Progress,
    ) -> None:
        """Mix the predictions of the teachers into targets.

        The target of a labelled row becomes ``(1 - weight) * target + weight * prediction``, that
        of an unlabelled text the prediction.

        Args:
            targets: float32 [texts, labels], changed in place.
            weight: weight of the teachers, 0 to 1.
            kept: file of the predictions; it is read if it exists, and written if not.
            device: where to compute.
            progress: receives notes and steps.

        Raises:
            CheckpointError: the file is damaged or cannot be written, or a teacher is damaged.
            BundleError: a teacher is a damaged bundle.
            DataError: a file of texts changed while it was read.
        """
        if kept.is_file():
            with reporting_damage(kept):
                predictions = read_tensors(kept)[0][_PREDICTIONS].numpy()
            if predictions.shape != targets.shape:
                raise CheckpointError(
                    f"{kept}: damaged: it holds predictions {list(predictions.shape)}, not "
                    f"{list(targets.shape)}; remove it, and the teachers are asked again"
                )
            progress.note("the run holds the teachers' predictions already")
        else:
            predictions = self._predict(device, progress)
            write_tensors(kept, {_PREDICTIONS: torch.from_numpy(predictions)}, {})
        labelled = len(self.rows)
        targets[:labelled] *= 1.0 - weight
        targets[:labelled] += weight * predictions[:labelled]
        targets[labelled:] = predictions[labelled:]

    def _predict(self, device: torch.device, progress: Progress) -> NDArray[np.float32]:
        """Return the mean of the teachers' probabilities, float32 [texts, labels]."""
        mean = np.zeros((len(self), len(self.labels)), dtype=np.float32)
        for teacher in self.teachers:
            classify = teacher.open(device)
            progress.begin(f"labelling with {_name(teacher.path)}", len(self))
            done = 0
            for texts in windows(self.texts(), _WINDOW):
                if done + len(texts) > len(self):
                    raise _changed()
                found = teacher_probabilities(classify, teacher, texts, self.labels)
                mean[done : done + len(texts)] += found / np.float32(len(self.teachers))
                done += len(texts)
                progress.step(len(texts))
            progress.end()
            if done != len(self):
                raise _changed()
        progress.note(
            f"{len(self.teachers)} {'teacher has' if len(self.teachers) == 1 else 'teachers have'}"
            f" labelled {len(self):,} texts; {agreement(mean, self.rows, self.labels)}"
        )
        return mean


def agreement(predictions: NDArray[np.float32], rows: Sequence[Row], labels: Sequence[str]) -> str:
    """Return as text how often the most probable label of the teachers is a label of the row.

    Args:
        predictions: float32 [texts, labels], those of the rows first.
        rows: labelled rows.
        labels: the labels of the columns.
    """
    named = [(index, row) for index, row in enumerate(rows) if row.labels]
    if not named:
        return "no row has a label to compare with"
    right = sum(labels[int(predictions[index].argmax())] in row.labels for index, row in named)
    return f"they agree with the label of {right / len(named):.1%} of the labelled rows"


def _changed() -> DataError:
    return DataError("a file of texts without labels changed while it was read; start again")


def _name(path: Path) -> str:
    """Return the name of a folder as text, even if it is not UTF-8."""
    return written_name(path.resolve().name)
