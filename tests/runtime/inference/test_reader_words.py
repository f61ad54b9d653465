"""Words of a text as a reader sees them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgate.inference.reader_words import words_in

HINDI = "\u0939\u093f\u0928\u094d\u0926\u0940"
CASES = [
    ("", []),
    (" \t\n", []),
    ("good", ["good"]),
    (" two  words\n", ["two", "words"]),
    ("well, but", ["well", ",", "but"]),
    ("(good).", ["(", "good", ")."]),
    ("good,bad", ["good", ",", "bad"]),
    ("wait...what?!", ["wait", "...", "what", "?!"]),
    ("isn't isn\u2019t dogs'", ["isn't", "isn\u2019t", "dogs", "'"]),
    ("well-made -- rock-'n'-roll", ["well-made", "--", "rock", "-'", "n", "'-", "roll"]),
    ("3.5 of 9,000 at 10:30.", ["3.5", "of", "9,000", "at", "10:30", "."]),
    ("e.g. a_b", ["e", ".", "g", ".", "a_b"]),
    ("$5 50% #1", ["$", "5", "50", "%", "#", "1"]),
    ("cafe\u0301", ["cafe\u0301"]),
    (HINDI, [HINDI]),
    ("good\U0001f600", ["good", "\U0001f600"]),
    ("\U0001f44d\U0001f3fd", ["\U0001f44d\U0001f3fd"]),  # a thumb and its skin tone
    ("\U0001f469\u200d\U0001f469", ["\U0001f469\u200d\U0001f469"]),  # joined to one picture
    ("\u96fb\u5f71\u3002ok", ["\u96fb", "\u5f71", "\u3002", "ok"]),  # Chinese has no spaces
    ("a\0b", ["a\0b"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_words(text, expected):
    assert [text[start:end] for start, end in words_in(text)] == expected


@settings(max_examples=50)
@given(st.text(max_size=40))
def test_only_white_space_is_between_words(text):
    done = 0
    for start, end in [*words_in(text), (len(text), len(text))]:
        assert done <= start <= end
        assert text[done:start].strip() == ""
        assert text[start:end] == text[start:end].strip()
        done = end
