"""Softmax over a sample of the vocabulary: what makes a language model quick to train on a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from textgate.inference.tokenizer import PADDING_ID, UNKNOWN_ID

if TYPE_CHECKING:
    from numpy.typing import NDArray

_POWER = 0.75  # of the counts: rare tokens are drawn more often than they occur
_POSITIONS = 1024  # at a time: their logits stay in a core's cache


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
    places = torch.searchsorted(sample, targets).clamp(max=len(sample) - 1)
    # Where the sample holds the target itself; elsewhere a column that there is not.
    places = torch.where(sample[places] == targets, places, len(sample))
    rows = functional.embedding(sample, table, sparse=True)
    loss: torch.Tensor = _Rivalry.apply(  # type: ignore[no-untyped-call]
        projected, own, rows, offsets[sample], places
    )
    return loss


class _Rivalry(torch.autograd.Function):
    """The mean of ``log(exp(own) + sum(exp(rivals))) - own``, some positions at a time.

    All gradients are computed along with the loss, in place, so that there never is a number for
    every position and rival: autograd would keep several of them.
    """

    @staticmethod
    def forward(
        ctx: Any,
        projected: torch.Tensor,
        own: torch.Tensor,
        rows: torch.Tensor,
        offsets: torch.Tensor,
        places: torch.Tensor,
    ) -> torch.Tensor:
        """Return the loss.

        Args:
            ctx: keeps the gradients.
            projected: float32 [positions, embedding].
            own: the targets' logits, float32 [positions].
            rows: the sample's rows of the embedding, float32 [sample, embedding].
            offsets: what their logits have besides, float32 [sample].
            places: which of them is the target, int64 [positions]; one past the last for none.
        """
        grads = [torch.zeros_like(tensor) for tensor in (projected, own, rows, offsets)]
        for_projected, for_own, for_rows, for_offsets = grads
        total, count = torch.zeros((), dtype=torch.float64, device=own.device), len(own)
        for start in range(0, count, _POSITIONS):
            part = slice(start, start + _POSITIONS)
            logits = torch.addmm(offsets, projected[part], rows.T)
            hits = torch.nonzero(places[part] < len(rows)).squeeze(1)
            logits[hits, places[part][hits]] = -torch.inf
            highest = torch.maximum(logits.amax(dim=1), own[part])
            shares = logits.sub_(highest[:, None]).exp_()
            own_share = (own[part] - highest).exp()
            sums = shares.sum(dim=1) + own_share
            total += (sums.log() + highest - own[part]).sum()
            shares.div_((sums * count)[:, None])
            for_own[part] = own_share / (sums * count) - 1.0 / count
            torch.mm(shares, rows, out=for_projected[part])
            for_rows.addmm_(shares.T, projected[part])
            for_offsets += shares.sum(dim=0)
        ctx.save_for_backward(*grads)
        return (total / count).to(own.dtype)

    @staticmethod
    def backward(ctx: Any, *outputs: Any) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients."""
        return (*(grad * outputs[0] for grad in ctx.saved_tensors), None)
