"""Finding the row of a pair of neighbouring tokens by hashing; the exported graph does the same."""

from __future__ import annotations

import torch

# Odd, so that no bit of an id is lost, and small enough that sums of products of ids below 2**24
# stay far below 2**63.
FIRST, SECOND = 1_000_003, 7_368_787


def pair_buckets(ids: torch.Tensor, buckets: int) -> torch.Tensor:
    """Return the bucket of each token with the one before it, int64 [batch, tokens].

    The first token's neighbour is the padding id, so that its bucket says what the text begins with.

    Args:
        ids: token ids, int64 [batch, tokens].
        buckets: how many there are.
    """
    before = torch.nn.functional.pad(ids[:, :-1], (1, 0))
    return (before * FIRST + ids * SECOND) % buckets
