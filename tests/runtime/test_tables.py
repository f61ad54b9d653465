"""Tables as they appear, and figures as they read."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgate.tables import (
    format_bytes,
    format_count,
    format_ms,
    format_table,
    markdown_table,
)


def _lines(*lines: str) -> str:
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("header", "rows", "align", "expected"),
    [
        pytest.param(
            ["label", "rows"],
            [["spam", "9"], ["ham", "1,204"]],
            "<>",
            _lines(
                "label   rows",
                "spam       9",
                "ham    1,204",
            ),
            id="left and right",
        ),
        pytest.param(
            ["size", "p50", "gain", "share", "kind", "stored"],
            [
                ["217 KB", "0.55 ms", "-0.2", "91.7 %", "7-bit", "7-bit int8"],
                ["-", "", "1.9x", "8 %", "int8", "4 bits"],
            ],
            None,
            _lines(
                "  size      p50  gain   share  kind   stored",
                "217 KB  0.55 ms  -0.2  91.7 %  7-bit  7-bit int8",
                "     -           1.9x     8 %  int8   4 bits",
            ),
            id="numbers with units go right by themselves",
        ),
        pytest.param(
            ["empty", "dash"],
            [["", "-"]],
            None,
            _lines("empty  dash", "       -"),
            id="a column without a number goes left",
        ),
        pytest.param(["a", "b"], [], None, "a  b", id="no rows"),
        pytest.param([], [], None, "", id="no columns"),
        pytest.param(
            ["long title", "x"],
            [["a", ""]],
            "><",
            _lines("long title  x", "         a"),
            id="no spaces at the end of a line",
        ),
        pytest.param(
            ["label", "n"],
            [["日本語", "1"], ["한국", "2"], ["ﾊﾝｶｸ", "3"], ["plain", "4"]],
            None,
            _lines(
                "label   n",
                "日本語  1",
                "한국    2",
                "ﾊﾝｶｸ    3",
                "plain   4",
            ),
            id="East Asian wide characters take two cells",
        ),
        pytest.param(
            ["label", "n"],
            [
                ["😀", "1"],
                ["❤\ufe0f", "2"],
                ["👍🏽", "3"],
                ["👩\u200d🔬", "4"],
                ["🇫🇷", "5"],
                ["⌚\ufe0f", "6"],
            ],
            None,
            _lines(
                "label  n",
                "😀     1",
                "❤\ufe0f     2",
                "👍🏽     3",
                "👩\u200d🔬     4",
                "🇫🇷     5",
                "⌚\ufe0f     6",
            ),
            id="an emoji takes two cells, whatever it is made of",
        ),
        pytest.param(
            ["label", "n"],
            [
                ["cafe\u0301", "1"],
                ["café", "2"],
                ["กี่", "3"],
                [unicodedata.normalize("NFD", "각"), "4"],
            ],
            None,
            _lines(
                "label  n",
                "cafe\u0301   1",
                "café   2",
                "กี่      3",
                unicodedata.normalize("NFD", "각") + "     4",
            ),
            id="combining marks take none",
        ),
        pytest.param(
            ["label", "n"],
            [["a\nb", "1"], ["\x1b[31m", "2"], ["\u202ecba", "3"], ["\ud800", "4"], ["\t", "5"]],
            None,
            _lines(
                "label      n",
                r"a\nb       1",
                r"\x1b[31m   2",
                r"\u202ecba  3",
                r"\ud800     4",
                r"\t         5",
            ),
            id="what would drive the terminal is shown instead",
        ),
    ],
)
def test_format_table(
    header: list[str], rows: list[list[str]], align: str | None, expected: str
) -> None:
    assert format_table(header, rows, align=align) == expected


@pytest.mark.parametrize(
    ("header", "rows", "align", "expected"),
    [
        pytest.param(
            ["label", "rows"],
            [["spam", "9"], ["ham", "1,204"]],
            None,
            _lines("| label | rows |", "| --- | ---: |", "| spam | 9 |", "| ham | 1,204 |"),
            id="numbers go right by themselves",
        ),
        pytest.param(
            ["a", "b"],
            [["1", "x"]],
            "<>",
            _lines("| a | b |", "| --- | ---: |", "| 1 | x |"),
            id="given sides",
        ),
        pytest.param(
            ["a|b"],
            [["|"], [r"c\|d"], [r"e\d"], ["`f`"]],
            None,
            _lines(r"| a\|b |", "| --- |", r"| \| |", r"| c\\\|d |", r"| e\d |", "| `f` |"),
            id="pipes, and backslashes before pipes, are escaped",
        ),
        pytest.param(
            ["a"],
            [["two\nlines"], ["two\u2028lines"]],
            None,
            _lines("| a |", "| --- |", r"| two\nlines |", r"| two\u2028lines |"),
            id="a cell stays on its line",
        ),
    ],
)
def test_markdown_table(
    header: list[str], rows: list[list[str]], align: str | None, expected: str
) -> None:
    assert markdown_table(header, rows, align=align) == expected


@pytest.mark.parametrize("build", [format_table, markdown_table])
@pytest.mark.parametrize(
    ("rows", "align", "message"),
    [
        ([["1", "2"], ["1"]], None, "table row 2 has 1 cells, the header has 2"),
        ([["1", "2", "3"]], None, "table row 1 has 3 cells"),
        ([["1", "2"]], "<", "align should be 2 of '<' and '>', found '<'"),
        ([["1", "2"]], "<^", "found '<\\^'"),
    ],
)
def test_refusals(build: object, rows: list[list[str]], align: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(["a", "b"], rows, align=align)  # type: ignore[operator]


@settings(deadline=None)
@given(st.lists(st.lists(st.text(), min_size=2, max_size=2), max_size=5))
def test_any_text_keeps_one_line_a_row(rows: list[list[str]]) -> None:
    plain = format_table(["a", "b"], rows) + "."
    assert len(plain.splitlines()) == len(rows) + 1
    plain.encode()  # no lone surrogate is left
    assert len(markdown_table(["a", "b"], rows).splitlines()) == len(rows) + 2


@settings(deadline=None)
@given(st.lists(st.text(), min_size=1, max_size=4))
def test_markdown_cells_come_back(cells: list[str]) -> None:
    """Read a row as GitHub does: an odd run of backslashes before a pipe keeps the cell open."""
    row = markdown_table(cells, []).splitlines()[0]
    found, cell, backslashes = [], "", 0
    for character in row:
        if character == "|" and backslashes % 2 == 0:
            found.append(cell)
            cell = ""
        else:
            cell += character
        backslashes = backslashes + 1 if character == "\\" else 0
    assert len(found[1:]) == len(cells)


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (999, "999 B"),
        (1_000, "1 KB"),
        (1_024, "1.02 KB"),
        (1_550, "1.55 KB"),
        (12_340, "12.3 KB"),
        (217_337, "217 KB"),
        (999_499, "999 KB"),
        (999_500, "1 MB"),
        (1_234_567, "1.23 MB"),
        (45_000_000_000, "45 GB"),
        (2 * 10**12, "2 TB"),
        (1_234 * 10**12, "1234 TB"),
    ],
)
def test_format_bytes(count: int, expected: str) -> None:
    assert format_bytes(count) == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, "0"), (999, "999"), (1_000, "1,000"), (214_337, "214,337"), (-1_234_567, "-1,234,567")],
)
def test_format_count(count: int, expected: str) -> None:
    assert format_count(count) == expected


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        (0, "0 ms"),
        (0.55, "0.55 ms"),
        (0.5512, "0.551 ms"),
        (0.000012345, "0.0000123 ms"),
        (0.9996, "1 ms"),
        (1.2345, "1.23 ms"),
        (9.996, "10 ms"),
        (12.345, "12.3 ms"),
        (99.96, "100 ms"),
        (100, "100 ms"),
        (1234.5678, "1235 ms"),
        (20, "20 ms"),
    ],
)
def test_format_ms(milliseconds: float, expected: str) -> None:
    assert format_ms(milliseconds) == expected
