"""Softmax over a sample of the vocabulary: what makes a language model quick to train on a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from textgate.tokenizer import PADDING_ID, UNKNOWN_ID

if TYPE_CHECKING:
    from numpy.typing import NDArray

_POWER = 0.75  # of the counts: rare tokens are drawn more often than they occur
_HIDDEN = -1e9  # a logit that takes no part; finite, so that gradients stay numbers


class Sampler:
    """Draws tokens to tell the right one from, by their counts to the power of 0.75.

    Args:
        counts: how often every token occurs in the texts, int64 [vocabulary]. One that does not
            occur is drawn as if it had once, but for padding and the unknown token.
        draws: how many to draw, with replacement, so that fewer come out. As many as there are
            tokens, or more, give all of them.

    Attributes:
        log_expected: logarithm of the probability to be in a sample, float32 [vocabulary].
    """

    def __init__(self, counts: NDArray[np.int64], draws: int) -> None:
        weights = np.maximum(counts, 1).astype(np.float64) ** _POWER
        for special in (PADDING_ID, UNKNOWN_ID):
            weights[special] *= counts[special] > 0
        self._draws = draws
        self._whole = draws >= len(counts)
        self._all = torch.from_numpy(np.flatnonzero(weights))
        shares = weights / weights.sum()
        self._cumulative = torch.from_numpy(np.cumsum(shares))
        chances = np.ones_like(shares) if self._whole else -np.expm1(draws * np.log1p(-shares))
        # The floor is for what is never drawn.
        self.log_expected = torch.from_numpy(np.log(np.maximum(chances, 1e-30)).astype(np.float32))

    def draw(self) -> torch.Tensor:
        """Return different token ids in ascending order, int64 [sample]."""
        if self._whole:
            return self._all
        points = torch.rand(self._draws, dtype=torch.float64) * self._cumulative[-1]
        places = torch.searchsorted(self._cumulative, points, right=True)
        drawn: torch.Tensor = torch.unique(places.clamp(max=len(self._cumulative) - 1))
        return drawn


def sampled_loss(
    projected: torch.Tensor,
    targets: torch.Tensor,
    sample: torch.Tensor,
    log_expected: torch.Tensor,
    table: torch.Tensor,
    bias: torch.Tensor,
) -> torch.Tensor:
    """Return the mean loss of telling each target from the sample, a scalar.

    Logits are lowered by the logarithm of the probability with which the token was to be drawn, and
    the target itself is no rival (Bengio and Senecal 2008; Jean et al. 2015, "On Using Very Large
    Target Vocabulary for Neural Machine Translation"). With the whole vocabulary for a sample it is
    the cross-entropy of the full softmax.

    Args:
        projected: what the network says, float32 [positions, embedding].
        targets: the tokens that came, int64 [positions].
        sample: tokens in ascending order, int64 [sample].
        log_expected: as `Sampler` has it, float32 [vocabulary].
        table: the embedding, float32 [vocabulary, embedding], whose gradient is sparse.
        bias: float32 [vocabulary].
    """
    offsets = bias - log_expected
    own_rows = functional.embedding(targets, table, sparse=True)
    own = (projected * own_rows).sum(dim=1) + offsets[targets]
    rivals = torch.addmm(
        offsets[sample], projected, functional.embedding(sample, table, sparse=True).T
    )
    places = torch.searchsorted(sample, targets).clamp(max=len(sample) - 1)
    hits = torch.nonzero(sample[places] == targets).squeeze(1)
    rivals[hits, places[hits]] = _HIDDEN
    loss: torch.Tensor = (torch.logaddexp(own, torch.logsumexp(rivals, dim=1)) - own).mean()
    return loss
