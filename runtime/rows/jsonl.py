"""Rows out of JSON: JSON Lines with one object a line, and files that hold one list of objects."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from textgate.errors import DataError
from textgate.messages import shown
from textgate.rows.reading import Reading
from textgate.rows.row import Row
from textgate.rows.source import without_end

_LARGEST = 2**28  # characters of a JSON file, which is held as a whole
_SPACE = re.compile(r"[ \t\r\n]*")


def read_jsonl(lines: Iterator[str], reading: Reading) -> Iterator[Row]:
    """Yield a row an object; blank lines are skipped.

    Raises:
        DataError: a line is not a JSON object, or its fields are not what they should be.
    """
    objects = _Objects()
    is_first = True
    for number, line in enumerate(lines, start=1):
        content = without_end(line)
        if not content.strip(" \t\r"):
            continue
        place = f"line {number}"
        hint = _whole_file_hint(content) if is_first else ""
        is_first = False
        try:
            value = objects.parse(content)
        except _JsonError as problem:
            message = f"{problem}; JSON Lines holds one object a line{hint or _line_hint(content)}"
            if hint:
                raise DataError(f"{reading.name}, {place}: {message}") from None
            reading.refuse(message, place=place, kind="invalid JSON")
            continue
        if hint:
            raise DataError(f"{reading.name}, {place}: {_no_object(value)}{hint}")
        row = _row(value, objects, reading, number, place)
        if row is not None:
            yield row


def read_json(lines: Iterator[str], reading: Reading) -> Iterator[Row]:
    """Yield the rows of a file that holds one list of objects; it is held in memory as a whole.

    Raises:
        DataError: the file is too large or something else, or a row is wrong.
    """
    content = _content(lines, reading)
    start = _after_space(content, 0)
    if start == len(content):
        return
    if content[start] != "[":
        raise DataError(f"{reading.name}: {_what_else(content)}")
    objects = _Objects()
    place = _after_space(content, start + 1)
    number = 0
    more = not content.startswith("]", place)
    while more:
        number += 1
        where = f"row {number}"
        try:
            value, place = objects.parse_next(content, place)
        except _JsonError as problem:
            raise DataError(f"{reading.name}, {where}: {problem}") from None
        row = _row(value, objects, reading, number, where)
        if row is not None:
            yield row
        place = _after_space(content, place)
        more = content.startswith(",", place)
        if not more and not content.startswith("]", place):
            raise DataError(
                f"{reading.name}: the list breaks off after row {number}, or a comma is missing"
            )
        place = _after_space(content, place + 1) if more else place
    if _after_space(content, place + 1) != len(content):
        raise DataError(f"{reading.name}: there is something behind the list of rows")


def _content(lines: Iterator[str], reading: Reading) -> str:
    parts: list[str] = []
    size = 0
    for line in lines:
        parts.append(line)
        size += len(line)
        if size > _LARGEST:
            raise DataError(
                f"{reading.name}: larger than the {_LARGEST:,} characters that are read of a JSON "
                "file; write JSON Lines (.jsonl), which is read a row at a time"
            )
    return "".join(parts)


def _what_else(content: str) -> str:
    """Return what is to be said of JSON that is no list."""
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


def _row(value: object, objects: _Objects, reading: Reading, number: int, place: str) -> Row | None:
    if not isinstance(value, dict):
        reading.refuse(_no_object(value), place=place, kind="something else than an object")
        return None
    if objects.repeated is not None:
        reading.refuse(
            f"the field {shown(objects.repeated)} is given twice; keep one",
            place=place,
            kind="a field given twice",
        )
        return None
    return reading.row(list(value.items()), line=number, place=place)


def _no_object(value: object) -> str:
    return f'expected an object such as {{"text": ...}}, found {shown(value)}'


def _whole_file_hint(first: str) -> str:
    """Return what to say if the first line is the beginning of JSON over several lines."""
    beginning = first.strip(" \t\r")
    if beginning.startswith("[") or beginning == "{":
        return "; the file looks like one JSON value over several lines: pass --input-format json"
    return ""


def _line_hint(content: str) -> str:
    """Return what may be wrong with a line that is not JSON."""
    if content.startswith("\ufeff"):
        return "; the line begins with a byte order mark: the file may be several files in one"
    return "; a carriage return alone ends no line" if "\r" in content else ""


def _after_space(content: str, place: int) -> int:
    found = _SPACE.match(content, place)
    return place if found is None else found.end()


class _JsonError(Exception):
    """What a text has instead of JSON."""


class _Objects:
    """Reads values, and notices an object that names a field twice.

    Attributes:
        repeated: a field that the last value that was read names twice, or one in it; or None.
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

    def parse_next(self, content: str, place: int) -> tuple[object, int]:
        """Return the value that begins at a place of a text, and where it ends."""
        self.repeated = None
        try:
            return self._decoder.raw_decode(content, place)
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
