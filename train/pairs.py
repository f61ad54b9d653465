"""The pairs of neighbouring tokens that the linear branch knows: a hash table with owners.

A pair is hashed twice: to the bucket that holds its row, and to a fingerprint that says whether the
bucket is really its own. Of the pairs that fall into one bucket the most frequent has it, and a
pair that has none adds nothing: unlike in fastText (Joulin et al. 2017), a pair that training never
saw does not borrow the weights of another, but for one in about 500 whose fingerprint is the same
by chance. The exported graph computes the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Odd, and so large that ids mix, but small enough that their products with ids below 2**24 add up
# to less than 2**63.
FIRST, SECOND = 1_000_003, 7_368_787
FINGERPRINTS = 251  # a prime, so that it says something new beside buckets by powers of two
EMPTY = 255

_STEPS = 64  # of a weight
_FREQUENT = 2  # texts from which a pair says something about texts not seen yet


@dataclass(frozen=True)
class Features:
    """What the linear branch knows of tokens and pairs.

    A weight is 64 times the root of the inverse document frequency 1 + ln((1 + texts) / (1 + texts
    with it)), rounded. With the frequency itself, the words that questions begin with would count
    for too little.

    Attributes:
        token_weights: uint8 [tokens]; later ids add nothing.
        pair_weights: uint8 [buckets].
        fingerprints: of the pair that has a bucket, uint8 [buckets]; `EMPTY` where none has it.
    """

    token_weights: NDArray[np.uint8]
    pair_weights: NDArray[np.uint8]
    fingerprints: NDArray[np.uint8]


def find_features(sequences: Sequence[NDArray[np.int64]], *, most_buckets: int) -> Features:
    """Return what the training texts teach about tokens and pairs.

    Args:
        sequences: the training texts, int64 [tokens] each.
        most_buckets: most buckets; there are fewer, by powers of two, where half are enough to
            leave every other bucket empty.
    """
    texts = len(sequences)
    tokens = np.bincount(np.concatenate([np.unique(ids) for ids in sequences]))
    keys = [
        _mixed(before(torch.from_numpy(ids[None]))[0], torch.from_numpy(ids)) for ids in sequences
    ]
    mixed, counts = np.unique(
        np.concatenate([np.unique(key.numpy()) for key in keys]), return_counts=True
    )
    mixed, counts = mixed[counts >= _FREQUENT], counts[counts >= _FREQUENT]
    buckets = 1
    while buckets < min(2 * len(mixed), most_buckets):
        buckets *= 2
    buckets = min(buckets, most_buckets)
    fingerprints = np.full(buckets, EMPTY, dtype=np.uint8)
    weights = np.zeros(buckets, dtype=np.uint8)
    order = np.argsort(counts, kind="stable")  # the most frequent last, so that they stay
    places = mixed[order] % buckets
    fingerprints[places] = mixed[order] % FINGERPRINTS
    weights[places] = _weights(counts[order], texts)
    return Features(_weights(tokens, texts), weights, fingerprints)


def _weights(counts: NDArray[np.int64], texts: int) -> NDArray[np.uint8]:
    frequency = 1.0 + np.log((1.0 + texts) / (1.0 + counts))
    weights: NDArray[np.uint8] = np.clip(np.rint(_STEPS * np.sqrt(frequency)), 1, 255).astype(
        np.uint8
    )
    return weights


def before(ids: torch.Tensor) -> torch.Tensor:
    """Return what stands before each token, int64 [batch, tokens]: first the padding id."""
    return torch.nn.functional.pad(ids[:, :-1], (1, 0))


def look_up(ids: torch.Tensor, fingerprints: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return each token's bucket together with the one before it, and whether it is that pair's.

    Args:
        ids: token ids, int64 [batch, tokens].
        fingerprints: of the buckets, uint8 [buckets].

    Returns:
        int64 [batch, tokens] and bool [batch, tokens].
    """
    mixed = _mixed(before(ids), ids)
    buckets = mixed % len(fingerprints)
    return buckets, fingerprints[buckets] == mixed % FINGERPRINTS


def _mixed(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return first * FIRST + second * SECOND
