"""After `kill -9` at any moment, `--resume` gives the weights of an uninterrupted run."""

from __future__ import annotations

import random
import signal
import sys

import pytest
import safetensors.torch

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")

MAIN = "from textgate.cli import main; main()"
OPTIONS = (
    "--hidden=16", "--embedding-size=12", "--epochs=14", "--patience=14", "--batch-size=8",
    "--learning-rate=0.01", "--embedding-dropout=0.2", "--head-dropout=0.2", "--seed=3",
)  # fmt: skip


@pytest.fixture(scope="module")
def data(separable, write_jsonl, tmp_path_factory):
    rows = separable(500)
    path = tmp_path_factory.mktemp("data") / "rows.jsonl"
    return write_jsonl(path, [{"text": row.text, "label": row.labels[0]} for row in rows])


def test_killed_and_resumed(data, command, kill, rewritten, tmp_path):
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert command("train", data, "-o", whole, *OPTIONS).status == 0

    checkpoint = run / "checkpoint.safetensors"
    delays = random.Random(0)

    def at_once():
        return lambda: True

    def folder_made():
        return (run / "run.json").exists

    def epoch_done():
        return rewritten(checkpoint)

    moments = [
        ("before anything", at_once, 0.0),
        ("while it starts", at_once, 0.5),
        ("when the run's folder is there", folder_made, 0.02),
        ("after an epoch", epoch_done, 0.0),
        ("within an epoch", epoch_done, delays.random() * 0.1),
    ]
    for name, condition, delay in moments:
        arguments = ["train", data, "-o", run, "--resume", *OPTIONS]
        kill(name, [sys.executable, "-c", MAIN, *arguments], condition(), delay)
        assert not (run / "model.safetensors").exists(), f"{name}: it finished too early"

    resumed = command("train", data, "-o", run, "--resume")  # the run knows its options
    assert resumed.status == 0, resumed.err
    assert "resuming after epoch " in resumed.err
    found, expected = (
        safetensors.torch.save(safetensors.torch.load_file(folder / "model.safetensors"))
        for folder in (run, whole)
    )
    assert found == expected
    assert sorted(path.name for path in run.iterdir()) == sorted(
        path.name for path in whole.iterdir()
    )
    # Both print the same except for the durations of the epochs.
    told = command("train", data, "-o", whole, "--resume").out
    assert resumed.out.partition(": ")[2] == told.partition(": ")[2]
