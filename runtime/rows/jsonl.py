"""Reader of JSON Lines, with one object per line, and of JSON files that hold a list of objects."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from textgate.errors import DataError
from textgate.messages import shown
from textgate.rows.reading import Reading
from textgate.rows.row import Row
from textgate.rows.source import without_end

_MAX_JSON = 2**28  # characters of a JSON file, which is held in memory
_SPACE = re.compile(r"[ \t\r\n]*")


def read_jsonl(lines: Iterator[str], reading: Reading) -> Iterator[Row]:
    """Yield one row per object; blank lines are skipped.

    Raises:
        DataError: a line is not a JSON object, or one of its fields cannot be used.
    """
    objects = _Objects()
    is_first = True
    for number, line in enumerate(lines, start=1):
        content = without_end(line)
        if not content.strip(" \t\r"):
            continue
        location = f"line {number}"
        hint = _whole_file_hint(content) if is_first else ""
        is_first = False
        try:
            value = objects.parse(content)
        except _JsonError as problem:
            message = (
                f"{problem}; JSON Lines holds one object per line{hint or _line_hint(content)}"
            )
            if hint:
                raise DataError(f"{reading.name}, {location}: {message}") from None
            reading.refuse(message, location=location, kind="invalid JSON")
            continue
        if hint:
            raise DataError(f"{reading.name}, {location}: {_not_an_object(value)}{hint}")
        row = _row(value, objects, reading, number, location)
        if row is not None:
            yield row


def read_json(lines: Iterator[str], reading: Reading) -> Iterator[Row]:
    """Yield the rows of a file that holds one list of objects; it is held in memory as a whole.

    Raises:
        DataError: the file is too large or not a list of objects, or a row is wrong.
    """
    content = _content(lines, reading)
    start = _after_space(content, 0)
    if start == len(content):
        return
    if content[start] != "[":
        raise DataError(f"{reading.name}: {_what_else(content)}")
    objects = _Objects()
    position = _after_space(content, start + 1)
    number = 0
    more = not content.startswith("]", position)
    while more:
        number += 1
        where = f"row {number}"
        try:
            value, position = objects.parse_next(content, position)
        except _JsonError as problem:
            raise DataError(f"{reading.name}, {where}: {problem}") from None
        row = _row(value, objects, reading, number, where)
        if row is not None:
            yield row
        position = _after_space(content, position)
        more = content.startswith(",", position)
        if not more and not content.startswith("]", position):
            raise DataError(
                f"{reading.name}: the list breaks off after row {number}, or a comma is missing"
            )
        position = _after_space(content, position + 1) if more else position
    if _after_space(content, position + 1) != len(content):
        raise DataError(f"{reading.name}: there is more after the list of rows")


def _content(lines: Iterator[str], reading: Reading) -> str:
    parts: list[str] = []
    size = 0
    for line in lines:
        parts.append(line)
        size += len(line)
        if size > _MAX_JSON:
            raise DataError(
                f"{reading.name}: larger than the {_MAX_JSON:,} characters that are read of a JSON "
                "file; write JSON Lines (.jsonl), which is read a row at a time"
            )
    return "".join(parts)


def _what_else(content: str) -> str:
    """Return the message about JSON that is not a list."""
    try:
        value, end = _Objects().parse_next(content, _after_space(content, 0))
    except _JsonError as problem:
        return f"{problem}; expected a list of objects"
    if content.startswith("{", _after_space(content, end)):
        return (
            "holds several objects, not one list: it looks like JSON Lines; pass --input-format "
            "jsonl"
        )
    if not isinstance(value, dict):
        return f"expected a list of objects, found {shown(value)}"
    lists = [name for name, inner in value.items() if isinstance(inner, list)]
    rows = [name for name in lists if any(isinstance(item, dict) for item in value[name])]
    advice = "put it in [ ], or pass --input-format jsonl if it is JSON Lines"
    if rows:
        advice = (
            f"they seem to be in its field {shown(rows[0])}, so write that list alone to a file"
        )
    elif lists:
        advice = "it seems to hold columns, so write an object for each row, as in [{...}, {...}]"
    return f"holds one object, not a list of rows: {advice}"


def _row(
    value: object, objects: _Objects, reading: Reading, number: int, location: str
) -> Row | None:
    if not isinstance(value, dict):
        reading.refuse(
            _not_an_object(value), location=location, kind="a value that is not an object"
        )
        return None
    if objects.repeated is not None:
        reading.refuse(
            f"the field {shown(objects.repeated)} is given twice; keep one",
            location=location,
            kind="a field given twice",
        )
        return None
    return reading.row(list(value.items()), line=number, location=location)


def _not_an_object(value: object) -> str:
    return f'expected an object such as {{"text": ...}}, found {shown(value)}'


def _whole_file_hint(first: str) -> str:
    """Return a hint if the first line begins a JSON value of several lines."""
    beginning = first.strip(" \t\r")
    if beginning.startswith("[") or beginning == "{":
        return "; the file looks like one JSON value over several lines: pass --input-format json"
    return ""


def _line_hint(content: str) -> str:
    """Return a hint about a line that is not JSON."""
    if content.startswith("\ufeff"):
        return "; the line begins with a byte order mark: the file may be several files in one"
    return "; a carriage return alone does not end a line" if "\r" in content else ""


def _after_space(content: str, position: int) -> int:
    found = _SPACE.match(content, position)
    return position if found is None else found.end()


class _JsonError(Exception):
    """A text is not JSON."""


class _Objects:
    """Parser of values that detects objects which name a field twice.

    Attributes:
        repeated: a field that the last value, or an object in it, names twice; or None.
    """

    def __init__(self) -> None:
        self.repeated: str | None = None
        self._decoder = json.JSONDecoder(object_pairs_hook=self._object)

    def parse(self, content: str) -> object:
        """Return the value of a text."""
        self.repeated = None
        try:
            return self._decoder.decode(content)
        except (ValueError, RecursionError) as problem:
            raise _JsonError(_what_is_wrong(problem, in_a_line=True)) from None

    def parse_next(self, content: str, position: int) -> tuple[object, int]:
        """Return the value that begins at a position of a text, and the position of its end."""
        self.repeated = None
        try:
            return self._decoder.raw_decode(content, position)
        except (ValueError, RecursionError) as problem:
            raise _JsonError(_what_is_wrong(problem, in_a_line=False)) from None

    def _object(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            self.repeated = next(name for name in names if names.count(name) > 1)
        return found


def _what_is_wrong(problem: Exception, *, in_a_line: bool) -> str:
    if isinstance(problem, json.JSONDecodeError):
        where = f"column {problem.colno}"
        if not in_a_line:
            where = f"line {problem.lineno}, {where}"
        return f"not valid JSON at {where} ({problem.msg})"
    if isinstance(problem, RecursionError):
        return "lists or objects are nested too deeply"
    return "a number has too many digits"
