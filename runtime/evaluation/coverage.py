"""Coverage and accuracy of a classifier that abstains, and the thresholds of its labels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from textgate.bundle.manifest import Manifest

_MIN_PROBABILITY = 1e-30  # keeps the logarithm of a saturated probability finite


@dataclass(frozen=True)
class CoveragePoint:
    """Coverage and accuracy of a classifier that abstains below a probability.

    Attributes:
        threshold: the probability below which it abstains; None if each label has its own.
        coverage: fraction of the rows that it answers.
        accuracy: fraction of its answers that are right; None if it answers no row.
    """

    threshold: float | None
    coverage: float
    accuracy: float | None


@dataclass(frozen=True)
class LabelThreshold:
    """A label's threshold, and its effect on the rows on which it was chosen.

    Attributes:
        label: the label's name.
        threshold: the probability below which it is not given; None for no threshold.
        answers: rows that get it without the threshold; None if unknown.
        kept: rows that get it with the threshold; None if unknown.
        right: the rows of `kept` to which it applies; None if unknown.
    """

    label: str
    threshold: float | None
    answers: int | None = None
    kept: int | None = None
    right: int | None = None


_COUNTS = ("answers", "kept", "right")
_NUMBER = re.compile("[0-9]{1,12}")


def threshold_facts(chosen: Sequence[LabelThreshold]) -> dict[str, str]:
    """Return the counts of thresholds as entries of a manifest's ``training``.

    ``training`` holds only texts and numbers, so a list of numbers is written as a text.
    """
    return {
        f"threshold_{what}": ", ".join(str(getattr(one, what)) for one in chosen)
        for what in _COUNTS
    }


def label_thresholds(manifest: Manifest) -> tuple[LabelThreshold, ...]:
    """Return a bundle's thresholds; () if no label has one.

    The counts are None if the manifest does not hold them.
    """
    if all(threshold is None for threshold in manifest.thresholds):
        return ()
    columns: list[list[int] | list[None]] = []
    for what in _COUNTS:
        values = str(manifest.training.get(f"threshold_{what}", "")).split(", ")
        known = len(values) == len(manifest.labels) and all(map(_NUMBER.fullmatch, values))
        columns.append(list(map(int, values)) if known else [None] * len(manifest.labels))
    return tuple(
        LabelThreshold(*values)
        for values in zip(manifest.labels, manifest.thresholds, *columns, strict=True)
    )


def threshold_table(chosen: Sequence[LabelThreshold]) -> tuple[list[str], list[list[str]], str]:
    """Return thresholds as a table: header, rows and alignment, as `textgate.tables` takes them."""
    header = ["label", "threshold", "answers without it", "answers with it", "of these right"]
    rows = [
        [
            one.label,
            "none" if one.threshold is None else f"{one.threshold:.6g}",
            _count(one.answers),
            _count(one.kept, of=one.answers),
            _count(one.right, of=one.kept),
        ]
        for one in chosen
    ]
    return header, rows, "<>>>>"


def _count(count: int | None, *, of: int | None = None) -> str:
    """Return a count, with its percentage of another."""
    if count is None:
        return "-"
    return f"{count:,} ({count / of:.1%})" if of else f"{count:,}"


def coverage_curve(
    probabilities: NDArray[np.float32],
    truth: NDArray[np.int64],
    thresholds: Sequence[float],
    *,
    answerable: NDArray[np.bool_] | bool = True,
) -> list[CoveragePoint]:
    """Return a point for each threshold.

    Args:
        probabilities: float32 [rows, labels], of a single-label classifier.
        truth: the column of each row's label, int64 [rows].
        thresholds: probabilities from 0 to 1.
        answerable: bool [rows], false for rows that get no label, whatever the probabilities.
    """
    scores, right = _scores(probabilities, truth)
    return [
        coverage_point(threshold, (scores >= threshold) & answerable, right)
        for threshold in thresholds
    ]


def _scores(
    probabilities: NDArray[np.float32], truth: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the probability of each row's most probable label, and whether it is right."""
    return probabilities.max(axis=1).astype(np.float64), probabilities.argmax(axis=1) == truth


def coverage_point(
    threshold: float | None, answered: NDArray[np.bool_], right: NDArray[np.bool_]
) -> CoveragePoint:
    """Return the point of a classifier that answers some rows.

    Args:
        threshold: the probability below which it abstains; None if each label has its own.
        answered: whether it answers each row, bool [rows].
        right: whether the answer is right, bool [rows].
    """
    accuracy = float(right[answered].mean()) if answered.any() else None
    return CoveragePoint(threshold, float(answered.mean()), accuracy)


def uncalibrated(
    probabilities: NDArray[np.float32], temperature: float, *, multi_label: bool
) -> NDArray[np.float64]:
    """Return the probabilities of the network without the temperature.

    Args:
        probabilities: float32 [rows, labels], calibrated.
        temperature: the divisor of the logits.
        multi_label: whether each label has its own sigmoid.
    """
    wide = np.clip(probabilities.astype(np.float64), _MIN_PROBABILITY, 1.0)
    if multi_label:
        other = np.clip(1.0 - probabilities.astype(np.float64), _MIN_PROBABILITY, 1.0)
        logits = temperature * (np.log(wide) - np.log(other))
        return np.asarray(1.0 / (1.0 + np.exp(-logits)))
    logits = temperature * np.log(wide)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
