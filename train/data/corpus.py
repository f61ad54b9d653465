"""Texts as token ids in one flat array: a few bytes a token, however many there are."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from textgate.errors import DataError
from textgate.train.data.dataset import encode_texts, pad, shuffled_places

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from textgate.train.data.dataset import Encoder

_SHARE = 0.01  # of the texts, held out
_HELD_OUT = (50, 2000)
_EVALUATION_BATCH = 32


@dataclass(frozen=True)
class Corpus:
    """Encoded texts, of two tokens or more each.

    Attributes:
        ids: the token ids of all texts, one text after another, uint16 or uint32 [tokens].
        starts: where each text begins, int64 [texts].
        lengths: its tokens, int64 [texts].
    """

    ids: NDArray[np.uint16] | NDArray[np.uint32]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def positions(self) -> int:
        """How many tokens have one before them."""
        return int(self.lengths.sum()) - len(self)

    def counts(self, vocabulary_size: int) -> NDArray[np.int64]:
        """Return how often every token occurs, int64 [vocabulary]."""
        counts = np.zeros(vocabulary_size, dtype=np.int64)
        for start, length in zip(self.starts, self.lengths, strict=True):
            # A text at a time: all at once would be widened to eight bytes a token.
            np.add.at(counts, self.ids[start : start + length], 1)
        return counts

    def batch(self, places: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids [batch, longest] padded on the right, and lengths [batch], int64."""
        ids, lengths = pad(
            [
                self.ids[start : start + length].astype(np.int64)
                for start, length in zip(self.starts[places], self.lengths[places], strict=True)
            ]
        )
        return torch.from_numpy(ids), torch.from_numpy(lengths)

    def shuffled_places(self, batch_size: int, *, seed: int, epoch: int) -> list[NDArray[np.int64]]:
        """Return every text's place once, in batches, see `textgate.train.data.dataset`."""
        return shuffled_places(self.lengths, batch_size, seed=seed, epoch=epoch)

    def batches_by_length(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield all texts as batches of similar length, the shortest first."""
        order = np.argsort(self.lengths, kind="stable")
        for start in range(0, len(order), _EVALUATION_BATCH):
            yield self.batch(order[start : start + _EVALUATION_BATCH])


def encode_corpus(
    texts: Iterable[str], tokenizer: Encoder, *, vocabulary_size: int, seed: int
) -> tuple[Corpus, Corpus]:
    """Return texts to learn from, and some that are held out: 1 %, and from 50 to 2,000.

    Texts of a single token are left out: nothing follows in them.

    Args:
        texts: the texts.
        tokenizer: turns them into ids, and cuts them.
        vocabulary_size: how many ids there are; up to 65,536 take two bytes each.
        seed: of what is held out.

    Raises:
        DataError: there are fewer than two texts of two tokens.
    """
    small = vocabulary_size <= 2**16
    ids, lengths = array("H" if small else "I"), array("q")
    for sequence in encode_texts(texts, tokenizer):
        if len(sequence) > 1:
            ids.frombytes(sequence.astype(ids.typecode).tobytes())
            lengths.append(len(sequence))
    if len(lengths) < 2:
        raise DataError(
            f"{len(lengths)} texts of two tokens or more are too few: one is to learn from, "
            "another to measure by"
        )
    flat = np.frombuffer(ids, dtype=ids.typecode)
    each = np.frombuffer(lengths, dtype=np.int64)
    starts = np.cumsum(each) - each
    low, high = _HELD_OUT
    wanted = min(high, max(low, round(_SHARE * len(each))), len(each) // 2)
    order = np.random.default_rng([seed, 0]).permutation(len(each))
    held_out, rest = np.sort(order[:wanted]), np.sort(order[wanted:])
    return (
        Corpus(flat, starts[rest], each[rest]),
        Corpus(flat, starts[held_out], each[held_out]),
    )
