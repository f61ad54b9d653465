"""Reading parsed JSON field by field: what passes, and what each complaint says."""

from __future__ import annotations

import math
import re

import pytest

from textgate.bundle.schema import FieldReader
from textgate.errors import BundleError, CheckpointError


def reader(value, error=BundleError):
    return FieldReader(value, where="a.json", error=error)


DIGEST = "0123456789abcdef" * 4

PASSES = [
    ("text", {}, "", ""),
    ("text", {"choices": ("a", "b")}, "b", "b"),
    ("sha256", {}, DIGEST, DIGEST),
    ("boolean", {}, False, False),
    ("integer", {}, 0, 0),
    ("integer", {}, 2**53, 2**53),
    ("integer", {"low": -5, "high": -5}, -5, -5),
    ("number", {}, 3, 3.0),
    ("number", {"low": 0, "high": 1}, 1, 1.0),
    ("texts", {}, [], ()),
    ("texts", {"choices": ("a", "b")}, ["b", "b"], ("b", "b")),
    ("integers", {}, [1, 2], (1, 2)),
    ("raw", {}, {"any": "thing"}, {"any": "thing"}),
]


@pytest.mark.parametrize(("method", "options", "value", "expected"), PASSES)
def test_what_passes(method, options, value, expected):
    fields = reader({"x": value})
    found = getattr(fields, method)("x", **options)
    assert found == expected
    assert type(found) is type(expected)
    fields.finish()


REFUSED = [
    ("text", {}, 1, "a string, found 1"),
    ("text", {"choices": ("a", "b")}, "c", "one of a, b, found 'c'"),
    ("text", {}, None, "a string, found nothing"),
    ("sha256", {}, DIGEST[1:], "64 hexadecimal digits, found '123456789abcdef"),
    ("sha256", {}, DIGEST.upper(), "64 hexadecimal digits"),
    ("sha256", {}, DIGEST + "\n", "64 hexadecimal digits"),
    ("sha256", {}, 5, "64 hexadecimal digits, found 5"),
    ("boolean", {}, 1, "true or false, found 1"),
    ("boolean", {}, "true", "true or false, found 'true'"),
    ("integer", {}, -1, f"a whole number from 0 to {2**53}, found -1"),
    ("integer", {}, True, "a whole number from 0"),
    ("integer", {}, 1.0, "a whole number from 0"),
    ("integer", {"low": 1, "high": 2}, 3, "a whole number from 1 to 2, found 3"),
    ("number", {}, math.nan, "a number from -inf to inf, found nan"),
    ("number", {}, math.inf, "a number from -inf to inf, found inf"),
    ("number", {}, 10**400, "a number from -inf to inf, found 1000"),
    ("number", {}, True, "a number from -inf to inf, found True"),
    ("number", {"low": 0, "high": 1}, 1.5, "a number from 0 to 1, found 1.5"),
    ("texts", {}, "abc", "a list of strings, found 'abc'"),
    ("texts", {}, ["a", 1], "a list of strings, found a list of 2"),
    ("texts", {"choices": ("a",)}, ["b"], "a list out of"),
    ("integers", {}, [1, True], "a list of whole numbers"),
    ("integers", {"low": 1}, [0], "a list of whole numbers from 1"),
    ("integers", {}, {}, "a list of whole numbers from 0 to 9007199254740992, found an object"),
    ("objects", {}, {}, "a list of objects, found an object"),
]


@pytest.mark.parametrize(("method", "options", "value", "message"), REFUSED)
def test_what_is_refused(method, options, value, message):
    with pytest.raises(
        BundleError, match=re.escape(f"a.json: field 'x' should be {message}")
    ) as caught:
        getattr(reader({"x": value}), method)("x", **options)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "method", ["text", "sha256", "boolean", "integer", "number", "texts", "integers", "object"]
)
def test_a_missing_field_and_the_class_of_the_error(method):
    with pytest.raises(CheckpointError, match=r"^a.json: field 'x' is missing$"):
        getattr(reader({}, CheckpointError), method)("x")


@pytest.mark.parametrize(
    ("value", "found"), [([], "a list of 0"), (None, "nothing"), ("text", "'text'"), (3, "3")]
)
def test_what_is_no_object(value, found):
    with pytest.raises(BundleError, match=f"^a.json: expected an object, found {found}$"):
        reader(value)


def test_nested_objects_say_where_they_are():
    fields = reader({"a": {"b": {"c": "no number"}}, "list": [{}, 7]})
    with pytest.raises(BundleError, match=r"^a.json: a: b: field 'c' should be"):
        fields.object("a").object("b").integer("c")
    with pytest.raises(BundleError, match=r"^a.json: list\[1\]: expected an object, found 7$"):
        fields.objects("list")


def test_unknown_fields_are_refused_at_the_end():
    fields = reader({"b": 1, "a": 2, "known": 3})
    fields.integer("known")
    with pytest.raises(BundleError, match=r"^a.json: unknown field 'a'$"):
        fields.finish()
    assert fields.names() == ("b", "a", "known")


@pytest.mark.parametrize(("value", "expected"), [(None, None), (4, 4)])
def test_optional(value, expected):
    fields = reader({"x": value})
    assert fields.optional("x", fields.integer) == expected


def test_optional_still_checks():
    fields = reader({"x": "4"})
    with pytest.raises(BundleError, match="field 'x' should be a whole number"):
        fields.optional("x", fields.integer)
