"""The nearest name, where one is near."""

from __future__ import annotations

import pytest

from textgate.suggestion import did_you_mean

KNOWN = ("epochs", "seed", "text", "label", "learning_rate", "Hidden_sizes")


@pytest.mark.parametrize(
    ("name", "said"),
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
def test_the_nearest_name(name, said):
    assert did_you_mean(name, KNOWN) == said


def test_of_no_names_none_is_near():
    assert did_you_mean("epoch", ()) == ""
