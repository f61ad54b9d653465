"""Settings of pretraining, by default those of the default preset's network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from textgate.errors import ConfigError
from textgate.train.fit.config import TrainingConfig
from textgate.train.fit.presets import PRESETS, RECIPE
from textgate.train.fit.settings import changed

_DEFAULT = PRESETS[RECIPE]


@dataclass(frozen=True)
class PretrainingConfig:
    """Settings of pretraining a language model.

    Attributes:
        cell: ``rnn``, ``lstm`` or ``gru``.
        hidden_size: units of the recurrent layer, which is unidirectional.
        embedding_size: columns of the embedding.
        vocabulary_size: maximum number of tokens of the subword tokenizer.
        vectors: vectors that initialize the embedding, as in `textgate.train.TrainingConfig`.
        max_tokens: maximum number of tokens read from a text, at least 2.
        epochs: number of passes over the texts.
        batch_size: texts per step.
        learning_rate: peak learning rate of Adam; that of the embedding is half of it.
        embedding_dropout: fraction of the embedded inputs that is dropped.
        state_dropout: fraction of the states that is dropped before the projection.
        samples: number of tokens drawn per step as negatives.
        checkpoint_steps: steps between two checkpoints within an epoch.
        seed: seed of the held-out texts, the initial weights, the order of the texts, dropout and
            the samples.

    Raises:
        ConfigError: a setting is of the wrong type or out of range.
    """

    cell: str = _DEFAULT.cell
    hidden_size: int = _DEFAULT.hidden_sizes[0]
    embedding_size: int = _DEFAULT.embedding_size
    vocabulary_size: int = _DEFAULT.vocabulary_size
    vectors: str = _DEFAULT.vectors
    max_tokens: int = _DEFAULT.max_tokens
    epochs: int = 4
    batch_size: int = 32
    learning_rate: float = 5e-3
    embedding_dropout: float = 0.1
    state_dropout: float = 0.1
    samples: int = 2048
    checkpoint_steps: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("hidden_size", "samples", "checkpoint_steps"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 2**24:
                raise ConfigError(f"{name} must be a whole number from 1 to {2**24}, not {value!r}")
        if self.max_tokens == 1:
            raise ConfigError("max_tokens must be 2 or more, not 1: a token has to follow another")
        if not 0 <= self.state_dropout < 1:
            raise ConfigError(f"state_dropout must be from 0 to below 1, not {self.state_dropout}")
        self.training()

    def training(self) -> TrainingConfig:
        """Return the settings of a classifier that starts from these.

        Raises:
            ConfigError: a setting that they share is wrong.
        """
        return _DEFAULT.replace(
            cell=self.cell,
            hidden_sizes=(self.hidden_size,),
            embedding_size=self.embedding_size,
            vocabulary_size=self.vocabulary_size,
            vectors=self.vectors,
            max_tokens=self.max_tokens,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            schedule="cosine",
            embedding_dropout=self.embedding_dropout,
            seed=self.seed,
        )

    def replace(self, **changes: Any) -> PretrainingConfig:
        """Return the settings with some changed.

        Raises:
            ConfigError: a name that is not a setting, or a value out of range.
        """
        return changed(self, changes)
