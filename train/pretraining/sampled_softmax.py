"""Sampled softmax: the loss over a sample of the vocabulary, which is fast on a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from textgate.inference.tokenizer import PADDING_ID, UNKNOWN_ID

if TYPE_CHECKING:
    from numpy.typing import NDArray

_POWER = 0.75  # of the counts, so that rare tokens are drawn more often than they occur
_MAX_POSITIONS = 1024  # computed at once, so that their logits stay in the cache of a core


class Sampler:
    """Draws negative tokens in proportion to their counts to the power of 0.75.

    Args:
        counts: number of occurrences of every token in the texts, int64 [vocabulary]. A token that
            does not occur counts as 1, except padding and the unknown token.
        draws: number of draws with replacement; the sample is smaller, because duplicates are
            removed. If it is the vocabulary size or more, the sample is the whole vocabulary.

    Attributes:
        log_expected: logarithm of the probability of being in a sample, float32 [vocabulary].
    """

    def __init__(self, counts: NDArray[np.int64], draws: int) -> None:
        weights = np.maximum(counts, 1).astype(np.float64) ** _POWER
        for special in (PADDING_ID, UNKNOWN_ID):
            weights[special] *= counts[special] > 0
        self._draws = draws
        self._whole = draws >= len(counts)
        self._all = torch.from_numpy(np.flatnonzero(weights))
        probabilities = weights / weights.sum()
        self._cumulative = torch.from_numpy(np.cumsum(probabilities))
        expected = np.ones_like(probabilities)
        if not self._whole:
            expected = -np.expm1(draws * np.log1p(-probabilities))
        # The lower bound is for tokens that are never drawn.
        self.log_expected = torch.from_numpy(np.log(np.maximum(expected, 1e-30)).astype(np.float32))

    def draw(self) -> torch.Tensor:
        """Return distinct token ids in ascending order, int64 [sample]."""
        if self._whole:
            return self._all
        points = torch.rand(self._draws, dtype=torch.float64) * self._cumulative[-1]
        indices = torch.searchsorted(self._cumulative, points, right=True)
        drawn: torch.Tensor = torch.unique(indices.clamp(max=len(self._cumulative) - 1))
        return drawn


def sampled_loss(
    projected: torch.Tensor,
    targets: torch.Tensor,
    sample: torch.Tensor,
    log_expected: torch.Tensor,
    table: torch.Tensor,
    bias: torch.Tensor,
) -> torch.Tensor:
    """Return the mean cross-entropy of the targets against a sample, a scalar in nats.

    The logarithm of a token's sampling probability is subtracted from its logit, and a target is
    not its own negative (Bengio and Senecal 2008; Jean et al. 2015, "On Using Very Large Target
    Vocabulary for Neural Machine Translation"). If the sample is the whole vocabulary, this is the
    cross-entropy of the full softmax.

    Args:
        projected: projected states of the network, float32 [positions, embedding].
        targets: the next tokens, int64 [positions].
        sample: token ids in ascending order, int64 [sample].
        log_expected: see `Sampler`, float32 [vocabulary].
        table: the embedding, float32 [vocabulary, embedding]; its gradient is sparse.
        bias: bias of every token, float32 [vocabulary].
    """
    offsets = bias - log_expected
    own_rows = functional.embedding(targets, table, sparse=True)
    own = (projected * own_rows).sum(dim=1) + offsets[targets]
    columns = torch.searchsorted(sample, targets).clamp(max=len(sample) - 1)
    # The column of the target in the sample; one past the last column if it is not in the sample.
    columns = torch.where(sample[columns] == targets, columns, len(sample))
    rows = functional.embedding(sample, table, sparse=True)
    loss: torch.Tensor = _SampledCrossEntropy.apply(  # type: ignore[no-untyped-call]
        projected, own, rows, offsets[sample], columns
    )
    return loss


class _SampledCrossEntropy(torch.autograd.Function):
    """Mean of ``log(exp(own) + sum(exp(negatives))) - own``, some positions at a time.

    The forward pass also computes all gradients, in place. It therefore needs no matrix of all
    positions and negatives; autograd would keep several.
    """

    @staticmethod
    def forward(
        ctx: Any,
        projected: torch.Tensor,
        own: torch.Tensor,
        rows: torch.Tensor,
        offsets: torch.Tensor,
        columns: torch.Tensor,
    ) -> torch.Tensor:
        """Return the loss.

        Args:
            ctx: holds the gradients for the backward pass.
            projected: float32 [positions, embedding].
            own: logits of the targets, float32 [positions].
            rows: embedding of the sample, float32 [sample, embedding].
            offsets: offsets of the logits of the sample, float32 [sample].
            columns: index of the target in the sample, int64 [positions]; its size if absent.
        """
        grads = [torch.zeros_like(tensor) for tensor in (projected, own, rows, offsets)]
        for_projected, for_own, for_rows, for_offsets = grads
        total, count = torch.zeros((), dtype=torch.float64, device=own.device), len(own)
        for start in range(0, count, _MAX_POSITIONS):
            part = slice(start, start + _MAX_POSITIONS)
            logits = torch.addmm(offsets, projected[part], rows.T)
            hits = torch.nonzero(columns[part] < len(rows)).squeeze(1)
            logits[hits, columns[part][hits]] = -torch.inf
            highest = torch.maximum(logits.amax(dim=1), own[part])
            terms = logits.sub_(highest[:, None]).exp_()
            own_term = (own[part] - highest).exp()
            sums = terms.sum(dim=1) + own_term
            total += (sums.log() + highest - own[part]).sum()
            terms.div_((sums * count)[:, None])
            for_own[part] = own_term / (sums * count) - 1.0 / count
            torch.mm(terms, rows, out=for_projected[part])
            for_rows.addmm_(terms.T, projected[part])
            for_offsets += terms.sum(dim=0)
        ctx.save_for_backward(*grads)
        return (total / count).to(own.dtype)

    @staticmethod
    def backward(ctx: Any, *outputs: Any) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients."""
        return (*(grad * outputs[0] for grad in ctx.saved_tensors), None)
