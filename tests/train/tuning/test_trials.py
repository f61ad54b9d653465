"""The file of trials: written and read, damaged, and of other inputs."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import safetensors

from textgate.errors import CheckpointError
from textgate.train.tuning.trials import Answered, Inputs, Record, Trial, read_record

INPUTS = Inputs(
    textgate="1.0",
    train="a" * 64,
    dev="b" * 64,
    folds=None,
    settings={"hidden_sizes": (12,), "seed": 3},
    pretrained=None,
)
TRIALS = [
    Trial(0, "finished", {}, True, {}, 100, 2.5, (0.7, 0.6), 0.6, 0.75, 10_000),
    Trial(1, "given up", {"hidden_sizes": (62,)}, True, {"recipe: x": "62"}, 100, 1.0, (0.9,)),
    Trial(2, "out of time", {"epochs": 3}, False, {}, 50, 0.5, latency_ms=0.5),
]


@pytest.fixture
def record():
    losses = np.array([0.25, 0.75], dtype=np.float32)
    return Record(INPUTS, TRIALS, {0: Answered(losses, np.array([True, False]), 0.75)}, sample=50)


@pytest.fixture
def path(record, tmp_path):
    record.write(tmp_path / "run.tuning")
    return tmp_path / "run.tuning"


def test_what_is_written_is_read(record, path):
    found = read_record(path, INPUTS)
    assert (found.inputs, found.trials, found.sample) == (INPUTS, TRIALS, 50)
    assert found.seconds == 4.0
    (kept,) = found.answers.values()
    assert kept.losses.tolist() == [0.25, 0.75]
    assert kept.right.tolist() == [True, False]
    assert kept.score == 0.75


def test_the_file_is_tensors_and_json(path):
    with safetensors.safe_open(path, framework="np") as file:
        assert sorted(file.keys()) == ["losses/0", "right/0"]
        header = json.loads(file.metadata()["textgate"])
    assert header["values"]["trials"][1]["settings"] == {"hidden_sizes": [62]}


def test_no_answers_yet(tmp_path):
    Record(INPUTS, [], {}).write(tmp_path / "new.tuning")
    assert read_record(tmp_path / "new.tuning", INPUTS).trials == []


OTHERS = {
    "textgate": ("0.9", "made by textgate 1.0, and this is 0.9; give the same, or replace them"),
    "train": ("c" * 64, "made with other training rows"),
    "dev": ("c" * 64, "made with other dev rows"),
    "folds": ("c" * 64, "made with other folds"),
    "settings": ({"seed": 4}, "made with other settings"),
    "pretrained": ("c" * 64, "made from another encoder"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_trials_of_other_inputs_are_refused(path, name):
    value, message = OTHERS[name]
    with pytest.raises(CheckpointError, match=message) as problem:
        read_record(path, dataclasses.replace(INPUTS, **{name: value}))
    assert str(path) in str(problem.value)


@pytest.mark.parametrize("damage", ["cut", "changed", "emptied", "not a file of tensors"])
def test_a_damaged_file_is_refused(path, damage):
    content = path.read_bytes()
    at = content.index(b"given up")
    path.write_bytes(
        {
            "cut": content[:-1],
            "changed": content[:at] + b"Given up" + content[at + 8 :],
            "emptied": b"",
            "not a file of tensors": b"{}\n",
        }[damage]
    )
    with pytest.raises(CheckpointError, match=r"run\.tuning: damaged.*; replace the trials"):
        read_record(path, INPUTS)
