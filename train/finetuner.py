"""The loop that fine-tunes a transformer."""

from __future__ import annotations

import contextlib
import copy
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from textgate.errors import ConfigError
from textgate.train.bfloat16 import prefers_bfloat16
from textgate.train.encoders import EncoderClassifier, load_encoder
from textgate.train.finetuned import finetuned_logits
from textgate.train.objective import loss
from textgate.train.scoring import finished_epoch, score_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from textgate.train.checkpoint import Epoch
    from textgate.train.dataset import Batch, Dataset
    from textgate.train.progress import Progress

_WARMUP = 0.1  # share of the steps
_WEIGHT_DECAY = 0.01
_GRADIENT_NORM = 1.0


@dataclass(frozen=True)
class FinetuningConfig:
    """How a transformer is fine-tuned.

    Attributes:
        epochs: passes over the training rows.
        batch_size: rows a step.
        learning_rate: AdamW's at its height, after a tenth of the steps; from there it falls to 0.
        head_dropout: share of the encoder's mean state dropped.
        max_tokens: most tokens of a text, special ones included; the encoder may read fewer.
        task: ``single-label``, ``multi-label``, or ``auto``: whatever the rows show.
        dev_fraction: share of the rows held out for dev when no dev file is given.
        seed: of the held-out rows, the head's first weights, the order and the dropout.

    Raises:
        ConfigError: a value out of range.
    """

    epochs: int = 3
    batch_size: int = 32
    learning_rate: float = 5e-5
    head_dropout: float = 0.1
    max_tokens: int = 128
    task: str = "auto"
    dev_fraction: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("epochs", 1, 1000),
            ("batch_size", 1, 100_000),
            ("learning_rate", 1e-9, 1),
            ("head_dropout", 0, 0.99),
            ("max_tokens", 8, 100_000),
            ("dev_fraction", 0.01, 0.5),
            ("seed", 0, 2**31 - 1),
        ):
            if not low <= getattr(self, name) <= high:
                raise ConfigError(
                    f"{name} must be from {low:g} to {high:g}, not {getattr(self, name)!r}"
                )


class Finetuner:
    """AdamW with a warm-up and a linear decay; the best epoch on dev is kept.

    Args:
        folder: the encoder.
        config: how it is trained.
        train: the rows to learn from.
        dev: the rows that choose the epoch.
        task: ``single-label`` or ``multi-label``.
        device: where to compute.

    Attributes:
        multi_label: whether several labels can apply.
        bfloat16: whether it computes in bfloat16 where that is accurate enough.
        history: every epoch so far.
        best_epoch: number of the best one.
        best_logits: its logits on dev, float32 [rows, labels].

    Raises:
        ConfigError: the folder holds no encoder.
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
    ) -> None:
        self._config, self._train, self._dev, self._device = config, train, dev, device
        self.multi_label = task == "multi-label"
        self._output = "multi-label" if self.multi_label else "softmax"
        self.history: list[Epoch] = []
        self.best_epoch = 0
        self.best_logits: NDArray[np.float32] = np.zeros_like(dev.targets)
        self._best: dict[str, torch.Tensor] = {}
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
        probe = train.batch(np.arange(min(len(train), config.batch_size)))
        self.bfloat16 = device.type == "cpu" and prefers_bfloat16(
            self._model, probe, output=self._output
        )

    def run(self, progress: Progress) -> None:
        """Go through all epochs."""
        for number in range(1, self._config.epochs + 1):
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
            best = not self.history or epoch.rank() > self.history[self.best_epoch - 1].rank()
            self.history.append(epoch)
            if best:
                self.best_epoch, self.best_logits = number, logits
                self._best = copy.deepcopy(self._model.state_dict())
            progress.end_epoch(
                epoch,
                rows=len(self._train),
                remaining=self._config.epochs - number,
                score=score_name(multi_label=self.multi_label),
                best=best,
            )

    def best_model(self) -> EncoderClassifier:
        """Return the network with the best epoch's weights."""
        self._model.load_state_dict(self._best)
        return self._model

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
