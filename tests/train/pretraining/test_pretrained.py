"""Classifiers that start from pretrained weights, and folders without them."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch

from textgate import Classifier, cli
from textgate.bundle.run import ModelSummary, read_run
from textgate.bundle.storage import read_bundle
from textgate.errors import CheckpointError, ConfigError
from textgate.export import export
from textgate.train import Columns, fit, pretrain
from textgate.train.network.model import TextClassifier
from textgate.train.preparation import Sources, prepare
from textgate.train.pretraining.pretrained import open_pretrained
from textgate.train.training.progress import Progress

SIZES = {"hidden_size": 12, "embedding_size": 8, "vocabulary_size": 600}


@pytest.fixture(scope="module")
def texts(separable, tmp_path_factory):
    path = tmp_path_factory.mktemp("texts") / "texts.txt"
    path.write_text("".join(f"{row.text}\n" for row in separable(300, seed=5)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def make(texts, tmp_path_factory):
    """Pretrains a tiny network."""

    def make(**changes):
        settings = {"vectors": "none", "max_tokens": 20, "epochs": 2, "samples": 100, **SIZES}
        path = tmp_path_factory.mktemp("pretrained") / "tiny"
        return pretrain([texts], path, settings={**settings, **changes}).path

    return make


@pytest.fixture(scope="module")
def folder(make):
    return make()


@pytest.fixture(scope="module")
def other(make):
    return make(seed=1)


@pytest.fixture(scope="module")
def rows(separable):
    return separable(120)


@pytest.fixture(scope="module")
def free(quick):
    """Settings that the folder does not fix."""
    names = ("embedding_size", "hidden_sizes", "vocabulary_size", "vectors")
    return {**{name: value for name, value in quick.items() if name not in names}, "epochs": 3}


@pytest.fixture(scope="module")
def started(rows, folder, free, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run"
    return fit(rows, path, settings=free, pretrained=folder)


class Stopped(BaseException):
    """Training was interrupted."""


class StopsAfterAnEpoch(Progress):
    def end_epoch(self, *_, **__):
        raise Stopped


# The initial weights


def test_training_starts_with_exactly_its_weights(rows, folder, free):
    pretrained = open_pretrained(folder)
    ready = prepare(Sources(rows, None, Columns(), pretrained=pretrained), "default", free)
    network = TextClassifier(ready.manifest.architecture)
    ready.initialization.apply(network)
    assert torch.equal(network.embedding.weight, torch.from_numpy(pretrained.embedding))
    layer = {name: value for name, value in network.state_dict().items() if "layers.0." in name}
    assert len(layer) == 4
    assert layer.keys() == pretrained.layers.keys()
    for name, weight in pretrained.layers.items():
        assert torch.equal(layer[name], weight), name


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_without_training_the_weights_stay(rows, make, free, tmp_path, cell):
    path = make(cell=cell)
    still = {**free, "learning_rate": 1e-12, "epochs": 1, "average": 0.0}
    run = fit(rows, tmp_path / "run", settings=still, pretrained=path)
    pretrained = open_pretrained(path)
    weights = run.model.weights
    expected = {"embedding.weight": torch.from_numpy(pretrained.embedding), **pretrained.layers}
    for name, weight in expected.items():
        torch.testing.assert_close(weights[name], weight, rtol=0, atol=1e-7)
    kept = (run.path / "tokenizer.json").read_bytes()
    assert kept == (path / "tokenizer.json").read_bytes()


def test_the_folder_fixes_the_network(started, folder, free):
    found, said = started.manifest, open_pretrained(folder).settings
    architecture = found.architecture
    assert (architecture.cell, architecture.hidden_sizes) == ("lstm", (12,))
    assert architecture.embedding_size == 8
    assert architecture.linear_size == 2  # the recipe's other choices stay
    assert found.settings["tokenizer"] == "subwords"
    assert found.settings["vectors"] == said.vectors == "none"
    assert found.settings["vocabulary_size"] == 600
    assert found.settings["learning_rate"] == free["learning_rate"]
    assert started.model.metrics["accuracy"] > 0.9


def test_further_layers_are_random(rows, folder, free, tmp_path):
    settings = {**free, "hidden_sizes": (12, 7), "epochs": 1, "learning_rate": 1e-12}
    run = fit(rows, tmp_path / "run", settings=settings, pretrained=folder)
    assert run.manifest.architecture.hidden_sizes == (12, 7)
    for name, weight in open_pretrained(folder).layers.items():
        torch.testing.assert_close(run.model.weights[name], weight, rtol=0, atol=1e-7)
    assert run.model.weights["layers.1.ahead.weight_hh_l0"].shape == (28, 7)


def test_settings_that_agree_may_be_given(rows, folder, free, tmp_path):
    same = {"cell": "lstm", "hidden_sizes": (12,), "embedding_size": 8, "bidirectional": False}
    run = fit(rows, tmp_path / "run", settings={**free, **same, "epochs": 1}, pretrained=folder)
    assert run.manifest.architecture.hidden_sizes == (12,)


def test_vectors_are_not_read_again(rows, make, free, tmp_path):
    """Their file is not needed either."""
    path = tmp_path / "words.txt"
    path.write_text("w1 0.5 -0.5\nw2 0.25 1\n", encoding="utf-8")
    pretrained = make(vectors=str(path), embedding_size=2)
    path.unlink()
    run = fit(rows, tmp_path / "run", settings={**free, "epochs": 1}, pretrained=pretrained)
    assert run.manifest.settings["vectors"] == str(path)


# The manifest


def test_a_run_names_its_pretrained_weights(started, folder):
    summary = open_pretrained(folder).summary
    assert summary.name == "tiny"
    assert started.manifest.pretrained == read_run(started.path).pretrained == summary


def test_a_run_of_an_earlier_release_can_be_read(rows, free, tmp_path):
    run = fit(rows, tmp_path / "run", settings={**free, "epochs": 1, "vectors": "none"})
    said = json.loads((run.path / "run.json").read_text(encoding="utf-8"))
    assert "pretrained" not in said
    assert read_run(run.path).pretrained is None


@pytest.mark.parametrize("value", [None, {}, {"name": "x", "sha256": "no"}])
def test_a_damaged_entry_is_refused(started, tmp_path, value):
    path = tmp_path / "run"
    shutil.copytree(started.path, path)
    said = json.loads((path / "run.json").read_text(encoding="utf-8"))
    (path / "run.json").write_text(json.dumps({**said, "pretrained": value}), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"run\.json: pretrained"):
        read_run(path)


def test_a_bundle_of_it_answers_and_streams(started, folder, separable, tmp_path, capsys):
    bundle = export(started.path, tmp_path / "bundle").path
    said = read_bundle(bundle).manifest.training
    summary = open_pretrained(folder).summary
    assert (said["pretrained"], said["pretrained_sha256"]) == ("tiny", summary.sha256)
    classifier = Classifier.load(bundle)
    for row in separable(20, seed=8):
        whole, stream = classifier.predict(row.text), classifier.stream()
        for character in row.text:
            stream.feed(character)
        last = stream.finish()
        assert last.label == whole.label
        assert last.score == pytest.approx(whole.score, abs=1e-6)
    cli.commands.main(["inspect", str(started.path)], standalone_mode=False)
    assert "tiny" in capsys.readouterr().out


# Resuming


@pytest.fixture
def stopped(rows, folder, free, tmp_path):
    """A run that was stopped after its first epoch."""
    with pytest.raises(Stopped):
        fit(
            *(rows, tmp_path / "stopped"),
            settings=free,
            pretrained=folder,
            progress=StopsAfterAnEpoch(),
        )
    return tmp_path / "stopped"


def test_resuming(stopped, started, rows, folder):
    run = fit(rows, stopped, pretrained=folder, resume=True)
    for name, weight in started.model.weights.items():
        assert torch.equal(run.model.weights[name], weight), name


def test_resuming_from_something_else(stopped, rows, other, make, free, tmp_path):
    for given, found in (
        (None, "none are given"),
        (other, f"{other} holds others"),
        (wider := make(hidden_size=13), f"{wider} holds others"),
    ):
        with pytest.raises(CheckpointError) as caught:
            fit(rows, stopped, pretrained=given, resume=True)
        assert str(caught.value) == (
            f"{stopped}: begun with the pretrained weights of tiny, and {found}; give that folder "
            "with --encoder, or start again in another folder"
        )
    plain = fit(rows, tmp_path / "plain", settings={**free, "epochs": 1, "vectors": "none"})
    with pytest.raises(CheckpointError, match="begun without pretrained weights; leave --encoder"):
        fit(rows, plain.path, pretrained=other, resume=True)


# Conflicts

CONFLICTS = [
    ({"cell": "gru"}, "cell gru", "lstm", "pretrain again with --cell"),
    ({"hidden_sizes": (64,)}, "hidden_sizes 64", "12", "pretrain again with --hidden"),
    ({"hidden_sizes": (64, 12)}, "hidden_sizes 64,12", "12,12", "pretrain again with --hidden"),
    ({"embedding_size": 9}, "embedding_size 9", "8", "pretrain again with --embedding-size"),
    (
        {"vocabulary_size": 700},
        "vocabulary_size 700",
        "600",
        "pretrain again with --vocabulary-size",
    ),
    ({"vectors": "english"}, "vectors english", "none", "pretrain again with --vectors"),
    ({"tokenizer": "words"}, "tokenizer words", "subwords", "leave --encoder out"),
    ({"bidirectional": True}, "bidirectional true", "false", "leave --encoder out"),
]


@pytest.mark.parametrize("case", CONFLICTS, ids=[case[1] for case in CONFLICTS])
def test_conflicting_settings_are_refused(rows, folder, free, tmp_path, case):
    settings, given, said, other = case
    with pytest.raises(ConfigError) as caught:
        fit(rows, tmp_path / "run", settings={**free, **settings}, pretrained=folder)
    assert str(caught.value) == (
        f"{given} does not go with {folder}, which was pretrained with {said}; leave the option "
        f"out, or {other}"
    )
    assert not (tmp_path / "run").exists()


def test_a_conflicting_preset_is_refused(rows, folder, tmp_path):
    with pytest.raises(ConfigError) as caught:
        fit(rows, tmp_path / "run", preset="seed-gru", pretrained=folder)
    assert str(caught.value) == (
        f"the preset seed-gru has cell gru, {folder} was pretrained with lstm; leave --preset out, "
        "or --encoder"
    )


# Other folders


def test_other_folders_are_refused(rows, started, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("hello", encoding="utf-8")
    for path in (tmp_path / "nothing", tmp_path / "empty", tmp_path / "file", started.path):
        with pytest.raises(CheckpointError) as caught:
            fit(rows, tmp_path / "run", pretrained=path)
        assert str(caught.value) == (
            f"{path} is not pretrained: it has no pretrained.json; make one with textgate pretrain"
        )
    assert not (tmp_path / "run").exists()


def without_its_outcome(content):
    said = json.loads(content)
    del said["outcome"]
    return json.dumps(said).encode()


def flipped(content):
    return content[:-1] + bytes([content[-1] ^ 1])


DAMAGE = [
    ("pretrained.json", lambda old: old[:-9], "not valid JSON"),
    ("pretrained.json", lambda _: b"[]", "expected"),
    (
        "pretrained.json",
        lambda old: old.replace(b'"format_version": 1', b'"format_version": 2'),
        "format version 2, but this release reads version 1; upgrade textgate",
    ),
    (
        "pretrained.json",
        lambda old: old.replace(b"textgate-pretrained", b"textgate-run"),
        "field 'format' should be textgate-pretrained",
    ),
    (
        "pretrained.json",
        lambda old: old.replace(b'"hidden_size": 12', b'"hidden_size": -1'),
        "settings: field 'hidden_size' should be",
    ),
    (
        "pretrained.json",
        lambda old: old.replace(b'"hidden_size": 12', b'"hidden_size": 13'),
        "damaged: layers.0.ahead.weight_ih_l0 should be [52, 8], as pretrained.json has it, found",
    ),
    (
        "pretrained.json",
        lambda old: old.replace(b'"embedding_size": 8', b'"embedding_size": 9'),
        "damaged: embedding.weight should be",
    ),
    (
        "pretrained.json",
        lambda old: old.replace(b'"best_epoch": ', b'"best_epoch": 9'),
        "field 'best_epoch' should be a whole number from 1 to 2",
    ),
    (
        "pretrained.json",
        lambda old: old.replace(b'"held_out"', b'"held"'),
        "field 'held_out' is missing",
    ),
    (
        "pretrained.json",
        without_its_outcome,
        "pretraining has not finished; continue it with textgate",
    ),
    ("tokenizer.json", lambda old: old + b" ", "damaged or unreadable: it does not match its che"),
    ("tokenizer.json", None, "damaged or unreadable"),
    ("model.safetensors", flipped, "damaged or unreadable: it does not match its checksum"),
    ("model.safetensors", lambda _: b"", "damaged or unreadable: it does not match its checksum"),
    ("model.safetensors", None, "damaged or unreadable"),
]


@pytest.mark.parametrize("case", DAMAGE, ids=[f"{case[0]} {case[2][:40]}" for case in DAMAGE])
def test_damaged_folders(rows, folder, tmp_path, case):
    name, change, message = case
    path = tmp_path / "damaged"
    shutil.copytree(folder, path)
    if change is None:
        (path / name).unlink()
    else:
        (path / name).write_bytes(change((path / name).read_bytes()))
    with pytest.raises(CheckpointError) as caught:
        fit(rows, tmp_path / "run", pretrained=path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_the_summary_is_the_weights(folder, tmp_path):
    """The name and the place of the folder do not matter."""
    path = tmp_path / "elsewhere"
    shutil.copytree(folder, path)
    one, two = open_pretrained(folder), open_pretrained(path)
    assert two.summary == dataclasses.replace(one.summary, name="elsewhere")
    assert isinstance(one.summary, ModelSummary)
    assert np.array_equal(one.embedding, two.embedding)
