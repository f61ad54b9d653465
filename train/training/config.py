"""Settings of training, validated where they are made."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from textgate.bundle.architecture import (
    MAX_SIZE,
    Architecture,
    Cell,
    Dropout,
    MaxTokens,
    OptionalSize,
    Output,
    Pooling,
    Size,
    Task,
    TaskSetting,
    layers,
    parameter_count,
)
from textgate.bundle.manifest import GRAPH, MAX_FILE_BYTES
from textgate.bundle.schema import Fraction, Range
from textgate.errors import CheckpointError, ConfigError
from textgate.train.training.settings import Config, named_settings

if TYPE_CHECKING:
    from pathlib import Path

Tokenizer = Literal["words", "subwords"]
Criterion = Literal["score", "loss"]
TASKS: tuple[TaskSetting, ...] = get_args(TaskSetting)
TOKENIZERS: tuple[Tokenizer, ...] = get_args(Tokenizer)
CRITERIA: tuple[Criterion, ...] = get_args(Criterion)

# Types of settings that several commands have.
MaxVocabulary = Annotated[int, Range(3, MAX_SIZE)]
Epochs = Annotated[int, Range(1, 100_000)]
BatchSize = Annotated[int, Range(1, 1_000_000)]
LearningRate = Annotated[float, Range(0, 100, above=True)]
DevFraction = Annotated[float, Range(0.01, 0.5)]
Folds = Annotated[int, Range(0, 100)]
Seed = Annotated[int, Range(0, 2**31 - 1)]

_MIN_SUBWORD_VOCABULARY = 512
_MAX_PARAMETERS = MAX_FILE_BYTES[GRAPH]  # one byte each, in a graph of the largest size


@dataclass(frozen=True)
class TrainingConfig(Config):
    """Every setting of training; with the rows it decides the result.

    Attributes:
        cell: ``rnn``, ``lstm`` or ``gru``.
        embedding_size: columns of the embedding.
        hidden_sizes: units of each recurrent layer, per direction.
        bidirectional: whether the layers also read backwards; such a network cannot stream.
        pooling: how states become one vector, see `textgate.bundle.architecture.Architecture`.
        dense_sizes: units of the hidden dense layers.
        embedding_dropout: fraction of the embedded inputs dropped.
        layer_dropout: fraction dropped between recurrent layers.
        head_dropout: fraction of the pooled vector dropped.
        one_unit: whether two labels are told apart by one sigmoid unit instead of a softmax.
        vocabulary_size: maximum number of tokens, padding and the unknown token included.
        whole_vocabulary: whether the embedding has `vocabulary_size` rows even if the training
            texts have fewer words, as the reference networks do.
        max_tokens: tokens of a text that are read.
        tokenizer: ``words``, where a rare word is the unknown token, or ``subwords``, where it is
            split into pieces.
        vectors: initial rows of the embedding: ``none`` for random ones, ``english`` for the
            vectors in the package, or a file, see `textgate.train.text.vectors`.
        linear_size: columns of the linear branch's tables, 0 for no branch.
        linear_buckets: maximum number of rows of the branch's table of bigrams.
        linear_dropout: fraction of the branch's tokens and bigrams dropped.
        linear_rate: learning rate of the branch's tables.
        class_weights: power of the inverse label frequency that weights the rows: 0 counts all
            alike, 1 balances the labels.
        teacher_weight: weight of a teacher's answer against a labelled row's own target, from 0 to
            1; texts without labels have the answer alone.
        adversarial: length of the adversarial perturbation of a text's embedding, in units of the
            root mean square of an embedded token (Miyato et al. 2017); 0 for none.
        task: ``single-label``, ``multi-label``, or ``auto``, which decides by the rows.
        epochs: maximum number of passes over the training rows.
        patience: epochs without progress on dev after which training stops.
        batch_size: rows per step.
        learning_rate: learning rate of Adam.
        embedding_rate: learning rate of the embedding, as a multiple of that.
        average: decay of the moving average of the weights, which is scored and kept; 0 keeps the
            weights themselves.
        sparse: whether a step updates only those rows of the tables that its batch read, as lazy
            Adam does.
        gradient_norm: longer gradients are scaled down to this norm.
        criterion: measure on dev that chooses the best epoch: ``score`` (accuracy, or macro-F1 of a
            multi-label task, then the log loss), or ``loss``, the calibrated log loss, which varies
            less where dev has few rows.
        folds: number of folds of cross-validation, which chooses with few rows; 0 holds out dev
            rows instead.
        frozen: whether pretrained layers stay as they are, so that only the head and the linear
            branch are trained.
        encoder_rate: learning rate of pretrained recurrent layers, as a multiple of the rate.
        dev_fraction: fraction of the training rows held out for dev when no dev file is given.
        seed: seed of the held-out rows, the initial weights, the order and the dropout.

    Raises:
        ConfigError: a setting is of the wrong type or out of range, or settings conflict.
    """

    # Settings of earlier releases, with the values that switched them off.
    REMOVED = MappingProxyType(
        {"schedule": "constant", "token_dropout": 0.0, "label_smoothing": 0.0}
    )

    cell: Cell
    embedding_size: Size
    hidden_sizes: tuple[Size, ...]
    bidirectional: bool
    pooling: tuple[Pooling, ...]
    dense_sizes: tuple[Size, ...]
    embedding_dropout: Dropout
    layer_dropout: Dropout
    head_dropout: Dropout
    one_unit: bool
    vocabulary_size: MaxVocabulary
    whole_vocabulary: bool = False
    tokenizer: Tokenizer = "words"
    vectors: str = "none"
    linear_size: Annotated[int, Range(0, 2**16)] = 0
    linear_buckets: OptionalSize = 0
    linear_dropout: Annotated[float, Range(0, 0.99)] = 0.0
    linear_rate: LearningRate = 1e-3
    class_weights: Fraction = 0.0
    teacher_weight: Fraction = 0.5
    adversarial: Annotated[float, Range(0, 1000)] = 0.0
    max_tokens: MaxTokens = 100
    task: TaskSetting = "auto"
    epochs: Epochs = 20
    patience: Epochs = 3
    batch_size: BatchSize = 32
    learning_rate: LearningRate = 1e-3
    embedding_rate: Annotated[float, Range(0, 100)] = 1.0
    average: Annotated[float, Range(0, 0.999999)] = 0.0
    sparse: bool = False
    gradient_norm: Annotated[float, Range(1e-6, 1_000_000_000)] = 5.0
    criterion: Criterion = "score"
    folds: Folds = 0
    frozen: bool = False
    encoder_rate: Annotated[float, Range(0, 100)] = 1.0
    dev_fraction: DevFraction = 0.1
    seed: Seed = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        problem = _conflict(self)
        if problem:
            raise ConfigError(problem)
        # Combinations that no network has are refused here, before any rows are read.
        self.architecture(
            vocabulary_size=self.vocabulary_size,
            label_count=2,
            task="single-label",
            linear_tokens=1,
            linear_buckets=self.linear_buckets,
        )

    def architecture(
        self,
        *,
        vocabulary_size: int,
        label_count: int,
        task: Task,
        linear_tokens: int = 0,
        linear_buckets: int = 0,
    ) -> Architecture:
        """Return the network for a vocabulary and a set of labels.

        Args:
            vocabulary_size: rows of the embedding.
            label_count: how many labels there are.
            task: ``single-label`` or ``multi-label``.
            linear_tokens: rows of the linear branch's table of tokens, if there is a branch.
            linear_buckets: rows of its table of bigrams.
        """
        output: Output = "multi-label"
        if task == "single-label":
            output = "sigmoid" if self.one_unit and label_count == 2 else "softmax"
        return Architecture(
            vocabulary_size=vocabulary_size,
            embedding_size=self.embedding_size,
            cell=self.cell,
            hidden_sizes=self.hidden_sizes,
            bidirectional=self.bidirectional,
            pooling=self.pooling,
            dense_sizes=self.dense_sizes,
            output=output,
            label_count=label_count,
            linear_size=self.linear_size,
            linear_tokens=linear_tokens if self.linear_size else 0,
            linear_buckets=linear_buckets if self.linear_size else 0,
            embedding_dropout=self.embedding_dropout,
            layer_dropout=self.layer_dropout,
            head_dropout=self.head_dropout,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON-ready values."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in dataclasses.asdict(self).items()
        }


def recorded_settings(settings: dict[str, Any], *, where: Path) -> dict[str, Any]:
    """Return the settings that a run was begun with, to continue it.

    Args:
        settings: the run's, by name.
        where: the run's folder.

    Raises:
        CheckpointError: it was begun with a setting that this release does not have.
    """
    for name, off in TrainingConfig.REMOVED.items():
        if settings.get(name, off) != off:
            raise CheckpointError(
                f"{where}: begun with {name} {settings[name]!r}, a setting that was removed; start "
                "again in another folder, or use the textgate release that began it"
            )
    kept = {name: one for name, one in settings.items() if name not in TrainingConfig.REMOVED}
    return named_settings(kept)


def check_size(architecture: Architecture) -> None:
    """Refuse a network that no bundle could hold, before memory for it is allocated.

    Raises:
        ConfigError: it has too many parameters.
    """
    count = parameter_count(architecture)
    if count > _MAX_PARAMETERS:
        largest = max(layers(architecture), key=lambda layer: layer.parameters)
        raise ConfigError(
            f"the network would have {count:,} parameters, {largest.parameters:,} of them in the "
            f"layer {largest.name}; a bundle holds at most {_MAX_PARAMETERS:,}: choose "
            "smaller sizes"
        )


def _conflict(config: TrainingConfig) -> str | None:
    """Return which settings conflict, or None."""
    if config.tokenizer == "subwords" and config.vocabulary_size < _MIN_SUBWORD_VOCABULARY:
        return (
            f"vocabulary_size {config.vocabulary_size} is too small for subwords, which need "
            f"{_MIN_SUBWORD_VOCABULARY} or more: 256 bytes, pieces and words"
        )
    if config.linear_size and not config.linear_buckets:
        return (
            "linear_buckets must be above 0 where linear_size is, not 0; for no linear branch set "
            "linear_size to 0"
        )
    if config.folds == 1:
        return "folds must be 2 or more, or 0 to hold out dev rows, not 1"
    if not config.vectors:
        return "vectors must be a file, 'english' or 'none', not ''"
    return None
