"""Settings of fine-tuning, validated where they are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from textgate.bundle.architecture import TaskSetting
from textgate.bundle.schema import Range
from textgate.train.training.config import DevFraction, Seed
from textgate.train.training.settings import Config


@dataclass(frozen=True)
class FinetuningConfig(Config):
    """Every setting of fine-tuning.

    Attributes:
        epochs: passes over the training rows.
        batch_size: rows per step.
        learning_rate: peak learning rate of AdamW, reached after a tenth of the steps; it then
            falls to 0.
        head_dropout: fraction of the encoder's mean state dropped.
        max_tokens: maximum number of tokens read from a text, special ones included; the encoder
            may read fewer.
        task: ``single-label``, ``multi-label``, or ``auto``, which decides by the rows.
        dev_fraction: fraction of the rows held out for dev when no dev file is given.
        seed: seed of the held-out rows, the head's initial weights, the order and the dropout.

    Raises:
        ConfigError: a setting is of the wrong type or out of range.
    """

    epochs: Annotated[int, Range(1, 1000)] = 3
    batch_size: Annotated[int, Range(1, 100_000)] = 32
    learning_rate: Annotated[float, Range(1e-9, 1)] = 5e-5
    head_dropout: Annotated[float, Range(0, 0.99)] = 0.1
    max_tokens: Annotated[int, Range(8, 100_000)] = 128
    task: TaskSetting = "auto"
    dev_fraction: DevFraction = 0.1
    seed: Seed = 0
