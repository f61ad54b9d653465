"""Choice among trials, and what to expect of the chosen one on new rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from textgate.train.tuning.trials import Answered

_DRAWS = 500


@dataclass(frozen=True)
class Expected:
    """Quality to expect on new rows.

    Attributes:
        accuracy: fraction of the rows whose labels are all right.
        log_loss: in nats.
    """

    accuracy: float
    log_loss: float


def choose(candidates: Sequence[Answered], default: int | None) -> int:
    """Return the index of the candidate to use.

    It is the one with the lowest log loss. The default is used instead unless the candidate is
    better by more than the standard error of the difference, and its score is not lower: the best
    of many candidates is often best by chance.

    Args:
        candidates: answers to the same rows, at least one.
        default: index of the default recipe; None if it is not among the candidates.
    """
    losses = np.stack([one.losses for one in candidates]).astype(np.float64)
    return _chosen(losses, np.array([one.score for one in candidates]), default)


def expect(candidates: Sequence[Answered], default: int | None, *, seed: int) -> Expected:
    """Return the quality to expect of the chosen candidate on new rows.

    The rows that choose the best of several candidates make it look better than it is. Therefore
    the choice is repeated on resampled rows, and what it chooses is scored on the rows that are not
    among them (Tsamardinos, Greasidou and Borboudakis 2018, "Bootstrapping the out-of-sample
    predictions for efficient and accurate cross-validation").

    Args:
        candidates: answers to the same rows, at least one.
        default: as for `choose`.
        seed: seed of the resampling.
    """
    losses = np.stack([one.losses for one in candidates]).astype(np.float64)
    right = np.stack([one.right for one in candidates])
    generator = np.random.default_rng([seed, 4])
    rows = losses.shape[1]
    found = []
    for _ in range(_DRAWS):
        inside = generator.integers(rows, size=rows)
        outside = np.setdiff1d(np.arange(rows), inside)
        if not len(outside):
            continue
        scores = right[:, inside].mean(axis=1)
        chosen = _chosen(losses[:, inside], scores, default)
        found.append((right[chosen, outside].mean(), losses[chosen, outside].mean()))
    if not found:  # a single row
        chosen = choose(candidates, default)
        return Expected(float(right[chosen].mean()), candidates[chosen].loss)
    accuracy, log_loss = np.mean(found, axis=0).tolist()
    return Expected(accuracy, log_loss)


def _chosen(losses: NDArray[np.float64], scores: NDArray[np.float64], default: int | None) -> int:
    """Return the index of the candidate to use.

    Args:
        losses: float64 [candidates, rows].
        scores: float64 [candidates].
        default: index of the default recipe.
    """
    means = losses.mean(axis=1)
    if default is None:
        return int(means.argmin())
    gains = losses[default] - losses
    errors = gains.std(axis=1) / np.sqrt(losses.shape[1])
    better = (gains.mean(axis=1) > errors) & (scores >= scores[default])
    return int(np.where(better, means, np.inf).argmin()) if better.any() else default
