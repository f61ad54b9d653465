"""Rows out of JSON Lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator

from textgate.errors import DataError
from textgate.rows.columns import Columns, row_of, shown
from textgate.rows.row import Row
from textgate.rows.source import AnyPath, read_lines, source_name, without_end


def read_jsonl(path: AnyPath, columns: Columns) -> Iterator[Row]:
    """Yield a row an object; blank lines are skipped.

    Raises:
        DataError: a line is not a JSON object, or its fields are not what they should be.
    """
    name = source_name(path)
    for number, line in enumerate(read_lines(path), start=1):
        content = without_end(line)
        if content.strip(" \t\r"):
            where = f"{name}, line {number}"
            yield row_of(_object(content, where), columns, line=number, where=where)


def _object(content: str, where: str) -> dict[str, object]:
    try:
        value = json.loads(content)
    except json.JSONDecodeError as problem:
        raise DataError(
            f"{where}: not valid JSON at column {problem.colno} ({problem.msg}); "
            "JSON Lines holds one object a line"
        ) from None
    except ValueError:  # a number of thousands of digits
        raise DataError(f"{where}: a number has too many digits") from None
    except RecursionError:
        raise DataError(f"{where}: lists or objects are nested too deeply") from None
    if not isinstance(value, dict):
        raise DataError(
            f'{where}: expected an object such as {{"text": ...}}, found {shown(value)}'
        )
    return value
