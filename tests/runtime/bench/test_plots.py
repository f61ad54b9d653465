"""Plots as SVG: where things are drawn, and where the scales put their numbers."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgate.bench.plots import (
    HEIGHT,
    STYLES,
    WIDTH,
    Axis,
    Series,
    as_file,
    plot,
    stacked_bars,
    swatch,
)

LINEAR, LOGARITHMIC = Axis("a"), Axis("b", logarithmic=True)
NUMBERS = re.compile(r"-?\d+(?:\.\d+)?")


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)


def written(svg: str) -> list[str]:
    return [element.text or "" for element in parsed(svg).iter("text")]


def drawn_points(svg: str) -> list[tuple[float, float]]:
    """The corners of the joined lines, in the order of the series."""
    found = []
    for element in parsed(svg).iter("polyline"):
        for pair in element.attrib["points"].split():
            x, y = pair.split(",")
            found.append((float(x), float(y)))
    return found


def test_points_lie_as_their_values_do() -> None:
    svg = plot("t", [Series("s", ((0, 0), (5, 10), (10, 20)))], LINEAR, LINEAR)
    (x0, y0), (x1, y1), (x2, y2) = drawn_points(svg)
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert x0 < x2
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.2)
    assert y0 > y2  # upwards


def test_a_file_holds_its_own_style() -> None:
    drawn = plot("a < b", [Series("s", ((0, 0), (5, 10)))], LINEAR, LINEAR)
    file = parsed(as_file(drawn))
    assert file.tag == "{http://www.w3.org/2000/svg}svg"
    assert [child.tag.rpartition("}")[2] for child in file][:3] == ["title", "style", "rect"]
    assert len(file) == len(parsed(drawn)) + 2


def test_equal_factors_are_equally_far_apart_on_a_logarithmic_axis() -> None:
    svg = plot("t", [Series("s", ((0.1, 0), (1, 1), (10, 2)))], LOGARITHMIC, LINEAR)
    (x0, _), (x1, _), (x2, _) = drawn_points(svg)
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)


@pytest.mark.parametrize(
    ("values", "axis", "expected"),
    [
        ((0, 100), LINEAR, ["0", "20", "40", "60", "80", "100"]),
        ((0.64, 0.69), LINEAR, ["0.64", "0.65", "0.66", "0.67", "0.68", "0.69"]),
        ((30, 100), Axis("a", from_zero=True), ["0", "20", "40", "60", "80", "100"]),
        ((0.1, 10), LOGARITHMIC, ["0.1", "0.3", "1", "3", "10"]),
        ((1, 1e6), LOGARITHMIC, ["1", "100", "10000", "1e+06"]),
        ((7, 7), LINEAR, ["6.8", "7", "7.2"]),
        ((0.2442, 0.2452), Axis("a", min_span=0.25), ["0.22", "0.24", "0.26"]),
        ((0.2, 0.4), Axis("a", min_span=0.25), ["0.2", "0.25", "0.3", "0.35", "0.4"]),
    ],
)
def test_the_scale_has_round_numbers(
    values: tuple[float, float], axis: Axis, expected: list[str]
) -> None:
    svg = plot("t", [Series("s", tuple((value, 1.0) for value in values))], axis, LINEAR)
    shown = [
        element.text
        for element in parsed(svg).iter("text")
        if element.attrib["text-anchor"] == "middle"
    ]
    assert shown == expected


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(1e-3, 1e4), st.floats(1e-3, 1e4)), min_size=1, max_size=20),
    st.booleans(),
    st.booleans(),
)
def test_everything_is_inside_the_picture(
    points: Sequence[tuple[float, float]], logarithmic: bool, from_zero: bool
) -> None:
    axis = Axis("a", logarithmic=logarithmic, from_zero=from_zero)
    whiskers = tuple((y / 2, y * 2) for _, y in points)
    svg = plot("t", [Series("s", tuple(points), whiskers), Series("r", ((1, 1),))], axis, axis)
    for element in parsed(svg).iter():
        for name in ("x", "x1", "x2", "cx"):
            assert 0 <= float(element.attrib.get(name, 0)) <= WIDTH
        for name in ("y", "y1", "y2", "cy"):
            assert 0 <= float(element.attrib.get(name, 0)) <= HEIGHT
        numbers = [float(number) for number in NUMBERS.findall(element.attrib.get("points", ""))]
        assert all(-6 <= number <= max(WIDTH, HEIGHT) + 6 for number in numbers)


def test_series_look_different_without_colour() -> None:
    looks = {re.sub(r'class="swatch s\d"', "", swatch(number)) for number in range(STYLES)}
    assert len(looks) == STYLES
    assert len({swatch(number) for number in range(2 * STYLES)}) == 2 * STYLES


def test_names_are_text_and_not_markup() -> None:
    name = '<script>alert("x")</script>&'
    for svg in (
        plot(name, [Series(name, ((1, 1),))], Axis(name), LINEAR),
        stacked_bars(name, [name], [Series(name, ((0, 1),))], LINEAR),
    ):
        assert "<script" not in svg
        assert name in [element.text for element in parsed(svg).iter("title")]
    assert name in written(stacked_bars("t", [name], [Series("s", ((0, 1),))], LINEAR))


def test_bars_are_as_long_as_their_stages_and_follow_each_other() -> None:
    stages = [Series("a", ((0, 1.0), (1, 2.0))), Series("b", ((0, 3.0), (1, 2.0)))]
    svg = stacked_bars("t", ["one", "two"], stages, Axis("ms", from_zero=True))
    bars = [element.attrib for element in parsed(svg).iter("rect")]
    lefts = [float(bar["x"]) for bar in bars]
    widths = [float(bar["width"]) for bar in bars]
    assert widths[1] == pytest.approx(3 * widths[0], abs=0.3)
    assert widths[2] == pytest.approx(widths[3], abs=0.2)
    assert lefts[1] == pytest.approx(lefts[0] + widths[0], abs=0.2)
    assert lefts[0] == lefts[2]
    assert bars[0]["y"] != bars[2]["y"]


def test_a_long_name_is_shortened_above_its_bar() -> None:
    svg = stacked_bars("t", ["x" * 200], [Series("s", ((0, 1),))], LINEAR)
    assert max(len(text) for text in written(svg)) == 40
