"""Wording of messages."""

from __future__ import annotations

import pytest

from textgate.messages import counted, did_you_mean, listed, quoted, reason, shown

KNOWN = ("epochs", "seed", "text", "label", "learning_rate", "Hidden_sizes")


@pytest.mark.parametrize(
    ("name", "question"),
    [
        ("epoch", " (did you mean 'epochs'?)"),
        ("txet", " (did you mean 'text'?)"),
        ("TEXT", " (did you mean 'text'?)"),
        ("hidden_size", " (did you mean 'Hidden_sizes'?)"),
        ("learning-rate", " (did you mean 'learning_rate'?)"),
        ("shape", ""),
        ("", ""),
    ],
)
def test_the_nearest_name(name, question):
    assert did_you_mean(name, KNOWN) == question
    assert did_you_mean(name, ()) == ""


@pytest.mark.parametrize(
    ("value", "python", "json"),
    [
        ("a\nb", r"'a\nb'", r"'a\nb'"),
        ("a" * 61, f"'{'a' * 60}'...", f"'{'a' * 60}'..."),
        (None, "None", "null"),
        ({}, "{}", "an object"),
        ([1], "[1]", "a list of 1"),
        (1.5, "1.5", "1.5"),
        (tuple(range(99)), f"{str(tuple(range(99)))[:60]}...", f"{str(tuple(range(99)))[:60]}..."),
    ],
)
def test_values(value, python, json):
    assert (quoted(value), shown(value)) == (python, json)


def test_a_number_too_long_to_be_written():
    assert quoted(10**5000) == "a number of many digits"


def test_lists_and_counts():
    assert listed([]) == ""
    assert listed(["a", "b"]) == "'a', 'b'"
    assert listed(["a"] * 1012, str, limit=2) == "a, a and 1,010 more"
    assert counted(1, "row has", "rows have") == "1 row has"
    assert counted(2000, "row has", "rows have") == "2,000 rows have"


def test_reasons():
    assert reason(ValueError("two\n  lines")) == "two lines"
    assert reason(ValueError()) == "ValueError"
    assert len(reason(ValueError("a" * 999))) == 403
