"""Predictions, and the decision that turns probabilities into a prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEFAULT_THRESHOLD = 0.5  # of a label without its own in a multi-label model
_MAX_SHOWN = 10  # labels in a notebook


@dataclass(frozen=True, slots=True)
class Prediction:
    """The prediction for one text.

    Attributes:
        label: the most probable label that applies; None if no label applies or the classifier
            abstains.
        labels: all labels that apply, the most probable first: at most one for a single-label
            model, any number for a multi-label one.
        score: the probability of `top_label`, from 0 to 1.
        scores: the probabilities of all labels, in the bundle's order; or of the `top_k` most
            probable labels, the most probable first.
        top_label: the most probable label, even if it is below its threshold or the text has no
            known token.
        reason: the reason why `label` is None; None if there is a label.
        tokens: how many tokens were read.
        truncated: whether the text has more tokens than were read.
    """

    label: str | None
    labels: tuple[str, ...]
    score: float
    scores: Mapping[str, float]
    top_label: str
    reason: str | None
    tokens: int
    truncated: bool

    def _repr_html_(self) -> str:
        from textgate.html_page import escape
        from textgate.messages import counted

        said = ", ".join(self.labels) if self.labels else f"no label: {self.reason}"
        best = sorted(self.scores.items(), key=lambda pair: -pair[1])
        rows = "".join(
            f"<tr><td style='text-align:left'>{escape(label)}</td><td>{score:.4f}</td>"
            f"<td style='min-width:8em'><div style='background:rgb(0,114,178);height:.7em;"
            f"width:{100 * max(0.0, min(1.0, score)):.1f}%'></div></td></tr>"
            for label, score in best[:_MAX_SHOWN]
        )
        more = len(best) - _MAX_SHOWN
        rest = f"<p>and {counted(more, 'more label', 'more labels')}</p>" if more > 0 else ""
        read = counted(self.tokens, "token", "tokens")
        cut = "; the text was cut off" if self.truncated else ""
        return (
            f"<p><b>{escape(said)}</b> ({read}{cut})</p><table><tbody>{rows}</tbody></table>{rest}"
        )


@dataclass(frozen=True, slots=True)
class Scores:
    """Probabilities of texts before a decision, small enough to send between processes.

    Attributes:
        probabilities: float32 [texts, labels].
        tokens: the number of tokens read of each text.
        truncated: whether each text was longer than that.
        reasons: the reason why a text gets no label, whatever the probabilities; None if it may get
            one.
    """

    probabilities: NDArray[np.float32]
    tokens: list[int]
    truncated: list[bool]
    reasons: list[str | None]

    @property
    def answerable(self) -> NDArray[np.bool_]:
        """Which texts may get a label, bool [texts]."""
        import numpy as np

        return np.array([reason is None for reason in self.reasons], dtype=np.bool_)


@dataclass(frozen=True)
class Decision:
    """Turns probabilities into predictions.

    Attributes:
        labels: label names in column order.
        thresholds: the threshold of each label; None for no threshold of its own.
        multi_label: whether several labels may apply.
    """

    labels: tuple[str, ...]
    thresholds: tuple[float | None, ...]
    multi_label: bool

    def predict_many(self, scores: Scores, *, top_k: int | None = None) -> list[Prediction]:
        """Return the predictions for some texts, in order."""
        rows: list[list[float]] = scores.probabilities.tolist()
        return [
            self.predict(row, tokens=tokens, truncated=truncated, reason=reason, top_k=top_k)
            for row, tokens, truncated, reason in zip(
                rows, scores.tokens, scores.truncated, scores.reasons, strict=True
            )
        ]

    def predict(
        self,
        probabilities: Sequence[float],
        *,
        tokens: int,
        truncated: bool,
        reason: str | None = None,
        top_k: int | None = None,
    ) -> Prediction:
        """Return the prediction for one row of probabilities.

        Args:
            probabilities: the probability of each label.
            tokens: the number of tokens that were read.
            truncated: whether the text was longer than that.
            reason: the reason why the text gets no label, whatever the probabilities; or None.
            top_k: how many labels, the most probable ones, are in `scores`; None for all.
        """
        score = max(probabilities)
        top = probabilities.index(score)
        applying: tuple[str, ...] = ()
        if reason is None:
            applying = self._applying(probabilities, top)
            reason = None if applying else self._shortfall(score, top)
        return Prediction(
            label=applying[0] if applying else None,
            labels=applying,
            score=score,
            scores=self._scores(probabilities, top_k),
            top_label=self.labels[top],
            reason=reason,
            tokens=tokens,
            truncated=truncated,
        )

    def _applying(self, probabilities: Sequence[float], top: int) -> tuple[str, ...]:
        """Return the labels whose thresholds are reached, the most probable first."""
        if not self.multi_label:
            threshold = self.thresholds[top]
            reached = threshold is None or probabilities[top] >= threshold
            return (self.labels[top],) if reached else ()
        chosen = sorted(
            (
                column
                for column, value in enumerate(probabilities)
                if value >= self._threshold(column)
            ),
            key=lambda column: -probabilities[column],
        )
        return tuple(self.labels[column] for column in chosen)

    def _shortfall(self, score: float, top: int) -> str:
        """Return the reason why no label applies."""
        if self.multi_label:
            return "no label reaches its threshold"
        return (
            f"{score:.3f} is below the threshold {self.thresholds[top]:g} of {self.labels[top]!r}"
        )

    def _scores(self, probabilities: Sequence[float], top_k: int | None) -> dict[str, float]:
        if top_k is None:
            return dict(zip(self.labels, probabilities, strict=True))
        best = nlargest(top_k, range(len(probabilities)), key=probabilities.__getitem__)
        return {self.labels[column]: probabilities[column] for column in best}

    def _threshold(self, column: int) -> float:
        threshold = self.thresholds[column]
        return DEFAULT_THRESHOLD if threshold is None else threshold
