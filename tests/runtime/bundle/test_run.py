"""The manifest of a run folder: written, read and refused."""

from __future__ import annotations

import dataclasses
import errno
import json
from pathlib import Path

import pytest

from textgate.bundle.architecture import Architecture
from textgate.bundle.run import (
    RUN,
    DataSummary,
    ModelSummary,
    RunManifest,
    Teaching,
    is_run,
    read_run,
)
from textgate.errors import CheckpointError

MANIFEST = RunManifest(
    architecture=Architecture(
        vocabulary_size=50,
        embedding_size=4,
        cell="gru",
        hidden_sizes=(6, 5),
        bidirectional=False,
        pooling=("max", "mean"),
        dense_sizes=(),
        output="softmax",
        label_count=2,
    ),
    labels=("caf\u00e9", "\U0001f600"),
    max_tokens=30,
    preset="default",
    settings={"seed": 3, "hidden_sizes": [6, 5], "cell": "gru", "token_dropout": 0.1},  # removed
    train=DataSummary("train.jsonl.gz", 100, "ab" * 32),
    dev=DataSummary("dev.csv", 10, "cd" * 32),
    versions={"textgate": "0.1.0"},
)


def write(folder, content):
    (folder / RUN).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def refusal(folder) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_run(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message
    return message


def test_there_and_back(tmp_path):
    assert read_run(write(tmp_path, MANIFEST.to_json())) == MANIFEST


@pytest.mark.parametrize("files", [(), (DataSummary("more.txt", 7, "12" * 32),)])
def test_who_taught_there_and_back(tmp_path, files):
    teaching = Teaching((ModelSummary("a.run", "ef" * 32),), files)
    manifest = dataclasses.replace(MANIFEST, teaching=teaching)
    assert read_run(write(tmp_path, manifest.to_json())) == manifest


def test_the_text_is_for_people_too():
    text = MANIFEST.to_json()
    assert text.startswith('{\n  "format": "textgate-run",\n  "format_version": 1,\n')
    assert '"caf\u00e9"' in text
    assert text.endswith("}\n")


def test_is_run(tmp_path):
    assert not is_run(tmp_path)
    assert not is_run(tmp_path / "nothing")
    assert is_run(write(tmp_path, "whatever"))


def test_no_run(tmp_path):
    assert refusal(tmp_path) == (
        f"{tmp_path} is not a training run: it has no run.json; name a folder that textgate train "
        "created"
    )
    assert refusal(tmp_path / "nothing") == (
        f"{tmp_path / 'nothing'} is not a training run: there is no such folder; name one that "
        "textgate train created"
    )


def test_unreadable(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert "cannot be read: Permission denied" in refusal(write(tmp_path, MANIFEST.to_json()))


def test_a_folder_in_its_place(tmp_path):
    (tmp_path / RUN).mkdir()
    assert "cannot be read: Is a directory" in refusal(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[" * 100_000, MANIFEST.to_json().encode()[:-5], b'{"a": 1, "a": 2}'],
)
def test_damaged_json(tmp_path, content):
    assert f"{tmp_path / RUN}: " in refusal(write(tmp_path, content))


DELETE = "(deleted)"
DAMAGED = [
    ({"format": "textgate-bundle"}, "field 'format' should be textgate-run"),
    ({"format_version": "1"}, "field 'format_version' should be a whole number"),
    ({"labels": ["one"]}, "1 labels for a network with 2 outputs"),
    ({"labels": "ab"}, "field 'labels' should be a list, found 'ab'"),
    ({"labels": ["a", "a"]}, "field 'labels' should be a list of different"),
    ({"max_tokens": 0}, "field 'max_tokens' should be a whole number from 1"),
    ({"preset": None}, "field 'preset' should be a string, found null"),
    ({"settings": []}, "settings: expected an object, found a list of 0"),
    ({"settings": 5}, "settings: expected an object, found 5"),
    ({"settings": DELETE}, "field 'settings' is missing"),
    ({"versions": "1"}, "versions: expected an object, found '1'"),
    ({"versions": {"torch": 2}}, "versions: field 'torch' should be a string"),
    ({"train": {}}, "train: field 'file' is missing"),
    ({"train": 3}, "train: expected an object, found 3"),
    (
        {"dev": {"file": "x", "rows": 1, "sha256": "y"}},
        "dev: field 'sha256' should be a string of 64 hex",
    ),
    ({"teaching": None}, "teaching: expected an object, found null"),
    ({"teaching": {"teachers": 1}}, "field 'teachers' should be a list, found 1"),
    (
        {"teaching": {"teachers": [{"name": "a", "sha256": "b"}], "unlabelled": []}},
        "teachers[0]: field 'sha256' should be a string of 64 hex",
    ),
    (
        {"teaching": {"teachers": [], "unlabelled": [], "pupils": 1}},
        "teaching: unknown field 'pupils'",
    ),
    ({"surplus": 1}, "unknown field 'surplus'"),
    ({"architecture": {}}, "architecture: field 'vocabulary_size' is missing"),
]


@pytest.mark.parametrize(("changes", "message"), DAMAGED, ids=[str(case[0]) for case in DAMAGED])
def test_damaged_fields(tmp_path, changes, message):
    value = json.loads(MANIFEST.to_json()) | changes
    value = {name: item for name, item in value.items() if item is not DELETE}
    assert message in refusal(write(tmp_path, json.dumps(value)))


@pytest.mark.parametrize("version", [0, 2, 99])
def test_another_version(tmp_path, version):
    value = json.loads(MANIFEST.to_json()) | {"format_version": version, "unheard_of": True}
    remedy = "train again" if version < 1 else "upgrade textgate"
    message = refusal(write(tmp_path, json.dumps(value)))
    assert f"format version {version}, but this release reads version 1; {remedy}" in message
