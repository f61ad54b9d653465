"""Distillation of a sentence transformer: its steps, and its score on held-out texts."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch
from torch.nn import functional

from textgate.bundle.schema import Fraction, NonNegative, PositiveCount, Range
from textgate.train.data.batching import indices_by_length
from textgate.train.pretraining.pretrainer import require_converging
from textgate.train.pretraining.sentence_encoder import SentenceEncoder
from textgate.train.teaching.bfloat16 import has_recurrent_bfloat16
from textgate.train.training.loop import Learner, forked_rng
from textgate.train.training.optimization import Optimizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from textgate.train.data.corpus import Corpus
    from textgate.train.pretraining.labelled import EncodedTask
    from textgate.train.pretraining.pretraining_config import PretrainingConfig
    from textgate.train.training.checkpoint import TrainingState

_TEMPERATURE = 0.05  # of the distributions of similarities
_SIMILARITY_WEIGHT = 0.5  # of their divergence, against the distance of each text
_MASKED = -1e4  # logit of a text for itself; infinity times 0 would be NaN
_BETAS = (0.9, 0.98)
_GRADIENT_NORM = 1.0
_EVALUATION_BATCH = 192
_LABELLED_BATCH = 64  # labelled rows per step, all of one task
_LABEL_WEIGHT = 0.5  # of their cross-entropy, against the loss of the texts
_LABEL_SMOOTHING = 0.05
_POOLED_DROPOUT = 0.2  # of the pooled states before a head
_LABELLED_STREAM = 1  # of the random numbers of a step


@dataclass(frozen=True)
class DistillationEpoch:
    """Result of one pass over the texts.

    Attributes:
        number: 1 for the first epoch.
        train_loss: mean of `distillation_loss` per text, with dropout.
        cosine: mean cosine between the encoder's and the teacher's vectors on the held-out texts.
        seconds: duration, including the evaluation.
        accuracy: fraction of the held-out labelled rows of all tasks whose label the heads find;
            None without labelled rows.
    """

    number: PositiveCount
    train_loss: float
    cosine: Annotated[float, Range(-1, 1)]
    seconds: NonNegative
    accuracy: Fraction | None = None

    def measures(self, score: str) -> str:
        """Return the cosine, and the accuracy if there is one, as text."""
        labels = "" if self.accuracy is None else f"  of labels {self.accuracy:.4f}"
        return f"held-out {score} {self.cosine:.4f}{labels}"


class Distiller(Learner[DistillationEpoch]):
    """A sentence encoder with its optimizer, its texts, and the teacher's vectors of these.

    With labelled rows, each step also takes a batch of one task, drawn with a probability
    proportional to the square root of its number of rows, and adds the cross-entropy of its head.

    The random numbers of a step depend on nothing but the seed and the number of the step, so that
    training can be resumed from any step.

    Args:
        config: the settings.
        train: the training texts.
        held_out: the texts that choose the epoch.
        targets: the teacher's vectors of length 1, float16 [all texts, components].
        tasks: the labelled rows of each task.
        vocabulary_size: rows of the embedding.
        embedding: initial embedding, float32 [vocabulary, embedding]; None for a random one.
        bfloat16: whether the recurrent layer learns in bfloat16.
        device: where to compute.
        state: the checkpoint to resume from; None to start.

    Raises:
        CheckpointError: the checkpoint does not fit the network.
    """

    model: SentenceEncoder
    score = "cosine"
    unit = "texts"

    def __init__(
        self,
        config: PretrainingConfig,
        train: Corpus,
        held_out: Corpus,
        *,
        targets: NDArray[np.float16],
        tasks: Sequence[EncodedTask] = (),
        vocabulary_size: int,
        embedding: NDArray[np.float32] | None,
        bfloat16: bool,
        device: torch.device,
        state: TrainingState[DistillationEpoch] | None,
    ) -> None:
        with forked_rng(device):
            torch.manual_seed(config.seed)
            model = SentenceEncoder(
                vocabulary_size,
                config,
                components=targets.shape[1],
                labels=[task.train.targets.shape[1] for task in tasks],
            )
        if embedding is not None:
            with torch.no_grad():
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
        self.checkpoint_steps = config.checkpoint_steps
        self._train, self._held_out, self._targets = train, held_out, targets
        self._tasks = tasks
        roots = np.sqrt([len(task.train) for task in tasks])
        self._chances = roots / roots.sum()
        self._bfloat16 = bfloat16 and has_recurrent_bfloat16(device.type)
        rates = config.training().replace(embedding_rate=1.0, gradient_norm=_GRADIENT_NORM)
        self._optimizer = Optimizer(model, rates, steps=self.steps, betas=_BETAS)
        if state is not None:
            self._optimizer.restore(state.optimizer)

    def step(self, rows: NDArray[np.int64], number: int) -> tuple[float, int]:
        """Train on one batch and return its mean loss, without labels, and its number of texts."""
        self.seed_step(number)
        ids, lengths, targets = self._batch(self._train, rows)
        self._optimizer.clear()
        loss = distillation_loss(self.model(ids, lengths, bfloat16=self._bfloat16), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        if self._tasks:
            (_LABEL_WEIGHT * self._label_loss(number)).backward()  # type: ignore[no-untyped-call]
        self._optimizer.step(number)
        return loss.item(), len(rows)

    def optimizer_tensors(self) -> dict[str, torch.Tensor]:
        """Return copies of Adam's moments and step counts."""
        # Adam has none of a head whose task has not been drawn yet: it begins with zeros.
        empty = {
            f"heads.{name}/{moment}": torch.zeros_like(value, device="cpu")
            for name, weight in self.model.heads.named_parameters()
            for moment, value in (
                ("exp_avg", weight.detach()),
                ("exp_avg_sq", weight.detach()),
                ("step", torch.tensor(0.0)),
            )
        }
        return empty | self._optimizer.tensors()

    def evaluate(
        self, number: int, train_loss: float, started: float
    ) -> tuple[DistillationEpoch, dict[str, torch.Tensor]]:
        """Measure the cosine on the held-out texts, and the accuracy of the labels, in float32."""
        require_converging(train_loss, number)
        self.model.eval()
        total = 0.0
        with torch.inference_mode():
            for rows in indices_by_length(self._held_out.lengths, _EVALUATION_BATCH):
                ids, lengths, targets = self._batch(self._held_out, rows)
                total += torch.cosine_similarity(self.model(ids, lengths), targets).sum().item()
            accuracy = self._accuracy() if self._tasks else None
        cosine = require_converging(total / len(self._held_out), number)
        seconds = time.perf_counter() - started
        cosine = min(1.0, max(-1.0, cosine))  # rounding errors can exceed 1
        epoch = DistillationEpoch(number, train_loss, cosine, seconds, accuracy)
        return epoch, self.state.weights

    def improves(self, epoch: DistillationEpoch, best: DistillationEpoch) -> bool:
        """Return whether an epoch has a higher cosine."""
        return epoch.cosine > best.cosine

    def _label_loss(self, number: int) -> torch.Tensor:
        """Return the cross-entropy of labelled rows of one task, as the step draws them."""
        generator = np.random.default_rng([self.seed, number, _LABELLED_STREAM])
        drawn = int(generator.choice(len(self._tasks), p=self._chances))
        train = self._tasks[drawn].train
        batch = train.batch(generator.integers(0, len(train), _LABELLED_BATCH)).to(self.device)
        pooled = self.model.pooled(batch.ids, batch.lengths, bfloat16=self._bfloat16)
        logits = self.model.heads[drawn](functional.dropout(pooled, _POOLED_DROPOUT))
        return functional.cross_entropy(logits, batch.targets, label_smoothing=_LABEL_SMOOTHING)

    def _accuracy(self) -> float:
        right = []
        for task, head in zip(self._tasks, self.model.heads, strict=True):
            for _, rows in task.held_out.batches_by_length(_EVALUATION_BATCH):
                batch = rows.to(self.device)
                found = head(self.model.pooled(batch.ids, batch.lengths)).argmax(dim=1)
                right += (found == batch.targets.argmax(dim=1)).tolist()
        return sum(right) / len(right)

    def _batch(
        self, corpus: Corpus, rows: NDArray[np.int64]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        ids, lengths = corpus.batch(rows)
        targets = torch.from_numpy(self._targets[corpus.rows[rows]].astype(np.float32))
        return ids.to(self.device), lengths.to(self.device), targets.to(self.device)


def distillation_loss(vectors: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the loss of a batch, a scalar.

    It is the mean of 1 - cosine between a text's vector and its target, plus half the mean
    Kullback-Leibler divergence between two distributions per text: its similarities to the other
    texts of the batch by the targets and by the vectors (as Fang et al. 2021, "SEED:
    Self-supervised Distillation For Visual Representation", compare images).

    Args:
        vectors: results of the encoder, float32 [batch, components].
        targets: the teacher's vectors of length 1, float32 [batch, components].
    """
    vectors = functional.normalize(vectors, dim=1)
    distance = 1.0 - (vectors * targets).sum(dim=1).mean()
    divergence = functional.kl_div(
        torch.log_softmax(_similarities(vectors), dim=1),
        torch.softmax(_similarities(targets), dim=1),
        reduction="batchmean",
    )
    return distance + _SIMILARITY_WEIGHT * divergence


def _similarities(vectors: torch.Tensor) -> torch.Tensor:
    """Return the logits of each text for the other texts, float32 [batch, batch]."""
    itself = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    return (vectors @ vectors.T / _TEMPERATURE).masked_fill(itself, _MASKED)
