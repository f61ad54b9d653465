"""Pictures of the results, as SVG files."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from pages.blocks import by_time
from pages.templates import Result

from textgate.bench.plots import HEIGHT, STYLE, WIDTH, Axis, Series, plot, swatch

_TITLE, _PANEL_TITLE, _ENTRY = 30, 22, 20  # heights
_BOLD = ' class="title"'
_STYLE = """
text { fill: var(--text); font: 13px system-ui, sans-serif; } .title { font-weight: 600; }
.about { fill: var(--soft); } .back { fill: var(--back); }
"""


def pareto(result: Result) -> str:
    """Return a picture of accuracy against time, and against size."""
    kinds = list(dict.fromkeys(point["kind"] for point in result["points"]))
    kinds = [kind for kind in kinds if "float32" not in kind]  # they hide the other points
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


def peers(result: Result) -> str:
    """Return a picture of the medians at the first length, fastest first."""
    tokens = next(iter(result["entries"][0]["times"]))
    rows = [
        (entry["name"], entry["times"][tokens]["p50"], entry["is_bundle"])
        for entry in by_time(result, tokens)
    ]
    return ranking(f"One text of {tokens} tokens, p50 in ms", rows)


def picture(title: str, panels: Sequence[tuple[str, str]], names: Sequence[str]) -> str:
    """Return an SVG file: a title, a legend, and plots below each other.

    Args:
        title: title of the picture.
        panels: title and plot of each panel.
        names: the series' names, in the order of their styles.
    """
    parts = [f'<text class="title" x="4" y="20">{escape(title)}</text>']
    top = _TITLE
    for number, name in enumerate(names):
        mark = swatch(number).replace(
            "<svg ", f'<svg x="4" y="{top + 2}" width="22" height="14" ', 1
        )
        parts.append(f'{mark}<text x="34" y="{top + 13}">{escape(name)}</text>')
        top += _ENTRY
    for about, drawn in panels:
        top += _PANEL_TITLE
        placed = f'<svg y="{top}" width="{WIDTH}" height="{HEIGHT}" '
        parts.append(f'<text class="about" x="4" y="{top - 4}">{escape(about)}</text>')
        parts.append(drawn.replace("<svg ", placed, 1))
        top += HEIGHT
    return _file(title, top, parts)


def ranking(title: str, rows: Sequence[tuple[str, float, bool]]) -> str:
    """Return an SVG file with a line per row: its name and its value on a logarithmic axis.

    Args:
        title: title with the unit of the values.
        rows: name, value above 0, and whether the row is highlighted.
    """
    values = [math.log10(value) for _, value, _ in rows]
    low, high = min(values), max(values)
    left, right, step, top = 14.0, WIDTH - 60.0, 34, _TITLE + 12
    height = top + step * len(rows) + 8
    parts = [f'<text class="title" x="4" y="20">{escape(title)}</text>']
    for number, (name, value, marked) in enumerate(rows):
        x = left + (math.log10(value) - low) / ((high - low) or 1) * (right - left)
        y = top + step * number
        look = "s0" if marked else "s1"
        parts.append(
            f'<g class="{look}"><text x="4" y="{y + 4}"{_BOLD if marked else ""}>{escape(name)}'
            # No bar: on a logarithmic axis its length has no meaning.
            f'</text><line class="grid" x1="{left}" y1="{y + 16}" x2="{x:.1f}" y2="{y + 16}"/>'
            f'<circle class="mark" cx="{x:.1f}" cy="{y + 16}" r="4.2"/>'
            f'<text x="{x + 8:.1f}" y="{y + 20}">{value:.3g}</text></g>'
        )
    return _file(title, height, parts)


def _file(title: str, height: int, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH * 4 // 3}" '
        f'viewBox="0 0 {WIDTH} {height}" role="img">\n<title>{escape(title)}</title>\n'
        f"<style>{STYLE}{_STYLE}</style>\n"
        f'<rect class="back" width="{WIDTH}" height="{height}"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


# Result -> what draws it.
PICTURES: dict[str, Callable[[Result], str]] = {"latency_peers": peers, "pareto": pareto}
