"""Relative paths are resolved when the work starts, not when the working directory has changed."""

from __future__ import annotations

import os

import pytest

from textgate.errors import CheckpointError
from textgate.export import export
from textgate.rows import Row
from textgate.train import fit, pretrain, teach
from textgate.train.teaching.encoders import find_encoder
from textgate.train.training.progress import Progress

SMALL = {"hidden_size": 8, "embedding_size": 6, "vocabulary_size": 600, "epochs": 1}
WORDS = ("fine", "awful", "weird", "w1", "w2", "w3")


class Wandering(Progress):
    """Changes the working directory at the first note."""

    def __init__(self, elsewhere):
        self.elsewhere = elsewhere

    def note(self, _):
        os.chdir(self.elsewhere)


def vectors(words):
    return "".join(f"{word} {' '.join(['0.5'] * 6)}\n" for word in words)


@pytest.fixture
def here(tmp_path, monkeypatch, separable, encoder):
    """The working directory, which holds the named files; ``there`` is empty."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    (here / "encoder").symlink_to(encoder)
    (here / "texts.txt").write_text("".join(f"{row.text}\n" for row in separable(120)))
    (here / "vectors.txt").write_text(vectors(WORDS))
    monkeypatch.chdir(here)
    return here


@pytest.fixture
def wandering(here):
    return Wandering(here.parent / "there")


def test_fit_and_export(here, wandering, separable, quick, bundles):
    settings = {**quick, "epochs": 1, "vectors": "vectors.txt", "embedding_size": 6}
    (here / "teacher").symlink_to(fit(separable(60), here / "first", settings=settings).path)
    made = fit(
        separable(240),
        "made",
        settings=settings,
        teachers=["teacher"],
        unlabelled=["texts.txt"],
        progress=wandering,
    )
    assert made.path == here / "made"
    assert export(made.path, "bundle").path == here.parent / "there" / "bundle"
    assert (here / "made" / "model.safetensors").is_file()


def test_pretrain(here, wandering):
    settings = {**SMALL, "vectors": "vectors.txt"}
    made = pretrain(["texts.txt"], "made", settings=settings, progress=wandering)
    assert made.path == here / "made"
    assert (here / "made" / "model.safetensors").is_file()


def test_teach(here, wandering, separable):
    rows = [*separable(60), separable(1)[0]]  # one of them twice, which is a note
    settings = {"epochs": 1}
    made = teach(rows, "made", transformer="encoder", settings=settings, progress=wandering)
    assert made.path == here / "made"
    assert (here / "made" / "model.safetensors").is_file()
    assert find_encoder("../here/encoder").is_absolute()


def test_vectors_of_another_folder_are_refused(here, stop, separable, quick, monkeypatch):
    """They give other tokens, which do not fit the weights of the checkpoint."""
    rare = [Row(f"{word} fine", ("good",), 1) for word in ("zebra", "okapi")]
    rows = [*separable(120), *rare]
    settings = {**quick, "vectors": "vectors.txt", "embedding_size": 6}
    (here / "vectors.txt").write_text(vectors([*WORDS, "zebra"]))
    stop(fit, rows, "made", settings=settings, epochs=1)
    monkeypatch.chdir(here.parent / "there")
    (here.parent / "there" / "vectors.txt").write_text(vectors([*WORDS, "okapi"]))
    with pytest.raises(CheckpointError) as caught:
        fit(rows, here / "made", resume=True)
    assert str(caught.value).startswith(
        f"{here / 'made'}: begun with another tokenizer than the rows and the vectors "
        "'vectors.txt' make here; "
    )
