"""A fine-tuned transformer on disk, as `textgate teach` writes it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError

from textgate.bundle.manifest import Quality, read_quality
from textgate.bundle.run import DataSummary, read_data, written_name
from textgate.errors import CheckpointError
from textgate.train.data.dataset import Dataset
from textgate.train.data.encoding import encode_texts
from textgate.train.fit.checkpoint import Epoch, file_sha256
from textgate.train.fit.folder import manifest_json, read_manifest, read_settings
from textgate.train.fit.scoring import probabilities
from textgate.train.teach.encoders import (
    CONFIG,
    MINILM,
    TOKENIZER,
    WEIGHTS,
    EncoderClassifier,
    EncoderTokenizer,
    build_encoder,
)
from textgate.train.teach.finetuning_config import FinetuningConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from textgate.bundle.schema import FieldReader

FORMAT = "textgate-teacher"
FORMAT_VERSION = 2
TEACHER = "teacher.json"
COPIED = (CONFIG, TOKENIZER)  # files of the encoder that fine-tuning does not change
_ENCODER_FILES = (*COPIED, WEIGHTS)
_BATCH = 64


@dataclass(frozen=True)
class EncoderSummary:
    """Name and checksums of the encoder before fine-tuning.

    Attributes:
        name: name of its folder, or ``minilm``.
        sha256: checksum of each of its files by name.
    """

    name: str
    sha256: dict[str, str]


@dataclass(frozen=True)
class FinetuningOutcome:
    """Result of a finished fine-tuning.

    Attributes:
        sha256: checksum of the file with the weights.
        temperature: the divisor of the logits that calibrates the probabilities on dev.
        best_epoch: number of the epoch that the weights are from.
        quality: quality on dev after calibration.
        history: every epoch.
    """

    sha256: str
    temperature: float
    best_epoch: int
    quality: Quality
    history: tuple[Epoch, ...]


@dataclass(frozen=True)
class FinetunedManifest:
    """Contents of ``teacher.json``.

    Attributes:
        labels: label names in the order of the outputs.
        task: ``single-label`` or ``multi-label``.
        max_tokens: maximum number of tokens read from a text, including special tokens.
        bfloat16: whether it computes in bfloat16 where that is accurate enough.
        settings: the settings.
        encoder: the encoder before fine-tuning.
        train: the training rows.
        dev: the rows that choose the epoch and the temperature.
        versions: version of each tool by its name.
        outcome: the result; None until fine-tuning has finished.
    """

    labels: tuple[str, ...]
    task: str
    max_tokens: int
    bfloat16: bool
    settings: FinetuningConfig
    encoder: EncoderSummary
    train: DataSummary
    dev: DataSummary
    versions: dict[str, str]
    outcome: FinetuningOutcome | None = None

    def to_json(self) -> str:
        """Return the text of ``teacher.json``."""
        return manifest_json(self, format=FORMAT, version=FORMAT_VERSION)


def is_finetuned(folder: Path) -> bool:
    """Return whether the folder looks like a fine-tuned transformer, finished or not."""
    return (folder / TEACHER).is_file()


def read_finetuned(folder: Path) -> FinetunedManifest:
    """Return the manifest of a fine-tuned transformer.

    Raises:
        CheckpointError: it is missing, damaged, or has another format version.
    """
    path = folder / TEACHER
    fields = read_manifest(
        path, format=FORMAT, version=FORMAT_VERSION, otherwise="make it again with textgate teach"
    )
    versions = fields.object("versions")
    manifest = FinetunedManifest(
        labels=fields.texts("labels"),
        task=fields.text("task", choices=("single-label", "multi-label")),
        max_tokens=fields.integer("max_tokens", low=1, high=1_000_000),
        bfloat16=fields.boolean("bfloat16"),
        settings=read_settings(FinetuningConfig(), fields.object("settings"), path),
        encoder=_read_encoder(fields.object("encoder")),
        train=read_data(fields.object("train")),
        dev=read_data(fields.object("dev")),
        versions={name: versions.text(name) for name in versions.names()},
        outcome=_read_outcome(fields.object("outcome")) if "outcome" in fields.names() else None,
    )
    fields.finish()
    return manifest


def read_finished(folder: Path) -> tuple[FinetunedManifest, FinetuningOutcome]:
    """Return the manifest and the outcome of a finished fine-tuned transformer.

    Raises:
        CheckpointError: it is unfinished, missing, damaged, or has another format version.
    """
    manifest = read_finetuned(folder)
    if manifest.outcome is None:
        raise CheckpointError(
            f"{folder}: fine-tuning has not finished, so it cannot teach; continue it with "
            "textgate teach --resume"
        )
    return manifest, manifest.outcome


def summarize_encoder(name: str, folder: Path) -> EncoderSummary:
    """Return the name and the checksums of an encoder.

    Args:
        name: the name that it was given by.
        folder: its folder.

    Raises:
        CheckpointError: a file cannot be read.
    """
    return EncoderSummary(
        name if name == MINILM else written_name(folder.resolve().name),
        {file: file_sha256(folder / file) for file in _ENCODER_FILES},
    )


def check_copies(folder: Path, manifest: FinetunedManifest) -> None:
    """Refuse a folder in which the copies of the encoder's files have changed.

    Raises:
        CheckpointError: one of them is missing or damaged.
    """
    for name in COPIED:
        if file_sha256(folder / name) != manifest.encoder.sha256[name]:
            raise CheckpointError(
                f"{folder / name}: damaged: it does not match its checksum in {TEACHER}"
            )


def open_finetuned(
    folder: Path, device: torch.device
) -> Callable[[Sequence[str]], NDArray[np.float32]]:
    """Load a fine-tuned transformer and return its classifying function.

    Returns:
        A function of texts that returns calibrated probabilities, float32 [texts, labels].

    Raises:
        CheckpointError: the folder is damaged, or fine-tuning has not finished.
        MissingPackageError: the library transformers is not installed.
    """
    manifest, outcome = read_finished(folder)
    check_copies(folder, manifest)
    path = folder / WEIGHTS
    model = EncoderClassifier(build_encoder(folder), label_count=len(manifest.labels))
    try:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != outcome.sha256:
            raise CheckpointError(f"{path}: damaged: it does not match its checksum in {TEACHER}")
        model.load_state_dict(safetensors.torch.load(content))
    except (OSError, RuntimeError, SafetensorError) as problem:
        first_line = str(problem).splitlines()[0]
        raise CheckpointError(f"{path}: damaged: {first_line}") from None
    model.to(device)
    tokenizer = EncoderTokenizer(folder / TOKENIZER, max_tokens=manifest.max_tokens)
    multi_label = manifest.task == "multi-label"

    def classify(texts: Sequence[str]) -> NDArray[np.float32]:
        sequences = tuple(encode_texts(texts, tokenizer))
        dataset = Dataset(sequences, np.zeros((len(sequences), 0), dtype=np.float32))
        logits = finetuned_logits(model, dataset, bfloat16=manifest.bfloat16)
        return probabilities(logits, outcome.temperature, multi_label=multi_label)

    return classify


def finetuned_logits(
    model: EncoderClassifier, dataset: Dataset, *, bfloat16: bool
) -> NDArray[np.float32]:
    """Return the logits of every row, float32 [rows, labels], without dropout."""
    device = model.head.weight.device
    logits = np.empty((len(dataset), model.head.out_features), dtype=np.float32)
    model.eval()
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
        for indices, batch in dataset.batches_by_length(_BATCH):
            moved = batch.to(device)
            logits[indices] = model(moved.ids, moved.lengths).cpu().numpy()
    return logits


def _read_encoder(fields: FieldReader) -> EncoderSummary:
    sums = fields.object("sha256")
    summary = EncoderSummary(
        fields.text("name"), {file: sums.sha256(file) for file in _ENCODER_FILES}
    )
    for reader in (sums, fields):
        reader.finish()
    return summary


def _read_outcome(fields: FieldReader) -> FinetuningOutcome:
    history = []
    for item in fields.objects("history"):
        history.append(
            Epoch(
                number=item.integer("number", low=1),
                train_loss=item.number("train_loss"),
                dev_loss=item.number("dev_loss"),
                dev_score=item.number("dev_score", low=0, high=1),
                seconds=item.number("seconds", low=0),
            )
        )
        item.finish()
    outcome = FinetuningOutcome(
        sha256=fields.sha256("sha256"),
        temperature=fields.number("temperature", low=1e-3, high=1e3),
        best_epoch=fields.integer("best_epoch", low=1, high=len(history)),
        quality=read_quality(fields.object("quality")),
        history=tuple(history),
    )
    fields.finish()
    return outcome
