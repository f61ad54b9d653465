"""Export of networks that folds chose: scores out of fold, and a floor under them."""

from __future__ import annotations

import gzip
import json
import random

import numpy as np
import pytest

from textgate.bundle.run import DEV_ROWS, MODEL, read_run
from textgate.bundle.storage import read_bundle
from textgate.errors import ExportError, UselessModelError
from textgate.evaluation.floor import beats_floor
from textgate.export import Answers, export
from textgate.export.thresholds import fit_thresholds
from textgate.rows import Row
from textgate.train import fit
from textgate.train.training.checkpoint import load_model, save_model

QUICK = {
    "embedding_size": 8,
    "hidden_sizes": (8,),
    "vocabulary_size": 600,
    "vectors": "none",
    "linear_size": 0,
    "learning_rate": 0.02,
    "epochs": 4,
}

LABELS = ("bad", "good", "odd")


def train(rows, folder, **options):
    return fit(rows, folder, settings=QUICK, pretrained="none", **options)


@pytest.fixture(scope="module")
def rows(separable):
    """Rows of which some have the other label, so that no classifier is always right."""
    return [
        Row(row.text, ("odd" if line % 10 == 0 else row.labels[0],), line)
        for line, row in enumerate(separable(100))
    ]


@pytest.fixture(scope="module")
def run(rows, tmp_path_factory):
    return train(rows, tmp_path_factory.mktemp("few") / "run")


@pytest.fixture(scope="module")
def useless(tmp_path_factory):
    """A run on texts that say nothing about their labels."""
    generator = random.Random(0)
    words = [f"word{number}" for number in range(300)]
    texts = [" ".join(generator.sample(words, 8)) for _ in range(90)]
    labels = ["a", "b", "c"] * 20 + ["a"] * 30
    generator.shuffle(labels)
    rows = [
        Row(text, (label,), line)
        for line, (text, label) in enumerate(zip(texts, labels, strict=True))
    ]
    return train(rows, tmp_path_factory.mktemp("useless") / "run")


@pytest.fixture(scope="module")
def done(run, tmp_path_factory):
    """The run's export."""
    return export(run.path, tmp_path_factory.mktemp("done") / "bundle")


def kept(run):
    lines = gzip.decompress((run.path / DEV_ROWS).read_bytes()).decode().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture
def copied(run, tmp_path):
    """A copy of the run, whose files can be changed."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in run.path.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


# Scores out of fold


def test_the_scores_are_those_of_the_folds(run, done):
    manifest = read_bundle(done.path).manifest
    assert manifest.out_of_fold
    assert set(manifest.quality) == {"float32"}
    assert manifest.scores.rows == 100
    assert manifest.scores.accuracy == pytest.approx(run.model.metrics["accuracy"], abs=1e-6)
    assert manifest.scores.macro_f1 == pytest.approx(run.model.metrics["macro_f1"], abs=1e-6)
    assert manifest.training["folds"] == 5
    assert manifest.training["majority_accuracy"] == pytest.approx(
        run.model.metrics["majority_accuracy"], abs=1e-4
    )


def test_the_card_says_so(run, done):
    card = " ".join((done.path / "README.md").read_text(encoding="utf-8").split())
    assert f"| out of fold | {run.model.metrics['accuracy']:.4f} |" in card
    assert "Measured on the 100 training rows, out of fold: a network trained on the other" in card
    assert "classified each of 5 folds. The exported network was trained on all rows." in card
    assert "| exported" not in card


def test_inspect_says_so(run, done, command):
    shown = command("inspect", done.path).out
    accuracy = run.model.metrics["accuracy"]
    assert f"quality, out of fold  accuracy {accuracy:.4f}" in shown
    assert "quality, exported" not in shown


def test_models_lists_out_of_fold_scores(run, done, command, monkeypatch):
    monkeypatch.setattr("textgate.cli.models.bundled_path", lambda _: done.path)
    found, _ = json.loads(command("models", "--json").out)
    assert found["accuracy"] == pytest.approx(run.model.metrics["accuracy"], abs=1e-6)
    assert found["rows"] == 100
    assert f"{found['accuracy']:.4f}" in command("models").out


def test_a_file_to_verify_on_gives_scores_of_the_exported_network(
    run, separable, write_jsonl, tmp_path
):
    objects = [{"text": row.text, "label": row.labels[0]} for row in separable(60, seed=9)]
    done = export(run.path, tmp_path / "bundle", verify=write_jsonl(tmp_path / "v.jsonl", objects))
    assert not done.manifest.out_of_fold
    assert set(done.manifest.quality) == {"float32", "exported"}
    assert done.manifest.scores.rows == 60


def test_thresholds_are_chosen_out_of_fold(run, tmp_path):
    answers = Answers("coverage", 0.8)
    done = export(run.path, tmp_path / "bundle", answers=answers)
    rows = kept(run)
    found = np.array([row["out_of_fold"] for row in rows], np.float32)
    truth = np.array([[row["label"] == label for label in LABELS] for row in rows])
    chosen = fit_thresholds(found, truth, LABELS, answers=answers, multi_label=False)
    assert done.manifest.thresholds == tuple(label.threshold for label in chosen)


# A field that is damaged


DAMAGES = {
    "missing": lambda row: row.pop("out_of_fold"),
    "null": lambda row: row.update(out_of_fold=None),
    "a word": lambda row: row.update(out_of_fold="high"),
    "too few": lambda row: row.update(out_of_fold=[0.5, 0.5]),
    "too many": lambda row: row.update(out_of_fold=[0.1, 0.2, 0.3, 0.4]),
    "a word inside": lambda row: row.update(out_of_fold=[0.5, 0.5, "half"]),
    "not a number": lambda row: row.update(out_of_fold=[0.5, 0.5, float("nan")]),
    "above 1": lambda row: row.update(out_of_fold=[0, 0, 1.5]),
    "below 0": lambda row: row.update(out_of_fold=[0.5, 0.5, -0.5]),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_probabilities_are_refused(damage, copied, run, tmp_path):
    rows = kept(run)
    DAMAGES[damage](rows[7])
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (copied / DEV_ROWS).write_bytes(gzip.compress(lines.encode()))
    with pytest.raises(ExportError) as caught:
        export(copied, tmp_path / "bundle")
    assert str(caught.value).startswith(f"{copied / DEV_ROWS}")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "bundle").exists()


# The floor


def test_a_network_below_its_floor_is_refused(useless, tmp_path):
    assert not useless.is_useful
    with pytest.raises(UselessModelError) as caught:
        export(useless.path, tmp_path / "bundle")
    metrics = useless.model.metrics
    assert str(caught.value) == (
        f"{useless.path}: not better than always giving the most frequent label: accuracy "
        f"{metrics['accuracy']:.4f} against {metrics['majority_accuracy']:.4f} and macro-F1 "
        f"{metrics['macro_f1']:.4f} against {metrics['floor_macro_f1']:.4f}; label more rows and "
        "train again, or publish it with --allow-useless"
    )
    assert not (tmp_path / "bundle").exists()


def test_allow_useless_exports_it(useless, tmp_path):
    done = export(useless.path, tmp_path / "bundle", allow_useless=True)
    assert read_bundle(done.path).manifest.scores.accuracy == pytest.approx(
        useless.model.metrics["accuracy"], abs=1e-6
    )


def test_runs_of_earlier_releases_are_exported(separable, tmp_path):
    run = train(separable(100), tmp_path / "run", dev=separable(40, seed=1))
    manifest = json.loads((run.path / "run.json").read_text(encoding="utf-8"))
    for name in ("folds", "frozen", "encoder_rate"):
        del manifest["settings"][name]
    (run.path / "run.json").write_text(json.dumps(manifest), encoding="utf-8")
    model = load_model(run.path / MODEL)
    for name in ("majority_accuracy", "floor_macro_f1"):
        del model.metrics[name]
    model.metrics["accuracy"] = 0.0
    save_model(run.path / MODEL, model)
    assert "folds" not in read_run(run.path).settings
    assert beats_floor(load_model(run.path / MODEL).metrics)
    done = export(run.path, tmp_path / "bundle")
    assert set(done.manifest.quality) == {"float32", "exported"}
    assert "majority_accuracy" not in done.manifest.training
