"""Plots as SVG for narrow screens, without scripts.

The colours come from `STYLE`, which a page with a plot must hold; it follows the reader's choice of
light or dark. Series differ by marker and dash as well as by colour.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from textgate.html_page import COLOURS

STYLE = (
    COLOURS
    + """\
.plot text { fill: var(--soft); font: 13px system-ui, sans-serif; }
.axis { stroke: var(--soft); } .grid { stroke: var(--rule); }
.line { fill: none; stroke: var(--c); stroke-width: 2; }
.whisker { stroke: var(--c); stroke-width: 1.5; }
.mark { fill: var(--c); stroke: var(--back); stroke-width: 1; } .bar { fill: var(--c); }
.s0 { --c: var(--c0); } .s1 { --c: var(--c1); } .s2 { --c: var(--c2); }
.s3 { --c: var(--c3); } .s4 { --c: var(--c4); } .s5 { --c: var(--c5); }
"""
)
STYLES = 6  # different looks of series; further series repeat them
WIDTH, HEIGHT = 360, 250

_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 14, 26, 40
_BAR, _GAP = 18, 26
_DASHES = ("", "6 3", "2 3", "8 3 2 3", "4 4", "1 4")


@dataclass(frozen=True)
class Axis:
    """One axis of a plot.

    Attributes:
        label: the quantity, with its unit.
        logarithmic: whether the scale is logarithmic; all values must be above 0.
        from_zero: whether a linear axis begins at 0.
        min_span: the smallest range of a linear axis, as a fraction of its largest value, so that a
            difference within the noise looks small.
        show: formats a value of the scale.
    """

    label: str
    logarithmic: bool = False
    from_zero: bool = False
    min_span: float = 0.0
    show: Callable[[float], str] = "{:g}".format


@dataclass(frozen=True)
class Series:
    """Points that are drawn in one look.

    Attributes:
        name: for the legend and for screen readers.
        points: (x, y) pairs.
        whiskers: (low, high) in y for each point; () for none.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    whiskers: tuple[tuple[float, float], ...] = ()


def plot(
    title: str,
    series: Sequence[Series],
    x: Axis,
    y: Axis,
    *,
    lines: bool = True,
    markers: bool = True,
) -> str:
    """Return an SVG element with the series in one pair of axes.

    Args:
        title: its title, for screen readers.
        series: the series, each with at least one point.
        x: the horizontal axis.
        y: the vertical axis.
        lines: whether the points of a series are joined.
        markers: whether they are marked.
    """
    ys = [value for each in series for _, value in each.points]
    ys += [end for each in series for pair in each.whiskers for end in pair]
    across = _Scale(x, [value for each in series for value, _ in each.points])
    down = _Scale(y, ys)

    def at_x(value: float) -> float:
        return _LEFT + across.fraction(value) * (WIDTH - _LEFT - _RIGHT)

    def at_y(value: float) -> float:
        return HEIGHT - _BOTTOM - down.fraction(value) * (HEIGHT - _TOP - _BOTTOM)

    parts = [_text(4, 14, y.label, "start"), _text(WIDTH - _RIGHT, HEIGHT - 6, x.label, "end")]
    for tick in across.ticks(6):
        at = at_x(tick)
        parts.append(_line((at, HEIGHT - _BOTTOM), (at, HEIGHT - _BOTTOM + 4), "axis"))
        parts.append(_text(at, HEIGHT - _BOTTOM + 17, x.show(tick), "middle"))
    for tick in down.ticks(6):
        at = at_y(tick)
        parts.append(_line((_LEFT, at), (WIDTH - _RIGHT, at), "grid"))
        parts.append(_text(_LEFT - 6, at + 4, y.show(tick), "end"))
    parts.append(_line((_LEFT, HEIGHT - _BOTTOM), (WIDTH - _RIGHT, HEIGHT - _BOTTOM), "axis"))
    for number, each in enumerate(series):
        points = [(at_x(a), at_y(b)) for a, b in each.points]
        drawn = [f"<title>{escape(each.name)}</title>"]
        if lines:
            joined = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
            dash = _DASHES[number % STYLES]
            drawn.append(f'<polyline class="line" stroke-dasharray="{dash}" points="{joined}"/>')
        # Whiskers of several series at the same x would hide each other.
        aside = max(-4.0, min(4.0, 3.0 * (number - (len(series) - 1) / 2))) if lines else 0.0
        for (a, _), (low, high) in zip(points, each.whiskers, strict=bool(each.whiskers)):
            drawn.append(_line((a + aside, at_y(low)), (a + aside, at_y(high)), "whisker"))
        if markers:
            drawn += [_marker(number, a, b) for a, b in points]
        parts.append(f'<g class="s{number % STYLES}">{"".join(drawn)}</g>')
    return _svg(title, HEIGHT, parts)


def stacked_bars(title: str, names: Sequence[str], stages: Sequence[Series], x: Axis) -> str:
    """Return an SVG element with one horizontal bar for each name, made of stages.

    Args:
        title: its title, for screen readers.
        names: the bars' names, which are written above them.
        stages: the parts of the bars in order; y of point i is the part's length in bar i.
        x: the axis of the lengths.
    """
    height = _TOP + len(names) * (_BAR + _GAP) + _BOTTOM
    totals = [sum(stage.points[bar][1] for stage in stages) for bar in range(len(names))]
    scale = _Scale(x, [0.0, *totals])
    base = height - _BOTTOM

    def at_x(value: float) -> float:
        return 14 + scale.fraction(value) * (WIDTH - 14 - 24)

    parts = [_text(WIDTH - _RIGHT, height - 6, x.label, "end")]
    for tick in scale.ticks(6):
        parts.append(_line((at_x(tick), _TOP), (at_x(tick), base), "grid"))
        parts.append(_text(at_x(tick), base + 17, x.show(tick), "middle"))
    for bar, name in enumerate(names):
        top = _TOP + bar * (_BAR + _GAP) + 14
        parts.append(_text(14, top - 4, _shortened(name), "start"))
        start = 0.0
        for number, stage in enumerate(stages):
            length = stage.points[bar][1]
            left, right = at_x(start), at_x(start + length)
            start += length
            parts.append(
                f'<g class="s{number % STYLES}"><title>{escape(stage.name)}: '
                f'{escape(x.show(length))}</title><rect class="bar" x="{left:.1f}" y="{top}" '
                f'width="{right - left:.1f}" height="{_BAR}"/></g>'
            )
    return _svg(title, height, parts)


def as_file(drawn: str) -> str:
    """Return an SVG element as a file of its own, on a background."""
    begin = f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * WIDTH}" '
    back = f'<style>{STYLE}</style><rect width="100%" height="100%" fill="var(--back)"/>'
    return f"{drawn.replace('<svg ', begin, 1).replace('</title>', f'</title>{back}', 1)}\n"


def swatch(number: int, *, bar: bool = False) -> str:
    """Return a small SVG element that shows the look of a series, or of a bar, for a legend."""
    if bar:
        shown = '<rect class="bar" x="4" width="14" height="14"/>'
    else:
        dash = _DASHES[number % STYLES]
        line = f'<line class="line" stroke-dasharray="{dash}" x1="0" y1="7" x2="22" y2="7"/>'
        shown = line + _marker(number, 11, 7)
    return (
        f'<svg class="swatch s{number % STYLES}" viewBox="0 0 22 14" aria-hidden="true">'
        f"{shown}</svg>"
    )


class _Scale:
    """Scale of an axis: the positions of values, and the ticks."""

    def __init__(self, axis: Axis, values: Sequence[float]) -> None:
        self._logarithmic = axis.logarithmic
        low, high = min(values), max(values)
        if axis.logarithmic:
            self._low, self._high = math.log10(low), math.log10(high)
            room = 0.06 * (self._high - self._low) or 0.3
            self._low, self._high = self._low - room, self._high + room
        else:
            low = 0.0 if axis.from_zero else low
            room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
            room = max(room, (axis.min_span * abs(high) - (high - low)) / 2)
            self._low, self._high = (low if axis.from_zero else low - room), high + room

    def fraction(self, value: float) -> float:
        """Return the position of a value on the axis, from 0 to 1."""
        position = math.log10(value) if self._logarithmic else value
        return (position - self._low) / (self._high - self._low)

    def ticks(self, limit: int) -> list[float]:
        """Return round values on the axis, about `limit` of them at most."""
        if self._logarithmic:
            powers = range(math.floor(self._low), math.ceil(self._high) + 1)
            for factors in ((1, 2, 5), (1, 3), (1,)):
                found = [factor * 10.0**power for power in powers for factor in factors]
                found = [tick for tick in found if 0 <= self.fraction(tick) <= 1]
                if len(found) <= limit:
                    break
            if len(found) >= 2:
                return found[:: -(-len(found) // limit)]
            ends = 10**self._low, 10**self._high
        else:
            ends = self._low, self._high
        step = _round_step((ends[1] - ends[0]) / limit)
        first = math.ceil(ends[0] / step - 1e-9)
        last = math.floor(ends[1] / step + 1e-9)
        return [round(number * step, 12) for number in range(first, last + 1)]


def _round_step(minimum: float) -> float:
    """Return 1, 2 or 5 times a power of ten, at least `minimum`."""
    power = 10.0 ** math.floor(math.log10(minimum))
    return next(
        factor * power for factor in (1, 2, 5, 10) if factor * power >= minimum * (1 - 1e-9)
    )


def _svg(title: str, height: int, parts: Sequence[str]) -> str:
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {height}" role="img">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(begin: tuple[float, float], end: tuple[float, float], kind: str) -> str:
    return (
        f'<line class="{kind}" x1="{begin[0]:.1f}" y1="{begin[1]:.1f}" '
        f'x2="{end[0]:.1f}" y2="{end[1]:.1f}"/>'
    )


def _marker(number: int, x: float, y: float) -> str:
    """Return the marker of a series: a disc, a square, a triangle or a diamond."""
    corners: Sequence[tuple[float, float]] = (
        (),
        ((-4, -4), (4, -4), (4, 4), (-4, 4)),
        ((0, -5), (5, 4), (-5, 4)),
        ((0, -5.5), (5.5, 0), (0, 5.5), (-5.5, 0)),
    )[number % 4]
    if not corners:
        return f'<circle class="mark" cx="{x:.1f}" cy="{y:.1f}" r="4.2"/>'
    points = " ".join(f"{x + a:.1f},{y + b:.1f}" for a, b in corners)
    return f'<polygon class="mark" points="{points}"/>'


def _shortened(name: str) -> str:
    """Return a name that fits above a bar."""
    return name if len(name) <= 40 else "…" + name[-39:]
