"""`kill -9` while fine-tuning, at any moment, then `--resume`: the same weights, all whole."""

from __future__ import annotations

import json
import random
import signal
import sys

import pytest

from textgate.train import teach
from textgate.train.fit.checkpoint import load_state
from textgate.train.teach import finetuner
from textgate.train.teach.finetuned import read_finetuned

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")

# Only what is begun finds out what the processor prefers; here it is always the same.
CODE = """
import json, sys
import torch
from textgate.train import teach
from textgate.train.teach import finetuner
torch.set_num_threads(1)
finetuner.prefers_bfloat16 = lambda *_, **__: True
settings = json.loads(sys.argv[4])
teach(sys.argv[1], sys.argv[2], transformer=sys.argv[3], settings=settings, resume=True)
"""
SETTINGS = {"epochs": 12, "batch_size": 8, "learning_rate": 0.001, "seed": 3}


def timeless(folder):
    said = json.loads((folder / "teacher.json").read_text(encoding="utf-8"))
    for epoch in said["outcome"]["history"]:
        del epoch["seconds"]
    return said


def test_killed_and_resumed(
    make_encoder, separable, write_jsonl, kill, rewritten, hearing, monkeypatch, tmp_path
):
    encoder = make_encoder(tmp_path / "encoder", hidden_dropout_prob=0.1)
    rows = [{"text": row.text, "label": row.labels[0]} for row in separable(400)]
    data = write_jsonl(tmp_path / "rows.jsonl", rows)
    whole, folder = tmp_path / "whole", tmp_path / "folder"
    checkpoint = folder / "checkpoint.safetensors"
    delays = random.Random(0)

    def at_once():
        return lambda: True

    def folder_made():
        return (folder / "teacher.json").exists

    def epoch_done():
        return rewritten(checkpoint)

    moments = [
        ("before anything", at_once, 0.0),
        ("when the folder is there", folder_made, 0.02),
        ("after an epoch", epoch_done, 0.0),
        ("within an epoch", epoch_done, delays.random() * 0.1),
    ]
    epochs = []
    for name, condition, delay in moments:
        arguments = [str(data), str(folder), str(encoder), json.dumps(SETTINGS)]
        kill(name, [sys.executable, "-c", CODE, *arguments], condition(), delay)
        assert not (folder / "model.safetensors").exists(), f"{name}: it had finished before"
        # Whole or absent.
        if folder.exists():
            assert read_finetuned(folder).outcome is None
        epochs.append(len(load_state(checkpoint).history) if checkpoint.exists() else 0)
    assert epochs == sorted(epochs)
    assert epochs[-1] > epochs[-2] > 0

    heard = hearing()
    teach(data, folder, transformer=str(encoder), resume=True, progress=heard)
    assert heard.notes[0] == f"resuming after epoch {epochs[-1]}"
    monkeypatch.setattr(finetuner, "prefers_bfloat16", lambda *_, **__: True)
    teach(data, whole, transformer=str(encoder), settings=SETTINGS)
    files = [(path / "model.safetensors").read_bytes() for path in (folder, whole)]
    assert files[0] == files[1]
    assert timeless(folder) == timeless(whole)
    names = [sorted(file.name for file in path.iterdir()) for path in (folder, whole)]
    expected = ["config.json", "model.safetensors", "teacher.json", "tokenizer.json"]
    assert names[0] == names[1] == expected
