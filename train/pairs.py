"""The pairs of neighbouring tokens that the linear branch knows: a hash table without collisions.

A pair is hashed twice: to the bucket that holds its row, and to a fingerprint that says whether the
bucket is really its own. Of the pairs that fall into one bucket the most frequent has it, and a
pair that has none adds nothing: unlike in fastText (Joulin et al. 2017), a pair that training never
saw does not borrow the weights of another. The exported graph computes the same.
"""

from __future__ import annotations

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

_FREQUENT = 2  # occurrences from which a pair says something about texts not seen yet


def find_pairs(sequences: Sequence[NDArray[np.int64]], *, most_buckets: int) -> NDArray[np.uint8]:
    """Return the fingerprint of each bucket, uint8 [buckets], `EMPTY` where no pair has it.

    Args:
        sequences: the training texts, int64 [tokens] each.
        most_buckets: most buckets; there are fewer, by powers of two, where half are enough to
            leave every other bucket empty.
    """
    keys = [_mixed(before(torch.from_numpy(ids[None])), torch.from_numpy(ids)) for ids in sequences]
    mixed, counts = np.unique(torch.cat([key.reshape(-1) for key in keys]), return_counts=True)
    mixed, counts = mixed[counts >= _FREQUENT], counts[counts >= _FREQUENT]
    buckets = 1
    while buckets < min(2 * len(mixed), most_buckets):
        buckets *= 2
    buckets = min(buckets, most_buckets)
    table = np.full(buckets, EMPTY, dtype=np.uint8)
    order = np.argsort(counts, kind="stable")  # the most frequent last, so that they stay
    table[mixed[order] % buckets] = mixed[order] % FINGERPRINTS
    return table


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
