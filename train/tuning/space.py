"""Search space of tuning: a few settings, in ranges around the values of the default recipe.

They are those that made a difference when the recipe was chosen, see "What was tried" in
benchmarks/README.md, and those that decide the size and the time of the network.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

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
        start: the value while other dimensions are tried first, if a limit excludes the recipe's;
            None for the recipe's.
    """

    settings: tuple[str, ...]
    base: Any
    near: Any
    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    logarithmic: bool = False
    start: Any = None

    @property
    def first(self) -> Any:
        """The value while other dimensions are tried first."""
        return self.base if self.start is None else self.start

    @property
    def is_varied(self) -> bool:
        """Whether it has several values."""
        return len(self.values) != 1

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
        """Return values that differ from the first ones in one dimension, to be tried first."""
        varied = [one for one in self.dimensions if one.is_varied]
        return [{one.name: one.near} for one in varied[:_NEIGHBOURS]]

    def limited(self, is_allowed: Callable[[Mapping[str, Any]], bool]) -> Family:
        """Return the family without the values that no network within a limit has.

        Args:
            is_allowed: returns whether a network with these values, by dimension, is within the
                limit. The smallest one is.
        """
        smallest = self.smallest()
        sizes = [one for one in self.dimensions if one.name in smallest]
        if is_allowed({one.name: one.values[-1] for one in sizes}):
            return self

        def fits(name: str, value: Any) -> bool:
            return is_allowed({**smallest, name: value})

        allowed = {
            one.name: (one.values[0], *takewhile(partial(fits, one.name), one.values[1:]))
            for one in sizes
        }
        first = {
            one.name: one.base if one.base in allowed[one.name] else allowed[one.name][-1]
            for one in sizes
        }
        if not is_allowed(first):
            first = smallest
        return replace(
            self,
            dimensions=tuple(
                _narrowed(one, allowed[one.name], first[one.name]) if one.name in first else one
                for one in self.dimensions
            ),
        )


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
    return Dimension((name,), base, _beside(base, every) if near is None else near, values=every)


def _narrowed(one: Dimension, values: tuple[Any, ...], start: Any) -> Dimension:
    """Return a dimension with some of its values."""
    near = one.near if one.near in values and one.near != start else _beside(start, values)
    return replace(one, values=values, near=near, start=start)


def _beside(value: Any, values: tuple[Any, ...]) -> Any:
    """Return the next larger value, of the largest the next smaller; the only one if it is."""
    place = values.index(value)
    return values[place + 1 if place + 1 < len(values) else place - 1]
