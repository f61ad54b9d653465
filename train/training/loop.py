"""The training loop: epochs until nothing improves, a checkpoint after each, the best one kept."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic

import numpy as np
import torch

from textgate.train.data.batching import shuffled_indices
from textgate.train.training.checkpoint import EpochT, TrainingState, restore_weights

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from textgate.train.training.progress import Progress

    Save = Callable[[TrainingState[EpochT]], None]


class Learner(ABC, Generic[EpochT]):
    """A network with its optimizer and its rows: what a step and a score are.

    Args:
        model: the network, on `device`.
        device: where it is trained.
        lengths: number of tokens of each row, int64 [rows]; a batch has rows of similar length.
        batch_size: rows per step.
        epochs: maximum number of epochs.
        seed: seed of the order of the rows and of dropout.
        state: the checkpoint to resume from; None to start.

    Attributes:
        state: the current state.
        steps: number of steps of all epochs.
        score: name of the score.
        size: extent of an epoch, for the reported speed: its number of rows, or of another `unit`.
        patience: epochs without improvement after which training stops.
        checkpoint_steps: steps between two checkpoints within an epoch, 0 for none. A step then
            has to call `seed_step` first.

    Raises:
        CheckpointError: the checkpoint does not fit the network.
    """

    model: torch.nn.Module
    score: str
    unit = "rows"
    patience: float = math.inf
    checkpoint_steps = 0

    def __init__(
        self,
        model: torch.nn.Module,
        device: torch.device,
        lengths: NDArray[np.int64],
        *,
        batch_size: int,
        epochs: int,
        seed: int,
        state: TrainingState[EpochT] | None,
    ) -> None:
        self.model, self.device = model, device
        self.lengths, self.batch_size, self.epochs, self.seed = lengths, batch_size, epochs, seed
        self.size = len(lengths)
        self.steps = math.ceil(len(lengths) / batch_size) * epochs
        self.state = state or TrainingState()
        if state is not None:
            restore_weights(model, state.weights)

    @abstractmethod
    def step(self, rows: NDArray[np.int64], number: int) -> tuple[float, int]:
        """Train on the rows with these indices, int64 [batch], after a number of steps.

        Returns:
            The mean loss, and the number of examples that it is the mean of.
        """

    def seed_step(self, number: int) -> None:
        """Let torch's random numbers of a step depend on nothing but the seed and its number."""
        torch.manual_seed(int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0]))

    @abstractmethod
    def optimizer_tensors(self) -> dict[str, torch.Tensor]:
        """Return the tensors of the optimizer, by ``<parameter>/<moment>``."""

    def capture(self) -> None:
        """Copy the weights and the optimizer into the state."""
        self.state.weights = copied(self.model.state_dict())
        self.state.optimizer = self.optimizer_tensors()

    @abstractmethod
    def evaluate(
        self, number: int, train_loss: float, started: float
    ) -> tuple[EpochT, dict[str, torch.Tensor]]:
        """Score the captured weights.

        Args:
            number: number of the epoch.
            train_loss: mean loss over its examples.
            started: value of `time.perf_counter` at its start.

        Returns:
            The epoch, and the weights to keep if it is the best one.

        Raises:
            ConfigError: training diverged.
        """

    @abstractmethod
    def improves(self, epoch: EpochT, best: EpochT) -> bool:
        """Return whether an epoch is better than the best one before it."""

    def is_learned(self, epoch: EpochT) -> bool:  # noqa: ARG002
        """Return whether nothing is left to learn after an epoch."""
        return False


def train_epochs(learner: Learner[EpochT], save: Save[EpochT], progress: Progress) -> None:
    """Train until no epoch is left, nothing improves any more, or nothing is left to learn.

    The order of the rows and all random numbers depend on the seed and the number of the epoch or
    step. Resuming from a saved state therefore gives the same weights as an uninterrupted run, on
    the same machine with the same number of threads.

    Args:
        learner: the network and its rows; its state is updated.
        save: is called with the state after each epoch, and every `Learner.checkpoint_steps`.
        progress: receives every step and epoch.

    Raises:
        ConfigError: training diverged.
    """
    state = learner.state
    with forked_rng(learner.device):
        while not _is_finished(learner):
            number = len(state.history) + 1
            torch.manual_seed(learner.seed * 100_003 + number)
            started = time.perf_counter() - state.seconds
            train_loss = train_epoch(learner, number, started, save, progress)
            learner.capture()
            epoch, weights = learner.evaluate(number, train_loss, started)
            best = not state.history or learner.improves(epoch, state.history[state.best_epoch - 1])
            state.history.append(epoch)
            if best:
                state.best_epoch, state.best_weights = number, weights
            state.loss, state.examples, state.seconds = 0.0, 0, 0.0
            save(state)
            progress.end_epoch(
                epoch,
                rows=learner.size,
                unit=learner.unit,
                remaining=learner.epochs - number,
                score=learner.score,
                best=best,
            )


def train_epoch(
    learner: Learner[EpochT], number: int, started: float, save: Save[EpochT], progress: Progress
) -> float:
    """Make the remaining steps of an epoch and return the mean loss over all its examples."""
    state = learner.state
    batches = shuffled_indices(learner.lengths, learner.batch_size, seed=learner.seed, epoch=number)
    first = (number - 1) * len(batches)
    state.step = max(state.step, first)
    progress.begin_epoch(number, len(learner.lengths))
    progress.step(sum(map(len, batches[: state.step - first])))
    learner.model.train()
    for rows in batches[state.step - first :]:
        loss, examples = learner.step(rows, state.step)
        state.loss += loss * examples
        state.examples += examples
        state.step += 1
        state.seconds = time.perf_counter() - started
        is_last = state.step == first + len(batches)
        if learner.checkpoint_steps and state.step % learner.checkpoint_steps == 0 and not is_last:
            learner.capture()
            save(state)
        progress.step(len(rows))
    return state.loss / state.examples


def _is_finished(learner: Learner[EpochT]) -> bool:
    history, best_epoch = learner.state.history, learner.state.best_epoch
    return bool(history) and (
        len(history) >= learner.epochs
        or len(history) - best_epoch >= learner.patience
        or learner.is_learned(history[-1])
    )


def forked_rng(device: torch.device) -> AbstractContextManager[None]:
    """Return a context after which torch's random numbers continue as if it had not run."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


def copied(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return copies of tensors on the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
