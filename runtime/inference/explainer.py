"""From a text to its explanation: its words, and the values and running decision of each."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

import numpy as np

from textgate.inference.attribution import PartialText, attributions
from textgate.inference.explanation import Explanation, Word
from textgate.inference.reader_words import words_in
from textgate.inference.tokenizer import without_surrogates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from textgate.inference.prediction import Prediction
    from textgate.inference.session import Session
    from textgate.inference.tokenizer import TextTokenizer
    from textgate.native.session import NativeSession

# In a text of more words, adjacent ones are explained together, which bounds the time of a text.
MAX_WORDS = 64


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
