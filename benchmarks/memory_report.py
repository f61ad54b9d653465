"""Text and pictures out of what `memory_of_cells.py` found."""

from __future__ import annotations

import statistics
from typing import Any

from pictures import picture

from textgate.plots import Axis, Series, plot
from textgate.tables import format_count, format_ms, markdown_table

CELLS = ("lstm", "gru", "rnn")  # the RNN last: it is missing where gates are set
INITS = {
    "reference": "weights begin as textgate's do",
    "torch": "weights begin as torch's do",
    "long gates": "gates begin open for the gap",
}
_SMALLEST = 1e-12  # of a gradient that is drawn
_SAME = 1.02  # a ratio of times below which neither is called the faster
_GOOD = 0.95  # accuracy from which a gap counts as bridged


def accuracy_picture(result: dict[str, Any]) -> str:
    """Return accuracy by gap: the mean over seeds, from the worst to the best."""
    panels = []
    for init, about in INITS.items():
        series = []
        for cell in CELLS:
            by_gap = _accuracies(result, cell, init)
            if by_gap:
                series.append(
                    Series(
                        cell.upper(),
                        tuple((gap, statistics.mean(each)) for gap, each in by_gap.items()),
                        tuple((min(each), max(each)) for each in by_gap.values()),
                    )
                )
        drawn = plot(
            f"Accuracy by gap, {about}",
            series,
            Axis("gap, steps", logarithmic=True),
            Axis("accuracy", from_zero=True),
        )
        panels.append((about, drawn))
    return picture("Recalling the first symbol after a gap", panels, _names())


def gradient_picture(result: dict[str, Any], *, trained: bool) -> str:
    """Return how much of the gradient is left by distance from the loss."""
    panels = []
    for init, about in INITS.items():
        series = [
            Series(
                cell.upper(),
                tuple(
                    (float(n), norm) for n, norm in enumerate(each["norms"]) if norm >= _SMALLEST
                ),
            )
            for cell in CELLS
            for each in result["gradients"]
            if (each["cell"], each["init"], each["trained"]) == (cell, init, trained)
        ]
        drawn = plot(
            f"Gradient by distance, {about}",
            series,
            Axis("steps before the loss", from_zero=True),
            Axis("share of the gradient's norm left", logarithmic=True),
            markers=False,
        )
        panels.append((about, drawn))
    when = "after training" if trained else "before training"
    return picture(f"What is left of the gradient, {when}", panels, _names())


def tables(result: dict[str, Any]) -> str:
    """Return accuracy by gap, costs, and two paragraphs on the claims, as Markdown."""
    columns = [(cell, init) for init in INITS for cell in CELLS if _accuracies(result, cell, init)]
    gaps = sorted({each["gap"] for each in result["recalled"]})
    accuracy = markdown_table(
        ["gap", *(f"{cell.upper()}, {init}" for cell, init in columns)],
        [
            [
                format_count(gap),
                *(
                    f"{statistics.mean(_accuracies(result, cell, init)[gap]):.2f}"
                    for cell, init in columns
                ),
            ]
            for gap in gaps
        ],
    )
    costs = markdown_table(
        ["what", "tokens", "cell", "parameters", "p50", "of the LSTM's", "95 % interval"],
        [
            [
                each["what"],
                format_count(each["tokens"]),
                each["cell"].upper(),
                format_count(result["parameters"][each["cell"]]),
                format_ms(each["ms"]),
                f"{each['ratio']:.3f}",
                f"{each['low']:.3f} to {each['high']:.3f}",
            ]
            for each in result["costs"]
        ],
        align="<><>>>>",
    )
    parts = [accuracy, costs, memory_claims(result), cost_claims(result)]
    if result["noise"]["reasons"]:
        parts.append("**Measured on a noisy machine**: the ratios may hold, the times do not.")
    return "\n\n".join(parts)


def memory_claims(result: dict[str, Any]) -> str:
    """Return a paragraph on how far back each cell remembers, in figures of this result."""
    reached = [
        f"{about}: "
        + ", ".join(
            f"{cell.upper()} {_longest(result, cell, init)}"
            for cell in CELLS
            if _accuracies(result, cell, init)
        )
        for init, about in INITS.items()
    ]
    left = {cell: _left(result, cell, "reference", 100) for cell in CELLS}
    shown = ", ".join(f"{cell.upper()} {left[cell]:.2g}" for cell in CELLS)
    lost = [cell.upper() for cell in ("lstm", "gru") if left[cell] < left["rnn"]]
    verdict = f"does not hold for the {' and the '.join(lost)}" if lost else "holds"
    return (
        f"**Memory.** The longest gap that every seed bridged ({_GOOD:.0%} right or more), within "
        f"{format_count(result['updates'])} updates, by how it began: {'; '.join(reached)}. Of "
        "the gradient, 100 steps before the loss and before training, there is left where weights "
        f"begin as textgate's do: {shown}. That a plain RNN's gradient vanishes and that of the "
        f"others is kept {verdict}: orthogonal recurrent weights carry an RNN's gradient, and a "
        "gate that begins half shut loses it at every step. How the weights begin counts beside "
        "the cell."
    )


def cost_claims(result: dict[str, Any]) -> str:
    """Return a paragraph on parameters and times, in figures of this result."""
    parameters = result["parameters"]

    def ratio(cell: str, what: str) -> float:
        return next(
            float(each["ratio"])
            for each in result["costs"]
            if (each["cell"], each["what"], each["tokens"]) == (cell, what, 100)
        )

    int8 = ratio("gru", "int8")
    verdict = "slower than" if int8 > _SAME else "faster than" if int8 < 1 / _SAME else "as fast as"
    return (
        f"**Cost.** A GRU has {parameters['gru'] / parameters['lstm']:.2f} of the LSTM's "
        f"parameters and an RNN {parameters['rnn'] / parameters['lstm']:.2f}; their times do not "
        f"follow. At 100 tokens a GRU takes {ratio('gru', 'float32'):.2f} of the LSTM's time in "
        f"float32 and {int8:.2f} in int8, where it is {verdict} the LSTM, which alone has an "
        f"integer kernel; an RNN takes {ratio('rnn', 'float32'):.2f} and "
        f"{ratio('rnn', 'int8'):.2f}. An update in training takes {ratio('gru', 'update'):.2f} of "
        f"the LSTM's time with a GRU and {ratio('rnn', 'update'):.2f} with an RNN."
    )


def _accuracies(result: dict[str, Any], cell: str, init: str) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for each in sorted(result["recalled"], key=lambda each: int(each["gap"])):
        if (each["cell"], each["init"]) == (cell, init):
            found.setdefault(each["gap"], []).append(each["accuracy"])
    return found


def _longest(result: dict[str, Any], cell: str, init: str) -> str:
    """Return the longest gap up to which every seed answers well."""
    longest = "none"
    for gap, accuracies in _accuracies(result, cell, init).items():
        if min(accuracies) < _GOOD:
            break
        longest = str(gap)
    return longest


def _left(result: dict[str, Any], cell: str, init: str, steps: int) -> float:
    """Return what is left of an untrained network's gradient so many steps back, or fewer."""
    norms: list[float] = next(
        each["norms"]
        for each in result["gradients"]
        if (each["cell"], each["init"], each["trained"]) == (cell, init, False)
    )
    return norms[min(steps, len(norms) - 1)]


def _names() -> list[str]:
    return [cell.upper() for cell in CELLS]
