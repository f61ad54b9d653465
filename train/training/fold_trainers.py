"""Trainers of cross-validation: of one fold, and of the final network on all rows."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

from textgate.train.training.checkpoint import Epoch, TrainingState
from textgate.train.training.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from textgate.bundle.architecture import Architecture
    from textgate.train.data.dataset import Dataset
    from textgate.train.training.config import TrainingConfig
    from textgate.train.training.initialization import Initialization


class _UnstoppedTrainer(Trainer):
    """Training for all epochs, of which the last one is kept."""

    def improves(self, epoch: Epoch, best: Epoch) -> bool:  # noqa: ARG002
        """Return True: the last epoch is kept."""
        return True

    def is_learned(self, epoch: Epoch) -> bool:  # noqa: ARG002
        """Return False: the folds choose the number of epochs."""
        return False


class FoldTrainer(_UnstoppedTrainer):
    """Training on the other folds, which records the logits of the held-out rows.

    Args:
        architecture: the network.
        config: the settings.
        train: the rows of the other folds.
        held_out: the rows of the fold.
        device: where to compute.
        initialization: values that replace random initial weights.

    Attributes:
        logits: the logits after each epoch, float32 [held out, labels].
    """

    def __init__(
        self,
        architecture: Architecture,
        config: TrainingConfig,
        train: Dataset,
        held_out: Dataset,
        *,
        device: torch.device,
        initialization: Initialization,
    ) -> None:
        super().__init__(
            architecture, config, train, held_out, device=device, initialization=initialization
        )
        self.logits: list[NDArray[np.float32]] = []

    def evaluate(
        self, number: int, train_loss: float, started: float
    ) -> tuple[Epoch, dict[str, torch.Tensor]]:
        """Record the logits; the epoch has no loss or score of its own, and no weights are kept."""
        self.logits.append(self.dev_logits(number, train_loss))
        return Epoch(number, train_loss, 0.0, 0.0, time.perf_counter() - started), {}


class FinalTrainer(_UnstoppedTrainer):
    """Training on all rows for as many epochs as the folds chose.

    The loss and score of an epoch are those of the folds after as many epochs.

    Args:
        architecture: the network.
        config: the settings, with the chosen number of epochs.
        rows: all rows.
        of_folds: result of every epoch of the folds.
        device: where to compute.
        initialization: values that replace random initial weights.
        state: the checkpoint to resume from; None to start.

    Raises:
        CheckpointError: the checkpoint does not fit the network.
    """

    def __init__(
        self,
        architecture: Architecture,
        config: TrainingConfig,
        rows: Dataset,
        of_folds: Sequence[Epoch],
        *,
        device: torch.device,
        initialization: Initialization,
        state: TrainingState[Epoch] | None,
    ) -> None:
        super().__init__(
            architecture,
            config,
            rows,
            rows,
            device=device,
            initialization=initialization,
            state=state,
        )
        self._of_folds = of_folds

    def evaluate(
        self, number: int, train_loss: float, started: float
    ) -> tuple[Epoch, dict[str, torch.Tensor]]:
        """Return the epoch with the folds' measurements, and the weights."""
        seconds = time.perf_counter() - started
        epoch = dataclasses.replace(
            self._of_folds[number - 1], train_loss=train_loss, seconds=seconds
        )
        return epoch, self.state.average or self.state.weights
