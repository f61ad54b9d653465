"""Rows out of plain text, one a line, and out of fastText's labelled lines."""

from __future__ import annotations

import re
from collections.abc import Iterator

from textgate.errors import DataError
from textgate.rows.columns import Columns, labels_of
from textgate.rows.row import Row
from textgate.rows.source import AnyPath, read_lines, source_name, without_end

_PREFIX = "__label__"
_LEADING_LABELS = re.compile(rf"(?:[ \t]*{_PREFIX}[^ \t]*)+")
_WORD = re.compile(r"[^ \t]+")


def read_text(path: AnyPath, _columns: Columns) -> Iterator[Row]:
    """Yield every line as a row, the empty ones too, so that results stay beside their lines."""
    for number, line in enumerate(read_lines(path), start=1):
        yield Row(without_end(line), (), number)


def read_fasttext(path: AnyPath, columns: Columns) -> Iterator[Row]:
    """Yield a row a line: words with ``__label__`` in front of them, then the text.

    Words like these further on belong to the text. Blank lines are skipped.

    Raises:
        DataError: a line has no label, though labels are read, or one without a name.
    """
    name = source_name(path)
    for number, line in enumerate(read_lines(path), start=1):
        content = without_end(line)
        if not content.strip(" \t"):
            continue
        found = _LEADING_LABELS.match(content)
        text = content[found.end() :].lstrip(" \t") if found else content
        labels: tuple[str, ...] = ()
        if columns.label is not None:
            where = f"{name}, line {number}"
            if not found:
                raise DataError(f"{where}: no label; a line starts with {_PREFIX}NAME")
            words = [word.removeprefix(_PREFIX) for word in _WORD.findall(found.group())]
            labels = labels_of(words, where=f"{where}: the label after {_PREFIX}")
        yield Row(text, labels, number)
