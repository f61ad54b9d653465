"""Search space of tuning: a few settings, in ranges around the values of the default recipe.

They are those that made a difference when the recipe was chosen, see "What was tried" in
benchmarks/README.md, and those that decide the size and the time of the network.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from textgate.bundle.architecture import Architecture
    from textgate.train.training.config import TrainingConfig

# A change of these needs other token ids, features or initial weights.
STRUCTURAL = ("vocabulary_size", "max_tokens", "linear_buckets", "hidden_sizes", "bidirectional")

_RATE_FACTOR = 4.0  # between the recipe's learning rate and the bounds
_MAX_DROPOUT = 0.6
_MORE_DROPOUT = 0.15
_ENCODER_RATES = (0.1, 2.0)
_ADVERSARIAL = (0.0, 0.3, 0.6, 1.0)
_BATCH_SIZES = (16, 32, 64)
_EPOCH_FACTORS = (1.0, 1.5, 2.0)
_BUCKETS = (2**12, 2**14, 2**16, 2**17)
_VOCABULARIES = (5_000, 10_000, 20_000, 30_000)
_ENCODER_VOCABULARIES = (6_000, 10_000, 14_000, 20_000)
_HIDDEN_SIZES = ((62,), (126,), (190,), (254,))  # with two anchors: blocks of the integer kernel
_MIN_HALVED_TOKENS = 128  # a lower limit of tokens is not halved
_NEIGHBOURS = 5


@dataclass(frozen=True)
class Dimension:
    """One thing that trials vary.

    Attributes:
        settings: names of the settings that get its value.
        base: the recipe's value.
        near: the value to try first.
        values: all values, that of the smallest network first; () for a range.
        low: lower bound of a range.
        high: upper bound of a range.
        logarithmic: whether values of a range are drawn by their logarithm.
    """

    settings: tuple[str, ...]
    base: Any
    near: Any
    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    logarithmic: bool = False

    @property
    def name(self) -> str:
        """Names of its settings, joined by ``+``."""
        return "+".join(self.settings)


@dataclass(frozen=True)
class Family:
    """Networks that begin alike, and what trials vary among them.

    Attributes:
        name: ``recipe`` for what the default recipe begins with, or ``no encoder``.
        dimensions: what is varied.
    """

    name: str
    dimensions: tuple[Dimension, ...] = field(default=())

    def settings(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings that differ from the recipe's.

        Args:
            values: the value of each dimension by its name; those that are missing are the
                recipe's.
        """
        return {
            name: values[one.name]
            for one in self.dimensions
            if values.get(one.name, one.base) != one.base
            for name in one.settings
        }

    def smallest(self) -> dict[str, Any]:
        """Return the values of the smallest network, by dimension."""
        return {
            one.name: one.values[0]
            for one in self.dimensions
            if one.settings[0] in STRUCTURAL and one.values
        }

    def neighbours(self) -> list[dict[str, Any]]:
        """Return values that differ from the recipe's in one dimension, to be tried first."""
        return [{one.name: one.near} for one in self.dimensions[:_NEIGHBOURS]]


def find_dimensions(
    config: TrainingConfig,
    fixed: Collection[str],
    architecture: Architecture,
    *,
    pretrained: bool,
    sentence_encoder: bool,
    folds: bool,
) -> tuple[Dimension, ...]:
    """Return what trials vary, the most promising dimension first.

    Args:
        config: the settings of the default recipe.
        fixed: names of settings that the user gave; they are not varied.
        architecture: the network of the default recipe. If the rows have fewer tokens or bigrams
            than the recipe allows, a higher limit is not tried.
        pretrained: whether the network begins with pretrained layers.
        sentence_encoder: whether these come with a projection to sentence embeddings, so that the
            vocabulary is chosen anew.
        folds: whether folds choose the number of epochs.
    """
    found = [_rate(config.learning_rate), _dropout(config, fixed)]
    if pretrained:
        low, high = _ENCODER_RATES
        rate = config.encoder_rate
        found.append(_logarithmic("encoder_rate", rate, near=0.3, low=low, high=high))
    near = 0.6 if config.adversarial < 0.6 else 0.3
    found.append(_choice("adversarial", config.adversarial, _ADVERSARIAL, near=near))
    if not pretrained:
        found += [
            _choice("hidden_sizes", config.hidden_sizes, _HIDDEN_SIZES, near=_HIDDEN_SIZES[-1]),
            _choice("bidirectional", config.bidirectional, (False, True)),
        ]
    if not folds:
        epochs = [round(factor * config.epochs) for factor in _EPOCH_FACTORS]
        found.append(_choice("epochs", config.epochs, epochs, near=epochs[-1]))
    found.append(_choice("batch_size", config.batch_size, _BATCH_SIZES))
    if config.linear_size:
        limit = config.linear_buckets
        sizes = _useful(_BUCKETS, limit, architecture.linear_buckets)
        found.append(_choice("linear_buckets", limit, sizes))
    if not pretrained or sentence_encoder:
        limit = config.vocabulary_size
        sizes = _ENCODER_VOCABULARIES if pretrained else _VOCABULARIES
        sizes = _useful(sizes, limit, architecture.vocabulary_size)
        found.append(_choice("vocabulary_size", limit, sizes))
    if config.max_tokens > _MIN_HALVED_TOKENS:
        found.append(_choice("max_tokens", config.max_tokens, (config.max_tokens // 2,)))
    return tuple(
        one
        for one in found
        if one.settings and len(one.values) != 1 and not set(one.settings) & set(fixed)
    )


def _useful(sizes: tuple[int, ...], limit: int, found: int) -> tuple[int, ...]:
    """Return the limits that make a difference if the rows have `found` with the recipe's limit."""
    return sizes if found >= limit else tuple(size for size in sizes if size < found)


def _rate(rate: float) -> Dimension:
    return _logarithmic(
        "learning_rate", rate, near=rate / 2, low=rate / _RATE_FACTOR, high=rate * _RATE_FACTOR
    )


def _logarithmic(name: str, base: float, *, near: float, low: float, high: float) -> Dimension:
    low, high = min(low, base), max(high, base)
    return Dimension((name,), base, near, low=low, high=high, logarithmic=True)


def _dropout(config: TrainingConfig, fixed: Collection[str]) -> Dimension:
    """Return one dimension for the dropout of the embedding and of the head."""
    names = tuple(name for name in ("embedding_dropout", "head_dropout") if name not in fixed)
    base = getattr(config, names[0]) if names else 0.0
    high = max(_MAX_DROPOUT, base)
    return Dimension(names, base, min(high, round(base + _MORE_DROPOUT, 3)), low=0.0, high=high)


def _choice(name: str, base: Any, values: Sequence[Any], *, near: Any = None) -> Dimension:
    """Return a dimension of these values and the recipe's, in order."""
    every = tuple(sorted({*values, base}))
    if near is None and len(every) > 1:
        place = every.index(base)
        near = every[place + 1 if place + 1 < len(every) else place - 1]
    return Dimension((name,), base, near, values=every)
