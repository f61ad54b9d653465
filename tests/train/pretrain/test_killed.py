"""`kill -9` while pretraining, at any moment, then `--resume`: the same weights, all whole."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys

import pytest

from textgate.train.pretrain.pretrained import read_pretrained
from textgate.train.pretrain.pretrainer import load_pretraining

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")

CODE = """
import json, sys
import torch
from textgate.train import pretrain
torch.set_num_threads(1)
pretrain([sys.argv[1]], sys.argv[2], settings=json.loads(sys.argv[3]), resume=True)
"""
SETTINGS = {
    "hidden_size": 16,
    "embedding_size": 12,
    "vocabulary_size": 600,
    "vectors": "none",
    "max_tokens": 20,
    "epochs": 12,
    "batch_size": 8,
    "samples": 100,
    "checkpoint_steps": 10,
    "seed": 3,
}


@pytest.fixture(scope="module")
def texts(separable, tmp_path_factory):
    path = tmp_path_factory.mktemp("texts") / "texts.txt"
    path.write_text("".join(f"{row.text}\n" for row in separable(500)), encoding="utf-8")
    return path


def arguments(texts, folder):
    return [sys.executable, "-c", CODE, str(texts), str(folder), json.dumps(SETTINGS)]


def pretrain(texts, folder):
    """Pretrain to the end."""
    done = subprocess.run(
        arguments(texts, folder), check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def timeless(folder):
    said = json.loads((folder / "pretrained.json").read_text(encoding="utf-8"))
    for done in said["outcome"]["history"]:
        del done["seconds"]
    return said


def test_killed_and_resumed(texts, kill, rewritten, tmp_path):
    whole, folder = tmp_path / "whole", tmp_path / "folder"
    pretrain(texts, whole)

    checkpoint = folder / "checkpoint.safetensors"
    delays = random.Random(0)

    def at_once():
        return lambda: True

    def folder_made():
        return (folder / "pretrained.json").exists

    def saved():
        return rewritten(checkpoint)

    moments = [
        ("before anything", at_once, 0.0),
        ("when the folder is there", folder_made, 0.02),
        ("after a checkpoint", saved, 0.0),
        ("between two checkpoints", saved, delays.random() * 0.1),
        ("somewhere else", saved, delays.random() * 0.2),
    ]
    steps = []
    for name, condition, delay in moments:
        kill(name, arguments(texts, folder), condition(), delay)
        assert not (folder / "model.safetensors").exists(), f"{name}: it had finished before"
        # Whole or absent.
        if folder.exists():
            assert read_pretrained(folder).outcome is None
        steps.append(load_pretraining(checkpoint).step if checkpoint.exists() else 0)
    assert steps == sorted(steps)
    assert steps[-1] > steps[-3] > 0

    pretrain(texts, folder)
    files = [(path / "model.safetensors").read_bytes() for path in (folder, whole)]
    assert files[0] == files[1]
    assert timeless(folder) == timeless(whole)
    names = [sorted(file.name for file in path.iterdir()) for path in (folder, whole)]
    assert names[0] == names[1] == ["model.safetensors", "pretrained.json", "tokenizer.json"]
