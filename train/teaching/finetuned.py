"""A fine-tuned transformer on disk, as `textgate teach` writes it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError

from textgate.bundle.architecture import MaxTokens, Task
from textgate.bundle.manifest import Quality
from textgate.bundle.run import MAX_MANIFEST_BYTES, DataSummary, written_name
from textgate.bundle.schema import Keys, PositiveCount, Range, Sha256
from textgate.bundle.strict_json import Format
from textgate.errors import CheckpointError
from textgate.train.data.dataset import Dataset
from textgate.train.data.encoding import encode_texts
from textgate.train.teaching.encoders import (
    CONFIG,
    MINILM,
    TOKENIZER,
    WEIGHTS,
    EncoderClassifier,
    EncoderTokenizer,
    build_encoder,
)
from textgate.train.teaching.finetuning_config import FinetuningConfig
from textgate.train.training.checkpoint import Epoch, file_sha256
from textgate.train.training.folder import check_best_epoch, read_manifest
from textgate.train.training.scoring import probabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

FORMAT = Format(
    "textgate-teacher",
    version=2,
    limit=MAX_MANIFEST_BYTES,
    remedy="make it again with textgate teach, or use the textgate release that wrote it",
)
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
    sha256: Annotated[dict[str, Sha256], Keys(_ENCODER_FILES)]


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

    sha256: Sha256
    temperature: Annotated[float, Range(1e-3, 1e3)]
    best_epoch: PositiveCount
    quality: Quality
    history: tuple[Epoch, ...]

    def __post_init__(self) -> None:
        check_best_epoch(self.best_epoch, self.history)


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
    task: Task
    max_tokens: MaxTokens
    bfloat16: bool
    settings: FinetuningConfig
    encoder: EncoderSummary
    train: DataSummary
    dev: DataSummary
    versions: dict[str, str]
    outcome: FinetuningOutcome | None = None

    def to_json(self) -> str:
        """Return the text of ``teacher.json``."""
        return FORMAT.to_text(self)


def is_finetuned(folder: Path) -> bool:
    """Return whether the folder looks like a fine-tuned transformer, finished or not."""
    return (folder / TEACHER).is_file()


def read_finetuned(folder: Path) -> FinetunedManifest:
    """Return the manifest of a fine-tuned transformer.

    Raises:
        CheckpointError: it is missing, damaged, or has another format version.
    """
    path = folder / TEACHER
    return read_manifest(path, FinetunedManifest, FORMAT)


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
