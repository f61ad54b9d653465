"""The short way to the ids of texts: it must give what the library gives."""

from __future__ import annotations

import json
import threading
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from textgate.bundle.checks.tokenizer import SUBWORD_WORDS, WORDS
from textgate.errors import BundleError
from textgate.inference import word_ids
from textgate.inference.tokenizer import SEPARATORS, TextTokenizer
from textgate.inference.word_ids import PieceIds, WordIds

VOCABULARY = [
    "[PAD]", "[UNK]", *(f"<0x{byte:02X}>" for byte in range(256)),
    *"abcdefghijklmnopqrstuvwxyz0123456789'!._", "n't", "'s", "do", "don't", "it", "film",
    "fi", "lm",
]  # fmt: skip
IDS = {word: number for number, word in enumerate(VOCABULARY)}
MODELS = {
    "BPE": {
        "type": "BPE", "dropout": None, "unk_token": "[UNK]", "fuse_unk": False,
        "byte_fallback": True, "ignore_merges": True, "vocab": IDS,
        "merges": [["f", "i"], ["l", "m"], ["d", "o"], ["i", "t"]],
        "continuing_subword_prefix": None, "end_of_word_suffix": None,
    },
    "BPE, unknown characters joined": {
        "type": "BPE", "dropout": None, "unk_token": "[UNK]", "fuse_unk": True,
        "byte_fallback": False, "ignore_merges": False, "vocab": {"[PAD]": 0, "[UNK]": 1, "a": 2},
        "merges": [], "continuing_subword_prefix": None, "end_of_word_suffix": None,
    },
    "WordLevel": {"type": "WordLevel", "unk_token": "[UNK]", "vocab": IDS},
}  # fmt: skip
NORMALIZERS = [
    None,
    {"type": "NFC"},
    {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]},
    {
        "type": "Sequence",
        "normalizers": [
            {"type": "NFC"},
            {"type": "Replace", "pattern": {"String": "\u2019"}, "content": "'"},
            {"type": "Lowercase"},
        ],
    },
]


def document(*, expression=SUBWORD_WORDS, model="BPE", normalizer=NORMALIZERS[3], **changes):
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": normalizer,
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"Regex": expression},
            "behavior": "Removed",
            "invert": True,
        },
        "post_processor": None,
        "decoder": None,
        "model": MODELS[model],
        **changes,
    }


def made(**parts):
    return Tokenizer.from_str(json.dumps(document(**parts)))


PIPELINES = {
    f"{model}, {kind}, {number}": made(expression=expression, model=model, normalizer=normalizer)
    for model in MODELS
    for kind, expression in (("subwords", SUBWORD_WORDS), ("words", WORDS))
    for number, normalizer in enumerate(NORMALIZERS)
}
# Much of what the expressions tell apart: contractions, apostrophes, every kind of white space.
PIECES = ["n't", "'s", "'T", "'re", "'ll", "'", "''", "don't", "DON'T", "it", "film", "_", "9", "n"]
ASCII = st.text(st.characters(min_codepoint=0, max_codepoint=127), max_size=60)
MIXED = st.lists(st.sampled_from([*PIECES, " ", "\t", "\x1c", "\x1f", "\x00", ".", "a"])).map(
    "".join
)


@pytest.mark.parametrize("name", PIPELINES)
@settings(max_examples=40, deadline=None)
@given(text=ASCII | MIXED)
@example(text="can't won'tx isn't's 'tis o'clock rock'n'roll 'S's n'tn't")
@example(text="a\x1cb\x1db\x1ec\x1fd\x0be\x0cf\x85g".replace("\x85", ""))
@example(text="")
def test_the_ids_are_those_of_the_library(name, text):
    tokenizer = PIPELINES[name]
    words = WordIds.of(tokenizer)
    assert words is not None
    expected = tokenizer.encode(text).ids
    assert words.ids(text) == expected
    assert words.ids(text) == expected  # out of the memory, this time


@settings(max_examples=200, deadline=None)
@given(text=ASCII | MIXED)
def test_the_ids_of_the_sample_bundles(bundles, text):
    for path in bundles.values():
        tokenizer = _tokenizer(path)
        assert WordIds.of(tokenizer._tokenizer) is not None
        assert tokenizer.token_ids(text) == tokenizer._ids([text])[0]


_KEPT = {}


def _tokenizer(path):
    if path not in _KEPT:
        text = (path / "tokenizer.json").read_text(encoding="utf-8")
        _KEPT[path] = TextTokenizer(text, max_tokens=1000)
    return _KEPT[path]


def test_real_texts(bundles, reviews):
    from textgate.rows import read_rows

    texts = [row.text for row in read_rows(reviews / "test.jsonl.gz", labelled=False)]
    assert sum(text.isascii() for text in texts) > len(texts) / 2
    for path in bundles.values():
        tokenizer = _tokenizer(path)
        expected = [encoding.ids for encoding in tokenizer._tokenizer.encode_batch_fast(texts)]
        assert [item.ids for item in tokenizer.encode_batch(texts)] == expected
        assert [tokenizer.encode(text).ids for text in texts] == expected


def test_a_batch_of_ascii_and_other_texts(bundle):
    tokenizer = _tokenizer(bundle)
    texts = ["A good film", "caf\u00e9", "", "\ud800", "bad", "na\u00efve!"]
    one_by_one = [tokenizer.encode(text) for text in texts]
    assert tokenizer.encode_batch(texts) == one_by_one
    assert one_by_one[0].ids == tokenizer._ids(["A good film"])[0]


OTHERS = {
    "another expression": {"expression": r"\w+|[^\w\s]+"},
    "another way to split": {"pre_tokenizer": {"type": "Whitespace"}},
    "none": {"pre_tokenizer": None},
    "what is between is kept": {
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"Regex": WORDS},
            "behavior": "Isolated",
            "invert": True,
        }
    },
    "accents are dropped": {"normalizer": {"type": "StripAccents"}},
    "ASCII is replaced": {
        "normalizer": {"type": "Replace", "pattern": {"String": "a"}, "content": "b"}
    },
    "tokens that hold spaces": {
        "added_tokens": [
            {
                "id": 2, "content": "a film", "single_word": False, "lstrip": False,
                "rstrip": False, "normalized": True, "special": False,
            }
        ]
    },
    "tokens around a text": {
        "post_processor": {
            "type": "BertProcessing", "sep": ["[UNK]", 1], "cls": ["[PAD]", 0],
        }
    },
}  # fmt: skip


@pytest.mark.parametrize("parts", OTHERS.values(), ids=OTHERS)
def test_other_tokenizers_go_the_long_way(parts):
    assert WordIds.of(made(**parts)) is None
    tokenizer = TextTokenizer(json.dumps(document(**parts)), max_tokens=50)
    text = "It isn't a film!"
    assert tokenizer.encode(text).ids == made(**parts).encode(text).ids


# Texts that are not ASCII, piece by piece


def characters():
    """Yield every assigned character; of long runs of one kind both ends, and every 16th."""
    kinds = [unicodedata.category(chr(code)) for code in range(0x110000)]
    for code, kind in enumerate(kinds):
        inside = kind in ("Lo", "So") and kinds[code - 1] == kind == kinds[code + 1]
        if kind not in ("Cn", "Co", "Cs") and not (inside and code % 16):
            yield chr(code)


PRIVATE = ["\ue000", "\uf8ff", "\U000f0000", "\U0010fffd", "\u0378", "\ufffe", "\U0010ffff"]


@pytest.mark.parametrize("expression", [SUBWORD_WORDS, WORDS], ids=["subwords", "words"])
def test_pieces_have_the_ids_of_the_text_for_every_character(expression):
    tokenizer = made(expression=expression)
    cut = PieceIds(SEPARATORS, list)._pieces.findall
    texts = [f"a{one}b {one}.{one}n't\u3000{one}" for one in [*characters(), *PRIVATE]]
    pieces = [cut(text) for text in texts]
    every = list(dict.fromkeys(piece for found in pieces for piece in found))
    known = dict(zip(every, (item.ids for item in tokenizer.encode_batch_fast(every)), strict=True))
    whole = tokenizer.encode_batch_fast(texts)
    for text, found, expected in zip(texts, pieces, whole, strict=True):
        assert [token for piece in found for token in known[piece]] == expected.ids, ascii(text)


ANY = st.text(st.characters() | st.sampled_from("'\u2019 .,\u0301\u03a3\u0130"), max_size=40)


@settings(max_examples=200, deadline=None)
@given(text=ANY)
@example(text="caf\u00e9 it\u2019s \u039f\u0394\u039f\u03a3 \u0130 e\u0301 \ud83d\ude00 \U0001f600")
@example(text=" ".join(f"\u00e9{number}" for number in range(20)))
def test_texts_of_any_script(bundles, text):
    for path in bundles.values():
        tokenizer = _tokenizer(path)
        expected = tokenizer._ids([text])[0]
        for _ in range(3):  # the second and third time out of the memory
            assert tokenizer.token_ids(text) == expected
            assert tokenizer._batch_ids([text, "a"])[0] == expected


def test_a_word_of_any_script_is_looked_up_once(bundle, monkeypatch):
    tokenizer = TextTokenizer(_tokenizer(bundle)._tokenizer.to_str(), max_tokens=1000)
    text = "caf\u00e9 it\u2019s \u4e2d\u6587"
    first = tokenizer.token_ids(text)
    monkeypatch.setattr(tokenizer, "_ids", None)
    assert tokenizer.token_ids(f"{text} {text}, {text}") == [
        *first, *first, *tokenizer.token_ids(","), *first
    ]  # fmt: skip


def test_the_memory_of_pieces_is_bounded(monkeypatch):
    monkeypatch.setattr(word_ids, "_MAX_WORDS", 10)
    pieces = PieceIds(SEPARATORS, lambda piece: [len(piece)])
    for number in range(100):
        assert pieces.ids(f"\u00e9{number:04} {'x' * 65}") == [5, 65]
        assert len(pieces._known) <= 10
        assert not any(len(word) > 64 for word in pieces._known)


def test_chance_is_not_remembered():
    changed = document()
    changed["model"] = {**MODELS["BPE"], "dropout": 0.5, "ignore_merges": False}
    assert WordIds.of(Tokenizer.from_str(json.dumps(changed))) is None


def test_the_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(word_ids, "_MAX_WORDS", 10)
    words = WordIds.of(made())
    for number in range(100):
        words.ids(f"w{number} " + "x" * 65)
        for known in (words._known, words._known_pieces):
            assert len(known) <= 10
            assert not any(len(word) > 64 for word in known)


def test_a_caller_cannot_change_the_memory(bundle):
    tokenizer = _tokenizer(bundle)
    first = tokenizer.token_ids("good film")
    expected = list(first)
    first.clear()
    assert tokenizer.token_ids("good film") == expected


def test_no_unknown_token_is_said_in_words():
    changed = document(model="WordLevel")
    changed["model"] = {"type": "WordLevel", "unk_token": "nothing", "vocab": {"a": 0}}
    tokenizer = TextTokenizer(json.dumps(changed), max_tokens=5)
    assert tokenizer.encode("a").ids == [0]
    for text in ("b", "\u00e9"):
        with pytest.raises(BundleError, match=r"tokenizer\.json cannot be used"):
            tokenizer.encode(text)


def test_several_threads(monkeypatch):
    monkeypatch.setattr(word_ids, "_MAX_WORDS", 50)
    words, tokenizer = WordIds.of(made()), made()
    texts = [f"it isn't film number {number} of {number // 2}" for number in range(400)]
    expected = [tokenizer.encode(text).ids for text in texts]
    wrong = []

    def work():
        wrong.extend(
            text for text, ids in zip(texts, expected, strict=True) if words.ids(text) != ids
        )

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
