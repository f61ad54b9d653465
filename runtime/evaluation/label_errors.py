"""Likely label errors by confident learning (Northcutt, Jiang and Chuang 2021).

A label's threshold is the mean probability that it has in the rows which were given it. A row
counts as one of another label if the probability of that label reaches its threshold. These counts
estimate how many rows of each label belong to each other label, and the rows with the largest
difference of the two probabilities are the likely errors. ("Confident Learning: Estimating
Uncertainty in Dataset Labels", JAIR 70; the pruning by noise rate of its section 3.2.)
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
        estimated: the estimated number of label errors in all rows, those included that cannot be
            told apart from right labels.
        rows: the rows that likely have a wrong label, int64 [errors].
        columns: the label that each of them likely has, int64 [errors]; in a multi-label set the
            label that was likely forgotten, or given by mistake.
        margins: the probability of what is likely, minus that of what was given, float64 [errors].
    """

    estimated: float
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    margins: NDArray[np.float64]


def single_label_errors(
    probabilities: NDArray[np.floating], given: NDArray[np.int64]
) -> LabelErrors:
    """Return the likely label errors of rows that have one label each.

    Args:
        probabilities: of a model that did not learn from these rows, floats [rows, labels].
        given: the column of each row's label, int64 [rows].
    """
    scores = np.asarray(probabilities, dtype=np.float64)
    rows, labels = scores.shape
    counts = np.bincount(given, minlength=labels)
    own = scores[np.arange(rows), given]
    thresholds = np.bincount(given, weights=own, minlength=labels) / np.maximum(counts, 1)
    thresholds[counts == 0] = np.inf  # a label that no row was given has no confident rows
    reached = scores >= thresholds
    confident = np.where(reached, scores, -1.0).argmax(axis=1)
    joint = np.zeros((labels, labels))
    certain = reached.any(axis=1)
    np.add.at(joint, (given[certain], confident[certain]), 1.0)
    joint[counts > 0, np.arange(labels)[counts > 0]] += joint.sum(axis=1)[counts > 0] == 0
    # As many rows of each label as were given it.
    joint *= (counts / np.maximum(joint.sum(axis=1), 1.0))[:, None]
    found: dict[int, tuple[float, int]] = {}
    for label, other in zip(*np.nonzero(np.round(joint)), strict=True):
        if label == other:
            continue
        members = np.flatnonzero(given == label)
        margins = scores[members, other] - scores[members, label]
        wanted = round(float(joint[label, other]))
        for index in np.argsort(-margins, kind="stable")[:wanted]:
            row, margin = int(members[index]), float(margins[index])
            if margin > found.get(row, (0.0, -1))[0]:
                found[row] = (margin, int(other))
    return _ranked(
        [(row, column, margin) for row, (margin, column) in found.items()],
        estimated=float(joint.sum() - np.trace(joint)),
    )


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
    estimated = 0.0
    for column in range(given.shape[1]):
        applies = np.asarray(probabilities[:, column], dtype=np.float64)
        of_label = single_label_errors(
            np.stack([1.0 - applies, applies], axis=1), given[:, column].astype(np.int64)
        )
        estimated += of_label.estimated
        found += [
            (row, column, margin)
            for row, margin in zip(of_label.rows.tolist(), of_label.margins.tolist(), strict=True)
        ]
    return _ranked(found, estimated=estimated)


def _ranked(found: list[tuple[int, int, float]], *, estimated: float) -> LabelErrors:
    """Return triples of row, column and margin in the order of the margins."""
    order = sorted(found, key=lambda one: (-one[2], one[0], one[1]))
    return LabelErrors(
        estimated=estimated,
        rows=np.array([row for row, _, _ in order], dtype=np.int64),
        columns=np.array([column for _, column, _ in order], dtype=np.int64),
        margins=np.array([margin for _, _, margin in order], dtype=np.float64),
    )
