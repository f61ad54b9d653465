"""Plots as files of their own, for a README: the package's plots with title, legend and style."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from textgate.plots import HEIGHT, STYLE, WIDTH, swatch

_TITLE, _ABOUT, _ENTRY = 30, 22, 20
_BOLD = ' class="title"'
_STYLE = """
text { fill: var(--text); font: 13px system-ui, sans-serif; } .title { font-weight: 600; }
.about { fill: var(--soft); } .back { fill: var(--back); }
"""


def picture(title: str, panels: Sequence[tuple[str, str]], names: Sequence[str]) -> str:
    """Return an SVG file: a title, plots below each other, and what their series are.

    Args:
        title: of the whole.
        panels: what each plot shows, and the plot.
        names: the series' names, in the order of the looks.
    """
    parts = [f'<text class="title" x="4" y="20">{escape(title)}</text>']
    top = _TITLE
    for number, name in enumerate(names):
        mark = swatch(number).replace(
            "<svg ", f'<svg x="4" y="{top + 2}" width="22" height="14" ', 1
        )
        parts.append(f'{mark}<text x="34" y="{top + 13}">{escape(name)}</text>')
        top += _ENTRY
    for about, plot in panels:
        top += _ABOUT
        placed = f'<svg y="{top}" width="{WIDTH}" height="{HEIGHT}" '
        parts.append(f'<text class="about" x="4" y="{top - 4}">{escape(about)}</text>')
        parts.append(plot.replace("<svg ", placed, 1))
        top += HEIGHT
    return _file(title, top, parts)


def ranking(title: str, rows: Sequence[tuple[str, float, bool]]) -> str:
    """Return an SVG file with a line for each row: its name and its value on a logarithmic axis.

    Args:
        title: what the values are, with the unit.
        rows: names, values above 0, and whether a row is to stand out.
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
            # No bar: on a logarithmic axis its length would say nothing.
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
