"""A text that arrives in pieces ends in what `predict` says of the whole, piece by piece."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from textgate.bundle.checks.tokenizer import SUBWORD_WORDS
from textgate.errors import ConfigError, DataError
from textgate.inference.classifier import Classifier
from textgate.inference.tokenizer import (
    CHARACTERS_PER_TOKEN,
    SEPARATORS,
    TextTokenizer,
    settled_length,
    without_surrogates,
)

DATA = Path(__file__).parents[2] / "data"
STREAMING = ["lstm-int8", "gru-float32"]
SUBWORDS = "lstm-int8 of subwords"
FEW = 6  # tokens: texts of a few words are truncated
TOLERANCE = 1e-5

SUBWORD_SPLIT = {
    "type": "Split",
    "pattern": {"Regex": SUBWORD_WORDS},
    "behavior": "Removed",
    "invert": True,
}


def replacing(old, new, kind="String"):
    return {"type": "Replace", "pattern": {kind: old}, "content": new}


CURLY_TO_STRAIGHT = replacing("\u2019", "'")

# What could go wrong at a cut: marks that compose with what stands before them (also across what
# looks like an end: "=" and U+0338), jamo, joiners, letters that change length or depend on their
# neighbours in other lower-casings, halves of surrogate pairs, spaces that are none to everybody.
AWKWARD = [
    *SEPARATORS,
    "'", "\u2019", "_", "=", "<", ">", "e", "\u0301", "\u0323", "\u0338", "\u0345", "\u093c",
    "\u0915", "\u1100", "\u1161", "\u11a8", "\uac00", "\u03a3", "\u03c2", "\u0130", "\u0307",
    "\u00df", "\u212b", "\u2126", "\u1fef", "\u037e", "\u2000", "\ufb01", "\u4e2d", "\u0e01",
    "\U0001f469", "\u200d", "\u200c", "\ufe0f", "\U0001f3fd", "\U0001f1e9", "\u20e3", "\ud83d",
    "\ude00", "\u001c", "\u001f", "\u180e", "\u200b", "\ufeff", "\0", "\ufffd", "\U0001d15f",
]  # fmt: skip
WORDS = ["qq", "good", "movie", "n't", "bad", " the", "is ", "it's", "'s", "a", " "]
TEXTS = st.lists(
    st.sampled_from(WORDS) | st.sampled_from(AWKWARD) | st.characters(codec=None), max_size=40
).map("".join)
CUTS = st.lists(st.floats(0, 1), max_size=12)


def cut(text, cuts):
    """Return the text, or bytes, in pieces."""
    ends = [0, *sorted(round(cut * len(text)) for cut in cuts), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(ends)]


def assert_same(found, expected):
    assert (found.tokens, found.truncated) == (expected.tokens, expected.truncated)
    assert found.reason == expected.reason
    assert found.scores == pytest.approx(expected.scores, abs=TOLERANCE)


def subword_tokenizer():
    """A tokenizer as training writes it, of few pieces: other characters come as bytes."""
    merges = [
        ("o", "o"),
        ("g", "oo"),
        ("goo", "d"),
        ("i", "s"),
        ("n", "'t"),
        ("'", "t"),
        ("m", "o"),
    ]
    pieces = [*"adegimost'nb", *dict.fromkeys("".join(merge) for merge in merges)]
    words = ["movie", "bad", "the", "it", "'s", "n't"]
    tokens = ["[PAD]", "[UNK]", *(f"<0x{byte:02X}>" for byte in range(256)), *pieces, *words]
    value = json.loads((DATA / "lstm-int8" / "tokenizer.json").read_text(encoding="utf-8"))
    value["normalizer"] = {
        "type": "Sequence",
        "normalizers": [{"type": "NFC"}, CURLY_TO_STRAIGHT, {"type": "Lowercase"}],
    }
    value["pre_tokenizer"] = {**SUBWORD_SPLIT}
    value["model"] = {
        "type": "BPE",
        "vocab": {token: index for index, token in enumerate(dict.fromkeys(tokens))},
        "merges": merges,
        "unk_token": "[UNK]",
        "byte_fallback": True,
        "ignore_merges": True,
    }
    return json.dumps(value)


def load(name, bundles, **options):
    """The classifier of a bundle, or of one whose tokenizer is changed for one of subwords."""
    if name != SUBWORDS:
        return Classifier.load(bundles[name], **options)
    classifier = Classifier.load(bundles["lstm-int8"], **options)
    tokens = classifier._tokenizer.max_tokens
    classifier._tokenizer = TextTokenizer(subword_tokenizer(), max_tokens=tokens)
    return classifier


@pytest.fixture(scope="module", params=[*STREAMING, SUBWORDS])
def classifier(request, bundles):
    return load(request.param, bundles)


@pytest.fixture(scope="module", params=[*STREAMING, SUBWORDS])
def brief(request, bundles):
    """A classifier that reads few tokens."""
    return load(request.param, bundles, max_tokens=FEW)


@pytest.fixture(scope="module", params=STREAMING)
def worded(request, bundles):
    """A classifier to whom a word is one token."""
    return Classifier.load(bundles[request.param])


@pytest.fixture(scope="module", params=STREAMING)
def brief_worded(request, bundles):
    return Classifier.load(bundles[request.param], max_tokens=FEW)


@pytest.fixture
def text():
    return "This isn't the movie; caf\u00e9 \u4e2d\u6587\uff0c\u597d\u3002 It was GOOD... really!"


# What is settled

SETTLED = [
    ("", 0),
    ("good", 0),
    ("good ", 5),
    ("good mov", 5),
    ("good\n\nmov", 6),
    ("it's", 0),
    ("isn'", 0),  # isn't
    ("a=", 0),  # U+0338 would make it another character
    ("one_", 0),
    ("wow!", 4),
    ("wow!!!1", 6),
    ("\u4e2d\u6587\uff0c\u597d", 3),
    ("a\u001cb", 0),  # a space to Python alone
    ("\u00e9", 0),
    (" \ud83d", 1),
]


@pytest.mark.parametrize(("text", "length"), SETTLED)
def test_settled_length(text, length):
    assert settled_length(text) == length


@pytest.fixture(scope="module", params=["words", "subwords"])
def tokenizer(request):
    text = (DATA / "lstm-int8" / "tokenizer.json").read_text(encoding="utf-8")
    if request.param == "subwords":
        text = subword_tokenizer()
    return TextTokenizer(text, max_tokens=40)


@settings(deadline=None, max_examples=100)
@given(head=TEXTS, tail=TEXTS)
@example(head="a ", tail="\u0301b")
@example(head="a=", tail="\u0338")
@example(head="a\u0301\u0323 ", tail="\u0301\u0323")
@example(head="\u1100", tail="\u1161")
@example(head="don'", tail="t")
@example(head="don\u2019t ", tail="s")
@example(head="isn't", tail="\u0301")
@example(head="x \ud83d", tail="\ude00")
def test_no_continuation_changes_what_is_settled(tokenizer, head, tail):
    """Said of words, not of ids: two unknown words have one id."""

    def words(text):
        inner = tokenizer._tokenizer
        clean = inner.normalizer.normalize_str(without_surrogates(text))
        return [word for word, _ in inner.pre_tokenizer.pre_tokenize_str(clean)]

    end = settled_length(head)
    whole = head + tail
    assert words(whole) == words(whole[:end]) + words(whole[end:])
    ids = tokenizer.token_ids
    assert ids(whole) == ids(whole[:end]) + ids(whole[end:])


def test_no_composition_holds_a_separator():
    """All of Unicode: no separator composes, with what is before it or with what is after."""
    parts = set()
    for code in range(0x110000):
        decomposed = unicodedata.normalize("NFD", chr(code))
        if len(decomposed) > 1:
            parts.update(decomposed)
    assert parts.isdisjoint(SEPARATORS)
    assert {unicodedata.combining(separator) for separator in SEPARATORS} == {0}
    assert {"=", "<", ">"} < parts  # the test sees what it is for


def test_white_space_is_unicodes():
    python = {chr(code) for code in range(0x110000) if chr(code).isspace()}
    assert {s for s in SEPARATORS if s.isspace()} == python - set("\x1c\x1d\x1e\x1f")


def test_separators_differ():
    assert len(set(SEPARATORS)) == len(SEPARATORS)


# Tokenizers

SPLIT = {"pattern": {"Regex": r"\w+|[^\w\s]"}, "behavior": "Removed", "invert": True}
JOINED_WORDS = {"Regex": r"\w+(?:-\w+)*|[^\w\s]"}
JOINED_NUMBERS = {"Regex": r"\d+(?:[.,]\d+)*|\w+|[^\w\s]"}
TOKENIZERS = [
    ({}, True),
    ({"normalizer": None}, True),
    ({"normalizer": {"type": "Lowercase"}}, True),
    ({"normalizer": CURLY_TO_STRAIGHT}, True),
    ({"normalizer": replacing("e", "\u0301")}, True),
    ({"normalizer": replacing("e", ",")}, True),  # what is a separator now was none before
    ({"normalizer": replacing(",", "e")}, False),
    ({"normalizer": replacing(" ", "_")}, False),
    ({"normalizer": replacing("ab", "c")}, False),
    ({"normalizer": replacing("a", "bc")}, False),
    ({"normalizer": replacing("a", "")}, False),
    ({"normalizer": replacing("a", "b", kind="Regex")}, False),
    ({"normalizer": {"type": "Sequence", "normalizers": [CURLY_TO_STRAIGHT] * 2}}, True),
    ({"normalizer": CURLY_TO_STRAIGHT, "pre_tokenizer": SUBWORD_SPLIT}, True),
    ({"normalizer": {"type": "Prepend", "prepend": "_"}}, False),
    ({"normalizer": {"type": "Strip", "strip_left": True, "strip_right": True}}, False),
    ({"pre_tokenizer": {"type": "Split", **SPLIT}}, True),
    ({"pre_tokenizer": {"type": "Split", **SPLIT, "behavior": "Isolated"}}, False),
    ({"pre_tokenizer": {"type": "Split", **SPLIT, "pattern": JOINED_WORDS}}, False),
    ({"pre_tokenizer": {"type": "Split", **SPLIT, "pattern": JOINED_NUMBERS}}, False),
    ({"pre_tokenizer": {"type": "WhitespaceSplit"}}, False),
    ({"pre_tokenizer": {"type": "Whitespace"}}, False),  # !! would be one token
    ({"pre_tokenizer": None}, False),
    (
        {
            "pre_tokenizer": {
                "type": "Metaspace",
                "replacement": "_",
                "prepend_scheme": "always",
                "split": True,
            }
        },
        False,
    ),
    (
        {
            "added_tokens": [
                {
                    "id": 2,
                    "content": "two words",
                    "single_word": False,
                    "lstrip": False,
                    "rstrip": False,
                    "normalized": False,
                    "special": False,
                }
            ]
        },
        False,
    ),
    ({"post_processor": {"type": "BertProcessing", "sep": ["a", 5], "cls": ["a", 5]}}, False),
]


@pytest.mark.parametrize(("changes", "cuttable"), TOKENIZERS)
def test_which_tokenizers_may_be_cut(bundle, changes, cuttable):
    value = json.loads((bundle / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer = TextTokenizer(json.dumps({**value, **changes}), max_tokens=40)
    assert tokenizer.splits_at_separators is cuttable
    classifier = Classifier.load(bundle)
    classifier._tokenizer = tokenizer
    if cuttable:
        assert_same(classifier.stream().feed("good."), classifier.predict("good."))
    else:
        with pytest.raises(ConfigError, match=r"cannot stream: tokenizer.json is not of the ki"):
            classifier.stream()


def test_what_training_writes_may_be_cut():
    pytest.importorskip("torch", reason="torch is needed to import the training part")
    from textgate.train.text.subwords import build_subword_tokenizer
    from textgate.train.text.vocabulary import build_tokenizer

    for build in (build_tokenizer, build_subword_tokenizer):
        written = build(["good movie"], vocabulary_size=600, max_tokens=10)
        assert TextTokenizer(written, max_tokens=10).splits_at_separators


# The same as predict


@settings(deadline=None, max_examples=60)
@given(text=TEXTS, cuts=CUTS)
@example(text="e\u0301", cuts=[0.5])
@example(text="good \ud83d\ude00", cuts=[0.9])
def test_after_every_piece_of_text(brief, text, cuts):
    stream, sofar = brief.stream(), ""
    for piece in cut(text, cuts):
        sofar += piece
        assert_same(stream.feed(piece), brief.predict(sofar))
    assert_same(stream.finish(), brief.predict(text))


@settings(deadline=None, max_examples=60)
@given(
    data=st.lists(
        TEXTS.map(lambda text: text.encode("utf-8", "replace")) | st.binary(max_size=6)
    ).map(b"".join),
    cuts=CUTS,
)
@example(data="caf\u00e9 \U0001f600".encode(), cuts=[0.4, 0.6, 0.7])
@example(data=b"good \xf0\x9f\x98", cuts=[0.7])
@example(data=b"good \xf0\x9fgood \xff", cuts=[0.7])
def test_bytes_cut_anywhere(brief, data, cuts):
    stream = brief.stream()
    for piece in cut(data, cuts):
        stream.feed(piece)
    assert_same(stream.finish(), brief.predict(data.decode("utf-8", "replace")))


def test_by_single_characters_and_bytes(classifier, text):
    for whole in (text, text * 5):
        for pieces in (whole, (bytes([byte]) for byte in whole.encode())):
            stream = classifier.stream()
            for piece in pieces:
                stream.feed(piece)
            assert_same(stream.finish(), classifier.predict(whole))


def test_an_unfinished_word_counts_until_it_grows(classifier):
    stream = classifier.stream()
    for sofar, piece in [
        ("a go", "a go"),
        ("a good", "od"),
        ("a good movie", " movie"),
        ("a good movie's", "'s"),
    ]:
        assert_same(stream.feed(piece), classifier.predict(sofar))


def test_an_unfinished_character_counts_when_it_is_whole(classifier):
    stream = classifier.stream()
    assert_same(stream.feed(b"good \xe2"), classifier.predict("good "))
    assert_same(stream.feed(b"\x80"), classifier.predict("good "))
    assert_same(stream.feed(b"\xa6"), classifier.predict("good \u2026"))
    assert_same(stream.feed(b"\xe2", final=True), classifier.predict("good \u2026\ufffd"))


def test_without_text(classifier):
    empty = classifier.predict("")
    assert_same(classifier.stream().finish(), empty)
    assert_same(classifier.stream().feed(""), empty)
    assert_same(classifier.stream().feed(b"", final=True), empty)
    stream = classifier.stream()
    stream.feed(" \n")
    assert_same(stream.feed("\u3000"), empty)
    assert_same(stream.feed("good"), classifier.predict("good"))


EMPTY, NOTHING_KNOWN = "the text is empty", "no known token was read"


def test_no_label_before_a_known_token(classifier):
    stream = classifier.stream()
    steps = [
        ("", EMPTY),
        ("  \n", EMPTY),
        ("\U0001f44d", NOTHING_KNOWN),
        (" \u4e2d", NOTHING_KNOWN),
        (" good", None),
        (" \u4e2d", None),
    ]
    for piece, reason in steps:
        found = stream.feed(piece)
        assert (found.reason, found.label is None) == (reason, reason is not None)
    assert stream.finish().reason is None


def test_a_known_word_may_become_an_unknown_one(worded):
    stream = worded.stream()
    assert stream.feed("good").reason is None
    assert stream.feed("qq").reason == NOTHING_KNOWN
    assert stream.feed(" good").reason is None


def test_thresholds(bundle):
    classifier = Classifier.load(bundle, thresholds={"negative": 1.0, "positive": 1.0})
    found = classifier.stream().feed("good movie")
    assert found.label is None
    assert found == dataclasses.replace(
        classifier.predict("good movie"), scores=found.scores, score=found.score
    )


def random_bundle(folder, template, network):
    """Write a bundle of a network with random weights that has the template's tokenizer."""
    import torch

    from textgate.bundle.architecture import Architecture
    from textgate.bundle.storage import read_bundle, write_bundle
    from textgate.export.graph.network import build_graph
    from textgate.export.quantize.plan import FLOAT32, INT8
    from textgate.export.quantize.weights import network_weights
    from textgate.train.network.model import TextClassifier

    cell, pooling, precision, output = network
    given = read_bundle(template)
    labels = ("a", "b", "c")
    architecture = Architecture(
        vocabulary_size=given.manifest.architecture.vocabulary_size,
        embedding_size=5,
        cell=cell,
        hidden_sizes=(9, 7),
        bidirectional=False,
        pooling=pooling,
        dense_sizes=(),
        output=output,
        label_count=len(labels),
    )
    torch.manual_seed(5)
    model = TextClassifier(architecture)
    with torch.no_grad():  # untrained weights would hardly tell one text from another
        model.embedding.weight.mul_(10)
        model.head[-1].weight.mul_(4)
    graph = build_graph(
        architecture,
        network_weights(architecture, model.state_dict()),
        INT8 if precision == "int8" else FLOAT32,
    )
    manifest = dataclasses.replace(
        given.manifest,
        architecture=architecture,
        labels=labels,
        thresholds=(None,) * len(labels),
        precision=precision,
        state=graph.states,
    )
    files = {
        "model.onnx": graph.model,
        "tokenizer.json": given.tokenizer.encode(),
        "README.md": b"",
    }
    write_bundle(folder, manifest_without_files=manifest, files=files)
    return folder


# Networks

NETWORKS = [
    ("lstm", ("last",), "int8", "softmax"),
    ("lstm", ("max", "mean"), "int8", "multi-label"),
    ("lstm", ("attention",), "int8", "softmax"),
    ("lstm", ("attention", "last"), "float32", "softmax"),
    ("gru", ("max", "mean"), "int8", "softmax"),
    ("gru", ("attention",), "float32", "multi-label"),
    ("rnn", ("last",), "float32", "softmax"),
    ("rnn", ("attention", "max"), "int8", "softmax"),
]


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_every_network(tmp_path, bundle, text, network):
    for package in ("torch", "onnx", "safetensors"):
        pytest.importorskip(package, reason=f"{package} builds the networks of this test")
    classifier = Classifier.load(random_bundle(tmp_path / "bundle", bundle, network))
    whole = (text + " ") * 2
    for size in (1, 5, 23, 1000):
        stream, sofar = classifier.stream(), ""
        for start in range(0, len(whole), size):
            sofar = whole[: start + size]
            assert_same(stream.feed(whole[start : start + size]), classifier.predict(sofar))
        assert_same(stream.finish(), classifier.predict(whole))
    different = classifier.predict("bad. bad").scores
    assert classifier.predict(whole).scores != pytest.approx(different, abs=100 * TOLERANCE)


# Truncation

MAX_CHARACTERS = FEW * CHARACTERS_PER_TOKEN
LONG_TEXTS = [
    "good " * FEW,
    "good " * (FEW - 1) + "good",
    "good " * (FEW + 1),
    "good " * FEW + "g",
    "good " * FEW + "\n",
    "good " * (FEW - 1) + "a'b",
    "a" * MAX_CHARACTERS,
    "a" * (MAX_CHARACTERS + 1),
    " " * MAX_CHARACTERS,
    " " * MAX_CHARACTERS + "good",
    "good" + "\u0301" * MAX_CHARACTERS + " good",
    "good " + "a" * (MAX_CHARACTERS - 5) + "b",
    " " * (MAX_CHARACTERS - 1) + "\ud83d\ude00",
    "= " * MAX_CHARACTERS,
]


@pytest.mark.parametrize("text", LONG_TEXTS)
@pytest.mark.parametrize("size", [1, 3, 100, 10_000])
def test_the_same_as_predict(brief, text, size):
    stream = brief.stream()
    for start in range(0, len(text), size):
        found = stream.feed(text[start : start + size])
        if start % 7 == 0 or found.truncated:
            assert_same(found, brief.predict(text[: start + size]))
    assert_same(stream.finish(), brief.predict(text))


def test_too_much_for_now(brief_worded):
    """Two tokens that may yet become one are one too many only as long as they are two."""
    stream = brief_worded.stream()
    stream.feed("good " * (FEW - 1))
    assert not stream.feed("a").truncated
    assert stream.feed("'").truncated
    assert not stream.feed("b").truncated
    assert stream.feed("'").truncated
    assert stream.feed(" ").truncated


@pytest.mark.parametrize(
    "text", ["good " * (FEW + 1), "a" * (MAX_CHARACTERS + 1), " " * MAX_CHARACTERS + "a"]
)
def test_behind_the_limit_nothing_is_done(brief, text):
    stream = brief.stream()
    reached = stream.feed(text)
    assert reached.truncated
    stream._session = stream._tokenizer = stream._decision = None
    assert stream.feed("more " * 100_000) is reached
    assert stream.feed(b"\xf0") is reached
    assert stream.finish() is reached


def test_a_word_without_end(brief):
    """Ten million characters, none of them a space: as much is kept as can matter."""
    stream = brief.stream()
    for _ in range(100):
        found = stream.feed("a" * 100_000)
    assert len(stream._rest) == MAX_CHARACTERS
    assert_same(found, brief.predict("a" * 10_000_000))


class Spy:
    """Stands before a stream's session and tokenizer and notes what they are asked for."""

    def __init__(self, stream):
        self.session, self.tokenizer = stream._session, stream._tokenizer
        self.max_tokens = self.tokenizer.max_tokens
        self.runs, self.characters = [], []
        stream._session = stream._tokenizer = self

    def read(self, ids, state, *, keep_state):
        self.runs.append(ids)
        return self.session.read(ids, state, keep_state=keep_state)

    def knows(self, ids):
        return self.tokenizer.knows(ids)

    def token_ids(self, text):
        self.characters.append(len(text))
        return self.tokenizer.token_ids(text)


# Cost


def test_a_word_is_run_once_and_tokenized_twice(classifier):
    stream = classifier.stream()
    spy = Spy(stream)
    words = ["good", "movie", "the", "a"] * 9
    for word in words:
        stream.feed(f" {word}")
    assert spy.runs == [classifier._tokenizer.token_ids(word) for word in words]
    assert max(spy.characters) <= len(" movie ")


def test_a_word_that_grows_is_run_for_every_form_it_takes(worded):
    stream = worded.stream()
    spy = Spy(stream)
    for piece in ("qqq", "q", "q", " ", "th", "e", " ", ".", " "):
        stream.feed(piece)
    ids = [worded._tokenizer.token_ids(word)[0] for word in ("qqq", "th", "the", ".")]
    assert spy.runs == [[token] for token in ids]


def test_a_long_piece_is_one_run(worded, text):
    stream = worded.stream()
    spy = Spy(stream)
    stream.feed(text)
    assert spy.runs == [worded._tokenizer.token_ids(text)]


def test_text_without_spaces_is_settled_at_its_punctuation(worded):
    stream = worded.stream()
    spy = Spy(stream)
    for character in "\u4e2d\u6587\uff0c\u597d\u3002" * 7:
        stream.feed(character)
    assert max(spy.characters) <= 3
    assert max(map(len, spy.runs)) == 1


# Use


def test_finished(classifier):
    stream = classifier.stream()
    stream.feed("good", final=True)
    for call in (stream.finish, lambda: stream.feed("more"), lambda: stream.feed("")):
        with pytest.raises(ConfigError, match="the stream is finished"):
            call()


def test_text_after_bytes(classifier):
    stream = classifier.stream()
    stream.feed("caf")
    stream.feed("\u00e9 ".encode())
    stream.feed("go")
    assert_same(stream.feed(b"od"), classifier.predict("caf\u00e9 good"))
    stream.feed(b"\xc3")
    with pytest.raises(DataError, match="inside a character"):
        stream.feed("\u00a9")
    stream.feed("")  # no text is no text inside a character
    stream.feed(b"\xa9")
    assert_same(stream.finish(), classifier.predict("caf\u00e9 good\u00e9"))


@pytest.mark.parametrize("piece", [None, 5, 0.5, float("nan"), ["good"], iter("good")])
def test_other_types(classifier, piece):
    with pytest.raises(DataError, match=f"text or bytes, not {type(piece).__name__}"):
        classifier.stream().feed(piece)


def every_second(data):
    """A view of bytes that do not lie side by side."""
    return memoryview(b"".join(bytes([byte, 0]) for byte in data))[::2]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, every_second])
def test_kinds_of_bytes(classifier, kind):
    stream = classifier.stream()
    stream.feed(kind(b"go"))
    assert_same(stream.feed(kind(b"od \xc3")), classifier.predict("good "))
    assert_same(stream.feed(kind(b"\xa9")), classifier.predict("good \u00e9"))


@pytest.mark.parametrize("copied", [lambda stream: stream.copy(), copy.copy])
def test_copies_go_on_by_themselves(classifier, copied):
    stream = classifier.stream()
    stream.feed(b"a good mov\xc3")
    twin = copied(stream)
    assert_same(twin.feed(b"\xa9 bad"), classifier.predict("a good mov\u00e9 bad"))
    assert_same(stream.feed(b"\xa8 the"), classifier.predict("a good mov\u00e8 the"))
    twin.finish()
    assert_same(stream.finish(), classifier.predict("a good mov\u00e8 the"))


def test_many_streams_of_one_classifier(classifier, text):
    texts = [text[start:] + text for start in range(24)]

    def run(whole):
        stream = classifier.stream()
        for character in whole:
            stream.feed(character)
        return stream.finish()

    with ThreadPoolExecutor(8) as pool:
        for whole, found in zip(texts, pool.map(run, texts), strict=True):
            assert_same(found, classifier.predict(whole))


def test_two_directions_cannot_stream(bundles):
    with pytest.raises(ConfigError, match=r"rnn-multi-label: cannot stream: .*--one-direction"):
        Classifier.load(bundles["rnn-multi-label"]).stream()


def test_a_closed_classifier(bundle):
    classifier = Classifier.load(bundle)
    classifier.close()
    with pytest.raises(ConfigError, match="closed"):
        classifier.stream()
