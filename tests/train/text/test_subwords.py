"""Subword tokenizer: which words are whole, which are pieces, and their ids."""

from __future__ import annotations

import json
import random
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from textgate.bundle.checks.tokenizer import check_tokenizer
from textgate.errors import DataError
from textgate.inference.tokenizer import CHARACTERS_PER_TOKEN, UNKNOWN_ID, TextTokenizer
from textgate.train.text.subwords import BYTES, build_subword_tokenizer, piece_count, split_words

FIRST_PIECE = 2 + 256  # behind padding, the unknown token and the bytes
BYTE = re.compile("<0x([0-9A-F]{2})>")


def build(*texts, vocabulary_size=2000, max_tokens=1000, known=()):
    return build_subword_tokenizer(
        texts, vocabulary_size=vocabulary_size, max_tokens=max_tokens, known=known
    )


def in_order(written):
    """The vocabulary by id."""
    vocabulary = json.loads(written)["model"]["vocab"]
    assert sorted(vocabulary.values()) == list(range(len(vocabulary)))
    return sorted(vocabulary, key=vocabulary.__getitem__)


def words_of(written):
    """The ids' tokens behind the pieces."""
    return in_order(written)[piece_count(written) :]


def tokens(written, text):
    ordered = in_order(written)
    return [ordered[index] for index in TextTokenizer(written, max_tokens=1000).token_ids(text)]


def spelled(found):
    """The text that tokens spell."""
    content = b""
    for token in found:
        byte = BYTE.fullmatch(token)
        content += bytes([int(byte[1], 16)]) if byte else token.encode()
    return content.decode()


# Words

SPLIT = [
    ("Good  GOOD\ngood", ["good", "good", "good"]),
    ("Don't stop", ["do", "n't", "stop"]),
    ("Don\u2019t stop", ["do", "n't", "stop"]),
    ("it's, I\u2019m, we'd", ["it", "'s", ",", "i", "'m", ",", "we", "'d"]),
    ("you're they\u2019ve she'll", ["you", "'re", "they", "'ve", "she", "'ll"]),
    ("they'd've", ["they", "'d", "'ve"]),
    ("can't", ["ca", "n't"]),
    ("do n't it 's", ["do", "n't", "it", "'s"]),  # already tokenized
    ("don'ts", ["don", "'", "ts"]),  # not a contraction
    (
        "o'clock 'twas rock 'n' roll",
        ["o", "'", "clock", "'", "twas", "rock", "'", "n", "'", "roll"],
    ),
    ("well-known?!", ["well", "-", "known", "?", "!"]),
    ("1,000 a_b", ["1", ",", "000", "a_b"]),
    ("cafe\u0301", ["caf\u00e9"]),  # NFC
    ("\U0001f600ok", ["\U0001f600", "ok"]),
    ("\ud800 x", ["\ufffd", "x"]),  # half a surrogate pair is not a character
    ("[UNK]<0x41>", ["[", "unk", "]", "<", "0x41", ">"]),  # a text cannot spell a special token
    (" \t\u3000", []),
    ("", []),
]


@pytest.mark.parametrize(("text", "expected"), SPLIT, ids=[ascii(case[0]) for case in SPLIT])
def test_words(text, expected):
    assert split_words(text) == expected


def test_frequent_words_are_whole_and_others_in_pieces():
    written = build("good movie", "good movie", "the goodness", "a movies")
    assert tokens(written, "Good movie") == ["good", "movie"]
    assert tokens(written, "goodness") != ["goodness"]  # it occurs once
    for unseen in ("goodmovie", "moo", "vim", "dodo"):
        found = tokens(written, unseen)
        assert len(found) > 1
        assert "".join(found) == unseen
        assert set(found) <= set(in_order(written)[FIRST_PIECE : piece_count(written)])


def test_a_curly_apostrophe_is_a_straight_one():
    written = build("don't don't", "it's it's")
    assert tokens(written, "Don\u2019t") == tokens(written, "don't") == ["do", "n't"]
    assert tokens(written, "it\u2019s") == ["it", "'s"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\u00e9", ["<0xC3>", "<0xA9>"]),
        ("\U0001f600", ["<0xF0>", "<0x9F>", "<0x98>", "<0x80>"]),
        ("q\u4e2d", ["<0x71>", "<0xE4>", "<0xB8>", "<0xAD>"]),
        ("\0", ["<0x00>"]),
        ("\ud800", ["<0xEF>", "<0xBF>", "<0xBD>"]),  # as U+FFFD
    ],
)
def test_an_unseen_character_is_its_bytes(text, expected):
    assert tokens(build("good bad", "good bad"), text) == expected


# Ids


def test_ids_in_order():
    written = build("bad good good bad good badly")
    ordered = in_order(written)
    assert ordered[:2] == ["[PAD]", "[UNK]"]
    assert tuple(ordered[2:FIRST_PIECE]) == BYTES
    characters = ordered[FIRST_PIECE : FIRST_PIECE + 7]
    assert characters == ["a", "b", "d", "g", "l", "o", "y"]
    merges = ["".join(merge) for merge in json.loads(written)["model"]["merges"]]
    assert ordered[FIRST_PIECE + 7 : piece_count(written)] == merges


def test_words_by_frequency_then_known_ones():
    known = ["unseen", "once", "often", "never"]
    text = "most most most often often then then once alone"
    written = build(text, vocabulary_size=FIRST_PIECE + 40, known=known)
    whole = [word for word in words_of(written) if len(word) > 1]
    # "alone" occurs once and is not known; known words keep the order that was given.
    ranked = ["most", "often", "then", "once", "unseen", "never"]
    assert whole == [word for word in ranked if word in whole]
    assert {"once", "unseen", "never"} <= set(whole)
    assert "alone" not in in_order(written)
    for word in ranked:
        assert tokens(written, word) == [word]


def test_words_can_be_removed_and_pieces_spell_them():
    """Ids from `piece_count` on can be removed; their words are then spelled in pieces."""
    written = build("great great film film greatly", vocabulary_size=600, known=["cinema"])
    document = json.loads(written)
    count = piece_count(written)
    kept = {token: index for token, index in document["model"]["vocab"].items() if index < count}
    assert len(kept) < len(document["model"]["vocab"])
    document["model"]["vocab"] = kept
    for word in ("great", "film", "cinema"):
        found = tokens(json.dumps(document), word)
        assert spelled(found) == word
        assert "[UNK]" not in found


@pytest.mark.parametrize("size", [FIRST_PIECE + 2, 300, 512, 700])
def test_the_vocabulary_has_its_limit(size):
    generator = random.Random(0)
    words = ["".join(generator.choices("abcdefghij", k=5)) for _ in range(400)]
    written = build(" ".join(words * 2), vocabulary_size=size, known=words[:50])
    assert len(in_order(written)) <= size
    if size >= 512:
        assert len(in_order(written)) == size
        assert words_of(written)  # and there is room for words
        assert piece_count(written) > FIRST_PIECE + 10  # and for more than characters


def test_words_far_beyond_max_tokens_are_not_counted():
    text = "aa " * (5 * CHARACTERS_PER_TOKEN // 3 + 1) + "bb bb"
    assert "bb" not in in_order(build(text, max_tokens=5))
    assert "bb" in in_order(build(text, "bb bb", max_tokens=5))


@pytest.mark.parametrize("texts", [[], [""], [" \n", "\t"]])
def test_no_word_at_all(texts):
    with pytest.raises(DataError, match="there is no word in the training texts"):
        build(*texts, known=["good"])


def without_spaces(count=200):
    """Sentences of a made-up language of 60 characters, some of which often stand together."""
    generator = random.Random(0)
    characters = [chr(0x4E00 + index) for index in range(60)]
    pairs = ["".join(generator.sample(characters, 2)) for _ in range(12)]
    parts = [*characters, *pairs * 5]
    return ["".join(generator.choices(parts, k=14)) for _ in range(count)], pairs


def test_a_language_without_spaces_comes_in_pieces():
    sentences, pairs = without_spaces()
    written = build(*sentences, vocabulary_size=560)
    assert words_of(written) == []  # no sentence occurs twice
    pieces = in_order(written)[FIRST_PIECE:]
    # Pairs that are neighbours by chance have no piece, which would hide their characters.
    assert {piece for piece in pieces if len(piece) > 1} == set(pairs)
    found = tokens(written, "".join(pairs[:6]))
    assert "".join(found) == "".join(pairs[:6])
    assert len(found) < 12  # characters


def test_the_order_of_the_texts_does_not_matter():
    texts = ["one two two", "three three one", "four", "twofold fourfold"]
    assert build(*texts) == build(*reversed(texts))


def test_more_characters_than_there_is_room_for():
    """Equally frequent ones are chosen by their code, so that the result is always the same."""
    texts = ["".join(chr(0x4E00 + 7 * row + index) for index in range(7)) for row in range(99)]
    written = {build(*texts, "\u56e0\u56e0", vocabulary_size=512) for _ in range(5)}
    assert len(written) == 1
    (written,) = written
    characters = [token for token in in_order(written)[FIRST_PIECE:] if len(token) == 1]
    assert characters == sorted(characters)
    assert "\u56e0" in characters  # which occurs more often than the others
    assert "\u4e00" in characters
    assert tokens(written, "\u5000")[0].startswith("<0x")


# Any text

ANY_TEXT = st.text(st.characters(codec=None), max_size=40)  # lone surrogates included


@pytest.fixture(scope="module")
def written():
    return build("it's a good movie, isn't it?", "a good good film \u4e2d\u6587\u4e2d\u6587")


@settings(deadline=None)
@given(ANY_TEXT)
@example("\ufffd\ud800<0x41>[UNK]\u2019T")
@example("good" * 50)
def test_every_text_is_spelled_without_the_unknown_token(written, text):
    found = tokens(written, text)
    assert "[UNK]" not in found
    assert "[PAD]" not in found
    assert spelled(found) == "".join(split_words(text))


@settings(deadline=None, max_examples=50)
@given(st.lists(ANY_TEXT, min_size=1, max_size=5))
def test_a_tokenizer_of_any_texts_is_valid_and_spells_them(texts):
    written = build(*texts, "anchor", vocabulary_size=512)
    assert check_tokenizer(written.encode(), rows=512, where="t") == written
    assert TextTokenizer(written, max_tokens=9).splits_at_separators
    assert UNKNOWN_ID not in TextTokenizer(written, max_tokens=9).token_ids(" ".join(texts))
    for text in texts:
        assert spelled(tokens(written, text)) == "".join(split_words(text))
