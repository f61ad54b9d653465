"""Plots of an evaluation with matplotlib: confusion matrix, reliability diagram, coverage curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from textgate.errors import needing

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BINS = 10  # of the reliability diagram
_MAX_WRITTEN = 20  # labels; the counts of more would not be legible
_PALE = 0.5  # of a row's rows; on darker cells the count is white
_ROW, _LETTER = 0.12, 0.06  # inches of a new confusion matrix, for a label and for a letter of it
_MIN_SIDE, _MAX_SIDE = 4.8, 16.0  # inches
_SMALLEST, _LARGEST = 4.0, 10.0  # points of labels; of more labels, only some are named


def plot_confusion(
    confusion: Sequence[Sequence[int]], labels: Sequence[str], axes: Any = None
) -> Any:
    """Draw a confusion matrix, coloured by the fraction of each true label's rows.

    Args:
        confusion: rows counted by true label (outer) and given label (inner).
        labels: the labels' names.
        axes: where to draw; None for a new figure.

    Returns:
        The axes.

    Raises:
        MissingPackageError: axes are None and matplotlib is not installed.
    """
    axes = _axes(axes, len(labels) * _ROW + max(map(len, labels)) * _LETTER)
    counts = np.array(confusion, dtype=np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    places = range(len(labels))
    height = axes.get_window_extent().height / axes.figure.dpi * 72 / len(labels)  # points
    step = max(1, math.ceil(_SMALLEST / height))
    size = min(_LARGEST, max(_SMALLEST, 0.85 * height))
    names = [_plain(label) for label in labels[::step]]
    turned = 45 if len(labels) <= _MAX_WRITTEN else 90
    axes.set_xticks(
        places[::step],
        names,
        rotation=turned,
        ha="right",
        va="center",
        rotation_mode="anchor",
        fontsize=size,
    )
    axes.set_yticks(places[::step], names, fontsize=size)
    axes.set(xlabel="predicted", ylabel="true", title="Confusion matrix")
    if len(labels) <= _MAX_WRITTEN:
        for row in places:
            for column in places:
                colour = "black" if shares[row, column] < _PALE else "white"
                text = f"{int(counts[row, column]):,}"
                axes.text(column, row, text, ha="center", va="center", color=colour)
    return axes


def plot_reliability(
    probabilities: NDArray[np.floating], outcomes: NDArray[np.bool_], ece: float, axes: Any = None
) -> Any:
    """Draw how often decisions are right, by their probability; the diagonal is perfect.

    Args:
        probabilities: of the decisions, floats from 0 to 1 [decisions].
        outcomes: whether each was right, bool [decisions].
        ece: the expected calibration error.
        axes: as for `plot_confusion`, like what is returned and raised.
    """
    axes = _axes(axes)
    bins = np.clip((probabilities * _BINS).astype(np.int64), 0, _BINS - 1)
    counts = np.bincount(bins, minlength=_BINS)
    filled = counts > 0
    divisor = counts[filled]
    means = np.bincount(bins, weights=probabilities, minlength=_BINS)[filled] / divisor
    right = np.bincount(bins, weights=outcomes, minlength=_BINS)[filled] / divisor
    axes.plot([0, 1], [0, 1], color="grey", linestyle="--", linewidth=1)
    axes.plot(means, right, color="C0", linewidth=1)
    axes.scatter(means, right, s=20 + 200 * divisor / counts.sum(), color="C0")
    axes.set(
        xlabel="mean probability",
        ylabel="fraction right",
        xlim=(0, 1.02),
        ylim=(0, 1.02),
        title=f"Reliability (calibration error {ece:.3f})",
    )
    return axes


def plot_coverage(
    scores: NDArray[np.floating],
    right: NDArray[np.bool_],
    answerable: NDArray[np.bool_],
    axes: Any = None,
) -> Any:
    """Draw the accuracy of the answers against the fraction of rows that are answered.

    Args:
        scores: probability of each row's most probable label [rows].
        right: whether that label is right, bool [rows].
        answerable: bool [rows], false for rows that are never answered.
        axes: as for `plot_confusion`, like what is returned and raised.
    """
    axes = _axes(axes)
    chosen = np.flatnonzero(answerable)
    order = chosen[np.argsort(-scores[chosen], kind="stable")]
    answered = np.arange(1, len(order) + 1)
    ends = np.append(np.diff(scores[order]) != 0, True)[: len(order)]  # equal scores go together
    axes.plot((answered / len(scores))[ends], (np.cumsum(right[order]) / answered)[ends])
    axes.set(
        xlabel="fraction of rows answered",
        ylabel="accuracy of the answers",
        xlim=(0, 1.02),
        title="Coverage",
    )
    return axes


def _axes(axes: Any, side: float = 0.0) -> Any:
    """Return axes, or new ones, in a square of `side` inches if it is larger than usual."""
    if axes is not None:
        return axes
    with needing("plots", "a plot"):
        from matplotlib import pyplot
    side = min(side, _MAX_SIDE)
    size = (side, side) if side > _MIN_SIDE else None
    return pyplot.subplots(figsize=size, layout="constrained")[1]  # long labels are not cut


def _plain(label: str) -> str:
    """Return a label that matplotlib does not read as a formula."""
    return label.replace("$", r"\$")
