"""The settings of a training run, validated where they are made."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from textgate.bundle.architecture import Architecture, layers, parameter_count
from textgate.bundle.manifest import FILE_LIMITS, GRAPH
from textgate.errors import ConfigError
from textgate.train.fit.settings import changed, check_ranges, check_types

SMALLEST_VOCABULARY = 512  # of subwords
TASKS = ("auto", "single-label", "multi-label")
TOKENIZERS = ("words", "subwords")
SCHEDULES = ("constant", "cosine")
CRITERIA = ("score", "loss")
_MOST_PARAMETERS = FILE_LIMITS[GRAPH]  # a byte each, in a graph of the largest size


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides what is trained and how, besides the rows.

    Attributes:
        cell: ``rnn``, ``lstm`` or ``gru``.
        embedding_size: columns of the embedding.
        hidden_sizes: units of each recurrent layer, per direction.
        bidirectional: whether the layers also read backwards; such a network cannot stream.
        pooling: how states become one vector, see `textgate.bundle.architecture.Architecture`.
        dense_sizes: units of the hidden dense layers.
        embedding_dropout: share of the embedded inputs dropped.
        layer_dropout: share dropped between recurrent layers.
        head_dropout: share of the pooled vector dropped.
        one_unit: whether two labels are told apart by one sigmoid unit instead of a softmax.
        vocabulary_size: most rows the embedding may have, padding and unknown word included.
        whole_vocabulary: whether the embedding has `vocabulary_size` rows even if the training
            texts have fewer words, as the reference networks do.
        max_tokens: tokens of a text that are read.
        tokenizer: ``words``, where a rare word is the unknown word, or ``subwords``, where it comes
            in pieces.
        vectors: what the embedding starts from: ``none``, ``english`` for the vectors in the
            package, or a file, see `textgate.train.text.vectors`.
        linear_size: columns of the linear branch's tables, 0 for no branch.
        linear_buckets: most rows of the branch's table of pairs.
        linear_dropout: share of the branch's tokens and pairs dropped.
        linear_rate: learning rate of the branch's tables.
        token_dropout: share of the tokens that the recurrent layers read as the unknown one.
        label_smoothing: share of the targets spread over all labels (Szegedy et al. 2016).
        class_weights: how much more rows of rare labels count: by the inverse of the label's
            frequency to this power; 0 counts all alike, 1 balances the labels.
        teacher_weight: how much a teacher's answer counts beside a labelled row's own target, from
            0 to 1; texts without labels have nothing else.
        adversarial: length of the worst step of a text's embedding that must not change the
            answer, in units of its root mean square a token (Miyato et al. 2017); 0 for none.
        task: ``single-label``, ``multi-label``, or ``auto``: whatever the rows show.
        epochs: most passes over the training rows.
        patience: epochs without progress on dev after which training stops.
        batch_size: rows a step.
        learning_rate: Adam's.
        embedding_rate: the embedding's learning rate, as a multiple of that.
        schedule: ``constant``, or ``cosine``: up for a twentieth of the steps, then down to 0 along
            a cosine, which reaches 0 with the last epoch.
        average: decay of the moving average of the weights, which is what is scored and kept; 0
            keeps the weights themselves.
        sparse: whether a step updates only those rows of the tables that its batch read, as lazy
            Adam does.
        gradient_norm: the gradient is scaled down to this norm when it is longer.
        criterion: what chooses the best epoch: the ``score`` on dev (accuracy, or macro-F1 of a
            multi-label task), and of equal ones the log loss; or the ``loss`` alone, calibrated:
            it is less a matter of chance where dev has few rows.
        dev_fraction: share of the training rows held out for dev when no dev file is given.
        seed: of the held-out rows, the initial weights, the order and the dropout.

    Raises:
        ConfigError: a setting is of the wrong type or out of range.
    """

    cell: str
    embedding_size: int
    hidden_sizes: tuple[int, ...]
    bidirectional: bool
    pooling: tuple[str, ...]
    dense_sizes: tuple[int, ...]
    embedding_dropout: float
    layer_dropout: float
    head_dropout: float
    one_unit: bool
    vocabulary_size: int
    whole_vocabulary: bool = False
    tokenizer: str = "words"
    vectors: str = "none"
    linear_size: int = 0
    linear_buckets: int = 0
    linear_dropout: float = 0.0
    linear_rate: float = 1e-3
    token_dropout: float = 0.0
    label_smoothing: float = 0.0
    class_weights: float = 0.0
    teacher_weight: float = 0.5
    adversarial: float = 0.0
    max_tokens: int = 100
    task: str = "auto"
    epochs: int = 20
    patience: int = 3
    batch_size: int = 32
    learning_rate: float = 1e-3
    embedding_rate: float = 1.0
    schedule: str = "constant"
    average: float = 0.0
    sparse: bool = False
    gradient_norm: float = 5.0
    criterion: str = "score"
    dev_fraction: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        check_ranges(self, _RANGES)
        for name in ("learning_rate", "linear_rate"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be above 0, not {getattr(self, name)!r}")
        for name, choices in _CHOICES:
            value = getattr(self, name)
            if value not in choices:
                raise ConfigError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
        problem = _conflict(self)
        if problem:
            raise ConfigError(problem)
        # The sizes are checked by the architecture; made here, so that a mistake shows at once.
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
        task: str,
        linear_tokens: int = 0,
        linear_buckets: int = 0,
    ) -> Architecture:
        """Return the network for a vocabulary and a set of labels.

        Args:
            vocabulary_size: rows of the embedding.
            label_count: how many labels there are.
            task: ``single-label`` or ``multi-label``.
            linear_tokens: rows of the linear branch's table of tokens, if there is a branch.
            linear_buckets: rows of its table of pairs.
        """
        if task == "multi-label":
            output = "multi-label"
        else:
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

    def replace(self, **changes: Any) -> TrainingConfig:
        """Return the settings with some changed.

        Raises:
            ConfigError: a name that is not a setting, or a value out of range.
        """
        return changed(self, changes)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON-ready values."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in dataclasses.asdict(self).items()
        }


def check_size(architecture: Architecture) -> None:
    """Refuse a network that no bundle could hold, before memory for it is asked for.

    Raises:
        ConfigError: it has too many parameters.
    """
    count = parameter_count(architecture)
    if count > _MOST_PARAMETERS:
        largest = max(layers(architecture), key=lambda layer: layer.parameters)
        raise ConfigError(
            f"the network would have {count:,} parameters, {largest.parameters:,} of them in the "
            f"layer {largest.name}; a bundle holds at most {_MOST_PARAMETERS:,}: choose "
            "smaller sizes"
        )


def _conflict(config: TrainingConfig) -> str | None:
    """Return what does not go together, or None."""
    if config.tokenizer == "subwords" and config.vocabulary_size < SMALLEST_VOCABULARY:
        return (
            f"vocabulary_size {config.vocabulary_size} is too small for subwords, which need "
            f"{SMALLEST_VOCABULARY} or more: 256 bytes, pieces and words"
        )
    if config.linear_size and not config.linear_buckets:
        return (
            "linear_buckets must be above 0 where linear_size is, not 0; for no linear branch set "
            "linear_size to 0"
        )
    if not config.vectors:
        return "vectors must be a file, 'english' or 'none', not ''"
    return None


_CHOICES = (
    ("task", TASKS),
    ("tokenizer", TOKENIZERS),
    ("schedule", SCHEDULES),
    ("criterion", CRITERIA),
)
_RANGES = (
    ("vocabulary_size", 3, 2**24),
    ("embedding_size", 1, 2**24),
    ("max_tokens", 1, 1_000_000),
    ("epochs", 1, 100_000),
    ("patience", 1, 100_000),
    ("batch_size", 1, 1_000_000),
    ("learning_rate", 0, 100),
    ("linear_rate", 0, 100),
    ("linear_size", 0, 2**16),
    ("linear_buckets", 0, 2**24),
    ("embedding_rate", 0, 100),
    ("linear_dropout", 0, 0.99),
    ("token_dropout", 0, 0.99),
    ("label_smoothing", 0, 0.99),
    ("class_weights", 0, 1),
    ("teacher_weight", 0, 1),
    ("adversarial", 0, 1000),
    ("average", 0, 0.999999),
    ("gradient_norm", 1e-6, 1_000_000_000),
    ("dev_fraction", 0.01, 0.5),
    ("seed", 0, 2**31 - 1),
)
