"""Bundles measured side by side: which lines there are, on which texts, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from textgate.bench import measure as measuring
from textgate.bench.measure import bundle_names, in_turn, measure
from textgate.errors import BundleError, ConfigError
from textgate.inference.classifier import Classifier
from textgate.inference.session import Session


@pytest.fixture
def quickly(monkeypatch):
    """Measures with as little as there can be."""
    monkeypatch.setattr(measuring, "_PROCESSES", 1)

    def run(*paths, lengths=(5,), batch_sizes=(1,), own_texts=(), engines=("auto",)):
        return measure(
            paths,
            lengths=lengths,
            batch_sizes=batch_sizes,
            duration=0,
            own_texts=own_texts,
            engines=engines,
        )

    return run


def test_a_line_for_each_bundle_length_and_batch_size(quickly, bundles):
    names = ["lstm-int8", "gru-float32"]
    result = quickly(*(bundles[name] for name in names), lengths=(5, 9, 500, 5), batch_sizes=(1, 3))
    assert [(line.tokens, line.batch_size, line.bundle) for line in result.lines] == [
        (tokens, size, name) for tokens in (5, 9) for size in (1, 3) for name in names
    ]
    for line in result.lines:
        assert line.texts == "words"
        for times in (line.tokenize, line.run, line.both):
            assert 0 < times.p50 <= times.p90 <= times.p99 <= times.maximum
            assert times.p50_interval[0] <= times.p50 <= times.p50_interval[1]
            assert times.p99_interval[1] <= times.maximum
        assert len(line.quantiles) == 101
        assert line.quantiles[50] == line.both.p50
        assert line.quantiles[100] == line.both.maximum
        assert line.quantiles == tuple(sorted(line.quantiles))
        assert line.texts_per_second_per_core > 0
        assert (line.ratio is None) == (line.bundle == names[0])
    ratio = result.lines[1].ratio
    assert 0 < ratio.low <= ratio.value <= ratio.high
    assert [bundle.name for bundle in result.bundles] == names
    assert result.bundles[0].bytes["model.onnx"] > 0
    assert result.bundles[0].cold_start.processes == 1
    assert result.agreements == ()  # the labels are different ones


def test_all_bundles_read_the_same_texts(quickly, bundles, monkeypatch):
    read = {}
    predict = Classifier.predict

    def noting(self, text):
        read.setdefault(self.path.name, set()).add(text)
        return predict(self, text)

    monkeypatch.setattr(Classifier, "predict", noting)
    quickly(bundles["lstm-int8"], bundles["gru-float32"])
    first, second = read.values()
    assert first == second
    assert all(len(text.split()) == 5 for text in first)


def test_own_texts_are_measured_as_they_are(quickly, bundle):
    texts = ["a fine film", "dull", "far too long and far too dull", "a b"]
    (line,) = quickly(bundle, lengths=(), own_texts=texts).lines
    assert (line.texts, line.tokens, line.batch_size) == ("file", 3, 1)
    lines = quickly(bundle, lengths=(5,), own_texts=texts, batch_sizes=(9,)).lines
    assert [(line.texts, line.batch_size) for line in lines] == [("words", 9), ("file", 9)]


def test_the_same_network_twice_agrees(quickly, bundle, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    (found,) = quickly(bundle, copy).agreements
    assert (found.bundle, found.other) == (bundle.name, "copy")
    assert (found.same, found.largest_difference) == (1.0, 0.0)
    assert found.texts > 1


def test_engines_side_by_side(quickly, bundle):
    result = quickly(bundle, engines=("auto", "onnxruntime"))
    names = [f"{bundle.name} (auto)", f"{bundle.name} (onnxruntime)"]
    assert [line.bundle for line in result.lines] == names
    (found,) = result.agreements
    assert found.same == 1.0
    assert found.largest_difference < 1e-6


@pytest.mark.parametrize("stage", ["run", "both"])
def test_a_timed_path_that_answers_otherwise_fails(quickly, bundle, monkeypatch, stage):
    """Batches of two are answered in the wrong order; plain predictions are not."""
    if stage == "run":
        run = Session.run

        def reversed_run(self, ids, lengths):
            return run(self, ids, lengths)[::-1] if len(lengths) == 2 else run(self, ids, lengths)

        monkeypatch.setattr(Session, "run", reversed_run)
    else:
        many = Classifier.predict_many
        monkeypatch.setattr(
            Classifier, "predict_many", lambda self, texts: reversed(list(many(self, texts)))
        )
    with pytest.raises(BundleError, match=rf"what was timed \({stage}\) is not what predict"):
        quickly(bundle, batch_sizes=(2,), lengths=(12,), engines=("onnxruntime",))


def test_bundles_without_a_common_word_need_texts(quickly, bundles, monkeypatch):
    vocabularies = iter([["a", "b"], ["c"]])
    monkeypatch.setattr("textgate.inference.classifier.Stages.words", lambda *_: next(vocabularies))
    with pytest.raises(ConfigError, match=r"no word in common .* --text-file"):
        quickly(bundles["lstm-int8"], bundles["gru-float32"])


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["a/x", "a/y"], ["x", "y"]),
        (["a/x", "b/x", "b/y"], ["a/x", "b/x", "y"]),
        (["a/x/"], ["x"]),
    ],
)
def test_bundles_are_named_for_their_folders(tmp_path, monkeypatch, paths, expected):
    monkeypatch.chdir(tmp_path)
    assert bundle_names([Path(path) for path in paths]) == expected


def test_a_bundle_given_twice_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="is given twice"):
        bundle_names([tmp_path / "x", tmp_path / "." / "x"])


def test_a_workload_takes_its_arguments_in_turn():
    results = [None] * 3
    call = in_turn(str.upper, ["a", "b", "c"], results)
    assert [call() for _ in range(2)] == ["A", "B"]
    assert results == ["A", "B", None]
    assert [call() for _ in range(3)] == ["C", "A", "B"]


def test_too_few_texts_are_taken_again():
    assert measuring._batches(["a", "b", "c"], 2) == [["a", "b"]]
    assert measuring._batches(["a", "b"], 5) == [["a", "b", "a", "b", "a"]]
    assert measuring._batches(["a", "b"], 1) == [["a"], ["b"]]


def test_throughput_counts_the_texts_of_whole_calls(bundle):
    classifier = Classifier.load(bundle)
    found = measuring._throughput(classifier, [["a", "b"]], 0)
    assert np.isfinite(found)
    assert found > 0
