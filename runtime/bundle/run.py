"""Manifest of a training run, ``run.json``; read without torch, so that `inspect` can."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textgate.bundle.architecture import Architecture, MaxTokens
from textgate.bundle.schema import (
    Count,
    Fraction,
    Location,
    NonNegative,
    PositiveCount,
    Sha256,
    decode,
)
from textgate.bundle.strict_json import Format
from textgate.errors import CheckpointError

RUN = "run.json"
TOKENIZER = "tokenizer.json"
DEV_ROWS = "dev.jsonl.gz"
CHECKPOINT = "checkpoint.safetensors"
MODEL = "model.safetensors"
TEACHING = "teaching.safetensors"
FOLDS = "folds.safetensors"
TUNING = "tuning.json"  # the trials that chose the settings
OUT_OF_FOLD = "out_of_fold"  # field of the dev rows: probabilities of the labels, in their order

MAX_MANIFEST_BYTES = 2**26  # bytes; there can be many labels
FORMAT = Format(
    "textgate-run",
    version=1,
    limit=MAX_MANIFEST_BYTES,
    remedy="train again, or use the textgate release that wrote it",
)


@dataclass(frozen=True)
class DataSummary:
    """The rows a run was given.

    Attributes:
        file: the file's name, without its folder.
        rows: number of rows.
        sha256: fingerprint of their texts and labels, in order.
    """

    file: str
    rows: Count
    sha256: Sha256


@dataclass(frozen=True)
class ModelSummary:
    """A model that taught a run, or whose weights its embedding and first layer started from.

    Attributes:
        name: its folder's name.
        sha256: checksum of the file with its weights.
    """

    name: str
    sha256: Sha256


@dataclass(frozen=True)
class Teaching:
    """What a run learned from besides its labelled rows.

    Attributes:
        teachers: the models whose mean answer it learned.
        unlabelled: the files of texts that only the teachers labelled.
    """

    teachers: tuple[ModelSummary, ...]
    unlabelled: tuple[DataSummary, ...]


@dataclass(frozen=True)
class Tuning:
    """The tuning that chose a run's settings.

    Attributes:
        trials: number of trials, with that of the default recipe.
        chosen: number of the chosen trial; 0 is the default recipe.
        seconds: duration of all trials.
        expected_accuracy: estimate of the accuracy on new rows, which is not raised by the choice
            among several trials; None if there was nothing to choose from.
    """

    trials: PositiveCount
    chosen: Count
    seconds: NonNegative
    expected_accuracy: Fraction | None = None


@dataclass(frozen=True)
class RunManifest:
    """Everything that is decided before the first training step.

    Attributes:
        architecture: the network.
        labels: label names in the order of the network's outputs.
        max_tokens: tokens of a text that are read.
        preset: the preset the settings started from.
        settings: every training setting, by name.
        train: the training rows.
        dev: the rows that decide when to stop; they are kept in the folder.
        versions: tool name -> version.
        teaching: its teachers and their texts; None if it had labelled rows alone.
        pretrained: the weights it started from; None for word vectors or random weights.
        tuning: the tuning that chose the settings; None without.
    """

    architecture: Architecture
    labels: tuple[str, ...]
    max_tokens: MaxTokens
    preset: str
    settings: dict[str, Any]
    train: DataSummary
    dev: DataSummary
    versions: dict[str, str]
    teaching: Teaching | None = None
    pretrained: ModelSummary | None = None
    tuning: Tuning | None = None

    def to_json(self) -> str:
        """Return the text of ``run.json``."""
        return FORMAT.to_text(self)


def is_run(folder: Path) -> bool:
    """Return whether the folder looks like a training run."""
    return (folder / RUN).is_file()


def read_run(folder: Path) -> RunManifest:
    """Return the manifest in a run's folder.

    Raises:
        CheckpointError: it is missing, damaged, or of another version.
    """
    path = folder / RUN
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        from textgate.bundle.manifest import MANIFEST  # only for the message

        if (folder / MANIFEST).is_file():
            reason = "it is a bundle; name the run that it was exported from"
        elif folder.is_dir():
            reason = f"it has no {RUN}; name a folder that textgate train created"
        else:
            reason = "there is no such folder; name one that textgate train created"
        raise CheckpointError(f"{folder} is not a training run: {reason}") from None
    except NotADirectoryError:
        raise CheckpointError(
            f"{folder} is not a training run: it is not a folder; name one that textgate train "
            "created"
        ) from None
    except OSError as problem:
        raise CheckpointError(f"{path}: cannot be read: {problem.strerror}") from None
    location = Location(str(path), CheckpointError)
    document = FORMAT.read(content, location)
    manifest = decode(RunManifest, document, location)
    labels, count = manifest.labels, manifest.architecture.label_count
    if len(labels) != count:
        raise CheckpointError(f"{path}: {len(labels)} labels for a network with {count} outputs")
    if len(set(labels)) != count:
        raise location.mismatch("labels", "a list of different strings", document["labels"])
    return manifest


def written_name(name: str) -> str:
    """Return the name of a file or folder in a form that UTF-8 can hold."""
    return name.encode("utf-8", "replace").decode()
