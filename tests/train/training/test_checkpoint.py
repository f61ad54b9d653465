"""Weights on disk: written atomically, and checked when they are read."""

from __future__ import annotations

import errno
import json
import random
import re

import pytest
import safetensors
import safetensors.torch
import torch

from textgate.errors import CheckpointError
from textgate.train.training import checkpoint as checkpoint_module
from textgate.train.training.checkpoint import (
    Epoch,
    TrainedModel,
    TrainingState,
    load_model,
    load_state,
    save_model,
    save_state,
    write_tensors,
)

EPOCHS = [Epoch(1, 0.7, 0.6, 0.5, 1.25), Epoch(2, 0.5, 0.55, 0.75, 1.0)]


def tensors(seed):
    generator = torch.Generator().manual_seed(seed)
    return {
        "embedding.weight": torch.randn(5, 3, generator=generator),
        "head.0.bias": torch.randn(2, generator=generator),
        "strided": torch.randn(4, 6, generator=generator).T,
    }


def state(best_epoch):
    weights = tensors(0)
    return TrainingState(
        weights=weights,
        best_weights=weights if best_epoch == 2 else tensors(1),
        optimizer={
            "embedding.weight/exp_avg": torch.randn(5, 3),
            "head.0.bias/step": torch.ones([]),
        },
        history=list(EPOCHS),
        best_epoch=best_epoch,
    )


MODEL = TrainedModel(
    weights=tensors(3), temperature=1.5, metrics={"accuracy": 0.75}, history=EPOCHS, best_epoch=2
)


def same(left, right):
    return left.keys() == right.keys() and all(
        torch.equal(left[name], right[name]) for name in left
    )


@pytest.mark.parametrize("best_epoch", [1, 2])
def test_a_state_is_read_as_it_was_written(tmp_path, best_epoch):
    path, saved = tmp_path / "state.safetensors", state(best_epoch)
    save_state(path, saved)
    loaded = load_state(path, Epoch)
    assert same(loaded.weights, saved.weights)
    assert same(loaded.best_weights, saved.best_weights)
    assert same(loaded.optimizer, saved.optimizer)
    assert (loaded.history, loaded.best_epoch) == (saved.history, best_epoch)


def test_the_best_weights_are_not_written_twice(tmp_path):
    sizes = []
    for best_epoch in (1, 2):
        save_state(tmp_path / "state", state(best_epoch))
        sizes.append((tmp_path / "state").stat().st_size)
    assert sizes[0] - sizes[1] > sum(tensor.nbytes for tensor in tensors(0).values())


def test_a_model_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(path, MODEL)
    loaded = load_model(path)
    assert same(loaded.weights, MODEL.weights)
    assert (loaded.temperature, loaded.metrics) == (1.5, {"accuracy": 0.75})
    assert (loaded.history, loaded.best_epoch) == (EPOCHS, 2)


def test_the_same_model_is_the_same_file(tmp_path):
    for name in "ab":
        save_model(tmp_path / name, MODEL)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_unfinished_run_has_no_model(tmp_path):
    with pytest.raises(
        CheckpointError, match="training has not finished; continue it with textgate"
    ):
        load_model(tmp_path / "model.safetensors")


READ_AND_WRITE = [
    (lambda path: save_state(path, state(1)), lambda path: load_state(path, Epoch)),
    (lambda path: save_model(path, MODEL), load_model),
]


@pytest.mark.parametrize(("save", "load"), READ_AND_WRITE, ids=["state", "model"])
def test_every_damage_is_an_error(tmp_path, save, load):
    """A changed byte or a missing end gives a `CheckpointError`, never other weights."""
    path = tmp_path / "file.safetensors"
    save(path)
    sound = path.read_bytes()
    generator = random.Random(0)
    damaged = [sound[: generator.randrange(len(sound))] for _ in range(40)]
    for index in generator.sample(range(len(sound)), 300):
        flipped = bytearray(sound)
        flipped[index] ^= 1 << generator.randrange(8)
        damaged.append(bytes(flipped))
    damaged += [sound + b"\0", b"\0" * len(sound)]
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(CheckpointError) as caught:
            load(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("save", "load"), READ_AND_WRITE, ids=["state", "model"])
def test_another_version_is_refused(tmp_path, monkeypatch, save, load):
    path = tmp_path / "file.safetensors"
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_module, "FORMAT_VERSION", 2)
        save(path)
    with pytest.raises(CheckpointError, match="format version 2, this release reads 1; train"):
        load(path)


def test_a_file_of_another_origin_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file({"weight": torch.ones(3)}, path)
    with pytest.raises(CheckpointError, match="damaged: it has no 'textgate'"):
        load_model(path)


@pytest.mark.parametrize("values", [{}, [], {"history": 3}, {"history": [{"number": 1}]}])
def test_malformed_values_are_refused(tmp_path, values):
    path = tmp_path / "file.safetensors"
    write_tensors(path, tensors(0), values)
    for load in (lambda path: load_state(path, Epoch), load_model):
        with pytest.raises(CheckpointError, match=rf"^{re.escape(str(path))}: damaged"):
            load(path)


@pytest.mark.parametrize(("save", "load"), READ_AND_WRITE, ids=["state", "model"])
def test_a_full_disk_leaves_the_previous_file(tmp_path, monkeypatch, save, load):
    path = tmp_path / "file.safetensors"
    save(path)
    before = path.read_bytes()

    def full(path, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint_module, "write_bytes", full)
    with pytest.raises(CheckpointError, match="cannot be written: No space left on device"):
        save(path)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_the_header_is_json_and_no_pickle(tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(path, MODEL)
    with safetensors.safe_open(path, framework="pt") as file:
        header = file.metadata()
    assert list(header) == ["textgate"]
    assert json.loads(header["textgate"])["values"]["best_epoch"] == 2
