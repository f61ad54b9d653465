"""Training of a classifier: its steps, and its score on dev."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from textgate.train.network.model import TextClassifier
from textgate.train.training.calibration import best_linear_scale
from textgate.train.training.checkpoint import Epoch, TrainingState
from textgate.train.training.loop import Learner, copied, forked_rng
from textgate.train.training.objective import Objective
from textgate.train.training.optimization import Average, Optimizer
from textgate.train.training.scoring import finished_epoch, require_finite, score_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from textgate.bundle.architecture import Architecture
    from textgate.train.data.dataset import Dataset
    from textgate.train.training.config import TrainingConfig
    from textgate.train.training.initialization import Initialization

_EVALUATION_BATCH = 256
_LEARNED_LOSS = 0.01  # on the training rows: below it nothing is left to learn from them
_PROJECTION = "linear.projection.weight"


class Trainer(Learner[Epoch]):
    """A classifier, Adam, and the moving average of the weights, which is what is scored.

    Args:
        architecture: the network.
        config: the settings.
        train: the training rows.
        dev: the rows that choose the epoch.
        device: where to compute.
        initialization: values that replace random initial weights.
        state: the checkpoint to resume from; None to start.

    Raises:
        CheckpointError: the checkpoint does not fit the network.
    """

    model: TextClassifier

    def __init__(
        self,
        architecture: Architecture,
        config: TrainingConfig,
        train: Dataset,
        dev: Dataset,
        *,
        device: torch.device,
        initialization: Initialization,
        state: TrainingState[Epoch] | None = None,
    ) -> None:
        with forked_rng(device):
            torch.manual_seed(config.seed)
            model = TextClassifier(
                architecture, sparse=config.sparse, linear_dropout=config.linear_dropout
            ).to(device)
            initialization.apply(model)
        super().__init__(
            model,
            device,
            train.lengths(),
            batch_size=config.batch_size,
            epochs=config.epochs,
            seed=config.seed,
            state=state,
        )
        self.patience = config.patience
        self._config, self._train, self._dev = config, train, dev
        self._initialization = initialization
        self._multi_label = architecture.task == "multi-label"
        self.score = score_name(multi_label=self._multi_label)
        self._objective = Objective(config, train, architecture, device=device)
        self._optimizer = Optimizer(model, config)
        if state is not None:
            self._optimizer.restore(state.optimizer)
        self._average = None
        if config.average:
            self._average = Average(model, config.average, self.state.average)

    def step(self, rows: NDArray[np.int64], number: int) -> tuple[float, int]:
        """Train on one batch and return its mean loss and its number of rows."""
        self._optimizer.clear()
        loss = self._objective.backward(self.model, self._train.batch(rows).to(self.device))
        self._optimizer.step(number)
        if self._average is not None:
            self._average.update(number)
        return loss, len(rows)

    def optimizer_tensors(self) -> dict[str, torch.Tensor]:
        """Return copies of Adam's moments and step counts."""
        return self._optimizer.tensors()

    def capture(self) -> None:
        """Copy weights, optimizer and average into the state."""
        super().capture()
        if self._average is not None:
            self.state.average = copied(self._average.weights)

    def evaluate(
        self, number: int, train_loss: float, started: float
    ) -> tuple[Epoch, dict[str, torch.Tensor]]:
        """Score the average of the weights, or the weights if there is none, on dev."""
        scored = self.state.average or self.state.weights
        self.model.load_state_dict(scored)
        logits, factor = _logits_with_best_factor(self.model, self._dev)
        self.model.load_state_dict(self.state.weights)
        epoch = finished_epoch(
            number,
            train_loss,
            logits,
            self._dev.targets,
            multi_label=self._multi_label,
            started=started,
            calibrated=self._config.criterion == "loss",
            weights=self._dev.weights,
        )
        return epoch, scale_linear_branch(scored, factor)

    def dev_logits(
        self, weights: dict[str, torch.Tensor], number: int, train_loss: float
    ) -> NDArray[np.float32]:
        """Return the logits on dev of a network with some weights, float32 [rows, labels].

        Args:
            weights: the weights.
            number: number of the epoch.
            train_loss: its mean loss.

        Raises:
            ConfigError: training diverged.
        """
        self.model.load_state_dict(weights)
        logits = predict_logits(self.model, self._dev)
        self.model.load_state_dict(self.state.weights)
        require_finite(number, train_loss, logits)
        return logits

    def improves(self, epoch: Epoch, best: Epoch) -> bool:
        """Return whether an epoch is better by the criterion of the settings."""
        return epoch.improves_on(best, self._config.criterion)

    def is_learned(self, epoch: Epoch) -> bool:
        """Return whether dev is perfect and the loss on the training rows is below 0.01.

        A perfect dev alone is not enough: if it is small, the network may still be learning.
        """
        return epoch.perfect and epoch.train_loss < _LEARNED_LOSS


def predict_logits(model: TextClassifier, dataset: Dataset) -> NDArray[np.float32]:
    """Return the logits of every row, float32 [rows, labels], without dropout."""
    recurrent, linear = _predict_parts(model, dataset)
    return recurrent if linear is None else recurrent + linear


def scale_linear_branch(weights: dict[str, torch.Tensor], factor: float) -> dict[str, torch.Tensor]:
    """Return the weights of a network with its linear branch, if any, multiplied by a factor."""
    if _PROJECTION not in weights:
        return weights
    return {**weights, _PROJECTION: weights[_PROJECTION] * factor}


def scale_parts(
    weights: dict[str, torch.Tensor], network: float, linear: float
) -> dict[str, torch.Tensor]:
    """Return weights whose logits are those of the network and of the branch times two factors."""
    last = max(int(name.split(".")[1]) for name in weights if name.startswith("head."))
    names = (f"head.{last}.weight", f"head.{last}.bias")
    scaled = {name: weights[name] * network for name in names}
    return scale_linear_branch({**weights, **scaled}, linear)


def _predict_parts(
    model: TextClassifier, dataset: Dataset
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Return the logits of the recurrent part and of the linear branch, float32 [rows, labels]."""
    device = model.embedding.weight.device
    recurrent = np.empty((len(dataset), model.architecture.label_count), dtype=np.float32)
    linear = np.empty_like(recurrent) if model.linear is not None else None
    model.eval()
    with torch.inference_mode():
        for indices, batch in dataset.batches_by_length(_EVALUATION_BATCH):
            moved = batch.to(device)
            embedded = model.embedding(moved.ids)
            recurrent[indices] = model.recurrent_logits(embedded, moved.lengths).cpu().numpy()
            if linear is not None:
                linear[indices] = model.linear_logits(moved.ids, moved.lengths).cpu().numpy()
    return recurrent, linear


def _logits_with_best_factor(
    model: TextClassifier, dev: Dataset
) -> tuple[NDArray[np.float32], float]:
    """Return the logits on dev with the best factor of the linear branch, and that factor."""
    recurrent, linear = _predict_parts(model, dev)
    if linear is None:
        return recurrent, 1.0
    multi_label = model.architecture.output == "multi-label"
    factor = best_linear_scale(
        recurrent, linear, dev.targets, multi_label=multi_label, weights=dev.weights
    )
    return recurrent + np.float32(factor) * linear, factor
