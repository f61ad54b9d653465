"""Choosing each label's least probability on labelled rows, for a wanted precision or coverage."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from textgate.errors import ConfigError, ExportError
from textgate.evaluation.coverage import LabelThreshold
from textgate.inference.arguments import fraction
from textgate.inference.prediction import DEFAULT_THRESHOLD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_CERTAIN = 1 - 1e-6  # above it, rounding decides which text is answered
_CHANCE = 0.05  # that rows promise a share which new texts do not keep


@dataclass(frozen=True)
class Answers:
    """What a label's answers should be like, by a threshold below which it is not given.

    Attributes:
        wish: ``precision``: so large a share of its answers is right; ``coverage``: so large a
            share of its answers is kept.
        share: above 0 and below 1: no number of rows can show that all answers are right.

    Raises:
        ConfigError: neither wish, or a share out of range.
    """

    wish: str
    share: float

    def __post_init__(self) -> None:
        if self.wish not in ("precision", "coverage"):
            raise ConfigError(f"answers can have precision or coverage, not {self.wish!r}")
        if fraction(self.share, self.wish, positive=True) == 1:
            raise ConfigError(
                f"{self.wish} must be below 1: no number of rows can show that all answers are"
                " right"
            )

    def __str__(self) -> str:
        return f"{self.wish} {self.share:g}"

    @property
    def rows_needed(self) -> int:
        """Answers of a label that it takes to tell the share.

        If the true share is only `share`, all of n answers are right (or kept) by chance with a
        probability of ``share ** n``. Unless that is 5 % or less, even n of n do not tell: the
        lower end of Clopper and Pearson's one-sided 95 % interval (1934) is below the share.
        """
        return math.ceil(math.log(_CHANCE) / math.log(self.share))


def fit_thresholds(
    probabilities: NDArray[np.float32],
    truth: NDArray[np.bool_],
    labels: Sequence[str],
    *,
    answers: Answers,
    multi_label: bool,
) -> tuple[LabelThreshold, ...]:
    """Return each label's threshold: the lowest that is precise enough, or the highest that covers.

    A label that is never the answer gets none: there is nothing to choose by.

    Args:
        probabilities: float32 [rows, labels].
        truth: whether each label applies, bool [rows, labels].
        labels: label names.
        answers: what the answers should be like.
        multi_label: whether each label is answered by itself, not only the most probable one.

    Raises:
        ExportError: a label has too few answers to tell the share, cannot reach the precision, or
            has answers that are all certain.
    """
    fitted, too_few = [], []
    for column, label in enumerate(labels):
        scores, given = probabilities[:, column], probabilities.argmax(axis=1) == column
        if multi_label:
            given = scores >= DEFAULT_THRESHOLD
        # Of several labels, a low threshold may give one to rows that it would not get without.
        tried = scores > 0 if multi_label and answers.wish == "precision" else given
        count = int(tried.sum())
        if not count:
            fitted.append(LabelThreshold(label, None, 0, 0, 0))
        elif count < answers.rows_needed:
            too_few.append((count, label))
        else:
            threshold = (
                _lowest_precise(scores[tried], truth[tried, column], label, answers)
                if answers.wish == "precision"
                else float(np.sort(scores[tried])[count - math.ceil(answers.share * count)])
            )
            if threshold > _CERTAIN:
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
        raise ExportError(_told(too_few, rows=len(probabilities), answers=answers))
    return tuple(fitted)


def _lowest_precise(
    scores: NDArray[np.float32], right: NDArray[np.bool_], label: str, answers: Answers
) -> float:
    """Return the lowest threshold at which enough answers are kept and precise enough."""
    order = np.argsort(-scores, kind="stable")
    scores, right = scores[order], right[order]
    kept = np.arange(1, len(right) + 1)
    # Equal scores are answered together: only the last of them is a place to cut.
    cuts = np.append(scores[:-1] != scores[1:], True) & (kept >= answers.rows_needed)
    reached = np.where(cuts, np.cumsum(right) / kept, -1.0)
    if reached.max() < answers.share:
        raise ExportError(
            f"no threshold gives the label {label!r} a precision of {answers.share:g} on "
            f"{answers.rows_needed} or more of its {len(scores)} answers on the verification rows "
            f"(the best has {reached.max():.3f}); ask for less, or verify on other rows: --verify"
        )
    return float(scores[np.flatnonzero(reached >= answers.share)[-1]])


def _told(too_few: list[tuple[int, str]], *, rows: int, answers: Answers) -> str:
    """Return what to say of labels with too few answers, as (answers, label)."""
    count, label = min(too_few)
    others = f" ({len(too_few)} labels have too few)" if len(too_few) > 1 else ""
    possible = math.floor(100 * _CHANCE ** (1 / count)) / 100
    less = f"ask for at most {possible:g}" if possible > 0 else "leave the thresholds out"
    chance = "right" if answers.wish == "precision" else "kept"
    return (
        f"the label {label!r} is the answer in {count} of {rows} verification rows{others}, but it "
        f"takes {answers.rows_needed} to tell a {answers.wish} of {answers.share:g}: fewer may all "
        f"be {chance} by chance; verify on more rows (--verify FILE), or {less}"
    )
