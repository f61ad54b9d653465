"""Tables and numbers as text, for a terminal and in Markdown.

Line breaks, control characters and direction overrides in a cell are shown as escapes, so that a
label or a text can neither break a table nor control the terminal.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_BYTE_UNITS = ("B", "KB", "MB", "GB", "TB")
_NUMBER = re.compile(r"[-+]?\d[\d,]*(\.\d+)?( ?(%|x|[mun]?s|[KMGT]?B))?")

_DIRECTION_CONTROLS = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}
_ZERO_WIDTH_JOINER = "\u200d"
_EMOJI_SELECTOR = "\ufe0f"
_SKIN_TONES = range(0x1F3FB, 0x1F400)


def format_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, align: str | None = None
) -> str:
    """Return a table in plain text, two spaces between columns, without a final newline.

    Columns line up in a terminal that shows East Asian wide characters and emoji two cells wide.

    Args:
        header: the columns' titles.
        rows: one cell per column in every row.
        align: ``<`` (left) or ``>`` (right) for each column. By default, columns of numbers, with
            or without units, are aligned right.

    Raises:
        ValueError: a row or `align` has another number of columns than the header.
    """
    table = _checked(header, rows)
    sides = _sides(table, align)
    widths = [max(map(_width, column)) for column in zip(*table, strict=True)]
    lines = []
    for row in table:
        cells = []
        for cell, side, width in zip(row, sides, widths, strict=True):
            space = " " * (width - _width(cell))
            cells.append(space + cell if side == ">" else cell + space)
        lines.append("  ".join(cells).rstrip(" "))
    return "\n".join(lines)


def markdown_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, align: str | None = None
) -> str:
    """Return the table of `format_table` in GitHub's Markdown.

    Pipes are escaped; other Markdown in a cell, such as a link, is kept.

    Raises:
        ValueError: a row or `align` has another number of columns than the header.
    """
    table = _checked(header, rows)
    rule = ["---:" if side == ">" else "---" for side in _sides(table, align)]
    escaped = [[_escape_pipes(cell) for cell in row] for row in table]
    lines = [escaped[0], rule, *escaped[1:]]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def format_bytes(count: int) -> str:
    """Return a size to three significant digits, as in ``217 KB``; 1 KB is 1000 bytes."""
    value, unit = float(count), 0
    while abs(value) >= 999.5 and unit + 1 < len(_BYTE_UNITS):  # 999.5 would be shown as 1000
        value, unit = value / 1000, unit + 1
    return f"{_three_digits(value)} {_BYTE_UNITS[unit]}"


def format_count(count: int) -> str:
    """Return a whole number with commas between thousands, as in ``214,337``."""
    return f"{count:,}"


def format_ms(milliseconds: float) -> str:
    """Return a time to three significant digits, as in ``0.55 ms``."""
    return f"{_three_digits(milliseconds)} ms"


def _three_digits(value: float) -> str:
    """Return a number to three significant digits, or to all digits before the point."""
    exponent = int(f"{value:.2e}".partition("e")[2])
    shown = f"{value:.{max(0, 2 - exponent)}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def _checked(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return header and rows as one list of printable cells, all rows equally long."""
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise ValueError(
                f"table row {number} has {len(row)} cells, the header has {len(header)}"
            )
    return [[printable(cell) for cell in row] for row in (header, *rows)]


def _sides(table: Sequence[Sequence[str]], align: str | None) -> str:
    """Return ``<`` or ``>`` for each column."""
    columns = list(zip(*table, strict=True))
    if align is None:
        return "".join(">" if _is_numeric(cells) else "<" for _, *cells in columns)
    if len(align) != len(columns) or not set(align) <= {"<", ">"}:
        raise ValueError(f"align should be {len(columns)} of '<' and '>', found {align!r}")
    return align


def _is_numeric(cells: Sequence[str]) -> bool:
    """Return whether a column holds only numbers, empty cells and dashes."""
    filled = [cell for cell in cells if cell not in ("", "-")]
    return bool(filled) and all(_NUMBER.fullmatch(cell) for cell in filled)


def printable(text: str) -> str:
    """Return a text on one line, with escapes for characters that a terminal would act on."""
    return "".join(_escape(c) if _is_unsafe(c) else c for c in text)


def _is_unsafe(character: str) -> bool:
    """Return whether a terminal would act on the character, or could not receive it."""
    return (
        unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(character) in _DIRECTION_CONTROLS
    )


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _escape_pipes(cell: str) -> str:
    """Escape the pipes, and the backslashes before them, which would undo the escape."""
    return re.sub(r"(\\*)\|", r"\1\1\\|", cell)


def _width(text: str) -> int:
    """Return the width of a text in terminal cells."""
    total, last, joined = 0, 0, False
    for character in unicodedata.normalize("NFC", text):
        if character == _EMOJI_SELECTOR and last == 1:
            last = 2
            total += 1
        elif not joined and (width := _character_width(character)):
            last = width
            total += width
        joined = character == _ZERO_WIDTH_JOINER
    return total


def _character_width(character: str) -> int:
    """Return the width of a single character: 0, 1 or 2 cells."""
    if unicodedata.category(character) in ("Mn", "Me", "Cf") or ord(character) in _SKIN_TONES:
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
