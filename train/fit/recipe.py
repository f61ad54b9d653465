"""The default recipe: settings that suit the rows, and why.

What is chosen here are the things that depend on the data; what is good for all of it is in the
preset. Everything was chosen on the dev rows of several public sets, see benchmarks/ablation.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np

from textgate.inference.tokenizer import CHARACTERS_PER_TOKEN
from textgate.train.fit.settings import format_labels, format_setting
from textgate.train.text.subwords import split_words
from textgate.train.text.vectors import NO_VECTORS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from textgate.rows import Row
    from textgate.train.data.unlabelled import Unlabelled
    from textgate.train.text.vectors import Vectors

_SAMPLE = 5_000  # rows that are looked at
_ORDINARY = 14  # characters of a word
_LONGEST = 0.98  # share of the texts that are read whole
_TOKENS = (64, 1024)
_ROWS = 70_000  # rows to go through, all epochs together
_LEAST_EPOCHS = (4, 8)  # the second, as long as that is no more than _MOST_ROWS
_MOST_ROWS = 700_000  # all epochs together
_MOST_EPOCHS = 30
_ONE_DIRECTION = 2  # labels for which the other direction gains nothing on dev
_FEW_LABELS = 8  # for which the linear branch has a column each
_COMPRESSED = 32  # columns of the branch for more labels
_UNBALANCED = 1.5  # rows of the most frequent label for one of the rarest
_COMPENSATION = 1.0
# Share of the running words from which vectors are of the texts' language. English ones know nine
# in ten of the words in English texts, and more, but also two in three in Spanish texts: lists made
# from the web hold the small words of every language.
_KNOWN = 0.8


@dataclass(frozen=True)
class Choice:
    """One decision.

    Attributes:
        settings: names and values.
        reason: why, in words.
    """

    settings: dict[str, Any]
    reason: str


@dataclass(frozen=True)
class Recipe:
    """What suits the rows.

    Attributes:
        choices: every decision.
    """

    choices: tuple[Choice, ...]

    @property
    def settings(self) -> dict[str, Any]:
        """All settings by name."""
        return {name: value for choice in self.choices for name, value in choice.settings.items()}

    def notes(self, overridden: Collection[str]) -> list[str]:
        """Return a line a decision, without the settings that somebody made."""
        lines = []
        for choice in self.choices:
            made = {
                name: value for name, value in choice.settings.items() if name not in overridden
            }
            if made:
                values = ", ".join(
                    f"{name} {format_setting(value)}" for name, value in made.items()
                )
                lines.append(f"{values}: {choice.reason}")
        return lines


def recommend(
    rows: Sequence[Row],
    labels: Sequence[str],
    *,
    task: str,
    vectors: Vectors | None,
    unlabelled: Unlabelled | Sequence[str] = (),
    given: Mapping[str, Any] | None = None,
) -> Recipe:
    """Return settings for these training rows.

    Args:
        rows: the training rows.
        labels: their labels.
        task: ``single-label`` or ``multi-label``.
        vectors: the pretrained vectors that could be used, or None.
        unlabelled: texts to train on that a teacher labels.
        given: settings that somebody made, by name: what they leave without meaning is not chosen.
    """
    count = len(rows) + len(unlabelled)
    every = chain((row.text for row in rows), unlabelled)
    most = CHARACTERS_PER_TOKEN * _TOKENS[1]  # what is behind them is never read
    sample = islice(every, 0, None, max(1, count // _SAMPLE))
    texts = [split_words(text[:most]) for text in sample]
    choices = [
        _reading(texts),
        _passes(count, len(labels), "rows and texts" if len(unlabelled) else "rows"),
        *_branch(len(labels), given or {}),
        *_directions(len(labels)),
    ]
    if vectors is not None:
        choices.append(_start(texts, vectors))
    if task == "single-label":
        choices.extend(_balance(rows, labels))
    return Recipe(tuple(choices))


def _reading(texts: Sequence[Sequence[str]]) -> Choice:
    lengths = np.array([sum(map(_pieces, words)) for words in texts])
    longest = int(np.quantile(lengths, _LONGEST))
    low, high = _TOKENS
    tokens = min(high, max(low, 16 * math.ceil(1.25 * longest / 16)))
    return Choice(
        {"max_tokens": tokens},
        f"half of the texts have {int(np.median(lengths))} tokens or fewer, {_LONGEST:.0%} at most "
        f"{longest:,}",
    )


def _pieces(word: str) -> int:
    """Return about how many tokens a word takes; in some scripts one "word" is a whole sentence."""
    return 1 if len(word) <= _ORDINARY else math.ceil(len(word) / 2)


def _passes(rows: int, labels: int, said: str) -> Choice:
    low, high = _LEAST_EPOCHS
    least = min(high, max(low, round(_MOST_ROWS / rows)))
    epochs = _ROWS / rows
    if labels > 2:  # there is more to tell apart
        epochs *= 2
    return Choice(
        {"epochs": min(_MOST_EPOCHS, max(least, round(epochs)))},
        f"{rows:,} {said} with {format_labels(labels)}",
    )


def _directions(labels: int) -> list[Choice]:
    if labels <= _ONE_DIRECTION:
        return []
    return [
        Choice(
            {"bidirectional": True},
            f"{labels:,} labels are told apart better so; only a network with --one-directional "
            "can answer while a text arrives",
        )
    ]


def _branch(labels: int, given: Mapping[str, Any]) -> list[Choice]:
    chosen: dict[str, Any] = {"linear_size": labels, "linear_buckets": 2**16}
    columns = f"with a column for each of {labels} labels" if labels > 1 else "with one column"
    reason = f"a linear branch over words and pairs {columns}"
    if labels > _FEW_LABELS:
        chosen = {"linear_size": _COMPRESSED, "linear_buckets": 2**14, "linear_rate": 0.005}
        reason = f"a linear branch over words and pairs, {labels:,} labels compressed to "
        reason += str(_COMPRESSED)
    if "linear_size" in given:
        del chosen["linear_size"]
        reason = f"a linear branch over words and pairs for {format_labels(labels)}"
    return [Choice(chosen, reason)] if given.get("linear_size", labels) else []


def _start(texts: Sequence[Sequence[str]], vectors: Vectors) -> Choice:
    counts = Counter(word for words in texts for word in words)
    running = sum(counts.values())
    known = sum(count for word, count in counts.items() if word in vectors.words)
    share = known / max(1, running)
    if share < _KNOWN:
        return Choice(
            {"vectors": NO_VECTORS},
            f"the vectors {vectors.name} know {share:.0%} of the running words",
        )
    return Choice(
        {"embedding_size": min(100, vectors.dims)},
        f"the vectors {vectors.name} know {share:.0%} of the running words",
    )


def _balance(rows: Sequence[Row], labels: Sequence[str]) -> list[Choice]:
    counts = Counter(label for row in rows for label in row.labels)
    if not counts:  # soft labels alone
        return []
    most, least = max(counts.values()), min(counts[label] for label in labels)
    # Of many labels the rarest are rightly answered seldom; of two, the rare one is looked for.
    if len(labels) > 2 or most < _UNBALANCED * max(1, least):
        return []
    return [
        Choice(
            {"class_weights": _COMPENSATION},
            f"a label with {most:,} rows beside one with {least:,}",
        )
    ]
