"""What abstaining buys: how many texts are answered, and how many of the answers are right."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from textgate.bundle.manifest import Manifest

_TINY = 1e-30  # keeps the logarithm of a saturated probability finite


@dataclass(frozen=True)
class CoveragePoint:
    """What a classifier is worth that abstains below a probability.

    Attributes:
        threshold: the probability below which it abstains; None where each label has its own.
        coverage: share of the rows it answers.
        accuracy: share of its answers that are right; None where it answers nothing.
    """

    threshold: float | None
    coverage: float
    accuracy: float | None


@dataclass(frozen=True)
class LabelThreshold:
    """A label's threshold and what it does on the rows it was chosen on.

    Attributes:
        label: the label's name.
        threshold: the probability below which it is not given; None for no demand.
        answers: rows that have it as an answer without the threshold; None where it is not known.
        kept: rows that have it as an answer with the threshold.
        right: those of them that it applies to.
    """

    label: str
    threshold: float | None
    answers: int | None = None
    kept: int | None = None
    right: int | None = None


_COUNTS = ("answers", "kept", "right")
_NUMBER = re.compile("[0-9]{1,12}")


def threshold_facts(chosen: Sequence[LabelThreshold]) -> dict[str, str]:
    """Return the counts behind thresholds as entries of a manifest's ``training``.

    A list of numbers is a text there, as it holds only texts and numbers.
    """
    return {
        f"threshold_{what}": ", ".join(str(getattr(one, what)) for one in chosen)
        for what in _COUNTS
    }


def label_thresholds(manifest: Manifest) -> tuple[LabelThreshold, ...]:
    """Return a bundle's thresholds; () if no label has one.

    Where the manifest does not say what they were chosen on, the counts are None.
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
    """Return a count, and what share of another it is."""
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
        thresholds: probabilities in 0..1.
        answerable: bool [rows], false where no label is given whatever the probabilities.
    """
    scores, right = _scores(probabilities, truth)
    return [_point(least, (scores >= least) & answerable, right) for least in thresholds]


def own_coverage(
    probabilities: NDArray[np.float32],
    truth: NDArray[np.int64],
    thresholds: Sequence[float | None],
    *,
    answerable: NDArray[np.bool_] | bool = True,
) -> CoveragePoint:
    """Return the point of thresholds by label, as a bundle has them.

    Args:
        probabilities: float32 [rows, labels], of a single-label classifier.
        truth: the column of each row's label, int64 [rows].
        thresholds: the least probability of each label, None for no demand.
        answerable: as for `coverage_curve`.
    """
    scores, right = _scores(probabilities, truth)
    least = np.array([threshold or 0.0 for threshold in thresholds])
    reached = scores >= least[probabilities.argmax(axis=1)]
    return _point(None, reached & answerable, right)


def _scores(
    probabilities: NDArray[np.float32], truth: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the probability of each row's most probable label, and whether it is right."""
    return probabilities.max(axis=1).astype(np.float64), probabilities.argmax(axis=1) == truth


def _point(
    threshold: float | None, answered: NDArray[np.bool_], right: NDArray[np.bool_]
) -> CoveragePoint:
    accuracy = float(right[answered].mean()) if answered.any() else None
    return CoveragePoint(threshold, float(answered.mean()), accuracy)


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
