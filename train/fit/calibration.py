"""Temperature scaling: making stated probabilities match observed frequencies.

Guo et al. 2017, "On Calibration of Modern Neural Networks": one number divides every logit and is
fitted on dev by its log loss. It changes no single-label decision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SEARCHED = (0.1, 1000.0)
# On dev rows that are all right the loss falls with T without end, and few rows cannot tell that
# answers should be surer than this. Upwards there is no such end: a network whose linear branch
# counts most has logits a hundred times too large, and to make answers less sure is the safe side.
LOWEST_TEMPERATURE = 0.25
_HALVINGS = 40  # golden ones, of the range of log T: to a millionth of T
_SHARED_BY = 2**21  # logits by which a share is chosen, at most, where there are many labels
_LEAST_ROWS = 500
_HIGHEST_OF_A_PART = 10.0  # and with a tenth of the weight, a hundred for the whole


def fit_temperature(
    logits: NDArray[np.float32], targets: NDArray[np.float32], *, multi_label: bool
) -> float:
    """Return the temperature from 0.25 to 1000 with the lowest log loss.

    Args:
        logits: float32 [rows, labels].
        targets: float32 [rows, labels], 1 where a label applies.
        multi_label: whether every label is a decision of its own.
    """
    # The log loss is convex in 1/T: where its lowest point is below the bound, the bound is best.
    return max(LOWEST_TEMPERATURE, _best_temperature(logits, targets, multi_label=multi_label))


def _best_temperature(
    logits: NDArray[np.float32], targets: NDArray[np.float32], *, multi_label: bool
) -> float:
    """Return the temperature from 0.1 to 1000 with the lowest log loss."""

    def at(logarithm: float) -> float:
        scaled: NDArray[np.float32] = logits * np.float32(np.exp(-logarithm))
        return log_loss(scaled, targets, multi_label=multi_label)

    # Golden-section search on log T: the log loss is convex in 1/T, so it has one minimum.
    ratio = (np.sqrt(5.0) - 1.0) / 2.0
    low, high = np.log(_SEARCHED)
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = at(left), at(right)
    for _ in range(_HALVINGS):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = at(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = at(right)
    return float(np.exp((low + high) / 2.0))


def calibrated_loss(
    logits: NDArray[np.float32], targets: NDArray[np.float32], *, multi_label: bool
) -> float:
    """Return the lowest mean log loss at any temperature, which compares parts of a network.

    Arguments as above.
    """
    temperature = _best_temperature(logits, targets, multi_label=multi_label)
    scaled: NDArray[np.float32] = logits / np.float32(temperature)
    return log_loss(scaled, targets, multi_label=multi_label)


def best_share(
    recurrent: NDArray[np.float32],
    linear: NDArray[np.float32],
    targets: NDArray[np.float32],
    *,
    multi_label: bool,
) -> float:
    """Return what to multiply the linear branch's logits with before they are added.

    Both parts are calibrated by themselves, which makes them comparable, and then weighed by the
    log loss of what they give together, calibrated again. The recurrent part keeps a tenth of the
    weight.

    Args:
        recurrent: logits of the one part, float32 [rows, labels].
        linear: logits of the other.
        targets: float32 [rows, labels], 1 where a label applies.
        multi_label: whether every label is a decision of its own.
    """
    # Some rows are enough where each has thousands of logits, and all would take minutes an epoch.
    every = max(1, len(targets) // max(_LEAST_ROWS, _SHARED_BY // targets.shape[1]))
    recurrent, linear, targets = recurrent[::every], linear[::every], targets[::every]
    first, second = (
        min(_HIGHEST_OF_A_PART, _best_temperature(part, targets, multi_label=multi_label))
        for part in (recurrent, linear)
    )

    def loss(share: float) -> float:
        both: NDArray[np.float32] = recurrent + np.float32(share) * linear
        return calibrated_loss(both, targets, multi_label=multi_label)

    weights = (step / 10 for step in range(10))
    return min((weight / (1.0 - weight) * first / second for weight in weights), key=loss)


def log_loss(
    logits: NDArray[np.float32], targets: NDArray[np.float32], *, multi_label: bool
) -> float:
    """Return the mean negative log-likelihood of the targets."""
    wide = logits.astype(np.float64)
    if multi_label:
        return float(np.mean(np.logaddexp(0.0, wide) - wide * targets))
    shifted = wide - wide.max(axis=1, keepdims=True)
    normalizer = np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(np.mean(((normalizer - shifted) * targets).sum(axis=1)))
