"""GRU and RNN layers in integers: only where export found that they keep the decisions."""

from __future__ import annotations

import pytest

import textgate.export.integers
import textgate.native.session
from textgate import Classifier
from textgate.bundle.storage import read_bundle
from textgate.export import export
from textgate.native.library import LibraryError, library
from textgate.native.model import integer_layers, model_bytes

try:
    library()
except LibraryError as problem:
    pytest.skip(str(problem), allow_module_level=True)


def facts(done):
    return {
        name: value
        for name, value in done.manifest.training.items()
        if name.startswith("native_integers")
    }


def in_integers(done):
    bundle = read_bundle(done.path)
    return integer_layers(model_bytes(bundle.parts, bundle.manifest))


def card(done):
    return (done.path / "README.md").read_text(encoding="utf-8")


def test_integers_that_keep_the_decisions(finished, tmp_path):
    done = export(finished.path, tmp_path / "bundle")
    assert in_integers(done) == [True]
    if finished.manifest.architecture.cell == "lstm":  # its integers are those of the graph
        assert facts(done) == {}
        return
    assert facts(done) == {
        "native_integers": "verified",
        "native_integers_agreement": 1.0,
        "native_integers_accuracy": 1.0,
    }
    assert (
        "layers in the native engine, against float32 on 60 rows: same decision in 100.00%"
        in (done.notes[-1])
    )
    assert "in int8 by the native engine" in card(done)


def test_integers_that_change_decisions(finished, tmp_path, monkeypatch):
    if finished.manifest.architecture.cell == "lstm":
        return
    kept = export(finished.path, tmp_path / "kept")
    monkeypatch.setattr(textgate.export.integers, "MIN_AGREEMENT", 1.1)
    refused = export(finished.path, tmp_path / "refused")
    assert facts(refused)["native_integers"] == "refused"
    assert in_integers(refused) == [False]
    assert "that is not enough, and it will compute them in float32" in refused.notes[-1]
    assert "whose integers changed too many decisions" in card(refused)
    graphs = [(done.path / "model.onnx").read_bytes() for done in (kept, refused)]
    assert graphs[0] == graphs[1]
    detail = Classifier.load(refused.path, engine="native").describe()["engine"]["detail"]
    assert detail.endswith(", recurrent layers in float32")


def test_an_export_without_the_native_library(finished, tmp_path, monkeypatch):
    if finished.manifest.architecture.cell == "lstm":
        return

    def missing(*_, **__):
        raise LibraryError("the native engine was not built: there was no C compiler")

    monkeypatch.setattr(textgate.export.integers, "NativeSession", missing)
    done = export(finished.path, tmp_path / "bundle")
    assert facts(done) == {}
    assert in_integers(done) == [False]
    assert done.notes[-1].endswith(
        "were not verified, and the native engine will compute them in float32: the native engine "
        "was not built: there was no C compiler"
    )
    assert "whose integers were not verified" in card(done)


def test_a_float32_bundle_has_no_integers_to_verify(finished, tmp_path):
    done = export(finished.path, tmp_path / "bundle", precision="float32")
    assert facts(done) == {}
    assert in_integers(done) == [False]
