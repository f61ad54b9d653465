"""Whether what was timed computed what it should, and how far two bundles answer alike."""

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
    """How far two bundles with the same labels answer alike on the texts that were timed.

    Attributes:
        bundle: the one.
        other: the other.
        texts: how many texts both answered.
        same: the share of them on which the decisions are the same: the labels given, or none.
        largest_difference: between two probabilities of the same label.
    """

    bundle: str
    other: str
    texts: int
    same: float
    largest_difference: float


class PlainAnswers:
    """What `Classifier.predict` says, text by text, asked once for each."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self._known: dict[str, Prediction] = {}

    def predict(self, text: str) -> Prediction:
        """Return the prediction of one text alone."""
        if text not in self._known:
            self._known[text] = self._classifier.predict(text)
        return self._known[text]

    def check(self, texts: Sequence[str], rows: Sequence[Sequence[float]], *, stage: str) -> None:
        """Refuse figures of calls that answered otherwise than a plain prediction.

        Args:
            texts: the texts of one timed call.
            rows: the probabilities that it gave, [texts, labels].
            stage: what was timed, for the message.

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
        texts: what to compare them on, at least one.
    """
    found = []
    for place, name in enumerate(answers):
        earlier = [
            other for other in list(answers)[:place] if set(labels[other]) == set(labels[name])
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
