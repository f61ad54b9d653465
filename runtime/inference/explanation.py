"""Explanations: how much each word of a text spoke for and against each label."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from textgate.inference.attribution import PartialText, attributions
from textgate.inference.prediction import Prediction
from textgate.inference.reader_words import words_in
from textgate.inference.tokenizer import without_surrogates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from textgate.inference.session import Session
    from textgate.inference.tokenizer import TextTokenizer
    from textgate.native.session import NativeSession

# In a text of more words, adjacent ones are explained together, which bounds the time of a text.
MAX_WORDS = 64


@dataclass(frozen=True, slots=True)
class Word:
    """A word of an explained text; in a text of many words, several adjacent ones.

    Attributes:
        text: its characters.
        start: the position of its first character in the explained text.
        end: the position after its last character.
        values: how much it spoke for each label, as a difference of probabilities, from -1 to 1;
            below 0 it spoke against the label. Without the word, and with some of the others or
            none, the probability of the label would be lower by so much, on average.
        prefix_scores: the probability of each label for the text up to this word and with it.
    """

    text: str
    start: int
    end: int
    values: Mapping[str, float]
    prefix_scores: Mapping[str, float]


@dataclass(frozen=True)
class Explanation:
    """The words of a text, with how much each spoke for and against each label.

    The values of a label add up to the difference between its probability for the text and for an
    empty text. A notebook shows the words in colours.

    Attributes:
        text: the text; lone surrogates, which are not characters, are replaced by U+FFFD.
        prediction: the prediction of `Classifier.predict`.
        labels: the labels that are shown: those that apply, or else the most probable one; with
            `top_k` the most probable ones.
        words: the words that were read, in order. Between and around them is white space.
        read_end: the position after the last character that was read; the rest of the text has no
            values.
    """

    text: str
    prediction: Prediction
    labels: tuple[str, ...]
    words: tuple[Word, ...]
    read_end: int

    def _repr_html_(self) -> str:
        from textgate.inference.explanation_page import fragment

        return fragment(self)


def explain(
    text: str,
    prediction: Prediction,
    *,
    shown: tuple[str, ...],
    labels: Sequence[str],
    tokenizer: TextTokenizer,
    session: Session | NativeSession,
    streams: bool,
) -> Explanation:
    """Return the explanation of a prediction.

    Args:
        text: the text.
        prediction: the prediction for it; the explanation has the labels of its `scores`.
        shown: the labels to show, some of those.
        labels: every label, in the order of the probabilities.
        tokenizer: the bundle's tokenizer.
        session: computes probabilities.
        streams: whether the session can continue from the state after a part of the text.
    """
    text = without_surrogates(text)
    read = text[: tokenizer.max_characters]
    ids = tokenizer.token_ids(read)[: tokenizer.max_tokens]
    spans = tokenizer.token_spans(read)[: tokenizer.max_tokens]
    words, owners = _words(read, spans, truncated=prediction.truncated)
    read_end = len(text)
    if prediction.truncated:
        read_end = words[-1][1] if words else len(read)
    values, prefixes = _scores(
        session,
        ids,
        owners,
        words=len(words),
        label=labels.index(prediction.top_label),
        streams=streams,
    )
    names = list(prediction.scores)
    columns = list(map(labels.index, names))
    return Explanation(
        text=text,
        prediction=prediction,
        labels=shown,
        words=tuple(
            Word(
                text=text[start:end],
                start=start,
                end=end,
                values=dict(zip(names, value, strict=True)),
                prefix_scores=dict(zip(names, prefix, strict=True)),
            )
            for (start, end), value, prefix in zip(
                words, values[:, columns].tolist(), prefixes[:, columns].tolist(), strict=True
            )
        ),
        read_end=read_end,
    )


def _scores(
    session: Session | NativeSession,
    ids: list[int],
    owners: list[int],
    *,
    words: int,
    label: int,
    streams: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the values and the prefix scores of words, each [words, labels]."""
    owner = np.array(owners, dtype=np.int64)
    present = np.unique(owner[owner >= 0])  # the words that have tokens
    parts = np.where(owner < 0, len(present), np.searchsorted(present, owner))
    text = PartialText(session, np.array(ids, dtype=np.int64), parts, len(present))
    empty = text.scores(np.zeros((1, len(present)), dtype=np.bool_))
    values = np.zeros((words, empty.shape[1]))
    if not len(present):
        return values, np.repeat(empty, words, axis=0)
    values[present] = attributions(text, label)
    prefixes = np.concatenate([empty, text.read() if streams else text.prefix_scores()])
    return values, prefixes[np.searchsorted(present, np.arange(words), side="right")]


def _words(
    text: str, spans: Sequence[tuple[int, int]], *, truncated: bool
) -> tuple[list[tuple[int, int]], list[int]]:
    """Return the words of a text, and the index of the word of each token; -1 if it has none.

    Words that share a token become one word, and so do adjacent words if there are too many.

    Args:
        text: the part of the text that the tokenizer reads.
        spans: the first and the last position, exclusive, of each token that was read.
        truncated: whether words after the last token were not read.
    """
    found = words_in(text)
    starts, ends = [start for start, _ in found], [end for _, end in found]
    owners: list[int] = []
    continued: set[int] = set()
    for start, end in spans:
        first, last = bisect_right(ends, start), bisect_left(starts, end) - 1
        owners.append(first if start < end and first <= last else -1)
        continued.update(range(first + 1, last + 1))
    if truncated:
        found = found[: 1 + max([*owners, *continued], default=-1)]
    number = -1
    numbers = [number := number + (index not in continued) for index in range(len(found))]
    together = -(-(number + 1) // MAX_WORDS)
    words: list[tuple[int, int]] = []
    for (start, end), own in zip(found, numbers, strict=True):
        if own // together < len(words):
            words[-1] = (words[-1][0], end)
        else:
            words.append((start, end))
    return words, [owner if owner < 0 else numbers[owner] // together for owner in owners]
