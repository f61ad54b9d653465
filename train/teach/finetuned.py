"""A fine-tuned transformer on disk: the folder that `textgate teach` makes and teachers are in."""

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
from textgate.bundle.run import MANIFEST_LIMIT, DataSummary, written_name
from textgate.bundle.schema import (
    Keys,
    Place,
    PositiveCount,
    Range,
    Sha256,
    decode,
)
from textgate.bundle.strict_json import Format
from textgate.errors import CheckpointError, ConfigError
from textgate.train.data.dataset import Dataset, encode_texts
from textgate.train.fit.checkpoint import Epoch, file_sha256
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

FORMAT = Format(
    "textgate-teacher",
    version=2,
    limit=MANIFEST_LIMIT,
    remedy="make it again with textgate teach, or use the textgate release that wrote it",
)
TEACHER = "teacher.json"
CHECKPOINT = "checkpoint.safetensors"
_BATCH = 64
COPIED = (CONFIG, TOKENIZER)  # of the encoder's files, those that stay as they are
_ENCODER_FILES = (*COPIED, WEIGHTS)


@dataclass(frozen=True)
class EncoderSummary:
    """The encoder that is fine-tuned.

    Attributes:
        name: its folder's name, or ``minilm``.
        sha256: the checksum of each of its files, by name.
    """

    name: str
    sha256: Annotated[dict[str, Sha256], Keys(_ENCODER_FILES)]


@dataclass(frozen=True)
class FinetuningOutcome:
    """What is known when fine-tuning has finished.

    Attributes:
        sha256: checksum of the file with the weights.
        temperature: fitted on dev.
        best_epoch: number of the epoch the weights are from.
        quality: on dev, calibrated.
        history: every epoch.
    """

    sha256: Sha256
    temperature: Annotated[float, Range(1e-3, 1e3)]
    best_epoch: PositiveCount
    quality: Quality
    history: tuple[Epoch, ...]

    def __post_init__(self) -> None:
        if self.best_epoch > (last := len(self.history)):
            raise ConfigError(
                f"field 'best_epoch' should be a whole number from 1 to {last}, found "
                f"{self.best_epoch}"
            )


@dataclass(frozen=True)
class FinetunedManifest:
    """What a fine-tuned transformer's folder says about itself.

    Attributes:
        labels: label names in the order of its outputs.
        task: ``single-label`` or ``multi-label``.
        max_tokens: tokens of a text that are read, special ones included.
        bfloat16: whether it is trained with bfloat16 where that is accurate enough.
        settings: how it is fine-tuned.
        encoder: what it was before.
        train: the rows it learns from.
        dev: the rows that choose the epoch and the temperature.
        versions: tool name -> version.
        outcome: None until it has finished.
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
    """Return what ``teacher.json`` in a folder says.

    Raises:
        CheckpointError: it is missing, damaged, or of another version.
    """
    path = folder / TEACHER
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise CheckpointError(f"{path}: cannot be read: {problem.strerror}") from None
    place = Place(str(path), CheckpointError)
    document = FORMAT.read(content, place)
    return decode(FinetunedManifest, document, place)


def read_finished(folder: Path) -> tuple[FinetunedManifest, FinetuningOutcome]:
    """Return what ``teacher.json`` says in a folder that can teach.

    Raises:
        CheckpointError: it is missing, damaged, or of another version; or it has not finished.
    """
    manifest = read_finetuned(folder)
    if manifest.outcome is None:
        raise CheckpointError(
            f"{folder}: fine-tuning has not finished, so it cannot teach; go on with textgate "
            "teach --resume"
        )
    return manifest, manifest.outcome


def summarize_encoder(name: str, folder: Path) -> EncoderSummary:
    """Return what a fine-tuned transformer remembers of the encoder it was.

    Args:
        name: how it was asked for.
        folder: where it is.

    Raises:
        CheckpointError: a file cannot be read.
    """
    return EncoderSummary(
        name if name == MINILM else written_name(folder.resolve().name),
        {file: file_sha256(folder / file) for file in _ENCODER_FILES},
    )


def check_copies(folder: Path, manifest: FinetunedManifest) -> None:
    """Refuse a folder whose copies of the encoder's files are not what they were.

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
    """Load a fine-tuned transformer and return what gives probabilities, float32 [texts, labels].

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

    def answer(texts: Sequence[str]) -> NDArray[np.float32]:
        sequences = tuple(encode_texts(texts, tokenizer))
        dataset = Dataset(sequences, np.zeros((len(sequences), 0), dtype=np.float32))
        logits = finetuned_logits(model, dataset, bfloat16=manifest.bfloat16)
        return probabilities(logits, outcome.temperature, multi_label=multi_label)

    return answer


def finetuned_logits(
    model: EncoderClassifier, dataset: Dataset, *, bfloat16: bool
) -> NDArray[np.float32]:
    """Return the logits of every row, float32 [rows, labels], dropout off."""
    device = model.head.weight.device
    logits = np.empty((len(dataset), model.head.out_features), dtype=np.float32)
    model.eval()
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
        for places, batch in dataset.batches_by_length(_BATCH):
            moved = batch.to(device)
            logits[places] = model(moved.ids, moved.lengths).cpu().numpy()
    return logits
