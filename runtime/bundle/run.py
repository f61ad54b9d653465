"""What a training run's folder says about itself; read without torch, so that `inspect` can."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textgate.bundle.architecture import Architecture
from textgate.bundle.schema import FieldReader, versioned_fields
from textgate.errors import CheckpointError

FORMAT = "textgate-run"
FORMAT_VERSION = 1

RUN = "run.json"
TOKENIZER = "tokenizer.json"
DEV_ROWS = "dev.jsonl.gz"
CHECKPOINT = "checkpoint.safetensors"
MODEL = "model.safetensors"
TEACHING = "teaching.safetensors"

_LIMIT = 2**26  # bytes; labels can be many


@dataclass(frozen=True)
class DataSummary:
    """The rows a run was given.

    Attributes:
        file: the file's name, without its folder.
        rows: how many rows there were.
        sha256: fingerprint of their texts and labels, in order.
    """

    file: str
    rows: int
    sha256: str


@dataclass(frozen=True)
class ModelSummary:
    """A model that taught a run, or that its embedding and first layer started from.

    Attributes:
        name: its folder's name.
        sha256: checksum of the file with its weights.
    """

    name: str
    sha256: str


@dataclass(frozen=True)
class Teaching:
    """What a run was taught by, besides its rows' labels.

    Attributes:
        teachers: the models whose mean answer it learned.
        unlabelled: the texts that they alone labelled, of every file.
    """

    teachers: tuple[ModelSummary, ...]
    unlabelled: tuple[DataSummary, ...]


@dataclass(frozen=True)
class RunManifest:
    """Everything that is settled before the first training step.

    Attributes:
        architecture: the network.
        labels: label names in the order of the network's outputs.
        max_tokens: tokens of a text that are read.
        preset: the preset the settings started from.
        settings: every training setting, by name.
        train: the training rows.
        dev: the rows that decide when to stop; they are kept in the folder.
        versions: tool name -> version.
        teaching: who taught it; None for rows and labels alone.
        pretrained: what it started from; None for word vectors or random weights.
    """

    architecture: Architecture
    labels: tuple[str, ...]
    max_tokens: int
    preset: str
    settings: dict[str, Any]
    train: DataSummary
    dev: DataSummary
    versions: dict[str, str]
    teaching: Teaching | None = None
    pretrained: ModelSummary | None = None

    def to_json(self) -> str:
        """Return the text of ``run.json``."""
        value: dict[str, Any] = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "architecture": self.architecture.to_json(),
            "labels": list(self.labels),
            "max_tokens": self.max_tokens,
            "preset": self.preset,
            "settings": self.settings,
            "train": vars(self.train),
            "dev": vars(self.dev),
            "versions": self.versions,
        }
        if self.teaching is not None:
            value["teaching"] = {
                "teachers": [vars(teacher) for teacher in self.teaching.teachers],
                "unlabelled": [vars(file) for file in self.teaching.unlabelled],
            }
        if self.pretrained is not None:
            value["pretrained"] = vars(self.pretrained)
        return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def is_run(folder: Path) -> bool:
    """Return whether the folder looks like a training run."""
    return (folder / RUN).is_file()


def read_run(folder: Path) -> RunManifest:
    """Return what ``run.json`` in the folder says.

    Raises:
        CheckpointError: it is missing, damaged, or of another version.
    """
    path = folder / RUN
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        from textgate.bundle.manifest import MANIFEST  # only for the message

        is_bundle = (folder / MANIFEST).is_file()
        reason = "it is a bundle; name the run it was made of" if is_bundle else f"it has no {RUN}"
        raise CheckpointError(f"{folder} is not a training run: {reason}") from None
    except NotADirectoryError:
        raise CheckpointError(f"{folder} is not a training run: it is not a folder") from None
    except OSError as problem:
        raise CheckpointError(f"{path}: cannot be read: {problem.strerror}") from None
    fields = versioned_fields(
        content,
        where=str(path),
        error=CheckpointError,
        limit=_LIMIT,
        format=FORMAT,
        version=FORMAT_VERSION,
        otherwise="train again",
        said="the run is of format version",
    )
    settings, versions = fields.object("settings"), fields.object("versions")
    manifest = RunManifest(
        architecture=Architecture.from_json(fields.object("architecture"), error=CheckpointError),
        labels=fields.texts("labels"),
        max_tokens=fields.integer("max_tokens", low=1, high=1_000_000),
        preset=fields.text("preset"),
        settings={name: settings.raw(name) for name in settings.names()},
        train=read_data(fields.object("train")),
        dev=read_data(fields.object("dev")),
        versions={name: versions.text(name) for name in versions.names()},
        teaching=(
            _read_teaching(fields.object("teaching")) if "teaching" in fields.names() else None
        ),
        pretrained=(
            _read_model(fields.object("pretrained")) if "pretrained" in fields.names() else None
        ),
    )
    fields.finish()
    if len(manifest.labels) != manifest.architecture.label_count:
        raise CheckpointError(
            f"{path}: {len(manifest.labels)} labels for a network with "
            f"{manifest.architecture.label_count} outputs"
        )
    if len(set(manifest.labels)) != len(manifest.labels):
        raise fields.fail("labels", "a list of different strings")
    return manifest


def read_data(fields: FieldReader) -> DataSummary:
    """Return the summary of a file of rows, out of its fields."""
    summary = DataSummary(fields.text("file"), fields.integer("rows"), fields.sha256("sha256"))
    fields.finish()
    return summary


def _read_model(fields: FieldReader) -> ModelSummary:
    summary = ModelSummary(fields.text("name"), fields.sha256("sha256"))
    fields.finish()
    return summary


def _read_teaching(fields: FieldReader) -> Teaching:
    teachers = tuple(_read_model(item) for item in fields.objects("teachers"))
    unlabelled = tuple(read_data(item) for item in fields.objects("unlabelled"))
    fields.finish()
    return Teaching(teachers, unlabelled)


def written_name(name: str) -> str:
    """Return a file's or folder's name as it is written down: it need not be UTF-8 itself."""
    return name.encode("utf-8", "replace").decode()
