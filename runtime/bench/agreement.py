"""Agreement of answers: of timed calls with plain predictions, and of two bundles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textgate.errors import BundleError

if TYPE_CHECKING:
    from textgate.inference.classifier import Classifier
    from textgate.inference.prediction import Prediction

# A batch may add up float32 products in another order than a text alone does.
_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Agreement:
    """Agreement of two bundles with the same labels on the texts that were timed.

    Attributes:
        bundle: one bundle.
        other: the other bundle.
        texts: how many texts both answered.
        same: fraction of the texts on which both give the same labels, or none.
        largest_difference: the largest difference of two probabilities of the same label.
    """

    bundle: str
    other: str
    texts: int
    same: float
    largest_difference: float


class PlainAnswers:
    """Predictions of `Classifier.predict`, one call per text, computed once."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self._known: dict[str, Prediction] = {}

    def predict(self, text: str) -> Prediction:
        """Return the prediction of one text alone."""
        if text not in self._known:
            self._known[text] = self._classifier.predict(text)
        return self._known[text]

    def check(self, texts: Sequence[str], rows: Sequence[Sequence[float]], *, stage: str) -> None:
        """Refuse the times of calls whose answers differ from those of plain predictions.

        Args:
            texts: the texts of one timed call.
            rows: the probabilities that it returned, [texts, labels].
            stage: the name of what was timed, for the message.

        Raises:
            BundleError: a probability differs, or there is not one row for each text.
        """
        path = self._classifier.path
        if len(rows) != len(texts):
            raise BundleError(
                f"{path}: what was timed ({stage}) gave {len(rows)} answers to {len(texts)} texts"
            )
        for text, row in zip(texts, rows, strict=True):
            expected = list(self.predict(text).scores.values())
            difference = _largest_difference(row, expected)
            if not difference <= _TOLERANCE:  # written so that a NaN, too, is refused
                raise BundleError(
                    f"{path}: what was timed ({stage}) is not what predict computes: a "
                    f"probability differs by {difference:.2g} on the text {text[:60]!r}; its "
                    "times mean nothing"
                )


def agreements(
    answers: Mapping[str, PlainAnswers],
    labels: Mapping[str, tuple[str, ...]],
    texts: Sequence[str],
) -> list[Agreement]:
    """Compare each bundle with the first one before it that has the same labels.

    Args:
        answers: the bundles' plain predictions, by name.
        labels: the bundles' labels, by the same names.
        texts: the texts to compare them on, at least one.
    """
    found = []
    for index, name in enumerate(answers):
        earlier = [
            other for other in list(answers)[:index] if set(labels[other]) == set(labels[name])
        ]
        if earlier:
            found.append(_agreement(earlier[0], name, answers, texts))
    return found


def _agreement(
    first: str, second: str, answers: Mapping[str, PlainAnswers], texts: Sequence[str]
) -> Agreement:
    same, largest = 0, 0.0
    for text in texts:
        a, b = answers[first].predict(text), answers[second].predict(text)
        same += set(a.labels) == set(b.labels)
        largest = max(largest, *(abs(a.scores[label] - b.scores[label]) for label in a.scores))
    return Agreement(first, second, len(texts), same / len(texts), largest)


def _largest_difference(row: Sequence[float], expected: Sequence[float]) -> float:
    if len(row) != len(expected):
        return float("inf")
    differences = [abs(a - b) for a, b in zip(row, expected, strict=True)]
    return next((value for value in differences if value != value), max(differences))  # noqa: PLR0124
