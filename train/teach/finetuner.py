"""The loop that fine-tunes a transformer."""

from __future__ import annotations

import contextlib
import math
import time
from typing import TYPE_CHECKING

import numpy as np
import torch

from textgate.train.fit.checkpoint import TrainingState, restore_weights
from textgate.train.fit.objective import loss
from textgate.train.fit.optimization import read_moments
from textgate.train.fit.scoring import finished_epoch, score_name
from textgate.train.teach.bfloat16 import prefers_bfloat16
from textgate.train.teach.encoders import EncoderClassifier, load_encoder
from textgate.train.teach.finetuned import finetuned_logits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from textgate.train.data.dataset import Batch, Dataset
    from textgate.train.fit.progress import Progress
    from textgate.train.teach.finetuning_config import FinetuningConfig

_WARMUP = 0.1  # share of the steps
_WEIGHT_DECAY = 0.01
_GRADIENT_NORM = 1.0


class Finetuner:
    """AdamW with a warm-up and a linear decay; the best epoch on dev is kept.

    Args:
        folder: the encoder.
        config: how it is trained.
        train: the rows to learn from.
        dev: the rows that choose the epoch.
        task: ``single-label`` or ``multi-label``.
        device: where to compute.
        bfloat16: whether to compute in bfloat16 where that is accurate enough; None finds out
            whether it is worth it, which another time may come out otherwise.
        state: the last saved state, to go on from it; None begins.

    Attributes:
        multi_label: whether several labels can apply.
        bfloat16: whether it computes in bfloat16 where that is accurate enough.
        state: where it stands.

    Raises:
        ConfigError: the folder holds no encoder.
        CheckpointError: the state does not fit the network.
        TextgateError: the library transformers is not installed.
    """

    def __init__(
        self,
        folder: Path,
        config: FinetuningConfig,
        train: Dataset,
        dev: Dataset,
        *,
        task: str,
        device: torch.device,
        bfloat16: bool | None = None,
        state: TrainingState | None = None,
    ) -> None:
        self._config, self._train, self._dev, self._device = config, train, dev, device
        self.multi_label = task == "multi-label"
        self._output = "multi-label" if self.multi_label else "softmax"
        self.state = state or TrainingState(weights={}, best_weights={}, optimizer={})
        with _seeded(config.seed, device):
            self._model = EncoderClassifier(
                load_encoder(folder),
                label_count=train.targets.shape[1],
                dropout=config.head_dropout,
            ).to(device)
        self._steps = math.ceil(len(train) / config.batch_size) * config.epochs
        # Fused it takes a quarter of the time, which for small encoders is a fifth of a step.
        self._optimizer = torch.optim.AdamW(
            _groups(self._model), lr=config.learning_rate, fused=True
        )
        if bfloat16 is None:
            probe = train.batch(np.arange(min(len(train), config.batch_size)))
            bfloat16 = device.type == "cpu" and prefers_bfloat16(
                self._model, probe, output=self._output
            )
        self.bfloat16 = bfloat16
        if state is not None:
            self._restore(state)

    def run(self, save: Callable[[TrainingState], None], progress: Progress) -> None:
        """Make all epochs that are left.

        Every epoch draws its order and its dropout from the seed and its own number, so that going
        on from a saved state gives the same weights as never having stopped, on the same machine
        with the same number of threads.

        Args:
            save: is called with the state after every epoch; AdamW's tensors in it then change.
            progress: hears of every step and epoch.

        Raises:
            ConfigError: training diverged.
        """
        state = self.state
        while len(state.history) < self._config.epochs:
            number = len(state.history) + 1
            started = time.perf_counter()
            progress.begin_epoch(number, len(self._train))
            with _seeded(self._config.seed * 100_003 + number, self._device):
                train_loss = self._pass(number, progress)
            logits = finetuned_logits(self._model, self._dev, bfloat16=self.bfloat16)
            epoch = finished_epoch(
                number,
                train_loss,
                logits,
                self._dev.targets,
                multi_label=self.multi_label,
                started=started,
            )
            best = not state.history or epoch.improves_on(state.history[state.best_epoch - 1])
            state.history.append(epoch)
            state.weights = {
                name: tensor.detach().cpu().clone()
                for name, tensor in self._model.state_dict().items()
            }
            if best:
                state.best_epoch, state.best_weights = number, state.weights
            state.optimizer = self._moments()
            save(state)
            progress.end_epoch(
                epoch,
                rows=len(self._train),
                remaining=self._config.epochs - number,
                score=score_name(multi_label=self.multi_label),
                best=best,
            )

    def best_model(self) -> EncoderClassifier:
        """Return the network with the best epoch's weights."""
        restore_weights(self._model, self.state.best_weights)
        return self._model

    def _moments(self) -> dict[str, torch.Tensor]:
        """Return AdamW's moments and step counts by ``<parameter>/<moment>``."""
        return {
            f"{name}/{moment}": value
            for name, weight in self._model.named_parameters()
            for moment, value in self._optimizer.state.get(weight, {}).items()
        }

    def _restore(self, state: TrainingState) -> None:
        restore_weights(self._model, state.weights)
        learned = {name.rpartition("/")[0] for name in state.optimizer}
        for name, weight in self._model.named_parameters():
            if name in learned:  # else nothing reads it, as the layer over BERT's first token
                self._optimizer.state[weight] = read_moments(state.optimizer, name, weight)

    def _pass(self, number: int, progress: Progress) -> float:
        """Make one pass over the rows and return the mean loss."""
        config = self._config
        self._model.train()
        total = 0.0
        step = (number - 1) * (self._steps // config.epochs)
        batches = self._train.shuffled_batches(config.batch_size, seed=config.seed, epoch=number)
        for batch in batches:
            for group in self._optimizer.param_groups:
                group["lr"] = config.learning_rate * rate(step, self._steps)
            self._optimizer.zero_grad()
            value = _loss(
                self._model, batch.to(self._device), output=self._output, bfloat16=self.bfloat16
            )
            value.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self._model.parameters(), _GRADIENT_NORM)
            self._optimizer.step()
            total += float(value.detach()) * len(batch.lengths)
            progress.step(len(batch.lengths))
            step += 1
        return total / len(self._train)


def rate(step: int, steps: int) -> float:
    """Return the learning rate of a step as a share of its height: up a tenth, then down to 0."""
    warm = max(1, round(_WARMUP * steps))
    if step < warm:
        return (step + 1) / warm
    return (steps - step) / max(1, steps - warm)


def _loss(model: EncoderClassifier, batch: Batch, *, output: str, bfloat16: bool) -> torch.Tensor:
    with torch.autocast(batch.ids.device.type, torch.bfloat16, enabled=bfloat16):
        logits = model(batch.ids, batch.lengths)
    return loss(logits, batch.targets, output=output)


def _groups(model: EncoderClassifier) -> list[dict[str, object]]:
    """Return the parameters for AdamW: biases and the scales of norms do not decay."""
    parameters = list(model.parameters())
    return [
        {"params": [item for item in parameters if item.dim() > 1], "weight_decay": _WEIGHT_DECAY},
        {"params": [item for item in parameters if item.dim() <= 1], "weight_decay": 0.0},
    ]


@contextlib.contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
