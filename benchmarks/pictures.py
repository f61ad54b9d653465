"""Plots as files of their own, for a README: the package's plots with title, legend and style."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from textgate.plots import HEIGHT, STYLE, WIDTH, swatch

_TITLE, _ABOUT, _ENTRY = 30, 22, 20
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
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH * 4 // 3}" '
        f'viewBox="0 0 {WIDTH} {top}" role="img">\n<title>{escape(title)}</title>\n'
        f"<style>{STYLE}{_STYLE}</style>\n"
        f'<rect class="back" width="{WIDTH}" height="{top}"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )
