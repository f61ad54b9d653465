"""Decoder of JSON objects: the values that pass, and the message of each refusal."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest

from textgate.bundle.schema import (
    Count,
    Fraction,
    Keys,
    Location,
    Range,
    Sha256,
    check_value,
    decode,
    read_field,
)
from textgate.bundle.strict_json import Format
from textgate.errors import BundleError, CheckpointError, ConfigError

LOCATION = Location("a.json", BundleError)
DIGEST = "0123456789abcdef" * 4
Letter = Literal["a", "b"]


@dataclass(frozen=True)
class Inner:
    size: Count
    name: str = "x"

    def __post_init__(self):
        if self.size == 13:
            raise ConfigError("13 is bad luck")


@dataclass(frozen=True)
class Outer:
    inner: Inner
    many: tuple[Inner, ...] = ()
    maybe: Inner | None = None


PASSES = [
    (str, "", ""),
    (Letter, "b", "b"),
    (Sha256, DIGEST, DIGEST),
    (bool, False, False),
    (int, -(10**30), -(10**30)),
    (Count, 2**53, 2**53),
    (float, 3, 3.0),
    (Fraction, 1, 1.0),
    (float | None, None, None),
    (str | int | float, 2**60, 2**60),
    (str | int | float, 0.5, 0.5),
    (tuple[Letter, ...], ["b", "b"], ("b", "b")),
    (tuple[Fraction | None, ...], [None, 1], (None, 1.0)),
    (tuple[Fraction, Fraction], [0, 1], (0.0, 1.0)),
    (dict[str, Any], {"any": {"thing": [1]}}, {"any": {"thing": [1]}}),
    (dict[Letter, int], {"b": 1}, {"b": 1}),
    (tuple[Inner, ...], [{"size": 1}], (Inner(1),)),
    (Inner, {"size": 1, "name": "y"}, Inner(1, "y")),
]


@pytest.mark.parametrize(("kind", "value", "expected"), PASSES)
def test_what_passes(kind, value, expected):
    found = read_field({"x": value}, "x", kind, LOCATION)
    assert found == expected
    assert type(found) is type(expected)


REFUSED = [
    (str, None, "a string, found null"),
    (Letter, "c", "one of a, b, found 'c'"),
    (Letter, ["a"], "one of a, b, found a list of 1"),
    (Sha256, DIGEST[1:], "a string of 64 hexadecimal digits, found '123456789abcdef"),
    (Sha256, DIGEST.upper(), "a string of 64 hexadecimal digits, found '0123456789ABCDEF"),
    (Sha256, DIGEST + "\n", "a string of 64 hexadecimal digits"),
    (Sha256, 5, "a string, found 5"),
    (bool, 1, "true or false, found 1"),
    (Count, -1, f"a whole number from 0 to {2**53}, found -1"),
    (Count, 2**53 + 1, f"a whole number from 0 to {2**53}, found {2**53 + 1}"),
    (Count, True, "a whole number, found True"),
    (int, 1.0, "a whole number, found 1.0"),
    (float, math.nan, "a number, found nan"),
    (Fraction, math.inf, "a number, found inf"),
    (float, 10**400, "a number, found 1000"),
    (float, True, "a number, found True"),
    (Fraction, 1.5, "a number from 0 to 1, found 1.5"),
    (Annotated[float, Range(0, above=True)], 0, "a number above 0, found 0"),
    (Annotated[float, Range(0, 9, above=True)], 10, "a number above 0 and up to 9, found 10"),
    (Annotated[float, Range(0.5, 1, below=True)], 1, "a number from 0.5 to below 1, found 1"),
    (str | int | float, True, "a string or a whole number or a number, found True"),
    (tuple[str, ...], "abc", "a list, found 'abc'"),
    (tuple[Fraction, Fraction], [0.5], "a list of 2, found a list of 1"),
    (tuple[Inner, ...], {}, "a list, found an object"),
]


@pytest.mark.parametrize(("kind", "value", "message"), REFUSED)
def test_what_is_refused(kind, value, message):
    with pytest.raises(BundleError) as caught:
        read_field({"x": value}, "x", kind, LOCATION)
    assert str(caught.value).startswith(f"a.json: field 'x' should be {message}")
    assert len(str(caught.value)) < 200


INSIDE = [
    (tuple[Count, ...], [1, True], "field 'x[1]' should be a whole number, found True"),
    (
        tuple[Fraction | None, ...],
        ["a"],
        "field 'x[0]' should be a number from 0 to 1 or null, found",
    ),
    (tuple[Inner, ...], [{"size": 1}, 7], "x[1]: expected an object, found 7"),
    (dict[str, int], [], "x: expected an object, found a list of 0"),
    (dict[str, int], {"a": "1"}, "x: field 'a' should be a whole number, found '1'"),
    (dict[Letter, int], {"c": 1}, "x: unknown field 'c'"),
    (Annotated[dict[str, int], Keys(("a", "b"))], {"a": 1}, "x: field 'b' is missing"),
    (Annotated[dict[str, int], Keys(("a",))], {"a": 1, "b": 1}, "x: unknown field 'b'"),
    (Inner, None, "x: expected an object, found null"),
    (Inner, {}, "x: field 'size' is missing"),
    (Inner, {"size": 1, "b": 1, "a": 2}, "x: unknown field 'a'"),
    (Inner, {"size": 13}, "x: 13 is bad luck"),
    (Inner | None, None, "x: expected an object, found null"),
    (Outer, {"inner": {"size": 1}, "maybe": {"size": ""}}, "x: maybe: field 'size' should be a wh"),
]


@pytest.mark.parametrize(("kind", "value", "message"), INSIDE)
def test_a_refusal_names_the_place(kind, value, message):
    with pytest.raises(BundleError, match=f"^{re.escape(f'a.json: {message}')}"):
        read_field({"x": value}, "x", kind, LOCATION)


@dataclass(frozen=True)
class Grown:
    LATER = frozenset({"b", "c"})

    a: int = 0
    b: int = 0
    c: int = 0


@pytest.mark.parametrize(
    ("value", "missing"),
    [({"a": 1}, None), ({"a": 1, "b": 2, "c": 3}, None), ({"a": 1, "b": 2}, "c"), ({}, "a")],
)
def test_later_fields_are_missing_together_or_not_at_all(value, missing):
    if missing is None:
        assert decode(Grown, value, LOCATION) == Grown(**value)
    else:
        with pytest.raises(BundleError, match=f"field '{missing}' is missing"):
            decode(Grown, value, LOCATION)


def test_the_class_of_the_error():
    with pytest.raises(CheckpointError, match=r"^a.json: field 'x' is missing$"):
        read_field({}, "x", str, Location("a.json", CheckpointError))


FORMAT = Format("f", version=3, limit=1000, remedy="train again")


def test_a_file_is_read_as_it_was_written():
    value = Outer(Inner(1), many=(Inner(2),))
    text = FORMAT.to_text(value)
    assert list(json.loads(text)) == ["format", "format_version", "inner", "many"]
    assert decode(Outer, FORMAT.read(text.encode(), LOCATION), LOCATION) == value


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{}", "field 'format' is missing"),
        (b'{"format": "g"}', "field 'format' should be f, found 'g'"),
        (b'{"format": "f", "format_version": true}', "field 'format_version' should be a whole"),
        (
            b'{"format": "f", "format_version": 2}',
            "version 2, but this release reads version 3; tr",
        ),
        (
            b'{"format": "f", "format_version": 4}',
            "version 4, but this release reads version 3; up",
        ),
        (b'{"format": "f"}' + b" " * 1000, "larger than the 1,000 bytes"),
    ],
)
def test_files_that_are_refused(content, message):
    with pytest.raises(BundleError, match=message):
        FORMAT.read(content, LOCATION)


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (Count, True, "size must be a whole number, not True"),
        (Count, -1, f"size must be a whole number from 0 to {2**53}, not -1"),
        (tuple[str, ...], "a", "size must be a list, not 'a'"),
        (tuple[str, ...], ["a"], "size must be a tuple, not ['a']"),
        (tuple[Letter, ...], ("a", "c"), "size[1] must be one of a, b, not 'c'"),
    ],
)
def test_settings_that_are_refused(kind, value, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        check_value("size", value, kind)
