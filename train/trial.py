"""A trial of tuning: a network trained with some settings and scored, without a folder."""

from __future__ import annotations

import dataclasses
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np

from textgate.train.preparation import prepare
from textgate.train.train_network import (
    Answers,
    answers_on_dev,
    cross_validated,
    initialized,
)
from textgate.train.training.calibration import row_losses
from textgate.train.training.checkpoint import Epoch
from textgate.train.training.loop import train_epochs
from textgate.train.training.presets import RECIPE
from textgate.train.training.progress import Progress
from textgate.train.training.scoring import evaluate_logits
from textgate.train.training.trainer import Trainer
from textgate.train.tuning.space import STRUCTURAL
from textgate.train.tuning.trials import Answered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch

    from textgate.train.data.dataset import Dataset
    from textgate.train.preparation import Preparation, Sources
    from textgate.train.training.checkpoint import EpochResult
    from textgate.train.training.initialization import Initialization

    _Key = tuple[bool, tuple[tuple[str, Any], ...]]

_MAX_KEPT = 4  # preparations that are kept for further trials


class OutOfTimeError(Exception):
    """The time of the tuning is over."""


class HopelessError(Exception):
    """Other trials had lower losses at the same time."""


class Watch(Progress):
    """Progress of a trial, which ends it when its time is over or others are better.

    Args:
        progress: receives the steps.
        name: name of the trial.
        deadline: value of `time.monotonic` at which it ends.
        is_hopeless: is called with each step and loss, and returns whether to give up.

    Attributes:
        losses: log loss on dev after each epoch, or out of fold after each fold.
    """

    def __init__(
        self,
        progress: Progress,
        name: str,
        deadline: float,
        is_hopeless: Callable[[int, float], bool],
    ) -> None:
        self._progress, self._name, self._deadline = progress, name, deadline
        self._is_hopeless = is_hopeless
        self.losses: list[float] = []

    def begin(self, what: str, rows: int) -> None:
        """Begin a part of the trial."""
        self._check()
        self._progress.begin(f"{self._name}, {what}", rows)

    def end(self) -> None:
        """End it."""
        self._progress.end()

    def begin_epoch(self, number: int, rows: int) -> None:
        """Begin an epoch."""
        self.begin(f"epoch {number}", rows)

    def step(self, rows: int) -> None:
        """Go on, if there is time."""
        self._check()
        self._progress.step(rows)

    def end_epoch(self, epoch: EpochResult, **_: object) -> None:
        """End an epoch, and give up if it is hopeless."""
        self.end()
        if isinstance(epoch, Epoch):
            self.report(epoch.number, epoch.dev_loss)

    def report(self, step: int, loss: float) -> None:
        """Keep the loss after an epoch or a fold, and give up if it is hopeless."""
        self.losses.append(loss)
        if self._is_hopeless(step, loss):
            raise HopelessError

    def _check(self) -> None:
        if monotonic() >= self._deadline:
            raise OutOfTimeError


class Laboratory:
    """Trains the networks of trials, and keeps what several of them have in common.

    Args:
        sources: what they are trained from.
        given: the settings that the user gave, by name.
        device: where to compute.
    """

    def __init__(self, sources: Sources, given: Mapping[str, Any], device: torch.device) -> None:
        self._sources, self._given, self._device = sources, dict(given), device
        self._prepared: dict[_Key, Preparation] = {}
        self._initialized: dict[tuple[_Key, int], Initialization] = {}

    def prepared(self, settings: Mapping[str, Any], *, encoder: bool = True) -> Preparation:
        """Return what is settled before the first step.

        Args:
            settings: the settings that differ from the recipe's.
            encoder: whether to begin as the recipe does; False begins without the encoder.

        Raises:
            DataError: the rows are missing, malformed or do not suit a classifier.
            ConfigError: settings are wrong or in conflict.
        """
        key = _key(settings, encoder=encoder)
        if key not in self._prepared:
            _make_room(self._prepared)
            sources = self._sources
            if not encoder:
                sources = dataclasses.replace(sources, pretrained=None, packaged=False)
            self._prepared[key] = prepare(sources, RECIPE, {**self._given, **dict(key[1])})
        ready = self._prepared[key]
        config = ready.config.replace(**settings)
        architecture = dataclasses.replace(
            ready.manifest.architecture,
            embedding_dropout=config.embedding_dropout,
            layer_dropout=config.layer_dropout,
            head_dropout=config.head_dropout,
        )
        manifest = dataclasses.replace(ready.manifest, architecture=architecture)
        return dataclasses.replace(ready, config=config, manifest=manifest)

    def train(
        self, settings: Mapping[str, Any], watch: Watch, *, encoder: bool = True, sample: int = 0
    ) -> Answered:
        """Train a network and return its answers to the dev rows, or out of fold.

        Args:
            settings: the settings that differ from the recipe's.
            watch: receives the progress and may end it.
            encoder: as for `prepared`.
            sample: number of training rows, which are drawn; 0 for all.

        Raises:
            OutOfTimeError: by `watch`.
            HopelessError: by `watch`.
            ConfigError: training diverged, or settings are in conflict.
        """
        ready = self.prepared(settings, encoder=encoder)
        if ready.folds:
            choices = cross_validated(
                ready,
                ready.folds,
                kept=None,
                device=self._device,
                progress=watch,
                report=watch.report,
            )
            return _answered(ready, Answers(choices.logits, choices.temperature))
        if sample:
            ready = dataclasses.replace(ready, train=_sampled(ready, sample))
        kept = _key(settings, encoder=encoder), sample
        if kept not in self._initialized:
            _make_room(self._initialized)
            self._initialized[kept] = initialized(ready, ready.initialization, watch)
        initialization = self._initialized[kept]
        trainer = Trainer(
            ready.manifest.architecture,
            ready.config,
            ready.train,
            ready.dev,
            device=self._device,
            initialization=initialization,
        )
        train_epochs(trainer, lambda _: None, watch)
        answers = answers_on_dev(ready, initialization, trainer.state.best_weights)
        return _answered(ready, answers)


def _key(settings: Mapping[str, Any], *, encoder: bool) -> _Key:
    """Return what trials with the same preparation have in common."""
    return encoder, tuple((name, settings[name]) for name in STRUCTURAL if name in settings)


def _make_room(kept: dict[Any, Any]) -> None:
    """Forget what was kept first, but for the recipe's own."""
    if len(kept) > _MAX_KEPT:
        del kept[list(kept)[1]]


def _sampled(ready: Preparation, count: int) -> Dataset:
    """Return training rows that are drawn, the same ones for all trials."""
    generator = np.random.default_rng([ready.config.seed, 5])
    return ready.train.subset(np.sort(generator.permutation(len(ready.train))[:count]))


def _answered(ready: Preparation, answers: Answers) -> Answered:
    targets, logits = ready.dev.targets, answers.logits
    multi_label = ready.manifest.architecture.task == "multi-label"
    quality = evaluate_logits(logits, targets, ready.manifest.labels, multi_label=multi_label)
    if multi_label:
        right = ((logits >= 0.0) == (targets > 0.5)).all(axis=1)
    else:
        right = logits.argmax(axis=1) == targets.argmax(axis=1)
    calibrated = logits / np.float32(answers.temperature)
    losses = row_losses(calibrated, targets, multi_label=multi_label)
    if ready.dev.weights is not None:  # so that the mean is the weighted one
        losses = losses * (ready.dev.weights / ready.dev.weights.mean())
    return Answered(
        losses.astype(np.float32), right, quality.macro_f1 if multi_label else quality.accuracy
    )
