"""The training loop."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np
import torch

from textgate.train.fit.calibration import best_share
from textgate.train.fit.checkpoint import TrainingState, restore_weights
from textgate.train.fit.objective import Objective
from textgate.train.fit.optimization import Average, Optimizer
from textgate.train.fit.progress import Progress
from textgate.train.fit.scoring import finished_epoch, score_name
from textgate.train.network.model import TextClassifier

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from textgate.bundle.architecture import Architecture
    from textgate.train.data.dataset import Dataset
    from textgate.train.fit.config import TrainingConfig
    from textgate.train.fit.initialization import Start

_EVALUATION_BATCH = 256
_LEARNED = 0.01  # loss on the training rows that leaves nothing to learn from them
_PROJECTION = "linear.projection.weight"


def train_network(
    architecture: Architecture,
    config: TrainingConfig,
    train: Dataset,
    dev: Dataset,
    *,
    device: torch.device,
    save: Callable[[TrainingState], None],
    start: Start | None = None,
    resume_from: TrainingState | None = None,
    progress: Progress | None = None,
) -> TrainingState:
    """Train until dev shows no progress for `config.patience` epochs, or `config.epochs` are done.

    It ends before that where nothing is left to learn: dev is perfect and the loss on the training
    rows below 0.01.

    Every epoch draws its order and its dropout from the seed and its own number, so that going on
    from a saved state gives the same weights as never having stopped, on the same machine with the
    same number of threads.

    Args:
        architecture: the network to train.
        config: how to train it.
        train: the rows to learn from.
        dev: the rows that choose the epoch.
        device: where to compute.
        save: is called with the state after every epoch.
        start: what takes the place of random first weights.
        resume_from: the last saved state, to go on from it.
        progress: hears of every step and epoch.

    Returns:
        The state after the last epoch.

    Raises:
        ConfigError: training diverged.
        CheckpointError: the saved state does not fit the network.
    """
    progress = progress or Progress()
    multi_label = architecture.task == "multi-label"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = TextClassifier(
            architecture, sparse=config.sparse, linear_dropout=config.linear_dropout
        ).to(device)
        if start is not None:
            start.apply(model)
        steps = math.ceil(len(train) / config.batch_size)
        optimizer = Optimizer(model, config)
        state = resume_from or TrainingState(weights={}, best_weights={}, optimizer={})
        if resume_from is not None:
            restore_weights(model, resume_from.weights)
            optimizer.restore(resume_from.optimizer)
        average = None
        if config.average:
            average = Average(model, config.average, state.average if resume_from else None)
        objective = Objective(config, train, architecture, device=device)
        while not _finished(state, config):
            number = len(state.history) + 1
            torch.manual_seed(config.seed * 100_003 + number)
            started = time.perf_counter()
            progress.begin_epoch(number, len(train))
            train_loss = _train_epoch(
                model,
                optimizer,
                objective,
                config,
                train,
                average=average,
                number=number,
                first_step=(number - 1) * steps,
                progress=progress,
            )
            state.weights = scored = _copied(model.state_dict())
            state.optimizer = optimizer.tensors()
            if average is not None:
                state.average = scored = _copied(average.weights)
            model.load_state_dict(scored)
            logits, share = _mixed_logits(model, dev)
            model.load_state_dict(state.weights)
            epoch = finished_epoch(
                number,
                train_loss,
                logits,
                dev.targets,
                multi_label=multi_label,
                started=started,
                calibrated=config.criterion == "loss",
            )
            best = not state.history or epoch.improves_on(
                state.history[state.best_epoch - 1], config.criterion
            )
            state.history.append(epoch)
            if best:
                state.best_epoch = number
                state.best_weights = with_linear_share(scored, share)
            save(state)
            progress.end_epoch(
                epoch,
                rows=len(train),
                remaining=config.epochs - number,
                score=score_name(multi_label=multi_label),
                best=best,
            )
    return state


def predict_logits(model: TextClassifier, dataset: Dataset) -> NDArray[np.float32]:
    """Return the logits of every row, float32 [rows, labels], dropout off."""
    recurrent, linear = _predicted(model, dataset)
    return recurrent if linear is None else recurrent + linear


def _predicted(
    model: TextClassifier, dataset: Dataset
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Return both parts of the logits of every row, float32 [rows, labels], dropout off."""
    device = model.embedding.weight.device
    recurrent = np.empty((len(dataset), model.architecture.label_count), dtype=np.float32)
    linear = np.empty_like(recurrent) if model.linear is not None else None
    model.eval()
    with torch.inference_mode():
        for places, batch in dataset.batches_by_length(_EVALUATION_BATCH):
            moved = batch.to(device)
            embedded = model.embedding(moved.ids)
            recurrent[places] = model.recurrent_logits(embedded, moved.lengths).cpu().numpy()
            if linear is not None:
                linear[places] = model.linear_logits(moved.ids, moved.lengths).cpu().numpy()
    return recurrent, linear


def _mixed_logits(model: TextClassifier, dev: Dataset) -> tuple[NDArray[np.float32], float]:
    """Return the logits on dev, and the share of the linear branch with which they are best."""
    recurrent, linear = _predicted(model, dev)
    if linear is None:
        return recurrent, 1.0
    multi_label = model.architecture.output == "multi-label"
    share = best_share(recurrent, linear, dev.targets, multi_label=multi_label)
    return recurrent + np.float32(share) * linear, share


def with_linear_share(weights: dict[str, torch.Tensor], share: float) -> dict[str, torch.Tensor]:
    """Return a network's weights with its linear branch, if there is one, multiplied by a share."""
    if _PROJECTION not in weights:
        return weights
    return {**weights, _PROJECTION: weights[_PROJECTION] * share}


def _train_epoch(
    model: TextClassifier,
    optimizer: Optimizer,
    objective: Objective,
    config: TrainingConfig,
    train: Dataset,
    *,
    average: Average | None,
    number: int,
    first_step: int,
    progress: Progress,
) -> float:
    """Make one pass over the rows and return the mean loss."""
    device = model.embedding.weight.device
    model.train()
    total = 0.0
    batches = train.shuffled_batches(config.batch_size, seed=config.seed, epoch=number)
    for step, batch in enumerate(batches, start=first_step):
        rows = len(batch.lengths)
        optimizer.clear()
        total += objective.backward(model, batch.to(device)) * rows
        optimizer.step(step)
        if average is not None:
            average.update(step)
        progress.step(rows)
    return total / len(train)


def _finished(state: TrainingState, config: TrainingConfig) -> bool:
    done = len(state.history)
    if done == 0:
        return False
    last = state.history[-1]
    # A perfect dev alone says little where it is small: the network may still be learning.
    if last.perfect and last.train_loss < _LEARNED:
        return True
    return done >= config.epochs or done - state.best_epoch >= config.patience


def _copied(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
