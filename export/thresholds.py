"""Decision thresholds per label, chosen on labelled rows for a target precision or coverage."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from textgate.errors import ConfigError, ExportError
from textgate.evaluation.coverage import LabelThreshold
from textgate.inference.arguments import checked_fraction
from textgate.inference.prediction import DEFAULT_THRESHOLD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_MAX_THRESHOLD = 1 - 1e-6  # above it, rounding decides which texts are answered
_SIGNIFICANCE = 0.05  # probability that the rows show a fraction that does not hold for new texts


@dataclass(frozen=True)
class Answers:
    """Target for the answers of each label, reached by a threshold on its probability.

    Attributes:
        metric: ``precision``, the fraction of its answers that are right, or ``coverage``, the
            fraction of its answers that are kept.
        fraction: above 0 and below 1: no number of rows can show that all answers are right.

    Raises:
        ConfigError: another metric, or a fraction out of range.
    """

    metric: str
    fraction: float

    def __post_init__(self) -> None:
        if self.metric not in ("precision", "coverage"):
            raise ConfigError(f"answers can have precision or coverage, not {self.metric!r}")
        if checked_fraction(self.fraction, self.metric, positive=True) == 1:
            raise ConfigError(
                f"the wanted {self.metric} must be below 1: no number of rows can show that all "
                "answers are right"
            )

    def __str__(self) -> str:
        return f"{self.metric} {self.fraction:g}"

    @property
    def rows_needed(self) -> int:
        """Smallest number of answers of a label that can show the fraction.

        If the true fraction is only `fraction`, all of n answers are right (or kept) by chance with
        a probability of ``fraction ** n``. If that is above 5 %, even n of n are no evidence: the
        lower end of Clopper and Pearson's one-sided 95 % interval (1934) is below the fraction.
        """
        return math.ceil(math.log(_SIGNIFICANCE) / math.log(self.fraction))


def fit_thresholds(
    probabilities: NDArray[np.float32],
    truth: NDArray[np.bool_],
    labels: Sequence[str],
    *,
    answers: Answers,
    multi_label: bool,
) -> tuple[LabelThreshold, ...]:
    """Return each label's threshold: the lowest that is precise enough, or the highest that covers.

    A label that is never the answer gets no threshold.

    Args:
        probabilities: float32 [rows, labels].
        truth: whether each label applies, bool [rows, labels].
        labels: label names.
        answers: the target.
        multi_label: whether each label is decided independently.

    Raises:
        ExportError: a label has too few answers to show the fraction, cannot reach the precision,
            or has answers that are all certain.
    """
    fitted, too_few = [], []
    for column, label in enumerate(labels):
        scores, given = probabilities[:, column], probabilities.argmax(axis=1) == column
        if multi_label:
            given = scores >= DEFAULT_THRESHOLD
        # With several labels per row, a low threshold can give a label to further rows.
        tried = scores > 0 if multi_label and answers.metric == "precision" else given
        count = int(tried.sum())
        if not count:
            fitted.append(LabelThreshold(label, None, 0, 0, 0))
        elif count < answers.rows_needed:
            too_few.append((count, label))
        else:
            threshold = (
                _lowest_precise(scores[tried], truth[tried, column], label, answers)
                if answers.metric == "precision"
                else float(np.sort(scores[tried])[count - math.ceil(answers.fraction * count)])
            )
            if threshold > _MAX_THRESHOLD:
                raise ExportError(
                    f"the label {label!r} would get the threshold 1: the {count} answers on the "
                    "verification rows that it is chosen from are too certain to be told apart; "
                    "verify on rows that are harder (--verify FILE), or leave the thresholds out"
                )
            kept = tried & (scores >= threshold)
            right = int((kept & truth[:, column]).sum())
            fitted.append(
                LabelThreshold(label, threshold, int(given.sum()), int(kept.sum()), right)
            )
    if too_few:
        raise ExportError(_too_few_answers(too_few, rows=len(probabilities), answers=answers))
    return tuple(fitted)


def _lowest_precise(
    scores: NDArray[np.float32], right: NDArray[np.bool_], label: str, answers: Answers
) -> float:
    """Return the lowest threshold that keeps enough answers with the target precision."""
    order = np.argsort(-scores, kind="stable")
    scores, right = scores[order], right[order]
    kept = np.arange(1, len(right) + 1)
    # Equal scores are kept together, so only the last of them can be the threshold.
    cuts = np.append(scores[:-1] != scores[1:], True) & (kept >= answers.rows_needed)
    reached = np.where(cuts, np.cumsum(right) / kept, -1.0)
    if reached.max() < answers.fraction:
        raise ExportError(
            f"no threshold gives the label {label!r} a precision of {answers.fraction:g} on "
            f"{answers.rows_needed} or more of its {len(scores)} answers on the verification rows "
            f"(the best has {reached.max():.3f}); ask for less, or verify on other rows: --verify"
        )
    return float(scores[np.flatnonzero(reached >= answers.fraction)[-1]])


def _too_few_answers(too_few: list[tuple[int, str]], *, rows: int, answers: Answers) -> str:
    """Return the message about labels with too few answers, given as (answers, label)."""
    count, label = min(too_few)
    others = f" ({len(too_few)} labels have too few)" if len(too_few) > 1 else ""
    possible = math.floor(100 * _SIGNIFICANCE ** (1 / count)) / 100
    less = f"ask for at most {possible:g}" if possible > 0 else "leave the thresholds out"
    chance = "right" if answers.metric == "precision" else "kept"
    return (
        f"the label {label!r} is the answer in {count} of {rows} verification rows{others}, but "
        f"{answers.rows_needed} are needed to show a {answers.metric} of {answers.fraction:g}: "
        f"fewer may all be {chance} by chance; verify on more rows (--verify FILE), or {less}"
    )
