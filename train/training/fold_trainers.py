"""Trainers of cross-validation: of one fold, and of the final network on all rows.

With few rows, fine-tuning a pretrained network often forgets more than it learns. The mean of the
weights before and after is then better than either (Wortsman et al. 2022, "Robust fine-tuning of
zero-shot models").
"""

from __future__ import annotations

import dataclasses
import time
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from textgate.train.training.checkpoint import Epoch, TrainingState
from textgate.train.training.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Sequence

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

    @cached_property
    def initial_weights(self) -> dict[str, torch.Tensor]:
        """The weights before the first step, also if training was resumed."""
        network = self._initialization.network(self.model.architecture, seed=self._config.seed)
        return network.state_dict()

    def weights_at(self, fraction: float) -> dict[str, torch.Tensor]:
        """Return the weights at a fraction of the way from the initial ones."""
        weights = self.state.average or self.state.weights
        if fraction == 1.0:
            return weights
        return {
            name: torch.lerp(self.initial_weights[name], tensor, fraction)
            if tensor.is_floating_point()
            else tensor
            for name, tensor in weights.items()
        }


class FoldTrainer(_UnstoppedTrainer):
    """Training on the other folds, which records the logits of the held-out rows.

    Args:
        architecture: the network.
        config: the settings.
        train: the rows of the other folds.
        held_out: the rows of the fold.
        fractions: fractions of the way from the initial to the trained weights, to be tried.
        device: where to compute.
        initialization: values that replace random initial weights.

    Attributes:
        logits: the logits after each epoch, float32 [fractions, held out, labels].
    """

    def __init__(
        self,
        architecture: Architecture,
        config: TrainingConfig,
        train: Dataset,
        held_out: Dataset,
        *,
        fractions: Sequence[float],
        device: torch.device,
        initialization: Initialization,
    ) -> None:
        super().__init__(
            architecture, config, train, held_out, device=device, initialization=initialization
        )
        self.logits: list[NDArray[np.float32]] = []
        self._fractions = fractions

    def evaluate(
        self, number: int, train_loss: float, started: float
    ) -> tuple[Epoch, dict[str, torch.Tensor]]:
        """Record the logits; the epoch has no loss or score of its own, and no weights are kept."""
        weights = [self.weights_at(fraction) for fraction in self._fractions]
        self.logits.append(np.stack([self.dev_logits(one, number, train_loss) for one in weights]))
        return Epoch(number, train_loss, 0.0, 0.0, time.perf_counter() - started), {}


class FinalTrainer(_UnstoppedTrainer):
    """Training on all rows for as many epochs as the folds chose.

    The loss and score of an epoch are those of the folds after as many epochs.

    Args:
        architecture: the network.
        config: the settings, with the chosen number of epochs.
        rows: all rows.
        of_folds: result of every epoch of the folds.
        fraction: fraction of the way from the initial to the trained weights.
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
        fraction: float,
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
        self._of_folds, self._fraction = of_folds, fraction

    def evaluate(
        self, number: int, train_loss: float, started: float
    ) -> tuple[Epoch, dict[str, torch.Tensor]]:
        """Return the epoch with the folds' measurements, and the weights."""
        seconds = time.perf_counter() - started
        epoch = dataclasses.replace(
            self._of_folds[number - 1], train_loss=train_loss, seconds=seconds
        )
        return epoch, self.weights_at(self._fraction)
