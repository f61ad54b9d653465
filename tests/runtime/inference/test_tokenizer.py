"""Text to ids: the rule that training, verification and the runtime share."""

from __future__ import annotations

import json
import threading
import unicodedata
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from textgate.bundle.checks.tokenizer import SUBWORD_WORDS
from textgate.errors import BundleError
from textgate.inference.tokenizer import (
    CHARACTERS_PER_TOKEN,
    PADDING_ID,
    UNKNOWN_ID,
    Encoded,
    TextTokenizer,
    without_surrogates,
)

WORDS = ["[PAD]", "[UNK]", "good", "don't", "'s", "caf\u00e9", "!", "\U0001f600", "\u00df", "?"]
WRITTEN = Path(__file__).parents[2] / "data" / "lstm-int8" / "tokenizer.json"


def tokenizer_json() -> str:
    """A tokenizer that training wrote, with a vocabulary that tests can read."""
    value = json.loads(WRITTEN.read_text(encoding="utf-8"))
    value["model"]["vocab"] = {word: index for index, word in enumerate(WORDS)}
    return json.dumps(value)


@pytest.fixture(scope="module")
def tokenizer():
    return TextTokenizer(tokenizer_json(), max_tokens=5)


GOOD, DONT, S, CAFE, MARK, SMILE, SHARP, QUESTION = range(2, 10)

CASES = [
    ("good", [GOOD]),
    ("GOOD Good", [GOOD, GOOD]),
    ("good!", [GOOD, MARK]),
    ("don't", [DONT]),
    ("DON'T", [DONT]),
    ("good's", [UNKNOWN_ID]),  # one word, and not a known one
    ("good 's", [GOOD, S]),
    ("bad", [UNKNOWN_ID]),
    ("caf\u00e9", [CAFE]),
    ("cafe\u0301", [CAFE]),  # decomposed: NFC makes them one
    ("CAF\u00c9", [CAFE]),
    ("\U0001f600", [SMILE]),
    ("good\U0001f600good", [GOOD, SMILE, GOOD]),
    ("\U0001f44d\U0001f3fd", [UNKNOWN_ID, UNKNOWN_ID]),  # a thumb and its skin tone
    ("\u00df", [SHARP]),
    ("good\0good", [GOOD, UNKNOWN_ID, GOOD]),
    ("good\u00a0good\u2003good", [GOOD, GOOD, GOOD]),
    ("[PAD] [UNK]", [UNKNOWN_ID] * 5),  # a text cannot spell a special token: [ pad ] [ unk
    ("\ud800", [UNKNOWN_ID]),
    ("good \udfff good", [GOOD, UNKNOWN_ID, GOOD]),
    ("good \ud83d\ude00", [GOOD, SMILE]),  # two halves that belong together
    ("", [UNKNOWN_ID]),
    (" \t\n\u3000", [UNKNOWN_ID]),
    ("\u200b", [UNKNOWN_ID]),
]


EMPTY, NOTHING_KNOWN = "the text is empty", "no known token was read"


@pytest.mark.parametrize(("text", "ids"), CASES)
def test_texts(tokenizer, text, ids):
    assert tokenizer.encode(text).ids == ids


@pytest.mark.parametrize("text", [text for text, _ in CASES])
def test_every_token_has_its_characters(tokenizer, text):
    # Of a letter and its accent, the library counts the letter alone.
    text = unicodedata.normalize("NFC", without_surrogates(text))
    parts = [text[start:end] for start, end in tokenizer.token_spans(text)]
    assert [tokenizer.token_ids(part) for part in parts] == [
        [each] for each in tokenizer.token_ids(text)
    ]


def test_the_two_special_ids(tokenizer):
    assert (PADDING_ID, UNKNOWN_ID) == (0, 1)
    assert tokenizer.words()[:2] == ["[PAD]", "[UNK]"]
    assert tokenizer.words() == WORDS
    assert tokenizer.vocabulary_size == len(WORDS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("good " * 5, Encoded([GOOD] * 5, False)),
        ("good " * 6, Encoded([GOOD] * 5, True)),
        ("good " * 100_000, Encoded([GOOD] * 5, True)),
        (" " * 5 * CHARACTERS_PER_TOKEN, Encoded([UNKNOWN_ID], False, EMPTY)),
        (" " * (5 * CHARACTERS_PER_TOKEN + 1), Encoded([UNKNOWN_ID], True, NOTHING_KNOWN)),
        (" " * 5 * CHARACTERS_PER_TOKEN + "good", Encoded([UNKNOWN_ID], True, NOTHING_KNOWN)),
        ("good" + "\u0301" * 5 * CHARACTERS_PER_TOKEN, Encoded([UNKNOWN_ID], True, NOTHING_KNOWN)),
    ],
)
def test_what_is_cut_off_is_told(tokenizer, text, expected):
    assert tokenizer.encode(text) == expected


NO_LABEL = [
    ("", EMPTY),
    (" \t\n\u3000", EMPTY),
    ("bad", NOTHING_KNOWN),
    ("\u200b", NOTHING_KNOWN),
    ("\ud800", NOTHING_KNOWN),
    ("bad " * 5 + "good", NOTHING_KNOWN),  # which is not read
    ("bad " * 4 + "good", None),
    ("bad good", None),
    ("!", None),
    ("\U0001f600", None),
]


@pytest.mark.parametrize(("text", "reason"), NO_LABEL)
def test_why_a_text_gets_no_label(tokenizer, text, reason):
    assert tokenizer.encode(text).reason == reason
    assert [item.reason for item in tokenizer.encode_batch(["good", text])] == [None, reason]


def subword_json() -> str:
    """A tokenizer of subwords as training writes it: other characters come as their bytes."""
    value = json.loads(WRITTEN.read_text(encoding="utf-8"))
    tokens = ["[PAD]", "[UNK]", *(f"<0x{byte:02X}>" for byte in range(256)), *"dgo!", "good"]
    value["pre_tokenizer"]["pattern"] = {"Regex": SUBWORD_WORDS}
    value["model"] = {
        "type": "BPE",
        "vocab": {token: index for index, token in enumerate(tokens)},
        "merges": [],
        "unk_token": "[UNK]",
        "byte_fallback": True,
        "ignore_merges": True,
    }
    return json.dumps(value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", EMPTY),
        ("good", None),
        ("god", None),  # of pieces
        ("g", None),
        ("!", None),
        ("xyz", NOTHING_KNOWN),  # of bytes alone
        ("\U0001f600 \u4e2d", NOTHING_KNOWN),
        ("\U0001f600 d", None),
    ],
)
def test_bytes_of_subwords_are_not_known(text, reason):
    assert TextTokenizer(subword_json(), max_tokens=20).encode(text).reason == reason


def test_characters_are_cut_before_they_are_tokenized(tokenizer, monkeypatch):
    """Fifty million characters cost no more than the few hundred that can matter."""
    seen = []
    inner = tokenizer._tokenizer

    class Spy:
        def encode(self, text):
            seen.append(text)
            return inner.encode(text)

        def encode_ascii(self, text):
            return self.encode(text).ids

        def encode_batch_fast(self, texts):
            seen.extend(texts)
            return inner.encode_batch_fast(texts)

    monkeypatch.setattr(tokenizer, "_tokenizer", Spy())
    assert tokenizer.encode("good\u3000" * 10_000_000) == Encoded([GOOD] * 5, True)
    assert sum(len(text) for text in seen) <= 5 * CHARACTERS_PER_TOKEN
    seen.clear()
    monkeypatch.setattr(tokenizer, "_word_ids", SimpleNamespace(ids=Spy().encode_ascii))
    assert tokenizer.encode("good " * 10_000_000) == Encoded([GOOD] * 5, True)
    assert [len(text) for text in seen] == [5 * CHARACTERS_PER_TOKEN]


@given(st.text(st.characters(codec=None), max_size=60))
@example("good\u3000" * 9)
@example("\ud800 good")
def test_one_text_is_the_same_beside_other_threads(tokenizer, text):
    """Where there are others, a call is taken that lets them run."""
    calls = []
    inner = tokenizer._tokenizer
    spy = SimpleNamespace(
        encode=lambda text: calls.append("alone") or inner.encode(text),
        encode_batch_fast=lambda texts: calls.append("batch") or inner.encode_batch_fast(texts),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenizer, "_word_ids", None)  # it lets nobody run, and takes no time
        patch.setattr(tokenizer, "_tokenizer", spy)
        found = []
        for threads in (1, 2):
            patch.setattr(threading, "active_count", lambda threads=threads: threads)
            found.append(tokenizer.encode(text))
    assert found[0] == found[1]
    assert list(dict.fromkeys(calls)) == (["alone", "batch"] if text else [])


def test_order_is_kept_and_one_bad_text_harms_no_other(tokenizer):
    texts = ["good", "", "\ud800 good", "!", "good " * 9]
    assert tokenizer.encode_batch(texts) == [tokenizer.encode(text) for text in texts]
    assert tokenizer.encode_batch([]) == []


def test_padding_and_truncation_of_the_file_do_not_count():
    value = json.loads(tokenizer_json())
    value["truncation"] = {
        "direction": "Right",
        "max_length": 1,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    value["padding"] = {
        "strategy": {"Fixed": 9},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    tokenizer = TextTokenizer(json.dumps(value), max_tokens=5)
    assert tokenizer.encode("good good") == Encoded([GOOD, GOOD], False)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "not JSON", '{"model": {}}'])
def test_what_is_no_tokenizer(text):
    with pytest.raises(BundleError, match=r"^tokenizer.json is not a tokenizer: ") as caught:
        TextTokenizer(text, max_tokens=5)
    assert "\n" not in str(caught.value)


ANY_TEXT = st.text(st.characters(codec=None), max_size=60)  # lone surrogates included


@given(st.lists(ANY_TEXT, max_size=6))
@example(["\ud83d", "\ude00"])
@example(["\0", " ", "", "e\u0301" * 40])
def test_any_texts(texts):
    tokenizer = TextTokenizer(tokenizer_json(), max_tokens=5)
    encoded = tokenizer.encode_batch(texts)
    assert encoded == [tokenizer.encode(text) for text in texts]
    for item in encoded:
        assert 1 <= len(item.ids) <= 5
        assert all(1 <= token < len(WORDS) for token in item.ids)  # never padding


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_composed_or_not_is_one_text(text):
    tokenizer = TextTokenizer(tokenizer_json(), max_tokens=1000)
    forms = [unicodedata.normalize(form, text) for form in ("NFC", "NFD")]
    assert tokenizer.encode(forms[0]).ids == tokenizer.encode(forms[1]).ids
