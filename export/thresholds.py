"""Choosing each label's least probability on labelled rows, for a wanted precision or coverage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from textgate.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def thresholds_for_precision(
    probabilities: NDArray[np.float32],
    truth: NDArray[np.bool_],
    labels: Sequence[str],
    *,
    share: float,
    multi_label: bool,
) -> tuple[float | None, ...]:
    """Return the lowest threshold of each label at which its answers are precise enough.

    A label that is never the answer gets None: there is nothing to choose by.

    Args:
        probabilities: float32 [rows, labels].
        truth: whether each label applies, bool [rows, labels].
        labels: label names.
        share: the share of a label's answers that must be right, 0 to 1.
        multi_label: whether each label is answered by itself, not only the most probable one.

    Raises:
        ExportError: a label cannot reach the precision at any threshold.
    """
    result: list[float | None] = []
    for column, label in enumerate(labels):
        scores, right = _answers(probabilities, truth, column, multi_label=multi_label)
        if not len(scores):
            result.append(None)
            continue
        order = np.argsort(-scores, kind="stable")
        scores, right = scores[order], right[order]
        # Equal scores are answered together: only the last of them is a place to cut.
        cuts = np.append(scores[:-1] != scores[1:], True)
        reached = (np.cumsum(right) / np.arange(1, len(right) + 1))[cuts]
        if reached.max() < share:
            raise ExportError(
                f"no threshold gives the label {label!r} a precision of {share:g} on the "
                f"verification rows (the best has {reached.max():.3f}); ask for less"
            )
        result.append(float(scores[cuts][np.flatnonzero(reached >= share)[-1]]))
    return tuple(result)


def thresholds_for_coverage(
    probabilities: NDArray[np.float32],
    truth: NDArray[np.bool_],
    labels: Sequence[str],
    *,
    share: float,
    multi_label: bool,
) -> tuple[float | None, ...]:
    """Return the highest threshold of each label that keeps the wanted share of its answers.

    Args:
        probabilities: float32 [rows, labels].
        truth: whether each label applies, bool [rows, labels].
        labels: label names.
        share: the share of a label's answers to keep, above 0, at most 1.
        multi_label: whether each label is answered by itself, not only the most probable one.
    """
    result: list[float | None] = []
    for column in range(len(labels)):
        scores, _ = _answers(probabilities, truth, column, multi_label=multi_label)
        if not len(scores):
            result.append(None)
            continue
        kept = int(np.ceil(share * len(scores)))
        result.append(float(np.sort(scores)[::-1][kept - 1]))
    return tuple(result)


def _answers(
    probabilities: NDArray[np.float32],
    truth: NDArray[np.bool_],
    column: int,
    *,
    multi_label: bool,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the scores of the rows for which a label might be given, and whether it applies."""
    chosen = probabilities[:, column] > 0
    if not multi_label:
        chosen = probabilities.argmax(axis=1) == column
    return probabilities[chosen, column], truth[chosen, column]
