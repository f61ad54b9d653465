"""Text and a picture out of what `pareto.py` found."""

from __future__ import annotations

from typing import Any

from pictures import picture

from textgate.plots import Axis, Series, plot
from textgate.tables import format_bytes, format_ms, markdown_table


def tables(result: dict[str, Any]) -> str:
    """Return the points, the fastest first, and which of them are on a front, as Markdown."""
    rows = [
        [
            f"**{point['name']}**" if point["fast"] or point["small"] else point["name"],
            f"{point['accuracy']:.4f}",
            format_ms(point["p50"]) + (" *" if point["fast"] else ""),
            format_bytes(point["bytes"]) + (" *" if point["small"] else ""),
        ]
        for point in sorted(result["points"], key=lambda point: float(point["p50"]))
    ]
    table = markdown_table(["", "accuracy", "p50", "size"], rows, align="<>>>")
    told = (
        f"On {result['test_rows']:,} test rows of {result['data']}, one seed; * none is both as "
        "accurate and faster (smaller)."
    )
    lines = [table, "", told]
    if result["noise"]["reasons"]:
        lines.append("**Measured on a noisy machine**: the order may hold, the times do not.")
    return "\n".join(lines)


def drawing(result: dict[str, Any]) -> str:
    """Return a picture of accuracy against time, and against size."""
    kinds = list(dict.fromkeys(point["kind"] for point in result["points"]))
    kinds = [kind for kind in kinds if "float32" not in kind]  # would hide the others
    accuracy = Axis("accuracy", show="{:.3f}".format)
    panels = []
    for about, cost, axis in (
        ("against time", "p50", Axis("p50 of a text, ms", logarithmic=True)),
        ("against size", "bytes", Axis("size, MB", logarithmic=True)),
    ):
        scale = 1e-6 if cost == "bytes" else 1.0
        series = [
            Series(
                kind,
                tuple(
                    (point[cost] * scale, point["accuracy"])
                    for point in sorted(result["points"], key=lambda point: float(point[cost]))
                    if point["kind"] == kind
                ),
            )
            for kind in kinds
        ]
        panels.append((about, plot(f"Accuracy {about}", series, axis, accuracy)))
    return picture(f"Accuracy on {result['data']}, by cell and width", panels, kinds)
