"""Word tokenizer: the most frequent words get the ids after the two special ones."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgate.errors import DataError
from textgate.inference.tokenizer import CHARACTERS_PER_TOKEN, UNKNOWN_ID, TextTokenizer
from textgate.train.text.vocabulary import build_tokenizer


def words(*texts, vocabulary_size=100, max_tokens=50):
    found = build_tokenizer(texts, vocabulary_size=vocabulary_size, max_tokens=max_tokens)
    vocabulary = json.loads(found)["model"]["vocab"]
    assert sorted(vocabulary.values()) == list(range(len(vocabulary)))
    special, ordinary = vocabulary_in_order(vocabulary)
    assert special == ["[PAD]", "[UNK]"]
    return ordinary


def vocabulary_in_order(vocabulary):
    ordered = sorted(vocabulary, key=vocabulary.__getitem__)
    return ordered[:2], ordered[2:]


CASES = [
    (["b b b a a c"], ["b", "a", "c"]),
    (["c b a"], ["a", "b", "c"]),  # ties go by spelling
    (["B b", "b A"], ["b", "a"]),  # lower case
    (["don't stop", "don\u2019t"], ["don't", "don\u2019t", "stop"]),
    (["it 's n't rock 'n' roll"], ["'", "'n", "'s", "it", "n't", "rock", "roll"]),
    (["well-known, isn't it?!"], ["!", ",", "-", "?", "isn't", "it", "known", "well"]),
    (["caf\u00e9 cafe\u0301"], ["caf\u00e9"]),  # NFC
    (["\U0001f600 ok\U0001f600"], ["\U0001f600", "ok"]),
    (["a\0b"], ["\0", "a", "b"]),
    (["\ud800 x"], ["x", "\ufffd"]),  # half a surrogate pair is not a character
    (["\ud83d\ude00"], ["\U0001f600"]),  # two halves are one character
    (["1,000 3.5 a_b"], [",", ".", "000", "1", "3", "5", "a_b"]),
    (["\u4f60\u597d \u4e16\u754c"], ["\u4e16\u754c", "\u4f60\u597d"]),
    (["[UNK] [PAD]"], ["[", "]", "pad", "unk"]),
]


@pytest.mark.parametrize(("texts", "expected"), CASES, ids=[str(case[0]) for case in CASES])
def test_words_in_order(texts, expected):
    assert words(*texts) == expected


@pytest.mark.parametrize(("size", "expected"), [(3, ["a"]), (4, ["a", "b"]), (99, ["a", "b", "c"])])
def test_the_most_frequent_are_kept(size, expected):
    assert words("a a a b b c", vocabulary_size=size) == expected


@pytest.mark.parametrize("texts", [[], [""], [" \n", "\t"]])
def test_no_word_at_all(texts):
    with pytest.raises(DataError, match="there is no word in the training texts"):
        build_tokenizer(texts, vocabulary_size=100, max_tokens=10)


def test_words_far_beyond_max_tokens_are_not_counted():
    text = "a " * (5 * CHARACTERS_PER_TOKEN // 2) + "b"
    assert words(text, "b c", max_tokens=5) == ["a", "b", "c"]
    assert words(text, max_tokens=5) == ["a"]


def test_the_order_of_the_texts_does_not_matter():
    texts = ["one two two", "three three one", "four"]
    assert words(*texts) == words(*reversed(texts))


@given(st.lists(st.text(st.characters(codec=None), max_size=30), min_size=1, max_size=5))
def test_every_word_of_the_training_texts_is_known(texts):
    """The tokenizer finds each word that it was built from."""
    texts = [*texts, "anchor"]
    found = TextTokenizer(
        build_tokenizer(texts, vocabulary_size=10_000, max_tokens=1000), max_tokens=1000
    )
    counts = Counter(token for text in texts for token in found.encode(text).ids)
    blank = sum(not found.token_ids(text) for text in texts)
    assert counts[UNKNOWN_ID] == blank
    known = found.vocabulary_size - 2
    ranked = [counts[token] for token in range(2, known + 2)]
    assert ranked == sorted(ranked, reverse=True)
    assert all(ranked)
