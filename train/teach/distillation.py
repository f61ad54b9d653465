"""Learning from teachers: what they answer becomes what the network should answer.

Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", with calibrated probabilities in
place of a raised temperature; an ensemble answers with the mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from textgate.bundle.run import ModelSummary, Teaching, written_name
from textgate.errors import CheckpointError, DataError
from textgate.inference.batching import windows
from textgate.train.fit.checkpoint import load_targets, save_targets
from textgate.train.teach.teachers import ask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from textgate.rows import Row
    from textgate.train.data.unlabelled import Unlabelled
    from textgate.train.fit.progress import Progress
    from textgate.train.teach.teachers import Teacher

_WINDOW = 4096  # texts that are labelled together, so that batches of similar length come about


@dataclass(frozen=True)
class Lesson:
    """Who teaches, and what they are asked.

    Attributes:
        teachers: the teachers, all of the same labels.
        labels: these, in the order of the network's outputs.
        rows: the labelled training rows.
        unlabelled: the texts that only the teachers label.
    """

    teachers: tuple[Teacher, ...]
    labels: tuple[str, ...]
    rows: Sequence[Row]
    unlabelled: Unlabelled

    def __len__(self) -> int:
        return len(self.rows) + len(self.unlabelled)

    @property
    def summary(self) -> Teaching:
        """What the run's folder says of it."""
        return Teaching(
            tuple(ModelSummary(_name(item.path), item.sha256) for item in self.teachers),
            self.unlabelled.summaries,
        )

    def texts(self) -> Iterator[str]:
        """Yield all texts: those of the labelled rows, then the others."""
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
        """Change targets into what the teachers make of them.

        A labelled row gets (1 - weight) of its own target and weight of the teachers', any other
        the teachers' alone.

        Args:
            targets: float32 [texts, labels], changed in place.
            weight: from 0 to 1.
            kept: the file that keeps the teachers' answers; if it is there, nobody is asked.
            device: where to compute.
            progress: hears how it goes.

        Raises:
            CheckpointError: the file is damaged or cannot be written, or a teacher is damaged.
            BundleError: a teacher is.
            DataError: a file of texts changed meanwhile.
        """
        if kept.is_file():
            answers = load_targets(kept).numpy()
            if answers.shape != targets.shape:
                raise CheckpointError(
                    f"{kept}: damaged: it holds answers {list(answers.shape)}, not "
                    f"{list(targets.shape)}; remove it, and the teachers are asked again"
                )
            progress.note("the teachers' answers are kept with the run")
        else:
            answers = self._answers(device, progress)
            save_targets(kept, torch.from_numpy(answers))
        own = len(self.rows)
        targets[:own] *= 1.0 - weight
        targets[:own] += weight * answers[:own]
        targets[own:] = answers[own:]

    def _answers(self, device: torch.device, progress: Progress) -> NDArray[np.float32]:
        """Return the mean of the teachers' probabilities, float32 [texts, labels]."""
        mean = np.zeros((len(self), len(self.labels)), dtype=np.float32)
        for teacher in self.teachers:
            answer = teacher.open(device)
            progress.begin(f"asking {_name(teacher.path)}", len(self))
            done = 0
            for texts in windows(self.texts(), _WINDOW):
                if done + len(texts) > len(self):
                    raise _changed()
                found = ask(answer, teacher, texts, self.labels)
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


def agreement(answers: NDArray[np.float32], rows: Sequence[Row], labels: Sequence[str]) -> str:
    """Return in words how often the teachers' first answer is a label of the row.

    Args:
        answers: float32 [texts, labels], the rows' first.
        rows: labelled rows.
        labels: the columns' labels.
    """
    named = [(place, row) for place, row in enumerate(rows) if row.labels]
    if not named:
        return "no row has a label to compare with"
    right = sum(labels[int(answers[place].argmax())] in row.labels for place, row in named)
    return f"they agree with the label of {right / len(named):.1%} of the labelled rows"


def _changed() -> DataError:
    return DataError("a file of texts without labels changed while it was read; begin anew")


def _name(path: Path) -> str:
    """Return a folder's own name as text: it need not be UTF-8."""
    return written_name(path.resolve().name)
