"""Settings of pretraining, with a default for each of the two objectives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from textgate.bundle.architecture import Cell, Dropout, Size
from textgate.bundle.schema import Range
from textgate.train.training.config import (
    BatchSize,
    Epochs,
    LearningRate,
    MaxVocabulary,
    Seed,
    TrainingConfig,
)
from textgate.train.training.presets import PRESETS, RECIPE
from textgate.train.training.settings import Config

_DEFAULT = PRESETS[RECIPE]


@dataclass(frozen=True)
class PretrainingConfig(Config):
    """Every setting of pretraining; with the texts and the teacher they decide the result.

    The defaults are those of a language model with the default preset's network. Those of a
    sentence encoder are `DISTILLATION`.

    Attributes:
        cell: ``rnn``, ``lstm`` or ``gru``.
        hidden_size: units of the recurrent layer, which reads in one direction: a bidirectional
            language model would see the token that it predicts.
        embedding_size: columns of the embedding.
        vocabulary_size: maximum number of subword tokens.
        vectors: initial rows of the embedding, as for `textgate.train.TrainingConfig`.
        max_tokens: tokens of a text that are read; 2 or more, because a token has to follow.
        epochs: passes over the texts.
        batch_size: texts per step.
        learning_rate: peak learning rate of Adam; in a language model the embedding has half of it.
        embedding_dropout: fraction of the embedded inputs dropped.
        state_dropout: fraction of a language model's states dropped before they are projected.
        samples: tokens drawn per step, from which the loss of a language model tells the right
            ones.
        checkpoint_steps: steps after which a checkpoint is written, besides one after each epoch.
        seed: seed of the held-out texts, the initial weights, the order, the dropout and the
            samples.

    Raises:
        ConfigError: a setting is of the wrong type or out of range, or settings conflict.
    """

    cell: Cell = _DEFAULT.cell
    hidden_size: Size = _DEFAULT.hidden_sizes[0]
    embedding_size: Size = _DEFAULT.embedding_size
    vocabulary_size: MaxVocabulary = _DEFAULT.vocabulary_size
    vectors: str = _DEFAULT.vectors
    max_tokens: Annotated[int, Range(2, 1_000_000)] = _DEFAULT.max_tokens
    epochs: Epochs = 4
    batch_size: BatchSize = 32
    learning_rate: LearningRate = 5e-3
    embedding_dropout: Dropout = 0.1
    state_dropout: Dropout = 0.1
    samples: Size = 2048
    checkpoint_steps: Size = 200
    seed: Seed = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.training()

    def training(self) -> TrainingConfig:
        """Return the settings of a classifier with this network and these rates.

        Raises:
            ConfigError: settings conflict.
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
            embedding_dropout=self.embedding_dropout,
            seed=self.seed,
        )


# With a teacher: the network of the default preset is too small to hold what it knows.
DISTILLATION = PretrainingConfig(
    hidden_size=382,
    vocabulary_size=24_000,
    max_tokens=64,
    epochs=6,
    batch_size=192,
    learning_rate=2e-3,
)
