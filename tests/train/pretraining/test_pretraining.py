"""Pretraining on texts: learning, the folder, resuming, and refusals."""

from __future__ import annotations

import dataclasses
import json
import random
import re

import pytest
import safetensors.torch
import torch

from textgate.errors import CheckpointError, ConfigError, DataError
from textgate.inference.tokenizer import PADDING_ID, UNKNOWN_ID
from textgate.train import Columns, PretrainingConfig, pretrain
from textgate.train.pretraining.pretrained import open_pretrained, read_pretrained
from textgate.train.pretraining.pretrainer import PretrainingEpoch
from textgate.train.training import checkpoint as checkpoint_module
from textgate.train.training import folder as folder_module
from textgate.train.training.checkpoint import load_state, save_state
from textgate.train.training.presets import PRESETS, RECIPE
from textgate.train.training.progress import TerminalProgress

WORDS = [f"word{number}" for number in range(24)]
EPOCHS = 3
TINY = {
    "hidden_size": 16,
    "embedding_size": 12,
    "vocabulary_size": 600,
    "vectors": "none",
    "max_tokens": 20,
    "epochs": EPOCHS,
    "batch_size": 8,
    "learning_rate": 0.02,
    "samples": 100,
    "checkpoint_steps": 5,
}


def sentence(generator):
    """Words in the cyclic order of the list, so that each word determines the next one."""
    start, length = generator.randrange(len(WORDS)), generator.randint(5, 25)
    return " ".join(WORDS[(start + step) % len(WORDS)] for step in range(length))


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    generator = random.Random(0)
    path = tmp_path_factory.mktemp("texts") / "texts.txt"
    path.write_text("".join(f"{sentence(generator)}\n" for _ in range(250)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def whole(texts, tmp_path_factory):
    """An uninterrupted pretraining."""
    return pretrain([texts], tmp_path_factory.mktemp("whole") / "p", settings=TINY)


class Stopped(BaseException):
    """Training was interrupted."""


class Heard(TerminalProgress):
    """Keeps notes, and stops after some calls of `step`."""

    def __init__(self, steps=0):
        super().__init__()
        self.notes, self.begun, self.rows, self.left = [], [], 0, steps

    def note(self, message):
        self.notes.append(message)

    def begin(self, what, rows):
        self.begun.append((what, rows))

    def step(self, rows):
        self.rows += rows
        self.left -= 1
        if self.left == 0:
            raise Stopped


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# Learning


def test_it_learns_to_predict_the_next_word(whole):
    """Of 24 equally frequent words: without learning their order, the perplexity is 24."""
    perplexities = [done.perplexity for done in whole.outcome.history]
    assert len(perplexities) == EPOCHS
    assert perplexities[-1] < 6
    assert whole.outcome.perplexity == min(perplexities)


@pytest.mark.parametrize("cell", ["rnn", "gru"])
def test_other_cells_learn_it_too(texts, tmp_path, cell):
    made = pretrain([texts], tmp_path / "p", settings={**TINY, "cell": cell})
    assert made.outcome.perplexity < 6


def test_its_notes(texts, tmp_path):
    heard = Heard()
    pretrain([texts], tmp_path / "p", settings=TINY, progress=heard)
    assert heard.notes[0] == "texts.txt: 250 texts to pretrain on"
    assert heard.notes[1].startswith("200 texts with ")
    assert heard.notes[1].endswith(" words, 25 steps an epoch")
    assert heard.begun == [(f"epoch {number}", 200) for number in (1, 2, 3)]
    assert heard.rows == EPOCHS * 200
    for number, line in enumerate(heard.notes[2:], start=1):
        assert line.startswith(f"epoch   {number}  train loss ")
        assert " held-out perplexity " in line
        assert re.search(r" tokens/s  at most \d+:\d\d left$", line)
    assert heard.notes[-1].endswith(" at most 0:00 left")


def test_the_best_epoch_is_kept(texts, tmp_path):
    """The last epoch is not the best, so its weights are not kept."""
    path = tmp_path / "p"
    with pytest.raises(Stopped):
        pretrain([texts], path, settings=TINY, progress=Heard(steps=2 * 26 + 1))
    state = load_state(path / "checkpoint.safetensors", PretrainingEpoch)
    assert (state.step, state.best_epoch) == (50, 2)
    state.history[1] = dataclasses.replace(state.history[1], perplexity=1.0)
    best = state.best_weights
    save_state(path / "checkpoint.safetensors", state)
    made = pretrain([texts], path, resume=True)
    assert made.outcome.best_epoch == 2
    kept = safetensors.torch.load_file(path / "model.safetensors")
    assert all(torch.equal(kept[name], tensor) for name, tensor in best.items())


def test_padding_and_the_unknown_token_stay_at_0(texts, tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("".join(f"{word} 0.5 -0.5 0.25\n" for word in WORDS), encoding="utf-8")
    settings = {**TINY, "embedding_size": 3, "vectors": str(path)}
    made = pretrain([texts], tmp_path / "p", settings=settings)
    embedding = open_pretrained(made.path).embedding
    assert not embedding[[PADDING_ID, UNKNOWN_ID]].any()
    assert embedding[UNKNOWN_ID + 1 :].any(axis=1).all()


def test_the_defaults_are_those_of_the_default_network():
    assert PretrainingConfig().training() == PRESETS[RECIPE].replace(
        epochs=4, batch_size=32, embedding_dropout=0.1, learning_rate=5e-3
    )


# The folder


def test_the_folder(whole, texts):
    assert names(whole.path) == ["model.safetensors", "pretrained.json", "tokenizer.json"]
    said = json.loads((whole.path / "pretrained.json").read_text(encoding="utf-8"))
    assert (said["format"], said["format_version"]) == ("textgate-pretrained", 1)
    assert said["settings"]["hidden_size"] == 16
    assert said["texts"][0]["file"] == "texts.txt"
    assert said["texts"][0]["rows"] == 250
    assert said["held_out"] == 50
    assert set(said["versions"]) == {"textgate", "torch", "tokenizers", "python"}
    assert len(said["outcome"]["history"]) == EPOCHS
    assert read_pretrained(whole.path) == whole.manifest


def test_rows_in_any_format_are_texts(whole, texts, tmp_path, write_jsonl):
    lines = texts.read_text(encoding="utf-8").splitlines()
    rows = [{"said": line, "label": "ignored"} for line in lines]
    path = write_jsonl(tmp_path / "texts.jsonl", rows)
    made = pretrain([path], tmp_path / "p", settings=TINY, columns=Columns(text="said"))
    assert made.manifest.texts[0].sha256 == whole.manifest.texts[0].sha256
    weights = [(folder / "model.safetensors").read_bytes() for folder in (made.path, whole.path)]
    assert weights[0] == weights[1]


def test_a_folder_is_replaced_only_by_force(whole, texts, tmp_path):
    before = (whole.path / "model.safetensors").read_bytes()
    with pytest.raises(CheckpointError, match="already exists; choose another path or pass --for"):
        pretrain([texts], whole.path, settings=TINY)
    assert (whole.path / "model.safetensors").read_bytes() == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"no pretrained\.json, so --force does not replace"):
        pretrain([texts], tmp_path / "mine", settings=TINY, force=True)
    path = tmp_path / "p"
    for seed in (1, 2):
        pretrain([texts], path, settings={**TINY, "epochs": 1, "seed": seed}, force=True)
        assert read_pretrained(path).settings.seed == seed


# Resuming


@pytest.mark.parametrize("steps", [1, 6, 26, 27, 78])
def test_stopped_anywhere(whole, texts, tmp_path, steps):
    """An epoch calls `step` 26 times: for the rows done before, and for 25 steps."""
    path = tmp_path / "p"
    with pytest.raises(Stopped):
        pretrain([texts], path, settings=TINY, progress=Heard(steps))
    assert not (path / "model.safetensors").exists()
    assert read_pretrained(path).outcome is None
    torch.manual_seed(steps)  # another process has other random numbers
    heard = Heard()
    made = pretrain([texts], path, resume=True, progress=heard)
    kept = [line for line in heard.notes if line.startswith("resuming after step ")]
    epoch, within = divmod(steps - 1, 26)  # within: steps done in this epoch
    done = 25 * epoch + within // 5 * 5
    if within == 25:
        done -= 5  # the epoch's own checkpoint would have come next
    assert kept == ([f"resuming after step {done}"] if done else [])
    content = (path / "model.safetensors").read_bytes()
    assert content == (whole.path / "model.safetensors").read_bytes()
    assert made.manifest.tokenizer_sha256 == whole.manifest.tokenizer_sha256
    losses = [[(p.train_loss, p.perplexity) for p in m.outcome.history] for m in (made, whole)]
    assert losses[0] == losses[1]
    assert names(path) == names(whole.path)


def test_stopped_between_the_weights_and_the_manifest(whole, texts, tmp_path, monkeypatch):
    def stop(*_):
        raise Stopped

    path = tmp_path / "p"
    with monkeypatch.context() as patch:
        patch.setattr(folder_module, "write_atomically", stop)
        with pytest.raises(Stopped):
            pretrain([texts], path, settings=TINY)
    assert names(path) == ["checkpoint.safetensors", *names(whole.path)]
    with pytest.raises(CheckpointError, match="pretraining has not finished"):
        open_pretrained(path)
    made = pretrain([texts], path, resume=True)
    assert made.outcome.sha256 == whole.outcome.sha256
    assert names(path) == names(whole.path)


def test_a_finished_folder_is_left_alone(whole, texts):
    before = (whole.path / "pretrained.json").stat().st_mtime_ns
    heard = Heard()
    made = pretrain([texts], whole.path, resume=True, progress=heard)
    assert heard.notes == [f"{whole.path} is finished already"]
    assert made.outcome == whole.outcome
    assert (whole.path / "pretrained.json").stat().st_mtime_ns == before


def test_other_settings_or_texts_are_refused(whole, texts, tmp_path):
    with pytest.raises(CheckpointError) as caught:
        pretrain([texts], whole.path, settings={"hidden_size": 9}, resume=True)
    assert str(caught.value) == (
        f"{whole.path}: begun with hidden_size 16, not 9; leave the option out, or start again in "
        "another folder"
    )
    other = tmp_path / "other.txt"
    other.write_text("quite another text\n" * 9, encoding="utf-8")
    for given in ([other], [texts, other], [other, texts]):
        with pytest.raises(CheckpointError) as caught:
            pretrain(given, whole.path, resume=True)
        assert str(caught.value) == (
            f"{whole.path}: begun with other texts than these; it had texts.txt: give the same, in "
            "the same order, or start again in another folder"
        )


def test_a_damaged_checkpoint(texts, tmp_path):
    path = tmp_path / "p"
    with pytest.raises(Stopped):
        pretrain([texts], path, settings=TINY, progress=Heard(steps=30))
    checkpoint = path / "checkpoint.safetensors"
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(CheckpointError, match=r"checkpoint\.safetensors: damaged"):
        pretrain([texts], path, resume=True)


def test_a_disk_that_fills_up(texts, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_module, "write_bytes", full)
        with pytest.raises(CheckpointError, match="cannot be written: No space left on device"):
            pretrain([texts], tmp_path / "p", settings=TINY)
    assert pretrain([texts], tmp_path / "p", resume=True).outcome.perplexity < 6


# Refusals


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "texts.txt: no text can be used: all are empty"),
        (" \n\n", "texts.txt: no text can be used: all are empty"),
        ("a\nb\n", "0 texts of two tokens or more are too few; at least two"),
        ("one two\n", "1 texts of two tokens or more are too few; at least two"),
        ("\u00a0\u2003\n!\n", "0 texts of two tokens or more are too few"),
    ],
)
def test_texts_that_are_refused(tmp_path, content, message):
    path = tmp_path / "texts.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        pretrain([path], tmp_path / "p", settings=TINY)
    assert str(caught.value).startswith(message)
    assert names(tmp_path) == ["texts.txt"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cell": "transformer"}, "cell must be one of rnn, lstm, gru, not 'transformer'"),
        ({"hidden_size": 0}, "hidden_size must be a whole number from 1 to"),
        ({"hidden_size": 1.5}, "hidden_size must be a whole number, not 1.5"),
        ({"embedding_size": 0}, "embedding_size must be a whole number from 1 to 16777216, not 0"),
        ({"vocabulary_size": 100}, "vocabulary_size 100 is too small for subwords"),
        ({"max_tokens": 1}, "max_tokens must be a whole number from 2 to 1000000, not 1"),
        ({"epochs": 0}, "epochs must be a whole number from 1"),
        ({"state_dropout": 1.0}, "state_dropout must be a number from 0 to below 1, not 1.0"),
        ({"embedding_dropout": 1.0}, "embedding_dropout must be a number from 0 to below 1"),
        ({"samples": True}, "samples must be a whole number, not True"),
        ({"bidirectional": True}, "'bidirectional' is not a setting; there are cell, hidden_size"),
        ({"vectors": "english", "embedding_size": 101}, "embedding_size 101 is wider than the vec"),
        ({"learning_rate": 100.0, "cell": "rnn"}, "pretraining diverged in epoch 1: the loss is "),
    ],
)
def test_settings_that_are_refused(texts, tmp_path, settings, message):
    with pytest.raises(ConfigError) as caught:
        pretrain([texts], tmp_path / "p", settings={**TINY, **settings})
    assert str(caught.value).startswith(message)
    assert "learning_rate" in settings or names(tmp_path) == []
