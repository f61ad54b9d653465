"""Encoded texts without labels, in one flat array: a few bytes per token."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from textgate.errors import DataError
from textgate.train.data.batching import indices_by_length, pad
from textgate.train.data.encoding import encode_texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from textgate.train.data.encoding import Encoder

_HELD_OUT_FRACTION = 0.01
_MIN_HELD_OUT, _MAX_HELD_OUT = 50, 2000  # texts
_EVALUATION_BATCH = 32


@dataclass(frozen=True)
class Corpus:
    """Encoded texts.

    Attributes:
        ids: the token ids of all texts, one text after another, uint16 or uint32 [tokens].
        starts: index of the first token of each text, int64 [texts].
        lengths: tokens of each text, int64 [texts].
        rows: index of each text among all that are long enough, held out or not, int64 [texts].
    """

    ids: NDArray[np.uint16] | NDArray[np.uint32]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def positions(self) -> int:
        """Number of tokens that follow another token."""
        return int(self.lengths.sum()) - len(self)

    def counts(self, vocabulary_size: int) -> NDArray[np.int64]:
        """Return how often each token occurs, int64 [vocabulary]."""
        counts = np.zeros(vocabulary_size, dtype=np.int64)
        for start, length in zip(self.starts, self.lengths, strict=True):
            # One text at a time: all at once would take eight bytes per token.
            np.add.at(counts, self.ids[start : start + length], 1)
        return counts

    def batch(self, indices: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids [batch, longest] padded on the right, and lengths [batch], both int64."""
        ids, lengths = pad(
            [
                self.ids[start : start + length].astype(np.int64)
                for start, length in zip(self.starts[indices], self.lengths[indices], strict=True)
            ]
        )
        return torch.from_numpy(ids), torch.from_numpy(lengths)

    def batches_by_length(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield all texts in batches of similar length, the shortest first."""
        return map(self.batch, indices_by_length(self.lengths, _EVALUATION_BATCH))


def encode_corpus(
    texts: Iterable[str],
    tokenizer: Encoder,
    *,
    vocabulary_size: int,
    seed: int,
    min_tokens: Literal[1, 2] = 2,
) -> tuple[Corpus, Corpus]:
    """Return the training texts and the held-out texts: 1 % of all, at least 50, at most 2,000.

    Args:
        texts: the texts.
        tokenizer: the tokenizer, which also truncates.
        vocabulary_size: number of token ids; up to 65,536 take two bytes each.
        seed: seed of the choice of the held-out texts.
        min_tokens: shorter texts are left out; a text of one token has no next token to predict.

    Raises:
        DataError: fewer than two texts have so many tokens.
    """
    small = vocabulary_size <= 2**16
    ids, lengths = array("H" if small else "I"), array("q")
    for sequence in encode_texts(texts, tokenizer):
        if len(sequence) >= min_tokens:
            ids.frombytes(sequence.astype(ids.typecode).tobytes())
            lengths.append(len(sequence))
    count = len(lengths)
    if count < 2:
        raise DataError(
            f"{count} texts{' of two tokens or more' if min_tokens == 2 else ''} are too few; at "
            "least two are needed, one to train on and one to hold out"
        )
    all_ids = np.frombuffer(ids, dtype=ids.typecode)
    all_lengths = np.frombuffer(lengths, dtype=np.int64)
    starts = np.cumsum(all_lengths) - all_lengths
    wanted = min(_MAX_HELD_OUT, max(_MIN_HELD_OUT, round(_HELD_OUT_FRACTION * count)), count // 2)
    order = np.random.default_rng([seed, 0]).permutation(count)
    held_out, train = np.sort(order[:wanted]), np.sort(order[wanted:])
    return (
        Corpus(all_ids, starts[train], all_lengths[train], train),
        Corpus(all_ids, starts[held_out], all_lengths[held_out], held_out),
    )
