"""Plots as SVG, drawn for a narrow screen: text as large as the page's own, and no script.

Colours come from `STYLE`, which whatever holds a plot must hold, too; it follows the reader's
choice of light or dark. Series differ by marker and dash as well as by colour.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

STYLE = """
:root { color-scheme: light dark; --back: #fff; --text: #1b1f24; --soft: #59636e; --rule: #d1d9e0;
  --c0: #0a5ad6; --c1: #b54708; --c2: #0f7a52; --c3: #a3268d; --c4: #6b5b00; --c5: #5b4bd6; }
@media (prefers-color-scheme: dark) { :root { --back: #12161b; --text: #e6edf3; --soft: #9aa5b1;
  --rule: #333c46; --c0: #6cb2ff; --c1: #ffa657; --c2: #56d39b; --c3: #f08bdc; --c4: #d9c44a;
  --c5: #b4a7ff; } }
.plot text { fill: var(--soft); font: 13px system-ui, sans-serif; }
.axis { stroke: var(--soft); } .grid { stroke: var(--rule); }
.line { fill: none; stroke: var(--c); stroke-width: 2; }
.whisker { stroke: var(--c); stroke-width: 1.5; }
.mark { fill: var(--c); stroke: var(--back); stroke-width: 1; } .bar { fill: var(--c); }
.s0 { --c: var(--c0); } .s1 { --c: var(--c1); } .s2 { --c: var(--c2); }
.s3 { --c: var(--c3); } .s4 { --c: var(--c4); } .s5 { --c: var(--c5); }
"""
STYLES = 6  # different looks of a series; the next one begins anew
WIDTH, HEIGHT = 360, 250

_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 14, 26, 40
_BAR, _GAP = 18, 26
_DASHES = ("", "6 3", "2 3", "8 3 2 3", "4 4", "1 4")


@dataclass(frozen=True)
class Axis:
    """One axis of a plot.

    Attributes:
        label: what is on it, with the unit.
        logarithmic: whether equal factors are equally far apart; all values must be above 0.
        from_zero: whether a linear axis begins at 0.
        least_span: the smallest range that a linear axis shows, as a fraction of its largest value,
            so that a difference within the noise looks as small as it is.
        show: writes a value of the scale.
    """

    label: str
    logarithmic: bool = False
    from_zero: bool = False
    least_span: float = 0.0
    show: Callable[[float], str] = "{:g}".format


@dataclass(frozen=True)
class Series:
    """What is drawn in one look.

    Attributes:
        name: for the legend and for screen readers.
        points: (x, y) pairs.
        whiskers: (low, high) in y for each point, or () for none.
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
        title: what screen readers say of it.
        series: what to draw, each with at least one point.
        x: the horizontal axis.
        y: the vertical axis.
        lines: whether the points of a series are joined.
        markers: whether they are marked.
    """
    low_high = [value for each in series for pair in each.whiskers for value in pair]
    ys = [value for each in series for _, value in each.points] + low_high
    across = _Scale(x, [value for each in series for value, _ in each.points])
    down = _Scale(y, ys)

    def at_x(value: float) -> float:
        return _LEFT + across.share(value) * (WIDTH - _LEFT - _RIGHT)

    def at_y(value: float) -> float:
        return HEIGHT - _BOTTOM - down.share(value) * (HEIGHT - _TOP - _BOTTOM)

    parts = [_text(4, 14, y.label, "start"), _text(WIDTH - _RIGHT, HEIGHT - 6, x.label, "end")]
    for tick in across.ticks(6):
        place = at_x(tick)
        parts.append(_line((place, HEIGHT - _BOTTOM), (place, HEIGHT - _BOTTOM + 4), "axis"))
        parts.append(_text(place, HEIGHT - _BOTTOM + 17, x.show(tick), "middle"))
    for tick in down.ticks(6):
        place = at_y(tick)
        parts.append(_line((_LEFT, place), (WIDTH - _RIGHT, place), "grid"))
        parts.append(_text(_LEFT - 6, place + 4, y.show(tick), "end"))
    parts.append(_line((_LEFT, HEIGHT - _BOTTOM), (WIDTH - _RIGHT, HEIGHT - _BOTTOM), "axis"))
    for number, each in enumerate(series):
        places = [(at_x(a), at_y(b)) for a, b in each.points]
        drawn = [f"<title>{escape(each.name)}</title>"]
        if lines:
            joined = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
            dash = _DASHES[number % STYLES]
            drawn.append(f'<polyline class="line" stroke-dasharray="{dash}" points="{joined}"/>')
        # At the same places in x the whiskers of series would hide each other.
        aside = max(-4.0, min(4.0, 3.0 * (number - (len(series) - 1) / 2))) if lines else 0.0
        for (a, _), (low, high) in zip(places, each.whiskers, strict=bool(each.whiskers)):
            drawn.append(_line((a + aside, at_y(low)), (a + aside, at_y(high)), "whisker"))
        if markers:
            drawn += [_marker(number, a, b) for a, b in places]
        parts.append(f'<g class="s{number % STYLES}">{"".join(drawn)}</g>')
    return _svg(title, HEIGHT, parts)


def stacked_bars(title: str, names: Sequence[str], stages: Sequence[Series], x: Axis) -> str:
    """Return an SVG element with one horizontal bar for each name, made of stages.

    Args:
        title: what screen readers say of it.
        names: what each bar stands for, written above it.
        stages: the parts in order; point number i of each holds the part's length in bar i as y.
        x: the axis that the lengths are on.
    """
    height = _TOP + len(names) * (_BAR + _GAP) + _BOTTOM
    totals = [sum(stage.points[bar][1] for stage in stages) for bar in range(len(names))]
    scale = _Scale(x, [0.0, *totals])
    base = height - _BOTTOM

    def at_x(value: float) -> float:
        return 14 + scale.share(value) * (WIDTH - 14 - 24)

    parts = [_text(WIDTH - _RIGHT, height - 6, x.label, "end")]
    for tick in scale.ticks(6):
        parts.append(_line((at_x(tick), _TOP), (at_x(tick), base), "grid"))
        parts.append(_text(at_x(tick), base + 17, x.show(tick), "middle"))
    for bar, name in enumerate(names):
        top = _TOP + bar * (_BAR + _GAP) + 14
        parts.append(_text(14, top - 4, _shortened(name), "start"))
        begun = 0.0
        for number, stage in enumerate(stages):
            length = stage.points[bar][1]
            left, right = at_x(begun), at_x(begun + length)
            begun += length
            parts.append(
                f'<g class="s{number % STYLES}"><title>{escape(stage.name)}: '
                f'{escape(x.show(length))}</title><rect class="bar" x="{left:.1f}" y="{top}" '
                f'width="{right - left:.1f}" height="{_BAR}"/></g>'
            )
    return _svg(title, height, parts)


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
    """Where values lie between the two ends of an axis, and where to write a number."""

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
            room = max(room, (axis.least_span * abs(high) - (high - low)) / 2)
            self._low, self._high = (low if axis.from_zero else low - room), high + room

    def share(self, value: float) -> float:
        """Return how far along the axis a value lies, from 0 to 1."""
        place = math.log10(value) if self._logarithmic else value
        return (place - self._low) / (self._high - self._low)

    def ticks(self, most: int) -> list[float]:
        """Return round values on the axis, about `most` of them at the most."""
        if self._logarithmic:
            powers = range(math.floor(self._low), math.ceil(self._high) + 1)
            for factors in ((1, 2, 5), (1, 3), (1,)):
                found = [factor * 10.0**power for power in powers for factor in factors]
                found = [tick for tick in found if 0 <= self.share(tick) <= 1]
                if len(found) <= most:
                    break
            if len(found) >= 2:
                return found[:: -(-len(found) // most)]
            ends = 10**self._low, 10**self._high
        else:
            ends = self._low, self._high
        step = _round_step((ends[1] - ends[0]) / most)
        first = math.ceil(ends[0] / step - 1e-9)
        last = math.floor(ends[1] / step + 1e-9)
        return [round(number * step, 12) for number in range(first, last + 1)]


def _round_step(least: float) -> float:
    """Return 1, 2 or 5 times a power of ten, not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))


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
    """Return the mark of a series: a disc, a square, a triangle or a diamond."""
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
