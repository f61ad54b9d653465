"""Settings of fine-tuning, validated on creation."""

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
    """Settings of fine-tuning a transformer.

    Attributes:
        epochs: number of passes over the training rows, 1 to 1000.
        batch_size: rows per step.
        learning_rate: peak learning rate of AdamW, reached after a tenth of the steps; it then
            decays linearly to 0.
        head_dropout: fraction of the encoder's mean state that is dropped, 0 to 0.99.
        max_tokens: maximum number of tokens read from a text, including special tokens; the
            encoder may read fewer.
        task: ``single-label``, ``multi-label``, or ``auto``, which is multi-label if a row has
            several labels or none.
        dev_fraction: fraction of the rows held out if no dev rows are given, 0.01 to 0.5.
        seed: seed of the held-out rows, the initial weights of the head, the order of the rows and
            dropout.

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
