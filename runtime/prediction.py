"""What a classifier answers, and how probabilities become an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEFAULT_THRESHOLD = 0.5  # of a multi-label decision without a threshold of its own


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one text.

    Attributes:
        label: the most probable label that applies; None if none does, or if the classifier
            abstains.
        labels: all labels that apply, the most probable first: one or none for a single-label
            model, any number for a multi-label one.
        score: the probability of `top_label`, in 0..1.
        scores: the probability of every label, in the bundle's order.
        top_label: the most probable label, whatever the thresholds make of it.
        reason: why `label` is None, or None.
        tokens: how many tokens were read.
        truncated: whether the text was longer than what was read.
    """

    label: str | None
    labels: tuple[str, ...]
    score: float
    scores: Mapping[str, float]
    top_label: str
    reason: str | None
    tokens: int
    truncated: bool


@dataclass(frozen=True, slots=True)
class Scores:
    """What the network says of some texts, before it is decided on: small enough to send about.

    Attributes:
        probabilities: float32 [texts, labels].
        tokens: how many tokens of each text were read.
        truncated: whether each text was longer than that.
    """

    probabilities: NDArray[np.float32]
    tokens: list[int]
    truncated: list[bool]


@dataclass(frozen=True)
class Decision:
    """Turns probabilities into predictions.

    Attributes:
        labels: label names in column order.
        thresholds: the least probability of each label, None for no demand of its own.
        multi_label: whether several labels may apply.
    """

    labels: tuple[str, ...]
    thresholds: tuple[float | None, ...]
    multi_label: bool

    def predict_many(self, scores: Scores) -> list[Prediction]:
        """Return the predictions for some texts, in order."""
        rows: list[list[float]] = scores.probabilities.tolist()
        return [
            self.predict(row, tokens=tokens, truncated=truncated)
            for row, tokens, truncated in zip(rows, scores.tokens, scores.truncated, strict=True)
        ]

    def predict(
        self, probabilities: Sequence[float], *, tokens: int, truncated: bool
    ) -> Prediction:
        """Return the prediction for one row of probabilities."""
        score = max(probabilities)
        top = probabilities.index(score)
        if self.multi_label:
            chosen = sorted(
                (
                    column
                    for column, value in enumerate(probabilities)
                    if value >= self._threshold(column)
                ),
                key=lambda column: -probabilities[column],
            )
            applying = tuple(self.labels[column] for column in chosen)
            reason = None if applying else "no label reaches its threshold"
        else:
            threshold = self.thresholds[top]
            if threshold is None or score >= threshold:
                applying, reason = (self.labels[top],), None
            else:
                applying = ()
                reason = f"{score:.3f} is below the threshold {threshold:g} of {self.labels[top]!r}"
        return Prediction(
            label=applying[0] if applying else None,
            labels=applying,
            score=score,
            scores=dict(zip(self.labels, probabilities, strict=True)),
            top_label=self.labels[top],
            reason=reason,
            tokens=tokens,
            truncated=truncated,
        )

    def _threshold(self, column: int) -> float:
        threshold = self.thresholds[column]
        return DEFAULT_THRESHOLD if threshold is None else threshold
