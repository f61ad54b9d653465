"""Likely label errors by confident learning (Northcutt, Jiang and Chuang 2021).

A label's threshold is the mean probability that it has in the rows which were given it. A row
counts as one of another label if the probability of that label reaches its threshold. These counts
estimate how many rows of each label belong to other labels. So many of its rows are listed, those
in which it is least probable. ("Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR
70, section 3: pruning by class, ranking by self-confidence.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class LabelErrors:
    """Likely label errors, the most likely first.

    Attributes:
        rows: the rows that likely have a wrong label, int64 [errors].
        columns: the label that each of them likely has, int64 [errors]; in a multi-label set the
            label that was likely forgotten, or given by mistake.
        given_scores: the probability of what was given, float64 [errors].
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    given_scores: NDArray[np.float64]


def single_label_errors(
    probabilities: NDArray[np.floating], given: NDArray[np.int64]
) -> LabelErrors:
    """Return the likely label errors of rows that have one label each.

    Args:
        probabilities: of a model that did not learn from these rows, floats [rows, labels].
        given: the column of each row's label, int64 [rows].
    """
    scores = np.asarray(probabilities, dtype=np.float64)
    labels = scores.shape[1]
    own = scores[np.arange(len(scores)), given]
    counts = np.bincount(given, minlength=labels)
    thresholds = np.bincount(given, weights=own, minlength=labels) / np.maximum(counts, 1)
    thresholds[counts == 0] = np.inf  # a label that no row was given has no confident rows
    reached = scores >= thresholds
    confident = np.where(reached, scores, -1.0).argmax(axis=1)
    counted = reached.any(axis=1)
    sure = np.bincount(given[counted], minlength=labels)
    of_others = np.bincount(given[counted & (confident != given)], minlength=labels)
    # In each label, the fraction among the confident rows stands for that of all its rows.
    errors = np.round(counts * of_others / np.maximum(sure, 1)).astype(np.int64)
    best = scores.argmax(axis=1)
    found: list[tuple[int, int, float]] = []
    for label in np.flatnonzero(errors).tolist():
        members = np.flatnonzero((given == label) & (best != label))
        order = members[np.argsort(own[members], kind="stable")]
        found += [(row, int(best[row]), float(own[row])) for row in order[: errors[label]].tolist()]
    return _ranked(found)


def multi_label_errors(
    probabilities: NDArray[np.floating], given: NDArray[np.bool_]
) -> LabelErrors:
    """Return the likely label errors of rows that have any number of labels each.

    Each label is a question of its own: whether it applies. A row can be listed several times, once
    for each label.

    Args:
        probabilities: of a model that did not learn from these rows, floats [rows, labels].
        given: whether each row has each label, bool [rows, labels].
    """
    found: list[tuple[int, int, float]] = []
    for column in range(given.shape[1]):
        applies = np.asarray(probabilities[:, column], dtype=np.float64)
        of_label = single_label_errors(
            np.stack([1.0 - applies, applies], axis=1), given[:, column].astype(np.int64)
        )
        found += [
            (row, column, score)
            for row, score in zip(
                of_label.rows.tolist(), of_label.given_scores.tolist(), strict=True
            )
        ]
    return _ranked(found)


def _ranked(found: list[tuple[int, int, float]]) -> LabelErrors:
    """Return triples of row, column and score of what was given, the lowest score first."""
    order = sorted(found, key=lambda one: (one[2], one[0], one[1]))
    return LabelErrors(
        rows=np.array([row for row, _, _ in order], dtype=np.int64),
        columns=np.array([column for _, column, _ in order], dtype=np.int64),
        given_scores=np.array([score for _, _, score in order], dtype=np.float64),
    )
