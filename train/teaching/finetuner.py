"""Fine-tuning of a transformer: its steps, and its score on dev."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from textgate.train.data.batching import indices_by_length
from textgate.train.teaching.bfloat16 import prefers_bfloat16
from textgate.train.teaching.encoders import EncoderClassifier, load_encoder
from textgate.train.teaching.finetuned import finetuned_logits
from textgate.train.training.checkpoint import Epoch, TrainingState
from textgate.train.training.loop import Learner, forked_rng
from textgate.train.training.objective import batch_loss
from textgate.train.training.optimization import read_moments
from textgate.train.training.scoring import finished_epoch, score_name

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from textgate.bundle.architecture import Output, Task
    from textgate.train.data.dataset import Batch, Dataset
    from textgate.train.teaching.finetuning_config import FinetuningConfig

_WARM_UP = 0.1  # fraction of the steps
_WEIGHT_DECAY = 0.01
_GRADIENT_NORM = 1.0
_CHECKPOINT_STEPS = 200


class Finetuner(Learner[Epoch]):
    """A transformer with AdamW, whose learning rate warms up and then decays linearly.

    Args:
        folder: the encoder.
        config: the settings.
        train: the training rows.
        dev: the rows that choose the epoch.
        task: ``single-label`` or ``multi-label``.
        device: where to compute.
        bfloat16: whether to compute in bfloat16 where that is accurate enough; None measures
            whether it is worth it, which need not give the same answer every time.
        state: the checkpoint to resume from; None to start.

    Attributes:
        multi_label: whether several labels can apply.
        bfloat16: whether it computes in bfloat16 where that is accurate enough.

    Raises:
        ConfigError: the folder holds no encoder.
        CheckpointError: the checkpoint does not fit the network.
        MissingPackageError: the library transformers is not installed.
    """

    model: EncoderClassifier
    checkpoint_steps = _CHECKPOINT_STEPS

    def __init__(
        self,
        folder: Path,
        config: FinetuningConfig,
        train: Dataset,
        dev: Dataset,
        *,
        task: Task,
        device: torch.device,
        bfloat16: bool | None,
        state: TrainingState[Epoch] | None,
    ) -> None:
        with forked_rng(device):
            torch.manual_seed(config.seed)
            model = EncoderClassifier(
                load_encoder(folder),
                label_count=train.targets.shape[1],
                dropout=config.head_dropout,
            ).to(device)
        super().__init__(
            model,
            device,
            train.lengths(),
            batch_size=config.batch_size,
            epochs=config.epochs,
            seed=config.seed,
            state=state,
        )
        self.multi_label = task == "multi-label"
        self.score = score_name(multi_label=self.multi_label)
        self._config, self._train, self._dev = config, train, dev
        self._output: Output = "multi-label" if self.multi_label else "softmax"
        # The fused optimizer needs a quarter of the time: a fifth of a step of a small encoder.
        self._optimizer = torch.optim.AdamW(
            _parameter_groups(model), lr=config.learning_rate, fused=True
        )
        if state is not None:
            self._restore_optimizer(state.optimizer)
        if bfloat16 is None:
            bfloat16 = device.type == "cpu" and prefers_bfloat16(
                model, _usual_batch(train, config.batch_size), output=self._output
            )
        self.bfloat16 = bfloat16

    def step(self, rows: NDArray[np.int64], number: int) -> tuple[float, int]:
        """Train on one batch and return its mean loss and its number of rows."""
        self.seed_step(number)
        for group in self._optimizer.param_groups:
            group["lr"] = self._config.learning_rate * rate_factor(number, self.steps)
        self._optimizer.zero_grad()
        batch = self._train.batch(rows).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            logits = self.model(batch.ids, batch.lengths)
        value = batch_loss(logits, batch, output=self._output)
        value.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), _GRADIENT_NORM)
        self._optimizer.step()
        return float(value.detach()), len(rows)

    def optimizer_tensors(self) -> dict[str, torch.Tensor]:
        """Return AdamW's moments and step counts, which later steps change."""
        return {
            f"{name}/{moment}": value
            for name, weight in self.model.named_parameters()
            for moment, value in self._optimizer.state.get(weight, {}).items()
        }

    def evaluate(
        self, number: int, train_loss: float, started: float
    ) -> tuple[Epoch, dict[str, torch.Tensor]]:
        """Score the weights on dev."""
        epoch = finished_epoch(
            number,
            train_loss,
            finetuned_logits(self.model, self._dev, bfloat16=self.bfloat16),
            self._dev.targets,
            multi_label=self.multi_label,
            started=started,
            weights=self._dev.weights,
        )
        return epoch, self.state.weights

    def improves(self, epoch: Epoch, best: Epoch) -> bool:
        """Return whether an epoch has the better score on dev."""
        return epoch.improves_on(best)

    def _restore_optimizer(self, tensors: dict[str, torch.Tensor]) -> None:
        trained = {name.rpartition("/")[0] for name in tensors}
        for name, weight in self.model.named_parameters():
            if name in trained:  # others are unused, such as the layer over BERT's first token
                self._optimizer.state[weight] = read_moments(tensors, name, weight)


def rate_factor(step: int, steps: int) -> float:
    """Return the factor of the learning rate: it rises for a tenth of the steps, then falls to 0.

    Args:
        step: steps before this one.
        steps: number of all steps.
    """
    warm_up = max(1, round(_WARM_UP * steps))
    if step < warm_up:
        return (step + 1) / warm_up
    return (steps - step) / max(1, steps - warm_up)


def _usual_batch(train: Dataset, size: int) -> Batch:
    """Return the batch of middle length.

    The gradient of a text of one token can be so steep in the lower layers that its rounding
    outweighs the other rows of a batch.
    """
    batches = list(indices_by_length(train.lengths(), size))
    return train.batch(batches[len(batches) // 2])


def _parameter_groups(model: EncoderClassifier) -> list[dict[str, object]]:
    """Return the parameters for AdamW: biases and the scales of norms do not decay."""
    parameters = list(model.parameters())
    return [
        {"params": [item for item in parameters if item.dim() > 1], "weight_decay": _WEIGHT_DECAY},
        {"params": [item for item in parameters if item.dim() <= 1], "weight_decay": 0.0},
    ]
