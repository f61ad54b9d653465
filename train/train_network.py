"""Training of a prepared network, and the choices that dev rows or folds make for it."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from textgate.bundle.run import FOLDS, TEACHING
from textgate.messages import counted
from textgate.train.training.calibration import bounded_temperature, fit_temperature
from textgate.train.training.checkpoint import Epoch, TrainedModel
from textgate.train.training.crossvalidation import CrossValidation
from textgate.train.training.fold_trainers import FinalTrainer
from textgate.train.training.initialization import can_be_probed
from textgate.train.training.loop import train_epochs
from textgate.train.training.objective import label_weights
from textgate.train.training.probe import find_space, pooled_states, solve_heads
from textgate.train.training.scoring import dev_metrics, probabilities
from textgate.train.training.solver import solutions
from textgate.train.training.trainer import Trainer, predict_logits, scale_parts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from textgate.train.data.folds import Folds
    from textgate.train.preparation import Preparation
    from textgate.train.training.checkpoint import TrainingState
    from textgate.train.training.crossvalidation import FoldChoices, Report
    from textgate.train.training.folder import RunFolder
    from textgate.train.training.initialization import Initialization
    from textgate.train.training.progress import Progress

_FEW_DEV_ROWS = 200  # with fewer the temperature is bounded


@dataclass(frozen=True)
class TrainingResult:
    """A trained network.

    Attributes:
        model: its weights, their quality on dev or out of fold, and every epoch.
        out_of_fold: out-of-fold probabilities of the dev rows, float32 [rows, labels]; None if
            dev rows were held out.
    """

    model: TrainedModel
    out_of_fold: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Answers:
    """A network's answers to the dev rows.

    Attributes:
        logits: float32 [rows, labels], before the temperature.
        temperature: their divisor.
    """

    logits: NDArray[np.float32]
    temperature: float


def train_network(
    ready: Preparation,
    folder: RunFolder[Epoch],
    state: TrainingState[Epoch] | None,
    *,
    device: torch.device,
    progress: Progress,
) -> TrainingResult:
    """Train a prepared network.

    Args:
        ready: the rows, the settings and the initial values.
        folder: the run's folder, for checkpoints.
        state: the checkpoint to resume from; None to start.
        device: where to compute.
        progress: receives notes, steps and epochs.

    Raises:
        ConfigError: training diverged.
        CheckpointError: a file of the folder is damaged or cannot be written.
    """
    if ready.folds:
        return _train_with_folds(
            ready, ready.folds, folder, state, device=device, progress=progress
        )
    return TrainingResult(_train_with_dev(ready, folder, state, device=device, progress=progress))


def initialized(
    ready: Preparation, initialization: Initialization, progress: Progress, *, probed: bool = True
) -> Initialization:
    """Return initial values with the solutions that dev rows chose.

    Args:
        ready: the rows and the settings.
        initialization: its initial values, after the teachers have answered.
        progress: receives a note about each solution.
        probed: whether to solve the head, too.
    """
    config, architecture = ready.config, ready.manifest.architecture
    found = initialization.solved(
        ready.train,
        ready.dev,
        architecture,
        class_weights=config.class_weights,
        progress=progress,
    )
    if not probed or not can_be_probed(found, architecture):
        return found
    return found.probed(
        found.network(architecture, seed=config.seed),
        ready.train,
        ready.dev,
        class_weights=config.class_weights,
        progress=progress,
    )


def answers_on_dev(
    ready: Preparation, initialization: Initialization, weights: Mapping[str, torch.Tensor]
) -> Answers:
    """Return the answers of a network with these weights to the dev rows.

    Args:
        ready: the rows and the settings.
        initialization: the initial values that the network was trained from.
        weights: its weights.
    """
    architecture = ready.manifest.architecture
    network = initialization.network(architecture, seed=ready.config.seed)
    network.load_state_dict(weights)
    logits, targets = predict_logits(network, ready.dev), ready.dev.targets
    fit = bounded_temperature if len(targets) < _FEW_DEV_ROWS else fit_temperature
    temperature = fit(
        logits, targets, multi_label=architecture.task == "multi-label", weights=ready.dev.weights
    )
    return Answers(logits, temperature)


def cross_validated(
    ready: Preparation,
    folds: Folds,
    *,
    kept: Path | None,
    device: torch.device,
    progress: Progress,
    report: Report | None = None,
) -> FoldChoices:
    """Return what the folds choose for a prepared network.

    Args:
        ready: the rows, the settings and the initial values.
        folds: the folds.
        kept: file that keeps the results of finished folds; None for none.
        device: where to compute.
        progress: receives the steps.
        report: is called after each fold, as for `CrossValidation`.
    """
    config, architecture, begun = ready.config, ready.manifest.architecture, ready.initialization
    probed = can_be_probed(begun, architecture)
    encoder = begun.network(architecture, seed=config.seed) if probed else None
    return CrossValidation(
        architecture,
        config,
        ready.train,
        targets=ready.dev.targets,
        weights=ready.dev.weights,
        folds=folds,
        initialization=begun,
        device=device,
        kept=kept,
        progress=progress,
        report=report,
    ).choose(encoder)


def _train_with_dev(
    ready: Preparation,
    folder: RunFolder[Epoch],
    state: TrainingState[Epoch] | None,
    *,
    device: torch.device,
    progress: Progress,
) -> TrainedModel:
    config, initialization = ready.config, ready.initialization
    if ready.distillation is not None:
        ready.distillation.mix(
            ready.train.targets,
            weight=config.teacher_weight,
            kept=folder.path / TEACHING,
            device=device,
            progress=progress,
        )
        initialization = initialization.reweighted(ready.train)
    # The weights of a checkpoint replace the head.
    initialization = initialized(ready, initialization, progress, probed=state is None)
    trainer = Trainer(
        ready.manifest.architecture,
        config,
        ready.train,
        ready.dev,
        device=device,
        initialization=initialization,
        state=state,
    )
    if config.frozen:
        trainer.capture()
        _, trainer.state.best_weights = trainer.evaluate(0, 0.0, time.perf_counter())
    else:
        train_epochs(trainer, folder.save_checkpoint, progress)
    answers = answers_on_dev(ready, initialization, trainer.state.best_weights)
    return _model(
        ready,
        trainer.state.best_weights,
        answers.logits,
        answers.temperature,
        history=trainer.state.history,
        best_epoch=trainer.state.best_epoch,
    )


def _train_with_folds(
    ready: Preparation,
    folds: Folds,
    folder: RunFolder[Epoch],
    state: TrainingState[Epoch] | None,
    *,
    device: torch.device,
    progress: Progress,
) -> TrainingResult:
    config, architecture = ready.config, ready.manifest.architecture
    chosen = cross_validated(
        ready, folds, kept=folder.path / FOLDS, device=device, progress=progress
    )
    _report(chosen, folds.count, progress)
    initialization = _solved(ready, chosen)
    history: list[Epoch] = []
    if chosen.epochs:
        trainer = FinalTrainer(
            architecture,
            config.replace(epochs=chosen.epochs),
            ready.train,
            chosen.history,
            fraction=chosen.fraction,
            device=device,
            initialization=initialization,
            state=state,
        )
        train_epochs(trainer, folder.save_checkpoint, progress)
        weights, history = trainer.state.best_weights, trainer.state.history
    else:
        network = initialization.network(architecture, seed=config.seed)
        weights = dict(network.state_dict())
    model = _model(
        ready,
        scale_parts(weights, chosen.network_scale, chosen.linear_scale),
        chosen.logits,
        chosen.temperature,
        history=history,
        best_epoch=chosen.epochs,
    )
    multi_label = architecture.task == "multi-label"
    return TrainingResult(
        model, probabilities(chosen.logits, chosen.temperature, multi_label=multi_label)
    )


def _solved(ready: Preparation, chosen: FoldChoices) -> Initialization:
    """Return the initial values with what is solved on all rows, with the chosen penalties."""
    architecture, train = ready.manifest.architecture, ready.train
    weights = label_weights(train.targets, ready.config.class_weights, train.weights)
    found = ready.initialization
    if chosen.linear_penalty is not None and found.features is not None:
        (solution,) = solutions(
            found.features,
            train,
            output=architecture.output,
            weights=weights,
            penalties=(chosen.linear_penalty,),
        )
        found = dataclasses.replace(found, solution=solution)
    if chosen.head_penalty is not None:
        pooled = pooled_states(found.network(architecture, seed=ready.config.seed), train)
        (head,) = solve_heads(
            find_space(pooled, found.projection),
            pooled,
            train.targets,
            output=architecture.output,
            weights=weights,
            row_weights=train.weights,
            penalties=(chosen.head_penalty,),
        )
        found = dataclasses.replace(found, head=head)
    return found


def _report(chosen: FoldChoices, folds: int, progress: Progress) -> None:
    parts = []
    if np.isfinite(chosen.linear_loss):
        parts.append(f"linear branch alone {chosen.linear_loss:.4f}")
    if np.isfinite(chosen.frozen_loss):
        parts.append(f"frozen encoder alone {chosen.frozen_loss:.4f}")
    parts += [f"epoch {epoch.number} {epoch.dev_loss:.4f}" for epoch in chosen.history[-1:]]
    progress.note(f"log loss out of fold, {folds} folds: {', '.join(parts)}")
    if not chosen.network_scale:
        progress.note("the linear branch alone is best, so the network adds nothing to it")
    else:
        trained = (
            counted(chosen.epochs, "epoch", "epochs") if chosen.epochs else "the frozen encoder"
        )
        if 0 < chosen.fraction < 1:
            trained += " and the mean of the weights before and after"
        progress.note(f"chosen out of fold: {trained}; trained on all rows with that")


def _model(
    ready: Preparation,
    weights: dict[str, torch.Tensor],
    logits: NDArray[np.float32],
    temperature: float,
    *,
    history: list[Epoch],
    best_epoch: int,
) -> TrainedModel:
    """Return the model with its quality by logits of the dev rows, and its floor."""
    manifest = ready.manifest
    return TrainedModel(
        weights=weights,
        temperature=temperature,
        metrics=dev_metrics(
            logits,
            ready.dev.targets,
            manifest.labels,
            multi_label=manifest.architecture.task == "multi-label",
            temperature=temperature,
        ),
        history=history,
        best_epoch=best_epoch,
    )
