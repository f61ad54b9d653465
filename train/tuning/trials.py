"""Trials of a tuning, and the file beside the run that keeps them until it is finished.

The file is one of tensors whose header holds the rest as JSON, as checkpoints are. It is written
anew after every trial, so that an interruption at any moment loses only the trial that it met.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from textgate.bundle.schema import Count, Location, NonNegative, Sha256, decode
from textgate.bundle.strict_json import Format
from textgate.errors import CheckpointError
from textgate.train.training.checkpoint import read_tensors, reporting_damage, write_tensors
from textgate.train.training.settings import named_settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

State = Literal["finished", "given up", "out of time", "failed", "over the limit"]

TABLE = Format(
    "textgate-tuning", version=1, limit=2**26, remedy="tune again, or use that release of textgate"
)
_LOSSES, _RIGHT = "losses", "right"  # groups of tensors


@dataclass(frozen=True)
class Trial:
    """One trial.

    Attributes:
        number: 0 for the default recipe.
        state: ``finished``; ``given up``, as others had lower losses; ``out of time``; ``failed``,
            as training diverged; or ``over the limit`` of size or latency.
        settings: the settings that differ from the default recipe's.
        encoder: whether it begins as the default recipe does; False begins without the encoder.
        parameters: what was drawn, as the search names it.
        rows: number of training rows.
        seconds: duration.
        losses: log loss on dev after each epoch, or out of fold after each fold.
        log_loss: the result: calibrated log loss in nats on dev or out of fold; None unless
            finished.
        score: accuracy, or macro-F1 for multi-label; None unless finished.
        bundle_bytes: estimated size of its int8 bundle.
        latency_ms: estimated time of a text of median length, in milliseconds; None if it was not
            asked for.
    """

    number: Count
    state: State
    settings: dict[str, Any]
    encoder: bool
    parameters: dict[str, Any]
    rows: Count
    seconds: NonNegative
    losses: tuple[float, ...] = ()
    log_loss: float | None = None
    score: float | None = None
    bundle_bytes: Count = 0
    latency_ms: float | None = None


@dataclass(frozen=True)
class Inputs:
    """What the trials of one tuning have in common.

    Attributes:
        textgate: version of textgate.
        train: fingerprint of the training rows.
        dev: fingerprint of the dev rows.
        folds: checksum of the folds; None with dev rows.
        settings: the settings that the user gave.
        pretrained: checksum of the weights to start from; None without.
    """

    textgate: str
    train: Sha256
    dev: Sha256
    folds: str | None
    settings: dict[str, Any]
    pretrained: str | None


@dataclass(frozen=True)
class Answered:
    """A trial's answers to the dev rows.

    Attributes:
        losses: calibrated log loss of each row, float32 [rows].
        right: whether all labels of a row are right, bool [rows].
        score: accuracy, or macro-F1 for multi-label.
    """

    losses: NDArray[np.float32]
    right: NDArray[np.bool_]
    score: float

    @property
    def loss(self) -> float:
        """Mean log loss."""
        return float(self.losses.mean(dtype=np.float64))


@dataclass
class Record:
    """The trials of a tuning so far.

    Attributes:
        inputs: what they have in common.
        trials: the trials in order.
        answers: the answers of finished trials on all training rows, by number.
        sample: number of training rows of the first trials, 0 for all; None before it is decided.
    """

    inputs: Inputs
    trials: list[Trial]
    answers: dict[int, Answered]
    sample: int | None = None

    @property
    def seconds(self) -> float:
        """Duration of all trials."""
        return sum(trial.seconds for trial in self.trials)

    def write(self, path: Path) -> None:
        """Write the file atomically.

        Raises:
            CheckpointError: it cannot be written; an older file is unchanged.
        """
        tensors = {}
        for number, one in self.answers.items():
            tensors[f"{_LOSSES}/{number}"] = torch.from_numpy(one.losses)
            tensors[f"{_RIGHT}/{number}"] = torch.from_numpy(one.right)
        values = _Values(self.inputs, tuple(self.trials), self.sample)
        write_tensors(path, tensors, dataclasses.asdict(values))


@dataclass(frozen=True)
class _Values:
    """The JSON part of the file."""

    inputs: Inputs
    trials: tuple[Trial, ...]
    sample: Count | None


@dataclass(frozen=True)
class Table:
    """Content of ``tuning.json``.

    Attributes:
        budget_seconds: the time that was given.
        seconds: the duration of all trials.
        measured_on: where losses and scores were measured.
        limits: the limits of size and latency by name; {} without.
        chosen: number of the chosen trial.
        expected: its accuracy and log loss on new rows, estimated without the optimism of the
            choice; {} if there was nothing to choose from.
        trials: all trials.
    """

    budget_seconds: float
    seconds: float
    measured_on: str
    limits: dict[str, float]
    chosen: int
    expected: dict[str, float]
    trials: tuple[Trial, ...]

    def to_json(self) -> str:
        """Return the text of the file."""
        return TABLE.to_text(self)


def read_record(path: Path, wanted: Inputs) -> Record:
    """Return the trials that a file keeps.

    Args:
        path: the file.
        wanted: what the trials must have in common.

    Raises:
        CheckpointError: it is damaged, or its trials are of other rows, settings, or another
            release.
    """
    location = Location(str(path), CheckpointError)
    try:
        with reporting_damage(path):
            tensors, values = read_tensors(path)
    except CheckpointError as problem:
        raise CheckpointError(f"{problem}; replace the trials with --force") from None
    found = decode(_Values, values, location)
    _require_same(path, found.inputs, wanted)
    trials = [
        dataclasses.replace(trial, settings=named_settings(trial.settings))
        for trial in found.trials
    ]
    with reporting_damage(path):
        answers = {
            trial.number: _answered(tensors, trial)
            for trial in trials
            if f"{_LOSSES}/{trial.number}" in tensors
        }
    return Record(wanted, trials, answers, found.sample)


def _answered(tensors: Mapping[str, torch.Tensor], trial: Trial) -> Answered:
    if trial.score is None:
        raise ValueError(f"trial {trial.number} has answers but no score")
    losses = tensors[f"{_LOSSES}/{trial.number}"].numpy()
    return Answered(losses, tensors[f"{_RIGHT}/{trial.number}"].numpy(), trial.score)


def _require_same(path: Path, begun: Inputs, wanted: Inputs) -> None:
    """Refuse trials that cannot be compared with new ones."""
    differences = {
        "textgate": f"by textgate {begun.textgate}, and this is {wanted.textgate}",
        "settings": "with other settings",
        "train": "with other training rows",
        "dev": "with other dev rows",
        "folds": "with other folds",
        "pretrained": "from another encoder",
    }
    kept, given = named_settings(begun.settings), named_settings(wanted.settings)
    for name, difference in differences.items():
        same = (
            kept == given if name == "settings" else getattr(begun, name) == getattr(wanted, name)
        )
        if not same:
            raise CheckpointError(
                f"{path}: its trials were made {difference}; give the same, or replace them with "
                "--force"
            )
