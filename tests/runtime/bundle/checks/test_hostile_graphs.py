"""Well-formed graphs that a stranger could have written, and tokenizers: refused, or run in peace.

A longer run of the same: ``python tests/fuzz/trials.py``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textgate import Classifier
from textgate.bundle.checks.graph import Node
from textgate.bundle.checks.reader import read_graph
from textgate.bundle.checks.rules import check_graph
from textgate.bundle.checks.tokenizer import SUBWORD_WORDS, WORDS, check_tokenizer
from textgate.bundle.manifest import FileEntry, Manifest
from textgate.bundle.storage import GRAPH, MANIFEST, TOKENIZER, read_bundle
from textgate.errors import BundleError
from textgate.inference.session import Session
from textgate.inference.tokenizer import TextTokenizer

REPOSITORY = Path(__file__).parents[4]
TRIALS = REPOSITORY / "tests" / "fuzz" / "trials.py"
GOLDEN = Path(__file__).parents[2] / "golden" / "bundle"
IDS, LENGTHS = np.array([[2, 3], [3, 0]]), np.array([2, 1])


def session_of(graph: bytes, *, labels: int = 2, sums_to_one: bool = True) -> Session:
    return Session(graph, labels=labels, sums_to_one=sums_to_one, threads=1)


@pytest.fixture(autouse=True)
def either_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The native engine refuses the golden bundle, which is not one of textgate's own."""
    monkeypatch.delenv("TEXTGATE_ENGINE", raising=False)


@pytest.mark.skipif(sys.platform != "linux", reason="needs limits on memory")
def test_changed_graphs(tmp_path: Path) -> None:
    """150 graphs of the four bundles, each with one to four changes, in child processes."""
    result = tmp_path / "fuzz.json"
    command = [sys.executable, TRIALS, "--kind", "graphs", "--cases", "150", "--out", result]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(result.read_text(encoding="utf-8"))["kinds"]["graphs"]["outcomes"]
    assert set(found) == {"answered", "refused", "refused when it was run"}
    assert min(found.values()) > 3


@pytest.fixture
def hostile(tmp_path: Path) -> Callable[..., Path]:
    """Makes the golden bundle with bytes of its graph replaced and checksums that fit."""

    def make(*replacements: tuple[bytes, bytes]) -> Path:
        bundle = shutil.copytree(GOLDEN, tmp_path / "bundle")
        graph = (bundle / GRAPH).read_bytes()
        for old, new in replacements:
            assert len(old) == len(new)
            assert graph.count(old) >= 1
            graph = graph.replace(old, new)
        (bundle / GRAPH).write_bytes(graph)
        manifest = Manifest.parse((bundle / MANIFEST).read_bytes(), where="golden")
        entry = FileEntry(hashlib.sha256(graph).hexdigest(), len(graph))
        changed = dataclasses.replace(manifest, files={**manifest.files, GRAPH: entry})
        (bundle / MANIFEST).write_text(changed.to_json(), encoding="utf-8")
        return bundle

    return make


def test_a_graph_that_fails_when_it_runs(hostile: Callable[..., Path]) -> None:
    """Squeezing a dimension that is not 1 is found only with the data."""
    graph = (GOLDEN / GRAPH).read_bytes()
    axis = graph.index(b"axis_0", graph.index(b"output.bias"))
    end = graph[axis : axis + 16]
    bundle = hostile((end, end[:-8] + (1).to_bytes(8, "little")))
    classifier = Classifier.load(bundle)
    assert classifier.predict("good").label  # a batch of one can be squeezed by mistake
    with pytest.raises(BundleError, match=r"^ONNX Runtime cannot run the graph: ") as caught:
        list(classifier.predict_many(["good", "bad"]))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ([[0.5, 0.5], [0.25, 0.75]], None),
        ([[1.0, 0.0], [0.0, 1.0]], None),
        ([[0.5, 0.5], [0.5, np.nan]], "a number that is no probability"),
        ([[0.5, 0.5], [np.inf, 0.5]], "a number that is no probability"),
        ([[0.5, 0.5], [0.0, 1.5]], "a number that is no probability"),
        ([[0.5, 0.5], [-0.5, 1.0]], "a number that is no probability"),
        ([[0.5, 0.5], [0.5, 0.6]], "probabilities that do not add up to 1"),
        ([[1.0, 1.0], [1.0, 1.0]], "probabilities that do not add up to 1"),
    ],
)
@pytest.mark.parametrize("times", [1, 20])
def test_an_answer_of_no_probabilities_is_refused(
    answer: list[Any], complaint: str | None, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few numbers and many are looked at in different ways."""
    given = np.array([[0.5, 0.5]] * (2 * times - 2) + answer, dtype=np.float32)

    class Answering:
        def run(self, *_: object) -> list[Any]:
            return [given]

    monkeypatch.setattr("textgate.inference.session.make_session", lambda *_, **__: Answering())
    session = session_of((GOLDEN / GRAPH).read_bytes())
    ids, lengths = np.tile(IDS, (times, 1)), np.tile(LENGTHS, times)
    if complaint is None:
        np.testing.assert_array_equal(session.run(ids, lengths), given)
        return
    with pytest.raises(BundleError, match=complaint):
        session.run(ids, lengths)


@pytest.mark.parametrize("answer", [[[0.5, 0.5]], [[1.0], [1.0]], [[0.2, 0.2, 0.6]] * 2, [0.5] * 2])
def test_an_answer_of_another_shape_is_refused(
    answer: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Answering:
        def run(self, *_: object) -> list[Any]:
            return [np.array(answer, dtype=np.float32)]

    monkeypatch.setattr("textgate.inference.session.make_session", lambda *_, **__: Answering())
    found = re.escape(f"an answer of shape {list(np.shape(answer))} for 2 texts and 2 labels")
    with pytest.raises(BundleError, match=found):
        session_of((GOLDEN / GRAPH).read_bytes()).run(IDS, LENGTHS)


def test_a_multi_label_answer_need_not_add_up(
    bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Answering:
        def run(self, *_: object) -> list[Any]:
            return [np.ones((2, 5), dtype=np.float32)]

    monkeypatch.setattr("textgate.inference.session.make_session", lambda *_, **__: Answering())
    graph = (bundles["rnn-multi-label"] / GRAPH).read_bytes()
    assert session_of(graph, labels=5, sums_to_one=False).run(IDS, LENGTHS).sum() == 10


@pytest.mark.parametrize("other", [b"Sigmoid", b"Reshape"])
def test_probabilities_come_from_the_task_s_operator(
    hostile: Callable[..., Path], other: bytes
) -> None:
    with pytest.raises(BundleError, match=rf"'probabilities' comes from '{other.decode()}'"):
        read_bundle(hostile((b"Softmax", other)))


@pytest.mark.parametrize(
    ("inputs", "outputs"), [(("a", ""), ("b",)), (("", "a"), ("b",)), (("a", "a"), ("b", ""))]
)
@pytest.mark.parametrize("kind", ["Max", "Squeeze", "Split", "GRU"])
def test_only_recurrent_operators_leave_something_out(
    kind: str, inputs: tuple[str, ...], outputs: tuple[str, ...]
) -> None:
    """ONNX Runtime crashed on a `Max` without its second input."""
    golden = read_bundle(GOLDEN)
    graph = read_graph(golden.graph)
    changed = dataclasses.replace(
        graph, nodes=(*graph.nodes, Node(kind, "", "n", inputs, outputs, {}))
    )
    if kind == "GRU":
        check_graph(changed, golden.manifest)
        return
    with pytest.raises(BundleError, match=rf"node 'n' \({kind}\) leaves an input or output out"):
        check_graph(changed, golden.manifest)


def test_a_refused_graph_leaves_standard_output_alone(
    hostile: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    """ONNX Runtime announces on standard output that it tries such a graph a second time."""
    bundle = hostile((b"forward", b"forwarx"))
    with pytest.raises(BundleError, match="ONNX Runtime does not accept the graph"):
        Classifier.load(bundle).predict("good")
    assert capfd.readouterr().out == ""


# Tokenizers


def tokenizer(**changes: Any) -> bytes:
    document = json.loads((GOLDEN / TOKENIZER).read_bytes())
    return json.dumps({**document, **changes}).encode()


def split(pattern: Any) -> dict[str, Any]:
    return {"type": "Split", "pattern": pattern, "behavior": "Removed", "invert": True}


def chain(*kinds: str) -> dict[str, Any]:
    return {"type": "Sequence", "normalizers": [{"type": kind} for kind in kinds]}


@pytest.mark.parametrize(
    "changes",
    [
        {"normalizer": chain("NFC", "Lowercase"), "pre_tokenizer": split({"Regex": WORDS})},
        {
            "normalizer": {"type": "Replace", "pattern": {"String": "\u2019"}, "content": "'"},
            "pre_tokenizer": split({"Regex": SUBWORD_WORDS}),
        },
        {"normalizer": {"type": "NFKC"}, "pre_tokenizer": {"type": "BertPreTokenizer"}},
        {"pre_tokenizer": split({"String": " "})},
        {"normalizer": chain(), "pre_tokenizer": None},
        {
            "pre_tokenizer": {
                "type": "Sequence",
                "pretokenizers": [
                    {"type": "WhitespaceSplit"},
                    {"type": "Digits", "individual_digits": True},
                ],
            }
        },
    ],
)
def test_tokenizers_that_are_accepted(changes: dict[str, Any]) -> None:
    text = check_tokenizer(tokenizer(**changes), rows=4, where="t")
    assert TextTokenizer(text, max_tokens=5).encode("good").ids


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        # Ends in a panic of the package, which is no Exception, or takes seconds a text.
        ({"pre_tokenizer": split({"Regex": "(a+)+$"})}, "splits at .* neither a short string"),
        ({"pre_tokenizer": split({"Regex": WORDS + "|x"})}, "nor one of textgate's own regular"),
        ({"pre_tokenizer": split({"Regex": WORDS, "String": "x"})}, "splits at"),
        ({"pre_tokenizer": split({"String": ""})}, "splits at .'String': ''."),
        ({"pre_tokenizer": split({"String": "x" * 65})}, "splits at"),
        ({"pre_tokenizer": split("x")}, "splits at 'x'"),
        (
            {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [split({"Regex": "(a*)*b"})]}},
            "splits at",
        ),
        ({"pre_tokenizer": {"type": "Sequence", "pretokenizers": None}}, "of type None"),
        ({"pre_tokenizer": {"type": "Delay"}}, "has a part of type 'Delay', expected one of Bert"),
        ({"pre_tokenizer": []}, "has a part of type None"),
        ({"pre_tokenizer": {"type": ["Split"]}}, r"has a part of type \['Split'\]"),
        # Twenty of these, one after the other, double a text twenty times.
        ({"normalizer": chain(*["ByteLevel"] * 20)}, "'normalizer' has a part of the same type"),
        ({"normalizer": chain("Sequence")}, "'normalizer' has a part of type 'Sequence'"),
        (
            {"normalizer": {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}},
            "by 'aa'; only one character by another",
        ),
        (
            {"normalizer": {"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": "a"}},
            "only one character by another",
        ),
        ({"normalizer": {"type": "Prepend", "prepend": "x" * 10**6}}, "of type 'Prepend'"),
        ({"normalizer": {"type": "Precompiled", "precompiled_charsmap": ""}}, "of type 'Precomp"),
        ({"decoder": {"type": "Replace"}}, "field 'decoder' should be null"),
        ({"padding": {"pad_id": 10**9}}, "field 'padding' should be null"),
        ({"truncation": {}}, "field 'truncation' should be null"),
        ({"more": 1}, "unknown field 'more'"),
        ({"model": {"type": "Neural", "vocab": {}}}, "model of type 'Neural', expected one of"),
        ({"model": {"type": [], "vocab": {}}}, r"model of type \[\]"),
        ({"model": {"type": "BPE", "vocab": {}, "dropout": 0.5}}, "a model with dropout"),
        # A minute for forty thousand characters.
        ({"model": {"type": "Unigram", "vocab": [["a" * 65, -1.0]]}}, "of at most 64 characters"),
        ({"model": {"type": "Unigram", "vocab": [["a"]]}}, "should hold pairs of a token"),
        (
            {"model": {"type": "WordPiece", "vocab": {}, "max_input_chars_per_word": 201}},
            "'max_input_chars_per_word' should be at most 200, found 201",
        ),
        (
            {"model": {"type": "WordLevel", "vocab": {"a": 2}, "unk_token": "[UNK]"}},
            r"unknown token '\[UNK\]' is not in the vocabulary",
        ),
        ({"model": {"type": "WordLevel", "vocab": {"a": 2}}}, "unknown token None is not"),
        ({"model": {"type": "WordLevel", "vocab": {"a": 2}, "unk_token": []}}, "unknown token"),
        ({"model": {"type": "WordLevel", "vocab": {"a": 10**400}}}, "token id 1000000000"),
        ({"model": {"type": "WordLevel", "vocab": {"a": 4}}}, "token id 4, but .* rows 0 to 3"),
    ],
)
def test_tokenizers_that_are_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BundleError, match=complaint) as caught:
        check_tokenizer(tokenizer(**changes), rows=4, where="t")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_field_given_twice_is_refused() -> None:
    """The package could take the one, and the check the other."""
    twice = tokenizer().replace(b'"pre_tokenizer"', b'"normalizer"')
    with pytest.raises(BundleError, match="given twice"):
        check_tokenizer(twice, rows=4, where="t")


def test_what_training_writes_is_known() -> None:
    vocabulary = pytest.importorskip(
        "textgate.train.text.vocabulary", reason="needs textgate[train]"
    )
    text = vocabulary.build_tokenizer(["a b"], vocabulary_size=4, max_tokens=4)
    assert check_tokenizer(text.encode(), rows=4, where="t") == text


def test_a_tokenizer_that_fails_with_a_text(monkeypatch: pytest.MonkeyPatch) -> None:
    document = json.loads((GOLDEN / TOKENIZER).read_bytes())
    del document["model"]["vocab"]["[UNK]"]
    broken = TextTokenizer(json.dumps(document), max_tokens=5)
    with pytest.raises(BundleError, match=r"^tokenizer\.json cannot be used: .*UNK"):
        broken.encode("a stranger")


def test_what_the_package_says_of_a_tokenizer_is_one_line() -> None:
    with pytest.raises(BundleError, match="is not a tokenizer") as caught:
        TextTokenizer(tokenizer(version="a\nb" * 1000).decode(), max_tokens=5)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
