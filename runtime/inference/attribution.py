"""Attribution of probabilities to the words of a text, by leaving words out.

The value of a word is a weighted mean of what it adds to a probability in several contexts: beside
all other words (leave one out), beside none, beside the words of greater value, and beside those of
smaller value. The values found so far give the order for the last two, which are computed twice.
Contexts in which words are left out of the text count double. These are some of the contexts over
which a Shapley value averages (Shapley 1953). One is not enough, because words share what they say:
of two that say the same, leaving out one changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from textgate.inference.tokenizer import PADDING_ID, UNKNOWN_ID

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from textgate.inference.session import Session
    from textgate.native.session import NativeSession

_BATCH = 64  # texts
_ROUNDS = 2  # in which words are left out in the order of their values
_LEFT_OUT = 2  # weight of contexts in which words are left out of the text
_ORDER_DIGITS = 3  # decimals; beyond them engines differ, and equal words stay in their order


def attributions(text: PartialText, label: int) -> NDArray[np.float64]:
    """Return the value of each word for each label, float64 [words, labels].

    Args:
        text: a text of at least one word.
        label: the label by whose values words are ordered.
    """
    single = np.eye(text.count, dtype=np.bool_)
    none, everything = text.scores(np.stack([np.zeros_like(single[0]), np.ones_like(single[0])]))
    alone, others = np.split(text.scores(np.concatenate([single, ~single])), 2)
    total = (alone - none) + _LEFT_OUT * (everything - others)
    for _ in range(_ROUNDS):
        order = np.argsort(-total[:, label].round(_ORDER_DIGITS), kind="stable")
        best = np.zeros((text.count + 1, text.count), dtype=np.bool_)
        best[:, order] = np.tri(text.count + 1, text.count, -1, dtype=np.bool_)
        kept, left_out = np.split(text.scores(np.concatenate([best, ~best])), 2)
        total[order] += np.diff(kept, axis=0) - _LEFT_OUT * np.diff(left_out, axis=0)
    values: NDArray[np.float64] = total / ((1 + _LEFT_OUT) * (1 + _ROUNDS))
    return values


class PartialText:
    """A text that the network reads with some of its words left out.

    A text without words becomes the single unknown token, as an empty text does.

    Args:
        session: computes probabilities.
        ids: token ids, int64 [tokens].
        words: the index of the word of each token, int64 [tokens]; `count` for a token that is
            never left out.
        count: the number of words, each of which has a token.
    """

    def __init__(
        self,
        session: Session | NativeSession,
        ids: NDArray[np.int64],
        words: NDArray[np.int64],
        count: int,
    ) -> None:
        self._session = session
        self._ids = ids
        self._words = words
        self.count = count
        self._known: dict[bytes, int] = {}  # the rows of parts that were read
        self._rows: list[NDArray[np.float32]] = []

    def scores(self, kept: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the probabilities of parts of the text, float64 [parts, labels].

        Args:
            kept: which words each part has, bool [parts, words].
        """
        names = [part.tobytes() for part in kept]
        known = self._known
        new = {name: row for row, name in enumerate(names) if name not in known}
        if new:
            known.update(zip(new, range(len(known), len(known) + len(new)), strict=True))
            self._rows.append(self._computed(kept[list(new.values())]))
        found = np.concatenate(self._rows)[[known[name] for name in names]]
        return found.astype(np.float64)

    def prefix_scores(self) -> NDArray[np.float64]:
        """Return the probabilities of the text up to each word, float64 [words, labels]."""
        return self.scores(np.tri(self.count, dtype=np.bool_))

    def read(self) -> NDArray[np.float64]:
        """Return `prefix_scores` by continuing from the state after each word."""
        ends = np.zeros(self.count + 1, dtype=np.int64)
        ends[self._words] = np.arange(1, len(self._ids) + 1)  # the last token of a word counts
        rows, begin = [], 0
        state: Any = None
        for end in ends[: self.count].tolist():
            row, state = self._session.read(self._ids[begin:end].tolist(), state, keep_state=True)
            rows.append(row)
            begin = end
        return np.array(rows)

    def _computed(self, kept: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return `scores` by the network, in batches of parts of similar length."""
        always = np.ones((len(kept), 1), dtype=np.bool_)
        has = np.concatenate([kept, always], axis=1)[:, self._words]
        lengths = has.sum(axis=1)
        order = np.argsort(lengths, kind="stable")
        batches = [order[start : start + _BATCH] for start in range(0, len(order), _BATCH)]
        found = [self._session.run(*self._padded(has[one], lengths[one])) for one in batches]
        return np.concatenate(found)[np.argsort(order)]

    def _padded(
        self, has: NDArray[np.bool_], lengths: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the ids of parts, int64 [parts, longest], and their lengths, int64 [parts]."""
        ids = np.full((len(has), max(1, int(lengths.max()))), PADDING_ID, dtype=np.int64)
        rows, tokens = np.nonzero(has)
        ids[rows, has.cumsum(axis=1)[rows, tokens] - 1] = self._ids[tokens]
        ids[lengths == 0, 0] = UNKNOWN_ID
        return ids, np.maximum(lengths, 1)
