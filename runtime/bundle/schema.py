"""Decoder of JSON files into dataclasses, driven by the annotations of their fields.

A field is a ``bool``, ``int``, ``float``, ``str``, ``Literal`` of strings, ``Any``, a dataclass, a
union or a tuple of these, or a ``dict`` of these by name. ``Annotated`` adds a `Range` to a number,
a `Pattern` to a string, or `Keys` to a ``dict``. The same annotations check settings that come from
Python.
"""

from __future__ import annotations

import dataclasses
import math
import re
from contextlib import suppress
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Literal,
    Protocol,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from textgate.errors import ConfigError, TextgateError
from textgate.messages import did_you_mean, shown

if TYPE_CHECKING:
    from collections.abc import Collection

    class _Dataclass(Protocol):
        __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]


_T = TypeVar("_T", bound="_Dataclass")


@dataclass(frozen=True)
class Range:
    """Bounds of a number, included unless `above` excludes `low` or `below` excludes `high`."""

    low: float
    high: float = math.inf
    above: bool = False
    below: bool = False

    def __contains__(self, value: float) -> bool:
        return (self.low < value if self.above else self.low <= value) and (
            value < self.high if self.below else value <= self.high
        )

    def __str__(self) -> str:
        start = f"{'above' if self.above else 'from'} {_digits(self.low)}"
        if self.high == math.inf:
            return start
        end = "to below" if self.below else "and up to" if self.above else "to"
        return f"{start} {end} {_digits(self.high)}"


@dataclass(frozen=True)
class Pattern:
    """Form of a string: a regular expression, and the words for it after "a string"."""

    expression: str
    words: str

    def __contains__(self, value: str) -> bool:
        return re.fullmatch(self.expression, value) is not None

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True)
class Keys:
    """Names that a ``dict`` must have, all of them and no others."""

    names: tuple[str, ...]


Count = Annotated[int, Range(0, 2**53)]
PositiveCount = Annotated[int, Range(1, 2**53)]
Fraction = Annotated[float, Range(0, 1)]
NonNegative = Annotated[float, Range(0)]
Sha256 = Annotated[str, Pattern("[0-9a-f]{64}", "of 64 hexadecimal digits")]


@dataclass(frozen=True)
class Location:
    """A JSON object, as messages name it, or the settings that come from Python.

    Attributes:
        name: the file, and the fields that lead to the object; empty for settings.
        error: the class of the errors about it.
    """

    name: str
    error: type[TextgateError]

    def inside(self, field: str) -> Location:
        """Return the location of an object in one of the fields."""
        return Location(f"{self.name}: {field}", self.error)

    def problem(self, message: str) -> TextgateError:
        """Return the error with a message about the object."""
        return self.error(f"{self.name}: {message}")

    def mismatch(
        self, field: str, expected: str, found: object, known: Collection[str] = ()
    ) -> TextgateError:
        """Return the error for a field that is not what was expected, such as a known word."""
        if not self.name:
            near = did_you_mean(found, known) if isinstance(found, str) else ""
            return self.error(f"{field} must be {expected}, not {found!r:.60}{near}")
        return self.problem(f"field {field!r} should be {expected}, found {shown(found)}")


_SETTINGS = Location("", ConfigError)
_hints: dict[Any, dict[str, Any]] = {}  # of each dataclass that has been read


def decode(kind: type[_T], value: object, location: Location) -> _T:
    """Return the dataclass that a parsed JSON object holds.

    A field with a default may be missing. If the class has ``LATER``, a set of names, then these
    fields may be missing, all together, and no others.

    Raises:
        TextgateError: a field is missing, unknown, of the wrong type or out of range, or the
            dataclass raises a `ConfigError`.
    """
    document, fields = _object(value, location), dataclasses.fields(kind)
    optional = {field.name for field in fields if field.default is not dataclasses.MISSING}
    if (later := getattr(kind, "LATER", None)) is not None:
        optional = later if later.isdisjoint(document) else set()
    values = {
        name: read_field(document, name, hint, location)
        for name, hint in hints(kind).items()
        if name in document or name not in optional
    }
    _refuse_others(document, values, location)
    try:
        return kind(**values)
    except ConfigError as problem:
        raise location.problem(str(problem)) from None


def read_field(document: dict[str, Any], name: str, kind: Any, location: Location) -> Any:
    """Return the field of a JSON object that has this name and is annotated with this kind.

    Raises:
        TextgateError: it is missing or not of this kind.
    """
    if name not in document:
        raise location.problem(f"field {name!r} is missing")
    return _read(document[name], kind, name, location)


def check(settings: _Dataclass) -> None:
    """Refuse settings whose values do not fit their annotations.

    Raises:
        ConfigError: naming the setting.
    """
    for name, kind in hints(type(settings)).items():
        check_value(name, getattr(settings, name), kind)


def check_value(name: str, value: object, kind: Any) -> None:
    """Refuse the value of a setting that does not fit an annotation.

    Raises:
        ConfigError: naming the setting.
    """
    _read(value, kind, name, _SETTINGS)


def hints(kind: type[_Dataclass]) -> dict[str, Any]:
    """Return the annotation of each field of a dataclass."""
    if kind not in _hints:
        found = get_type_hints(kind, include_extras=True)
        _hints[kind] = {field.name: found[field.name] for field in dataclasses.fields(kind)}
    return _hints[kind]


def _read(value: Any, kind: Any, name: str, location: Location) -> Any:
    """Convert a value to its annotated type: a list as a tuple, a number as a float if needed."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _read_bounded(value, kind, name, location)
    if origin in (Union, UnionType):
        return _read_option(value, arguments, name, location)
    if origin is tuple:
        return _read_items(value, arguments, name, location)
    if origin is dict:
        return _read_names(value, arguments, location.inside(name))
    if dataclasses.is_dataclass(kind):
        return decode(cast("type[_Dataclass]", kind), value, location.inside(name))
    if not _fits(value, kind):
        raise location.mismatch(name, _expected(kind), value, arguments)
    return float(value) if kind is float else value


def _read_bounded(value: Any, kind: Any, name: str, location: Location) -> Any:
    base, bounds = get_args(kind)
    found = _read(value, base, name, location)
    if isinstance(bounds, Keys):
        for key in bounds.names:
            read_field(found, key, Any, location.inside(name))
        _refuse_others(found, bounds.names, location.inside(name))
    elif found not in bounds:
        raise location.mismatch(name, _expected(kind), value)
    return found


def _read_option(value: Any, kinds: tuple[Any, ...], name: str, location: Location) -> Any:
    for kind in kinds:
        if dataclasses.is_dataclass(kind):  # which may be missing, but not null
            return _read(value, kind, name, location)
        with suppress(location.error):
            return _read(value, kind, name, location)
    raise location.mismatch(name, " or ".join(map(_expected, kinds)), value)


def _read_items(
    value: Any, kinds: tuple[Any, ...], name: str, location: Location
) -> tuple[Any, ...]:
    size = None if kinds[-1] is Ellipsis else len(kinds)
    if not isinstance(value, list if location.name else tuple) or size not in (None, len(value)):
        expected = "a tuple" if not location.name and isinstance(value, list) else "a list"
        raise location.mismatch(name, expected if size is None else f"{expected} of {size}", value)
    return tuple(
        _read(item, kinds[0], f"{name}[{index}]", location) for index, item in enumerate(value)
    )


def _read_names(value: Any, kinds: tuple[Any, ...], location: Location) -> dict[str, Any]:
    names, kind = kinds
    document = _object(value, location)
    if get_origin(names) is Literal:
        _refuse_others(document, get_args(names), location)
    return {name: read_field(document, name, kind, location) for name in document}


def _object(value: object, location: Location) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise location.problem(f"expected an object, found {shown(value)}")
    return value


def _refuse_others(document: dict[str, Any], known: Collection[str], location: Location) -> None:
    if unknown := sorted(document.keys() - known):
        raise location.problem(f"unknown field {unknown[0]!r}")


def _fits(value: Any, kind: Any) -> bool:
    """Return whether a value is of a scalar type or one of a ``Literal``."""
    if get_origin(kind) is Literal:
        return isinstance(value, str) and value in get_args(kind)
    if kind is Any or isinstance(value, bool):
        return kind in (Any, bool)
    if kind is not float:
        return isinstance(value, kind)
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:  # a whole number beyond what a float can hold
        return False


_WORDS = {str: "a string", bool: "true or false", int: "a whole number", float: "a number"}


def _expected(kind: Any) -> str:
    """Return how messages describe a scalar type, a ``Literal``, or one of these in bounds."""
    arguments = get_args(kind)
    if not arguments:
        return "null" if kind is NoneType else _WORDS[kind]
    if get_origin(kind) is Literal:
        return f"one of {', '.join(arguments)}"
    return f"{_expected(arguments[0])} {arguments[1]}"


def _digits(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"
