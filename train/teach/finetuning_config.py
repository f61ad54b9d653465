"""The settings of fine-tuning, validated where they are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from textgate.errors import ConfigError
from textgate.train.fit.config import TASKS
from textgate.train.fit.settings import changed, check_ranges, check_types

_RANGES = (
    ("epochs", 1, 1000),
    ("batch_size", 1, 100_000),
    ("learning_rate", 1e-9, 1),
    ("head_dropout", 0, 0.99),
    ("max_tokens", 8, 100_000),
    ("dev_fraction", 0.01, 0.5),
    ("seed", 0, 2**31 - 1),
)


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
        ConfigError: a setting is of the wrong type or out of range.
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
        check_types(self)
        check_ranges(self, _RANGES)
        if self.task not in TASKS:
            raise ConfigError(f"task must be one of {', '.join(TASKS)}, not {self.task!r}")

    def replace(self, **changes: Any) -> FinetuningConfig:
        """Return the settings with some changed.

        Raises:
            ConfigError: a name that is not a setting, or a value out of range.
        """
        return changed(self, changes)
