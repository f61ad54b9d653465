"""Reading values out of parsed JSON, field by field, with the field's name in every complaint."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from textgate.bundle import strict_json
from textgate.errors import TextgateError

_T = TypeVar("_T")

SHA256 = re.compile(r"[0-9a-f]{64}")


def versioned_fields(
    content: bytes,
    *,
    where: str,
    error: type[TextgateError],
    limit: int,
    format: str,  # noqa: A002 - the field's own name
    version: int,
    otherwise: str,
    said: str = "format version",
) -> FieldReader:
    """Return the fields of a JSON file that begins with its format and the format's version.

    Args:
        content: the file.
        where: how messages name it.
        error: the class of the error to raise.
        limit: most bytes.
        format: what the field ``format`` must say.
        version: what the field ``format_version`` must say.
        otherwise: what to do with a file of another version, besides taking the release that wrote
            it.
        said: how a message begins to tell of the version.

    Raises:
        TextgateError: of class `error`, if it is no JSON, or of another format or version.
    """
    fields = FieldReader(
        strict_json.parse(content, where=where, error=error, limit=limit), where=where, error=error
    )
    fields.text("format", choices=(format,))
    found = fields.integer("format_version")
    if found != version:
        raise error(
            f"{where}: {said} {found}, this release reads {version}; {otherwise}, or use the "
            "textgate release that wrote it"
        )
    return fields


class FieldReader:
    """Takes the fields of one JSON object apart, refusing what is missing, mistyped or unknown.

    Args:
        value: the parsed JSON value that should be an object.
        where: how messages name it, for instance ``model/textgate.json: architecture``.
        error: the class of the error to raise.
    """

    def __init__(self, value: object, *, where: str, error: type[TextgateError]) -> None:
        self._where = where
        self._error = error
        if not isinstance(value, dict):
            raise error(f"{where}: expected an object, found {_kind(value)}")
        self._value: Mapping[str, Any] = value
        self._seen: set[str] = set()

    def finish(self) -> None:
        """Refuse the fields that nothing asked for."""
        unknown = sorted(set(self._value) - self._seen)
        if unknown:
            raise self._error(f"{self._where}: unknown field {unknown[0]!r}")

    def fail(self, name: str, expected: str) -> TextgateError:
        """Return the error for a field that is not what was expected."""
        found = _kind(self._value.get(name))
        return self._error(f"{self._where}: field {name!r} should be {expected}, found {found}")

    def names(self) -> tuple[str, ...]:
        """Return the names of all fields, for an object whose names are data."""
        return tuple(self._value)

    def raw(self, name: str) -> Any:
        """Return the field as it was parsed."""
        self._seen.add(name)
        if name not in self._value:
            raise self._error(f"{self._where}: field {name!r} is missing")
        return self._value[name]

    def object(self, name: str) -> FieldReader:
        """Return a reader for the object in this field."""
        return FieldReader(self.raw(name), where=f"{self._where}: {name}", error=self._error)

    def objects(self, name: str) -> list[FieldReader]:
        """Return a reader for each of the objects in this list."""
        value = self.raw(name)
        if not isinstance(value, list):
            raise self.fail(name, "a list of objects")
        return [
            FieldReader(item, where=f"{self._where}: {name}[{index}]", error=self._error)
            for index, item in enumerate(value)
        ]

    def text(self, name: str, *, choices: tuple[str, ...] | None = None) -> str:
        """Return a string, one of `choices` if they are given."""
        value = self.raw(name)
        if not isinstance(value, str) or (choices is not None and value not in choices):
            raise self.fail(name, "a string" if choices is None else f"one of {', '.join(choices)}")
        return value

    def sha256(self, name: str) -> str:
        """Return a SHA-256 digest in lower-case hexadecimal."""
        value = self.raw(name)
        if not isinstance(value, str) or not SHA256.fullmatch(value):
            raise self.fail(name, "64 hexadecimal digits")
        return value

    def boolean(self, name: str) -> bool:
        """Return true or false."""
        value = self.raw(name)
        if not isinstance(value, bool):
            raise self.fail(name, "true or false")
        return value

    def integer(self, name: str, *, low: int = 0, high: int = 2**53) -> int:
        """Return a whole number from `low` to `high`."""
        value = self.raw(name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.fail(name, f"a whole number from {low} to {high}")
        return value

    def number(self, name: str, *, low: float = -math.inf, high: float = math.inf) -> float:
        """Return a finite number from `low` to `high`."""
        value = self.raw(name)
        if not _is_finite(value) or not low <= value <= high:
            raise self.fail(name, f"a number from {low:g} to {high:g}")
        return float(value)

    def optional(self, name: str, read: Callable[[str], _T]) -> _T | None:
        """Return what `read` makes of the field, or None where it is null."""
        return None if self.raw(name) is None else read(name)

    def texts(self, name: str, *, choices: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """Return a list of strings, each one of `choices` if they are given."""
        value = self.raw(name)
        if not isinstance(value, list) or not all(
            isinstance(item, str) and (choices is None or item in choices) for item in value
        ):
            expected = "a list of strings" if choices is None else f"a list out of {choices}"
            raise self.fail(name, expected)
        return tuple(value)

    def integers(self, name: str, *, low: int = 0, high: int = 2**53) -> tuple[int, ...]:
        """Return a list of whole numbers from `low` to `high`."""
        value = self.raw(name)
        if not isinstance(value, list) or not all(
            isinstance(item, int) and not isinstance(item, bool) and low <= item <= high
            for item in value
        ):
            raise self.fail(name, f"a list of whole numbers from {low} to {high}")
        return tuple(value)


def _is_finite(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond what a float can hold
        return False


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
