"""Reader of plain text, one text per line, and of fastText's labelled lines."""

from __future__ import annotations

import re
from collections.abc import Iterator

from textgate.rows.reading import Reading
from textgate.rows.row import Row
from textgate.rows.source import without_end

_PREFIX = "__label__"
_LEADING_LABELS = re.compile(rf"(?:[ \t]*{_PREFIX}[^ \t]*)+")
_WORD = re.compile(r"[^ \t]+")


def read_text(lines: Iterator[str], reading: Reading) -> Iterator[Row]:
    """Yield every line as a row, including empty ones, so that results match the lines."""
    for line in lines:
        reading.rows += 1
        text = without_end(line)
        if reading.rows == 1 and reading.columns.format is None:
            _note_other_format(text, reading)
        reading.watch_returns(text, reading.rows)
        yield Row(text, (), reading.rows)


def _note_other_format(text: str, reading: Reading) -> None:
    """Note that the first line of a plain text looks like another format."""
    hint = reading.table_hint(text)
    if text.startswith(_PREFIX):
        hint = f"; it starts with {_PREFIX}: --input-format fasttext leaves such labels out"
    if hint:
        reading.note(
            f"{reading.name}: read as plain text, every line as a text, including line 1{hint}"
        )


def read_fasttext(lines: Iterator[str], reading: Reading) -> Iterator[Row]:
    """Yield one row per line: words that begin with ``__label__``, then the text.

    Such words after the first other word belong to the text. Blank lines are skipped.

    Raises:
        DataError: labels are read, and a line has none, or one without a name.
    """
    for number, line in enumerate(lines, start=1):
        content = without_end(line)
        reading.watch_returns(content, number)
        if not content.strip(" \t"):
            continue
        found = _LEADING_LABELS.match(content)
        text = content[found.end() :].lstrip(" \t") if found else content
        words = [word.removeprefix(_PREFIX) for word in _WORD.findall(found[0])] if found else []
        row = reading.labelled_line(text, words, line=number, prefix=_PREFIX)
        if row is not None:
            yield row
