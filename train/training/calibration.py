"""Temperature scaling, and the scale of the linear branch's logits.

Guo et al. 2017, "On Calibration of Modern Neural Networks": one number divides every logit. It is
fitted on dev by log loss and changes no single-label decision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_MIN_SEARCHED, _MAX_SEARCHED = 0.1, 1000.0  # of the searched temperatures
# If all dev rows are right, the loss falls with T without end, and a few rows cannot show that the
# answers should be more confident than this. There is no such bound above: a network whose linear
# branch dominates has logits a hundred times too large, and lower confidence is the safe side.
MIN_TEMPERATURE = 0.25
_STEPS = 40  # of the golden-section search over log T: to a millionth of T
_MAX_LOGITS = 2**21  # for the choice of a scale
_MIN_ROWS = 500  # for the same
_MAX_FEW_TEMPERATURE = 4.0
_PRIOR_ROWS = 30  # that speak for a temperature of 1
_MAX_PART_TEMPERATURE = 10.0  # with a tenth of the weight, 100 for the whole


def fit_temperature(
    logits: NDArray[np.float32],
    targets: NDArray[np.float32],
    *,
    multi_label: bool,
    weights: NDArray[np.float32] | None = None,
) -> float:
    """Return the temperature from 0.25 to 1000 with the lowest log loss.

    Args:
        logits: float32 [rows, labels].
        targets: float32 [rows, labels], 1 where a label applies.
        multi_label: whether each label is decided independently.
        weights: weight of each row, float32 [rows]; None weighs all the same.
    """
    # The log loss is convex in 1/T: if its minimum is below the bound, the bound is best.
    best = _best_temperature(logits, targets, multi_label=multi_label, weights=weights)
    return max(MIN_TEMPERATURE, best)


def bounded_temperature(
    logits: NDArray[np.float32],
    targets: NDArray[np.float32],
    *,
    multi_label: bool,
    weights: NDArray[np.float32] | None = None,
) -> float:
    """Return a temperature from 0.25 to 4 that is safe where rows are few.

    The logarithm of the best temperature is shrunk towards 0, by half if there are 30 rows.

    The arguments are those of `fit_temperature`.
    """
    best = _best_temperature(logits, targets, multi_label=multi_label, weights=weights)
    bounded = min(_MAX_FEW_TEMPERATURE, max(MIN_TEMPERATURE, best))
    rows = len(targets) if weights is None else _effective_rows(weights)
    return float(bounded ** (rows / (rows + _PRIOR_ROWS)))


def _effective_rows(weights: NDArray[np.float32]) -> float:
    """Return the number of rows of equal weight that tell as much (Kish 1965)."""
    wide = weights.astype(np.float64)
    return float(wide.sum() ** 2 / np.square(wide).sum())


def _best_temperature(
    logits: NDArray[np.float32],
    targets: NDArray[np.float32],
    *,
    multi_label: bool,
    weights: NDArray[np.float32] | None = None,
) -> float:
    """Return the temperature from 0.1 to 1000 with the lowest log loss."""

    def at(logarithm: float) -> float:
        scaled: NDArray[np.float32] = logits * np.float32(np.exp(-logarithm))
        return log_loss(scaled, targets, multi_label=multi_label, weights=weights)

    # Golden-section search over log T: the log loss is convex in 1/T, so it has one minimum.
    ratio = (np.sqrt(5.0) - 1.0) / 2.0
    low, high = np.log((_MIN_SEARCHED, _MAX_SEARCHED))
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = at(left), at(right)
    for _ in range(_STEPS):
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
    logits: NDArray[np.float32],
    targets: NDArray[np.float32],
    *,
    multi_label: bool,
    weights: NDArray[np.float32] | None = None,
) -> float:
    """Return the lowest mean log loss at any temperature, to compare parts of a network.

    The arguments are those of `fit_temperature`.
    """
    temperature = _best_temperature(logits, targets, multi_label=multi_label, weights=weights)
    scaled: NDArray[np.float32] = logits / np.float32(temperature)
    return log_loss(scaled, targets, multi_label=multi_label, weights=weights)


def best_linear_scale(
    recurrent: NDArray[np.float32],
    linear: NDArray[np.float32],
    targets: NDArray[np.float32],
    *,
    multi_label: bool,
    weights: NDArray[np.float32] | None = None,
) -> float:
    """Return the factor of the linear branch's logits before they are added to the recurrent ones.

    Both parts are calibrated, which makes them comparable, and mixed with the weights that give the
    lowest log loss of the calibrated sum. The recurrent part has at least a tenth of the weight.
    This is for the dev rows of one epoch, which may be many: only the ratio of the parts counts,
    because the temperature is fitted later. For few rows use `mixed_scales`.

    Args:
        recurrent: logits of the recurrent part, float32 [rows, labels].
        linear: logits of the linear branch, float32 [rows, labels].
        targets: float32 [rows, labels], 1 where a label applies.
        multi_label: whether each label is decided independently.
        weights: weight of each row, float32 [rows]; None weighs all the same.
    """
    # With thousands of labels, a part of the rows is enough; all would take minutes per epoch.
    step = max(1, len(targets) // max(_MIN_ROWS, _MAX_LOGITS // targets.shape[1]))
    recurrent, linear, targets = recurrent[::step], linear[::step], targets[::step]
    of_rows = None if weights is None else weights[::step]
    of_recurrent, of_linear = (
        min(
            _MAX_PART_TEMPERATURE,
            _best_temperature(part, targets, multi_label=multi_label, weights=of_rows),
        )
        for part in (recurrent, linear)
    )

    def loss(scale: float) -> float:
        both: NDArray[np.float32] = recurrent + np.float32(scale) * linear
        return calibrated_loss(both, targets, multi_label=multi_label, weights=of_rows)

    parts = (tenths / 10 for tenths in range(10))
    return min((part / (1.0 - part) * of_recurrent / of_linear for part in parts), key=loss)


def mixed_scales(
    network: NDArray[np.float32],
    linear: NDArray[np.float32] | None,
    targets: NDArray[np.float32],
    *,
    multi_label: bool,
    weights: NDArray[np.float32] | None = None,
) -> tuple[float, float]:
    """Return the factors of the recurrent part's logits and of the linear branch's.

    Both parts are calibrated and mixed, as by `best_linear_scale`, but safely where rows are few:
    temperatures are bounded and shrunk, and a smaller weight of the branch is preferred unless a
    larger one is clearly better. The recurrent part has at least a tenth of the weight.

    Args:
        network: logits of the recurrent part, float32 [rows, labels].
        linear: logits of the linear branch, float32 [rows, labels]; None without a branch.
        targets: float32 [rows, labels], 1 where a label applies.
        multi_label: whether each label is decided independently.
        weights: weight of each row, float32 [rows]; None weighs all the same.
    """
    of_network = bounded_temperature(network, targets, multi_label=multi_label, weights=weights)
    if linear is None:
        return 1.0 / of_network, 1.0
    of_linear = bounded_temperature(linear, targets, multi_label=multi_label, weights=weights)

    def scales(part: float) -> tuple[float, float]:
        return (1.0 - part) / of_network, part / of_linear

    def losses(part: float) -> NDArray[np.float64]:
        first, second = scales(part)
        both: NDArray[np.float32] = np.float32(first) * network + np.float32(second) * linear
        return calibrated_losses(both, targets, multi_label=multi_label, weights=weights)

    parts = [tenths / 10 for tenths in range(10)]  # the smallest one is preferred
    return scales(parts[preferred([losses(part) for part in parts], weights)])


def preferred(
    candidates: Sequence[NDArray[np.float64]], weights: NDArray[np.float32] | None = None
) -> int:
    """Return the first candidate that is not clearly worse than the best one.

    With few rows the best of several candidates is often best by chance. A candidate is clearly
    worse if its mean loss is higher by more than the standard error of the difference.

    Args:
        candidates: loss of each row, float64 [rows], for each candidate; the most plausible first.
        weights: weight of each row, float32 [rows]; None weighs all the same.
    """
    best = min(candidates, key=lambda losses: mean_loss(losses, weights))
    return next(
        index for index, one in enumerate(candidates) if not is_clearly_lower(best, one, weights)
    )


def is_clearly_lower(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    weights: NDArray[np.float32] | None = None,
) -> bool:
    """Return whether the mean of the first losses is lower by more than its standard error.

    Args:
        first: loss of each row, float64 [rows].
        second: other losses of the same rows.
        weights: weight of each row, float32 [rows]; None weighs all the same.
    """
    difference = second - first
    if weights is None:
        error = difference.std() / np.sqrt(len(difference))
        return bool(difference.mean() > error)
    shares = weights.astype(np.float64) / weights.sum(dtype=np.float64)
    mean = shares @ difference
    return bool(mean > np.sqrt(np.square(shares * (difference - mean)).sum()))


def mean_loss(losses: NDArray[np.float64], weights: NDArray[np.float32] | None = None) -> float:
    """Return the mean loss of rows, weighted if there are weights.

    Args:
        losses: loss of each row, float64 [rows].
        weights: weight of each row, float32 [rows]; None weighs all the same.
    """
    return float(np.mean(losses) if weights is None else np.average(losses, weights=weights))


def calibrated_losses(
    logits: NDArray[np.float32],
    targets: NDArray[np.float32],
    *,
    multi_label: bool,
    weights: NDArray[np.float32] | None = None,
) -> NDArray[np.float64]:
    """Return the log loss of each row at a temperature that is safe where rows are few.

    The arguments are those of `fit_temperature`.
    """
    temperature = bounded_temperature(logits, targets, multi_label=multi_label, weights=weights)
    scaled: NDArray[np.float32] = logits / np.float32(temperature)
    return row_losses(scaled, targets, multi_label=multi_label)


def log_loss(
    logits: NDArray[np.float32],
    targets: NDArray[np.float32],
    *,
    multi_label: bool,
    weights: NDArray[np.float32] | None = None,
) -> float:
    """Return the mean negative log-likelihood of the targets."""
    return mean_loss(row_losses(logits, targets, multi_label=multi_label), weights)


def row_losses(
    logits: NDArray[np.float32], targets: NDArray[np.float32], *, multi_label: bool
) -> NDArray[np.float64]:
    """Return the negative log-likelihood of each row's targets, float64 [rows]."""
    wide = logits.astype(np.float64)
    if multi_label:
        of_rows: NDArray[np.float64] = (np.logaddexp(0.0, wide) - wide * targets).mean(axis=1)
        return of_rows
    shifted = wide - wide.max(axis=1, keepdims=True)
    normalizer = np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    result: NDArray[np.float64] = ((normalizer - shifted) * targets).sum(axis=1)
    return result
