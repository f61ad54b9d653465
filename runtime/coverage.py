"""What abstaining buys: how many texts are answered, and how many of the answers are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_TINY = 1e-30  # keeps the logarithm of a saturated probability finite


@dataclass(frozen=True)
class CoveragePoint:
    """What a classifier is worth that abstains below a probability.

    Attributes:
        threshold: the probability below which it abstains.
        coverage: share of the rows it answers.
        accuracy: share of its answers that are right; None where it answers nothing.
    """

    threshold: float
    coverage: float
    accuracy: float | None


def coverage_curve(
    probabilities: NDArray[np.float32], truth: NDArray[np.int64], thresholds: Sequence[float]
) -> list[CoveragePoint]:
    """Return a point for each threshold.

    Args:
        probabilities: float32 [rows, labels], of a single-label classifier.
        truth: the column of each row's label, int64 [rows].
        thresholds: probabilities in 0..1.
    """
    scores = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    points = []
    for threshold in thresholds:
        answered = scores >= threshold
        accuracy = float(right[answered].mean()) if answered.any() else None
        points.append(CoveragePoint(threshold, float(answered.mean()), accuracy))
    return points


def uncalibrated(
    probabilities: NDArray[np.float32], temperature: float, *, multi_label: bool
) -> NDArray[np.float64]:
    """Return the probabilities as they would be without the temperature.

    Args:
        probabilities: float32 [rows, labels], calibrated.
        temperature: what the logits were divided by.
        multi_label: whether each label has a probability of its own.
    """
    wide = np.clip(probabilities.astype(np.float64), _TINY, 1.0)
    if multi_label:
        other = np.clip(1.0 - probabilities.astype(np.float64), _TINY, 1.0)
        logits = temperature * (np.log(wide) - np.log(other))
        return np.asarray(1.0 / (1.0 + np.exp(-logits)))
    logits = temperature * np.log(wide)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
