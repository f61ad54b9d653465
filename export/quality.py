"""Loss of quality by quantization on labelled rows, and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from textgate.bundle.manifest import Quality
from textgate.errors import VerificationError
from textgate.evaluation.metrics import evaluate_multi_label, evaluate_single_label
from textgate.export.verification import encoded, session_probabilities
from textgate.inference.prediction import DEFAULT_THRESHOLD

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import onnxruntime
    from numpy.typing import NDArray

    from textgate.native.session import NativeSession
    from textgate.train.data.dataset import Dataset
    from textgate.train.training.progress import Progress

MAX_ACCURACY_DROP = 0.003
MAX_CHANCE_ROWS = 3  # lost rows, or changed decisions, that may be chance
# Limits for a multi-label network at the default --max-accuracy-drop. An int8 network changes 1 %
# of its decisions, and 4 % with a 4-bit embedding; its probabilities change by 0.002 and 0.01 on
# average.
_MAX_CHANGED = 0.05  # of the labels given, all labels together
_MAX_CHANGED_OF_LABEL = 0.1
LARGE_SHIFT = 0.1  # of a probability
_MAX_SHIFTED_ROWS = 0.01
_MAX_MEAN_SHIFT = 0.02


@dataclass(frozen=True)
class LabelChange:
    """Changed decisions on one label of a multi-label network.

    Attributes:
        label: its name.
        given: rows that get the label from at least one graph.
        changed: rows that get the label from one graph only.
        mean: mean difference of its probability.
        largest: largest difference of its probability.
    """

    label: str
    given: int
    changed: int
    mean: float
    largest: float


@dataclass(frozen=True)
class Comparison:
    """A quantized graph compared with the float32 graph on the verification rows.

    Attributes:
        rows: number of rows.
        largest: largest difference of a probability.
        mean: mean difference of a probability.
        agreement: fraction of rows with the same decision.
        before: quality of the float32 graph.
        after: quality of the quantized graph.
        never_predicted: columns of the labels that no row gets.
        labels: changes of each label of a multi-label network; () for a single-label network.
        shifted: rows in which a probability differs by more than 0.1.
    """

    rows: int
    largest: float
    mean: float
    agreement: float
    before: Quality
    after: Quality
    never_predicted: tuple[int, ...]
    labels: tuple[LabelChange, ...] = ()
    shifted: int = 0

    @property
    def rows_lost(self) -> int:
        """Rows that became wrong, minus rows that became right."""
        return round((self.before.accuracy - self.after.accuracy) * self.rows)

    def allows(self, max_accuracy_drop: float) -> bool:
        """Return whether the loss is within the limit, or small enough to be chance."""
        return next(self._excesses(max_accuracy_drop), None) is None

    def require(self, max_accuracy_drop: float) -> None:
        """Refuse a loss that is above the limit and too large to be chance.

        The limit is on accuracy. Multi-label networks also have limits on changed decisions and on
        changes of probabilities, because their accuracy is a weak measure. A limit of accuracy
        above the default raises these limits in proportion.

        Raises:
            VerificationError: the loss is above a limit; the message holds the figures.
        """
        excess = next(self._excesses(max_accuracy_drop), None)
        if excess is not None:
            raise VerificationError(
                f"quantization {excess}; use --fallback, --precision float32, or raise "
                "--max-accuracy-drop"
            )

    def _excesses(self, max_accuracy_drop: float) -> Iterator[str]:
        """Yield each exceeded limit, as the end of a sentence about quantization."""
        # In rows, because 0.9 - 0.86 is more than 0.04 in floating point.
        if self.rows_lost > max(MAX_CHANCE_ROWS, max_accuracy_drop * self.rows + 1e-6):
            yield (
                f"loses {self.before.accuracy - self.after.accuracy:.2%} accuracy on "
                f"{self.rows} rows ({self.before.accuracy:.4f} to {self.after.accuracy:.4f}, "
                f"{self.rows_lost} rows; largest probability difference {self.largest:.3f}), and "
                f"at most {100 * max_accuracy_drop:g}% is allowed"
            )
        if not self.labels:
            return
        allowance = max(1.0, max_accuracy_drop / MAX_ACCURACY_DROP)
        for one in sorted(self.labels, key=lambda one: -one.changed / max(1, one.given)):
            if one.changed > max(MAX_CHANCE_ROWS, _MAX_CHANGED_OF_LABEL * allowance * one.given):
                yield (
                    f"changes {one.changed} of {one.given} decisions for the label {one.label!r} "
                    f"on {self.rows} rows, and at most {_MAX_CHANGED_OF_LABEL * allowance:.0%}, or "
                    f"{MAX_CHANCE_ROWS}, may change"
                )
        given, changed = (
            sum(getattr(one, what) for one in self.labels) for what in ("given", "changed")
        )
        if changed > max(MAX_CHANCE_ROWS, _MAX_CHANGED * allowance * given):
            most = max(self.labels, key=lambda one: one.changed)
            yield (
                f"changes {changed} of {given} decisions on {self.rows} rows, most of them "
                f"({most.changed}) for the label {most.label!r}, and at most "
                f"{_MAX_CHANGED * allowance:.0%}, or {MAX_CHANCE_ROWS}, may change"
            )
        if self.shifted > max(MAX_CHANCE_ROWS, _MAX_SHIFTED_ROWS * allowance * self.rows):
            most = self.most_shifted
            yield (
                f"moves a probability by more than {LARGE_SHIFT:g} in {self.shifted} of "
                f"{self.rows} rows, that of the label {most.label!r} by up to {most.largest:.3f}, "
                f"and at most {_MAX_SHIFTED_ROWS * allowance:.0%} of the rows, or "
                f"{MAX_CHANCE_ROWS}, may have that"
            )
        most = max(self.labels, key=lambda one: one.mean)
        if most.mean > _MAX_MEAN_SHIFT * allowance:
            yield (
                f"moves the probability of the label {most.label!r} by {most.mean:.3f} on average "
                f"over {self.rows} rows, and at most {_MAX_MEAN_SHIFT * allowance:g} is allowed"
            )

    @property
    def most_shifted(self) -> LabelChange:
        """The label of a multi-label network whose probability moves furthest."""
        return max(self.labels, key=lambda one: one.largest)


def compare_graphs(
    reference: onnxruntime.InferenceSession,
    quantized: onnxruntime.InferenceSession | NativeSession,
    rows: Dataset,
    quantized_rows: Dataset | None = None,
    *,
    labels: Sequence[str],
    multi_label: bool,
    progress: Progress | None = None,
) -> Comparison:
    """Compare a quantized graph with the float32 graph on labelled rows.

    Args:
        reference: the float32 graph.
        quantized: the quantized graph.
        rows: the rows.
        quantized_rows: the same rows in the ids of the quantized graph, if they differ.
        labels: the labels' names, in the order of the columns.
        multi_label: whether each label is decided independently.
        progress: receives the number of rows, once for each graph.
    """
    before = session_probabilities(reference, encoded(rows.sequences), progress)
    after = session_probabilities(quantized, encoded((quantized_rows or rows).sequences), progress)
    difference = np.abs(after - before)
    first, second = (
        values >= DEFAULT_THRESHOLD
        if multi_label
        else np.eye(values.shape[1], dtype=bool)[values.argmax(axis=1)]
        for values in (before, after)
    )
    changes = zip(
        labels,
        (first | second).sum(axis=0).tolist(),
        (first != second).sum(axis=0).tolist(),
        difference.mean(axis=0).tolist(),
        difference.max(axis=0).tolist(),
        strict=True,
    )
    return Comparison(
        rows=len(rows),
        largest=float(difference.max()),
        mean=float(difference.mean()),
        agreement=float((first == second).all(axis=1).mean()),
        before=quality(before, rows.targets, multi_label=multi_label),
        after=quality(after, rows.targets, multi_label=multi_label),
        never_predicted=tuple(np.flatnonzero(~second.any(axis=0)).tolist()),
        labels=tuple(LabelChange(*change) for change in changes) if multi_label else (),
        shifted=int((difference > LARGE_SHIFT).any(axis=1).sum()),
    )


def quality(
    values: NDArray[np.float32], targets: NDArray[np.float32], *, multi_label: bool
) -> Quality:
    """Return the quality of probabilities [rows, labels] against targets [rows, labels]."""
    names = [str(column) for column in range(targets.shape[1])]
    if multi_label:
        result = evaluate_multi_label(values, targets > 0.5, names)
    else:
        result = evaluate_single_label(values, targets.argmax(axis=1), names)
    return Quality(result.accuracy, result.macro_f1, result.ece, result.rows)
