"""Which engine computes a network, and what is said about it."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import textgate.native.library
import textgate.native.session  # before a test replaces the library, which it takes by name
from textgate import Classifier
from textgate.errors import BundleError, ConfigError
from textgate.native.library import LibraryError

UNKNOWN = Path(__file__).parents[1] / "golden" / "bundle"  # a graph that textgate did not export


@pytest.fixture
def unbuilt(monkeypatch):
    def missing():
        raise LibraryError("the native engine was not built: there was no C compiler")

    monkeypatch.setattr(textgate.native.library, "library", missing)


@pytest.fixture
def built():
    try:
        textgate.native.library.library()
    except LibraryError as problem:
        pytest.skip(str(problem))


def engine_of(path, engine=None):
    described = Classifier.load(path, engine=engine).describe()["engine"]
    return described["name"], described["detail"]


@pytest.fixture(autouse=True)
def undecided(monkeypatch):
    monkeypatch.delenv("TEXTGATE_ENGINE", raising=False)


def test_the_default_is_the_native_engine_where_it_is_built(bundle, built):
    fastest = textgate.native.library.instruction_sets()[-1]
    assert engine_of(bundle) == ("native", f"{fastest}, recurrent layers in int8")
    assert engine_of(bundle, "onnxruntime") == ("onnxruntime", "as asked for")


def test_the_default_without_the_library_is_onnx_runtime(bundle, unbuilt):
    assert engine_of(bundle)[0] == "onnxruntime"


def test_auto_without_the_library_is_onnx_runtime(bundle, unbuilt):
    reason = "the native engine was not built: there was no C compiler"
    assert engine_of(bundle, "auto") == ("onnxruntime", reason)
    assert Classifier.load(bundle, engine="auto").predict("good").label


def test_native_without_the_library_is_refused(bundle, unbuilt):
    with pytest.raises(ConfigError, match=r"^engine 'native': the native engine was not built"):
        Classifier.load(bundle, engine="native")


def test_an_unknown_part(built):
    name, reason = engine_of(UNKNOWN, "auto")
    assert name == "onnxruntime"
    assert reason == "the native engine does not know what computes 'state_shape'"
    with pytest.raises(BundleError, match="does not know a part of the graph: what computes 's"):
        Classifier.load(UNKNOWN, engine="native")


def test_a_processor_without_fast_instructions(bundle, built, monkeypatch):
    slow = textgate.native.session.NativeSession
    monkeypatch.setattr(
        textgate.native.session,
        "NativeSession",
        lambda content, *, threads: slow(content, threads=threads, instructions="portable"),
    )
    reason = "the native engine lacks fast instructions here"
    assert engine_of(bundle) == ("onnxruntime", reason)
    assert engine_of(bundle, "native") == ("native", "portable, recurrent layers in int8")


def test_the_environment_names_an_engine(bundle, built, monkeypatch):
    monkeypatch.setenv("TEXTGATE_ENGINE", "onnxruntime")
    assert engine_of(bundle) == ("onnxruntime", "as asked for")
    assert engine_of(bundle, "native")[0] == "native"
    monkeypatch.setenv("TEXTGATE_ENGINE", "fast")
    with pytest.raises(ConfigError, match="TEXTGATE_ENGINE must be one of auto, native, onnxr"):
        Classifier.load(bundle)


def test_inspect_and_the_log_name_the_engine_and_why(command, bundle, unbuilt, caplog):
    reason = "the native engine was not built: there was no C compiler"
    lines = command("inspect", bundle).out.splitlines()
    assert f"engine             onnxruntime ({reason})" in lines
    value = json.loads(command("inspect", bundle, "--json").out)
    assert value["engine"] == {"name": "onnxruntime", "detail": reason}
    with caplog.at_level("INFO", "textgate"):
        Classifier.load(bundle)
    assert f"engine onnxruntime ({reason})" in caplog.text


def test_no_such_engine(bundle):
    with pytest.raises(ConfigError, match="engine must be one of auto, native, onnxruntime, not"):
        Classifier.load(bundle, engine="tpu")
    with pytest.raises(ConfigError, match=r"not 'nativ' \(did you mean 'native'\?\)"):
        Classifier.load(bundle, engine="nativ")


def test_a_pickled_classifier_keeps_its_engine(bundle):
    classifier = Classifier.load(bundle, engine="onnxruntime")
    copy = pickle.loads(pickle.dumps(classifier))
    assert copy.describe()["engine"] == classifier.describe()["engine"]


@pytest.mark.parametrize("name", ["lstm-int8", "gru-float32", "rnn-multi-label"])
def test_both_engines_agree(bundles, built, reviews, name):
    texts = ["A wonderful, moving film.", "Dull and far too long.", "", "good " * 500]
    ours, theirs = (
        Classifier.load(bundles[name], engine=engine) for engine in ("native", "onnxruntime")
    )
    np.testing.assert_allclose(ours.predict_proba(texts), theirs.predict_proba(texts), atol=1e-6)
    if ours.manifest.state:
        streams = ours.stream(), theirs.stream()
        for piece in ("It starts we", "ll, but the rest ", "is a mess."):
            left, right = (stream.feed(piece) for stream in streams)
            assert left.label == right.label
            assert left.score == pytest.approx(right.score, abs=1e-6)


def test_the_commands_take_it(command, bundle, built, reviews):
    for engine in ("auto", "native", "onnxruntime"):
        found = command("classify", "-m", bundle, "--engine", engine, "a good film")
        assert (found.status, found.err) == (0, "")
    refused = command("classify", "-m", UNKNOWN, "--engine", "native", "a good film")
    assert refused.status == 1
    assert "the native engine does not know a part" in refused.message
    scored = [
        command("evaluate", "-m", bundle, "--engine", engine, reviews / "test.jsonl.gz").out
        for engine in ("native", "onnxruntime")
    ]
    assert scored[0] == scored[1]


LIBRARY = """
import sys
from textgate import Classifier
classifier = Classifier.load(*sys.argv[1:], engine="native")
classifier.predict("good"), list(classifier.predict_many(["good", "bad"]))
classifier.stream().feed("good ")
assert not {"numpy", "onnxruntime"} & set(sys.modules)
classifier.predict_proba(["good", "bad"])
assert "onnxruntime" not in sys.modules
"""
COMMAND = """
import sys
from textgate.cli import _status
sys.argv[1:] = ["classify", "--engine", "native", *sys.argv[1:]]
assert _status() == 0
assert not {"numpy", "onnxruntime"} & set(sys.modules)
"""


@pytest.mark.parametrize(
    ("code", "arguments", "text"),
    [
        (LIBRARY, [], ""),
        (COMMAND, ["x"], ""),
        (COMMAND, ["x", "--format", "jsonl", "--top-k", "1"], ""),
        (COMMAND, ["good", "bad", "fine"], ""),
        (COMMAND, [], "good\n"),
        (COMMAND, ["--stream"], "good and bad"),
    ],
    ids=["in Python", "a text", "as JSON", "three texts", "a line", "a stream"],
)
def test_the_native_engine_answers_without_numpy_and_onnxruntime(built, code, arguments, text):
    environment = {key: value for key, value in os.environ.items() if key != "TEXTGATE_ENGINE"}
    subprocess.run(
        [sys.executable, "-c", code, *arguments],
        input=text,
        text=True,
        check=True,
        timeout=60,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
