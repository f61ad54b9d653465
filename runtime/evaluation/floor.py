"""Floor of a classifier: the scores of the most frequent label, and of guessing at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_MIN_MACRO_F1_GAIN = 0.1  # of a classifier that trades accuracy for rare labels


@dataclass(frozen=True)
class Floor:
    """Scores without any knowledge of the text.

    Attributes:
        accuracy: of always giving the most frequent label, or labels.
        macro_f1: the higher one of that answer's, and of guessing at random.
    """

    accuracy: float
    macro_f1: float

    def is_beaten(self, accuracy: float, macro_f1: float) -> bool:
        """Return whether a classifier is better than no knowledge.

        A classifier with class weights may have a lower accuracy than the majority label and still
        find the rare labels, so a clearly higher macro-F1 is enough.
        """
        return accuracy > self.accuracy or macro_f1 >= self.macro_f1 + _MIN_MACRO_F1_GAIN


def beats_floor(metrics: Mapping[str, float]) -> bool:
    """Return whether the metrics of a trained model are better than those of its floor.

    Args:
        metrics: metrics of a run by name; a run of an earlier release has none of its floor, and
            is taken to be better.
    """
    if "majority_accuracy" not in metrics:
        return True
    floor = Floor(metrics["majority_accuracy"], metrics["floor_macro_f1"])
    return floor.is_beaten(metrics["accuracy"], metrics["macro_f1"])


def find_floor(truth: NDArray[np.bool_], *, multi_label: bool) -> Floor:
    """Return the floor for rows with these labels.

    Args:
        truth: whether a label applies, bool [rows, labels].
        multi_label: whether several labels can apply.
    """
    frequency = truth.mean(axis=0)
    labels = max(1, int((frequency > 0).sum()))  # macro-F1 is a mean over the labels that occur
    if multi_label:
        given = frequency > 0.5
        f1 = np.where(given, 2 * frequency / (1 + frequency), frequency)
        return Floor(float((truth == given).all(axis=1).mean()), float(f1.sum() / labels))
    most = float(frequency.max())
    return Floor(most, max(2 * most / (1 + most), 1.0) / labels)
