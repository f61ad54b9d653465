"""The loop of pretraining, which goes on from any step as if it had never stopped."""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch

from textgate.bundle.schema import NonNegative, PositiveCount, Range
from textgate.errors import ConfigError
from textgate.train.fit.checkpoint import (
    damage_told,
    read_tensors,
    restore_weights,
    write_tensors,
)
from textgate.train.fit.optimization import Optimizer
from textgate.train.fit.progress import duration
from textgate.train.pretrain.language_model import LanguageModel
from textgate.train.pretrain.sampled_softmax import Sampler

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from textgate.train.data.corpus import Corpus
    from textgate.train.fit.progress import Progress
    from textgate.train.pretrain.pretraining_config import PretrainingConfig

_DIVERGED = 100.0  # nats a token: no vocabulary is that large


@dataclass(frozen=True)
class Pass:
    """What one pass over the texts came to.

    Attributes:
        number: 1 for the first pass.
        train_loss: mean loss of the sampled softmax, dropout on.
        perplexity: on the held-out texts, a token, by the full softmax.
        seconds: the time it took, held-out texts included.
    """

    number: PositiveCount
    train_loss: float
    perplexity: Annotated[float, Range(1)]
    seconds: NonNegative


@dataclass
class PretrainingState:
    """Where pretraining stands after a step: all that is needed to go on.

    Attributes:
        weights: the network's tensors by name.
        best_weights: those of the best epoch so far; {} before the first.
        optimizer: Adam's tensors, by ``<parameter>/<moment>``.
        step: steps so far, of all epochs.
        loss: sum of the losses of this epoch's positions so far.
        positions: how many these are.
        seconds: the time this epoch took so far.
        history: the epochs so far.
        best_epoch: number of the best one, 0 before the first.
    """

    weights: dict[str, torch.Tensor] = field(default_factory=dict)
    best_weights: dict[str, torch.Tensor] = field(default_factory=dict)
    optimizer: dict[str, torch.Tensor] = field(default_factory=dict)
    step: int = 0
    loss: float = 0.0
    positions: int = 0
    seconds: float = 0.0
    history: list[Pass] = field(default_factory=list)
    best_epoch: int = 0


class Pretrainer:
    """A language model, what trains it, and the texts.

    Args:
        config: how it is trained.
        train: the texts to learn from.
        held_out: the texts that choose the epoch.
        vocabulary_size: rows of the embedding.
        embedding: what takes the place of random rows, float32 [vocabulary, embedding], or None.
        device: where to compute.
        state: where it was stopped, to go on; None begins.

    Attributes:
        model: the network.
        state: where it stands.
        steps: how many make an epoch.

    Raises:
        CheckpointError: the state does not fit the network.
    """

    def __init__(
        self,
        config: PretrainingConfig,
        train: Corpus,
        held_out: Corpus,
        *,
        vocabulary_size: int,
        embedding: NDArray[np.float32] | None,
        device: torch.device,
        state: PretrainingState | None = None,
    ) -> None:
        self._config, self._train, self._held_out = config, train, held_out
        self._device = device
        self.state = state or PretrainingState()
        self.steps = math.ceil(len(train) / config.batch_size)
        counts = train.counts(vocabulary_size)
        self._sampler = Sampler(counts, config.samples)
        # A state that says nothing then gives every token the share it has in the texts.
        shares = np.maximum(counts, 1) / np.maximum(counts, 1).sum()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.model = LanguageModel(vocabulary_size, config)
            with torch.no_grad():
                self.model.token_bias.copy_(torch.from_numpy(np.log(shares)))
                if embedding is not None:
                    self.model.embedding.weight.copy_(torch.from_numpy(embedding))
            self.model.to(device)
        self._optimizer = Optimizer(self.model, config.training(), steps=self.steps * config.epochs)
        if state is not None:
            restore_weights(self.model, state.weights)
            self._optimizer.restore(state.optimizer)

    def run(self, save: Callable[[PretrainingState], None], progress: Progress) -> None:
        """Make all passes that are left.

        Every epoch draws its order, and every step its dropout and its sample, from the seed and
        its own number: going on from a saved state gives the same weights as never having stopped,
        on the same machine with the same number of threads.

        Args:
            save: is called with the state after every epoch, and within one after so many steps.
            progress: hears how it goes.

        Raises:
            ConfigError: training diverged.
        """
        with torch.random.fork_rng(devices=[]):
            while len(self.state.history) < self._config.epochs:
                number = len(self.state.history) + 1
                progress.begin(f"epoch {number}", len(self._train))
                self._run_epoch(number, save, progress)
                progress.end()
                training = self.state.seconds
                done = self._finish_epoch(number)
                save(self.state)
                best = " *" if self.state.best_epoch == number else "  "
                left = (self._config.epochs - number) * done.seconds
                progress.note(
                    f"epoch {number:>3}  train loss {done.train_loss:.4f}  held-out perplexity "
                    f"{done.perplexity:,.1f}{best}  "
                    f"{self._train.positions / training:,.0f} tokens/s  "
                    f"about {duration(left)} left"
                )

    def _run_epoch(
        self, number: int, save: Callable[[PretrainingState], None], progress: Progress
    ) -> None:
        """Make the steps of a pass that are left."""
        config, state = self._config, self.state
        self.model.train()
        batches = self._train.shuffled_places(config.batch_size, seed=config.seed, epoch=number)
        done = state.step - (number - 1) * self.steps
        progress.step(sum(map(len, batches[:done])))
        started = time.perf_counter() - state.seconds
        for place, places in enumerate(batches[done:], start=done + 1):
            self._step(places)
            state.seconds = time.perf_counter() - started
            if place < len(batches) and state.step % config.checkpoint_steps == 0:
                self._take_weights()
                save(state)
            progress.step(len(places))

    def _step(self, places: NDArray[np.int64]) -> None:
        state = self.state
        seed = np.random.SeedSequence([self._config.seed, state.step]).generate_state(1)
        torch.manual_seed(int(seed[0]))
        ids, lengths = self._train.batch(places)
        self._optimizer.clear()
        loss, positions = self.model.sampled_loss(
            ids.to(self._device), lengths.to(self._device), self._sampler
        )
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step(state.step)
        state.loss += loss.item() * positions
        state.positions += positions
        state.step += 1

    def _finish_epoch(self, number: int) -> Pass:
        """Measure on the held-out texts and set the state for the next pass."""
        state, started = self.state, time.perf_counter()
        self._take_weights()
        done = Pass(
            number=number,
            train_loss=_finite(state.loss / state.positions, number),
            perplexity=math.exp(_finite(held_out_loss(self.model, self._held_out), number)),
            seconds=state.seconds + time.perf_counter() - started,
        )
        best = min(state.history, key=lambda item: item.perplexity, default=None)
        state.history.append(done)
        if best is None or done.perplexity < best.perplexity:
            state.best_epoch, state.best_weights = number, state.weights
        state.loss, state.positions, state.seconds = 0.0, 0, 0.0
        return done

    def _take_weights(self) -> None:
        self.state.weights = {
            name: tensor.detach().cpu().clone() for name, tensor in self.model.state_dict().items()
        }
        self.state.optimizer = self._optimizer.tensors()


def held_out_loss(model: LanguageModel, corpus: Corpus) -> float:
    """Return the mean loss a token by the full softmax, in nats, dropout off."""
    device = model.embedding.weight.device
    model.eval()
    total, count = 0.0, 0
    with torch.inference_mode():
        for ids, lengths in corpus.batches_by_length():
            loss, positions = model.full_loss(ids.to(device), lengths.to(device))
            total, count = total + loss, count + positions
    return total / count


def _finite(loss: float, number: int) -> float:
    if not (math.isfinite(loss) and loss < _DIVERGED):
        raise ConfigError(
            f"pretraining diverged in epoch {number}: the loss is {loss:.3g}; choose a lower "
            "learning rate"
        )
    return loss


def save_pretraining(path: Path, state: PretrainingState) -> None:
    """Write a checkpoint; the one before is intact until the new one is whole.

    Raises:
        CheckpointError: it cannot be written.
    """
    tensors = {f"weights/{name}": value for name, value in state.weights.items()}
    if state.best_weights is not state.weights:  # else they stand there already
        tensors |= {f"best/{name}": value for name, value in state.best_weights.items()}
    tensors |= {f"optimizer/{name}": value for name, value in state.optimizer.items()}
    values: dict[str, Any] = {
        name: getattr(state, name)
        for name in ("step", "loss", "positions", "seconds", "best_epoch")
    }
    write_tensors(path, tensors, {**values, "history": [vars(done) for done in state.history]})


def load_pretraining(path: Path) -> PretrainingState:
    """Return the checkpoint that `save_pretraining` wrote.

    Raises:
        CheckpointError: it is damaged or of another version.
    """
    with damage_told(path):
        tensors, values = read_tensors(path)
        groups: dict[str, dict[str, torch.Tensor]] = {"weights": {}, "best": {}, "optimizer": {}}
        for name, tensor in tensors.items():
            group, _, rest = name.partition("/")
            groups[group][rest] = tensor
        state = PretrainingState(
            weights=groups["weights"],
            best_weights=groups["best"],
            optimizer=groups["optimizer"],
            step=int(values["step"]),
            loss=float(values["loss"]),
            positions=int(values["positions"]),
            seconds=float(values["seconds"]),
            history=[Pass(**done) for done in values["history"]],
            best_epoch=int(values["best_epoch"]),
        )
        if state.best_epoch and not state.best_weights:
            state = dataclasses.replace(state, best_weights=state.weights)
        return state
