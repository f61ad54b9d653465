"""After `kill -9` at any moment, resuming gives the result of an uninterrupted training."""

from __future__ import annotations

import json
import random
import signal

import pytest
import safetensors
import safetensors.torch

from textgate.bundle.run import read_run
from textgate.train.pretraining.distiller import DistillationEpoch
from textgate.train.pretraining.pretrained import read_pretrained
from textgate.train.pretraining.pretrainer import PretrainingEpoch
from textgate.train.teaching.finetuned import read_finetuned
from textgate.train.training.checkpoint import Epoch, load_state

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")

CODE = """
import sys
import torch
from textgate.train import fit, pretrain, teach
from textgate.train.training.progress import TerminalProgress
from textgate.train.pretraining import teacher
from textgate.train.teaching import finetuner

torch.set_num_threads(1)
# Measurements, which may change.
finetuner.prefers_bfloat16 = lambda *_, **__: True
teacher.SentenceTransformer._prefers_bfloat16 = lambda *_: True
teacher._PART = 64
sys.stderr = open(log, "w")
if work not in ("fit", "teach"):
    data = [data]
options = {"resume": True, "progress": TerminalProgress(), **options}
works = {"fit": fit, "teach": teach}
works.get(work, pretrain)(data, folder, **options)
"""
NETWORK = {"embedding_size": 12, "batch_size": 8, "seed": 3}
DISTILL = {
    **NETWORK,
    "hidden_size": 16,
    "vocabulary_size": 600,
    "vectors": "none",
    "epochs": 12,
    "checkpoint_steps": 10,
}
SETTINGS = {
    "fit": {
        **NETWORK,
        "hidden_sizes": [16],
        "epochs": 14,
        "patience": 14,
        "learning_rate": 0.01,
        "embedding_dropout": 0.2,
        "head_dropout": 0.2,
        "folds": 0,
    },
    "pretrain": {
        **NETWORK,
        "hidden_size": 16,
        "vocabulary_size": 600,
        "vectors": "none",
        "max_tokens": 20,
        "epochs": 12,
        "samples": 100,
        "checkpoint_steps": 10,
    },
    "distill with labels": DISTILL,
    "teach": {"epochs": 12, "batch_size": 8, "learning_rate": 0.001, "seed": 3},
}
KINDS = {  # the manifest, how to read it, and the class of epochs
    "fit": ("run.json", read_run, Epoch),
    "pretrain": ("pretrained.json", read_pretrained, PretrainingEpoch),
    "distill with labels": ("pretrained.json", read_pretrained, DistillationEpoch),
    "teach": ("teacher.json", read_finetuned, Epoch),
}


@pytest.fixture(params=KINDS)
def work(request):
    return request.param


@pytest.fixture
def options(work, data, make_encoder, tmp_path):
    if work in ("fit", "pretrain"):
        return {}
    encoder = str(make_encoder(tmp_path / "encoder", hidden_dropout_prob=0.1))
    labelled = {"labelled": [str(data)]} if work == "distill with labels" else {}
    return {"transformer" if work == "teach" else "teacher": encoder, **labelled}


@pytest.fixture
def data(separable, write_jsonl, tmp_path):
    rows = [{"text": row.text, "label": row.labels[0]} for row in separable(240)]
    return write_jsonl(tmp_path / "rows.jsonl", rows)


def without_seconds(value):
    if isinstance(value, dict):
        return {name: without_seconds(item) for name, item in value.items() if name != "seconds"}
    return [without_seconds(item) for item in value] if isinstance(value, list) else value


def result(folder, manifest):
    """Everything that a finished folder holds, without durations and the checksums over them."""
    path = folder / "model.safetensors"
    with safetensors.safe_open(path, framework="pt") as file:
        values = json.loads(file.metadata()["textgate"])["values"]
    return (
        safetensors.torch.save(safetensors.torch.load_file(path)),
        without_seconds(values),
        without_seconds(json.loads((folder / manifest).read_text(encoding="utf-8"))),
        sorted(file.name for file in folder.iterdir()),
    )


def test_killed_and_resumed(work, data, options, start, kill, rewritten, tmp_path):
    manifest, read, epoch = KINDS[work]
    whole, folder, log = (tmp_path / name for name in ("whole", "folder", "log"))
    checkpoint = folder / "checkpoint.safetensors"

    def begin(path, **more):
        given = {"work": work, "data": data, "folder": path, "options": {**options, **more}}
        return start(CODE, log=log, **given)

    def finish(path, **more):
        process = begin(path, **more)
        process.join(120)
        assert process.exitcode == 0, log.read_text(encoding="utf-8")
        return log.read_text(encoding="utf-8")

    def at_once():
        return lambda: True

    def folder_made():
        return (folder / manifest).exists

    def vectors_saved():
        return (folder / "teacher" / "00001.safetensors").exists

    def saved():
        return rewritten(checkpoint)

    delays = random.Random(0)
    moments = [
        ("while it starts", at_once, 0.02),
        ("when the folder is there", folder_made, 0.02),
        *([("among the vectors", vectors_saved, 0.0)] if "distill" in work else []),
        ("after a checkpoint", saved, 0.0),
        ("between two checkpoints", saved, delays.random() * 0.1),
    ]
    steps = []
    for name, condition, delay in moments:
        kill(name, begin(folder, settings=SETTINGS[work]), condition(), delay)
        assert not (folder / "model.safetensors").exists(), f"{name}: it finished too early"
        if folder.exists():  # whole or absent
            begun = read(folder)
            assert getattr(begun, "outcome", None) is getattr(begun, "distilled", None) is None
        steps.append(load_state(checkpoint, epoch).step if checkpoint.exists() else 0)
    assert steps == sorted(steps)
    assert steps[-1] > steps[-2] > 0

    epochs = len(load_state(checkpoint, epoch).history)
    done = f"epoch {epochs}" if work == "fit" else f"step {steps[-1]:,}"
    assert f"resuming after {done}\n" in finish(folder)  # the folder knows its settings
    finish(whole, settings=SETTINGS[work])
    assert result(folder, manifest) == result(whole, manifest)


def test_killed_among_the_folds(separable, start, kill, rewritten, write_jsonl, tmp_path):
    objects = [{"text": row.text, "label": row.labels[0]} for row in separable(140)]
    data = write_jsonl(tmp_path / "few.jsonl", objects)
    settings = {**SETTINGS["fit"], "folds": 4, "epochs": 6, "linear_size": 0}
    whole, folder, log = (tmp_path / name for name in ("whole", "folder", "log"))

    def begin(path):
        options = {"settings": settings, "pretrained": "none"}
        return start(CODE, work="fit", data=data, folder=path, options=options, log=log)

    finished = []
    for number in range(3):
        folds = folder / "folds.safetensors"
        kill(f"after fold {number + 1}", begin(folder), rewritten(folds), 0.0)
        assert not (folder / "model.safetensors").exists()
        finished.append(len(safetensors.torch.load_file(folds)))
    assert sorted(set(finished)) == finished  # each time at least one more
    for path in (folder, whole):
        process = begin(path)
        process.join(120)
        assert process.exitcode == 0, log.read_text(encoding="utf-8")
    assert result(folder, "run.json") == result(whole, "run.json")
    assert (folder / "dev.jsonl.gz").read_bytes() == (whole / "dev.jsonl.gz").read_bytes()
