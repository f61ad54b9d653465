"""Default recipe: the settings that depend on the rows, and the reason for each.

The settings that suit all rows are in the default preset. All were chosen on the dev rows of
several public data sets, see benchmarks/ablation.py.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np

from textgate.inference.tokenizer import CHARACTERS_PER_TOKEN
from textgate.train.text.subwords import split_words, unsegmented_length
from textgate.train.text.vectors import NO_VECTORS
from textgate.train.training.settings import format_labels, format_setting

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Mapping, Sequence

    from textgate.bundle.architecture import Task
    from textgate.rows import Row
    from textgate.train.data.unlabelled import Unlabelled
    from textgate.train.text.vectors import Vectors

_SAMPLE_SIZE = 5_000  # rows whose words are counted
_MAX_WORD_LENGTH = 14  # characters of a word that is estimated as one token
_WHOLE_FRACTION = 0.98  # fraction of the texts that are read to their end
_MIN_TOKENS, _MAX_TOKENS = 64, 1024  # of a text
_TOTAL_ROWS = 70_000  # rows of all epochs together that two labels need
_MIN_EPOCHS, _MORE_EPOCHS = 4, 8  # the second, unless all epochs together have too many rows
_MAX_TOTAL_ROWS = 700_000  # of all epochs together
_MAX_EPOCHS = 30
_MAX_ONE_DIRECTION_LABELS = 2  # with so few, a second direction gains nothing on dev
_MAX_FULL_LABELS = 8  # with so few, the linear branch has one column per label
_COMPRESSED_COLUMNS = 32  # of the linear branch with more labels
_ENCODER_VOCABULARY = 14_000  # bundles have 2.5 MB at most
_FINE_TUNING_ROWS = 42_000  # rows of all epochs together that two labels need
_MIN_FINE_TUNING_EPOCHS, _MAX_FINE_TUNING_EPOCHS = 2, 12
_MAX_FEW_ROWS = 3000  # that folds choose with
_MANY_FOLDS, _FEW_FOLDS = 5, 3
_MAX_MANY_FOLDS_ROWS = 500
_MAX_FEW_EPOCHS = 10
_MIN_IMBALANCE = 1.5  # rows of the most frequent label per row of the rarest
_BALANCED_WEIGHTS = 1.0
# Fraction of the running words that vectors of the texts' language know. English vectors know 90 %
# or more of the words in English texts, but also 67 % in Spanish texts: word lists from the web
# hold the short words of every language.
MIN_KNOWN_FRACTION = 0.8


@dataclass(frozen=True)
class Choice:
    """One decision.

    Attributes:
        settings: names and values.
        reason: the reason, as a note tells it.
    """

    settings: dict[str, Any]
    reason: str


@dataclass(frozen=True)
class Recipe:
    """Settings that suit the rows.

    Attributes:
        choices: all decisions.
    """

    choices: tuple[Choice, ...]

    @property
    def settings(self) -> dict[str, Any]:
        """All settings by name."""
        return {name: value for choice in self.choices for name, value in choice.settings.items()}

    def notes(self, overridden: Collection[str]) -> list[str]:
        """Return one line per decision, without the settings that were overridden."""
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
    task: Task,
    vectors: Vectors | None,
    unlabelled: Unlabelled | Sequence[str] = (),
    given: Mapping[str, Any] | None = None,
    pretrained: bool = False,
    sentence_encoder: bool = False,
    folds: int = 0,
) -> Recipe:
    """Return settings for these training rows.

    Args:
        rows: the training rows.
        labels: their labels.
        task: ``single-label`` or ``multi-label``.
        vectors: the pretrained vectors that could be used, or None.
        unlabelled: texts to train on that a teacher labels.
        given: settings of the user, by name; settings that have no effect with them are left out.
        pretrained: whether the network begins with pretrained layers.
        sentence_encoder: whether these come with a projection to sentence embeddings.
        folds: number of folds; 0 if dev rows choose.
    """
    count = len(rows) + len(unlabelled)
    every = chain((row.text for row in rows), unlabelled)
    most = CHARACTERS_PER_TOKEN * _MAX_TOKENS  # no later character is ever read
    sample = islice(every, 0, None, max(1, count // _SAMPLE_SIZE))
    texts = [split_words(text[:most]) for text in sample]
    said = "rows and texts" if len(unlabelled) else "rows"
    choices = [
        _reading(texts),
        *([] if folds or sentence_encoder else [_epochs(count, len(labels), said)]),
        *_branch(len(labels), given or {}, full=bool(folds)),
        *([] if pretrained else _directions(len(labels))),
    ]
    if sentence_encoder:
        reason = "the encoder was trained with these, and rare words are spelled with pieces"
        settings = {"pooling": ("max", "mean"), "vocabulary_size": _ENCODER_VOCABULARY}
        choices.append(Choice(settings, reason))
    frozen = bool((given or {}).get("frozen"))
    if folds:
        choices.append(_few(count, folds, frozen=frozen))
    elif sentence_encoder and not frozen:
        choices.append(_fine_tuning(count, len(labels)))
    if vectors is not None:
        choices.append(_start(texts, vectors))
    if task == "single-label":
        choices.extend(_balance(rows, labels))
    return Recipe(tuple(choices))


def _reading(texts: Sequence[Sequence[str]]) -> Choice:
    lengths = np.array([sum(map(_pieces, words)) for words in texts])
    longest = int(np.quantile(lengths, _WHOLE_FRACTION))
    tokens = min(_MAX_TOKENS, max(_MIN_TOKENS, 16 * math.ceil(1.25 * longest / 16)))
    return Choice(
        {"max_tokens": tokens},
        f"half of the texts have {int(np.median(lengths))} tokens or fewer, "
        f"{_WHOLE_FRACTION:.0%} at most {longest:,}",
    )


def _pieces(word: str) -> int:
    """Return an estimate of a word's tokens; without spaces a "word" is a whole sentence."""
    if unsegmented := unsegmented_length(word):
        return unsegmented
    return 1 if len(word) <= _MAX_WORD_LENGTH else math.ceil(len(word) / 2)


def _epochs(rows: int, labels: int, said: str) -> Choice:
    least = min(_MORE_EPOCHS, max(_MIN_EPOCHS, round(_MAX_TOTAL_ROWS / rows)))
    epochs = _TOTAL_ROWS / rows
    if labels > 2:  # more labels take longer to learn
        epochs *= 2
    return Choice(
        {"epochs": min(_MAX_EPOCHS, max(least, round(epochs)))},
        f"{rows:,} {said} with {format_labels(labels)}",
    )


def _directions(labels: int) -> list[Choice]:
    if labels <= _MAX_ONE_DIRECTION_LABELS:
        return []
    return [
        Choice(
            {"bidirectional": True},
            f"better with {labels:,} labels; only a network with --one-directional can stream",
        )
    ]


def fold_count(rows: int) -> int:
    """Return the number of folds for a number of rows; 0 if dev rows can choose."""
    if rows > _MAX_FEW_ROWS:
        return 0
    return _MANY_FOLDS if rows <= _MAX_MANY_FOLDS_ROWS else _FEW_FOLDS


def _few(rows: int, folds: int, *, frozen: bool) -> Choice:
    reason = f"{rows:,} rows, too few to hold some out"
    if frozen:  # nothing is trained by steps
        return Choice({"folds": folds}, reason)
    settings: dict[str, Any] = {
        "folds": folds,
        "epochs": _MAX_FEW_EPOCHS,
        "batch_size": 16,
        "learning_rate": 1e-3,
        "embedding_rate": 1.0,
        "average": 0.0,
        "adversarial": 0.0,
        "embedding_dropout": 0.2,
        "head_dropout": 0.2,
        "sparse": True,
    }
    return Choice(settings, reason)


def _fine_tuning(rows: int, labels: int) -> Choice:
    """Return fewer epochs than a random start needs, at a lower rate."""
    total = _FINE_TUNING_ROWS * (1 if labels <= 2 else 2)
    settings = {
        "epochs": min(_MAX_FINE_TUNING_EPOCHS, max(_MIN_FINE_TUNING_EPOCHS, round(total / rows))),
        "learning_rate": 1e-3 if labels <= 2 else 2e-3,
        "embedding_rate": 1.0,
    }
    return Choice(settings, f"the encoder is fine-tuned on {rows:,} rows")


def known_fraction(texts: Iterable[str], words: Container[str]) -> float:
    """Return the fraction of the running words that a vocabulary has.

    Args:
        texts: the training texts; a sample of them is read.
        words: the vocabulary.
    """
    sample = (split_words(text[:2000]) for text in islice(texts, _SAMPLE_SIZE))
    return _known_fraction(sample, words)


def _known_fraction(texts: Iterable[Sequence[str]], words: Container[str]) -> float:
    """Return the same of texts that are split into words."""
    known = [word in words for words_of_text in texts for word in words_of_text]
    return sum(known) / max(1, len(known))


def _branch(labels: int, given: Mapping[str, Any], *, full: bool) -> list[Choice]:
    chosen: dict[str, Any] = {"linear_size": labels, "linear_buckets": 2**16}
    columns = f"with a column for each of {labels} labels" if labels > 1 else "with one column"
    reason = f"a linear branch over words and bigrams {columns}"
    if labels > _MAX_FULL_LABELS and not full:
        chosen = {"linear_size": _COMPRESSED_COLUMNS, "linear_buckets": 2**14, "linear_rate": 0.005}
        reason = f"a linear branch over words and bigrams, {labels:,} labels compressed to "
        reason += str(_COMPRESSED_COLUMNS)
    if "linear_size" in given:
        del chosen["linear_size"]
        reason = f"a linear branch over words and bigrams for {format_labels(labels)}"
    return [Choice(chosen, reason)] if given.get("linear_size", labels) else []


def _start(texts: Sequence[Sequence[str]], vectors: Vectors) -> Choice:
    fraction = _known_fraction(texts, vectors.words)
    if fraction < MIN_KNOWN_FRACTION:
        return Choice(
            {"vectors": NO_VECTORS},
            f"the vectors {vectors.name} cover {fraction:.0%} of the words in the texts",
        )
    return Choice(
        {"embedding_size": min(100, vectors.dims)},
        f"the vectors {vectors.name} cover {fraction:.0%} of the words in the texts",
    )


def _balance(rows: Sequence[Row], labels: Sequence[str]) -> list[Choice]:
    counts: defaultdict[str, float] = defaultdict(float)
    for row in rows:
        for label in row.labels:
            counts[label] += row.weight
    if not counts:  # all rows have soft labels
        return []
    most, least = max(counts.values()), min(counts[label] for label in labels)
    # The rarest of many labels should be rare in the answers, too; of two labels, the rare one is
    # usually the one that matters.
    if len(labels) > 2 or most < _MIN_IMBALANCE * (least or 1):
        return []
    found = f"a label with {most:,.10g} rows against one with {least:,.10g}"
    if any(row.weight != 1 for row in rows):
        found = f"a label with weight {most:,.4g} against one with {least:,.4g}"
    return [Choice({"class_weights": _BALANCED_WEIGHTS}, found)]
