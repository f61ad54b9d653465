"""Pretraining of a language model: its steps, and its perplexity on held-out texts."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch

from textgate.bundle.schema import NonNegative, PositiveCount, Range
from textgate.errors import ConfigError
from textgate.train.pretraining.language_model import LanguageModel
from textgate.train.pretraining.sampled_softmax import Sampler
from textgate.train.training.loop import Learner, forked_rng
from textgate.train.training.optimization import Optimizer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from textgate.train.data.corpus import Corpus
    from textgate.train.pretraining.pretraining_config import PretrainingConfig
    from textgate.train.training.checkpoint import TrainingState

_MAX_LOSS = 100.0  # nats per token, more than any vocabulary allows


@dataclass(frozen=True)
class PretrainingEpoch:
    """Result of one pass over the texts.

    Attributes:
        number: 1 for the first epoch.
        train_loss: mean loss of the sampled softmax, with dropout, in nats per token.
        perplexity: perplexity per token on the held-out texts, by the full softmax.
        seconds: duration, including the evaluation.
    """

    number: PositiveCount
    train_loss: float
    perplexity: Annotated[float, Range(1)]
    seconds: NonNegative

    def measures(self, score: str) -> str:
        """Return the perplexity as text."""
        return f"held-out {score} {self.perplexity:,.1f}"


class Pretrainer(Learner[PretrainingEpoch]):
    """A language model with its optimizer and its texts.

    The random numbers of a step depend on nothing but the seed and the number of the step, so that
    training can be resumed from any step.

    Args:
        config: the settings.
        train: the training texts.
        held_out: the texts that choose the epoch.
        vocabulary_size: rows of the embedding.
        embedding: initial embedding, float32 [vocabulary, embedding]; None for a random one.
        device: where to compute.
        state: the checkpoint to resume from; None to start.

    Raises:
        CheckpointError: the checkpoint does not fit the network.
    """

    model: LanguageModel
    score = "perplexity"
    unit = "tokens"

    def __init__(
        self,
        config: PretrainingConfig,
        train: Corpus,
        held_out: Corpus,
        *,
        vocabulary_size: int,
        embedding: NDArray[np.float32] | None,
        device: torch.device,
        state: TrainingState[PretrainingEpoch] | None,
    ) -> None:
        counts = train.counts(vocabulary_size)
        # The initial bias gives every token its frequency in the texts.
        frequencies = np.maximum(counts, 1) / np.maximum(counts, 1).sum()
        with forked_rng(device):
            torch.manual_seed(config.seed)
            model = LanguageModel(vocabulary_size, config)
        with torch.no_grad():
            model.token_bias.copy_(torch.from_numpy(np.log(frequencies)))
            if embedding is not None:
                model.embedding.weight.copy_(torch.from_numpy(embedding))
        super().__init__(
            model.to(device),
            device,
            train.lengths,
            batch_size=config.batch_size,
            epochs=config.epochs,
            seed=config.seed,
            state=state,
        )
        self.size, self.checkpoint_steps = train.positions, config.checkpoint_steps
        self._train, self._held_out = train, held_out
        self._sampler = Sampler(counts, config.samples)
        self._optimizer = Optimizer(model, config.training(), steps=self.steps)
        if state is not None:
            self._optimizer.restore(state.optimizer)

    def step(self, rows: NDArray[np.int64], number: int) -> tuple[float, int]:
        """Train on one batch and return its mean loss and its number of predicted tokens."""
        self.seed_step(number)
        ids, lengths = self._train.batch(rows)
        self._optimizer.clear()
        loss, positions = self.model.sampled_loss(
            ids.to(self.device), lengths.to(self.device), self._sampler
        )
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step(number)
        return loss.item(), positions

    def optimizer_tensors(self) -> dict[str, torch.Tensor]:
        """Return copies of Adam's moments and step counts."""
        return self._optimizer.tensors()

    def evaluate(
        self, number: int, train_loss: float, started: float
    ) -> tuple[PretrainingEpoch, dict[str, torch.Tensor]]:
        """Measure the perplexity on the held-out texts."""
        require_converging(train_loss, number)
        loss = require_converging(held_out_loss(self.model, self._held_out), number)
        seconds = time.perf_counter() - started
        return PretrainingEpoch(number, train_loss, math.exp(loss), seconds), self.state.weights

    def improves(self, epoch: PretrainingEpoch, best: PretrainingEpoch) -> bool:
        """Return whether an epoch has a lower perplexity."""
        return epoch.perplexity < best.perplexity


def held_out_loss(model: LanguageModel, corpus: Corpus) -> float:
    """Return the mean loss of the full softmax in nats per token, without dropout."""
    device = model.embedding.weight.device
    model.eval()
    total, count = 0.0, 0
    with torch.inference_mode():
        for ids, lengths in corpus.batches_by_length():
            loss, positions = model.full_loss(ids.to(device), lengths.to(device))
            total, count = total + loss, count + positions
    return total / count


def require_converging(loss: float, number: int) -> float:
    """Return the loss of an epoch.

    Raises:
        ConfigError: it is not finite, or too large.
    """
    if not (math.isfinite(loss) and loss < _MAX_LOSS):
        raise ConfigError(
            f"pretraining diverged in epoch {number}: the loss is {loss:.3g}; choose a lower "
            "learning rate"
        )
    return loss
