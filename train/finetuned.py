"""A fine-tuned transformer on disk: the folder that `textgate teach` makes and teachers are in."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError

from textgate.errors import CheckpointError
from textgate.fields import versioned_fields
from textgate.train.dataset import Dataset, encode_texts
from textgate.train.encoders import (
    TOKENIZER,
    WEIGHTS,
    EncoderClassifier,
    EncoderTokenizer,
    build_encoder,
)
from textgate.train.scoring import probabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

FORMAT = "textgate-teacher"
FORMAT_VERSION = 1
TEACHER = "teacher.json"
_LIMIT = 2**26  # bytes; labels can be many
_BATCH = 64


@dataclass(frozen=True)
class FinetunedManifest:
    """What a fine-tuned transformer's folder says about itself.

    Attributes:
        labels: label names in the order of its outputs.
        task: ``single-label`` or ``multi-label``.
        max_tokens: tokens of a text that are read, special ones included.
        temperature: fitted on dev.
        bfloat16: whether it was trained with bfloat16 where that is accurate enough.
        sha256: checksum of the weights' file.
        training: where it comes from and what it reached on dev; informational.
    """

    labels: tuple[str, ...]
    task: str
    max_tokens: int
    temperature: float
    bfloat16: bool
    sha256: str
    training: dict[str, Any]

    def to_json(self) -> str:
        """Return the text of ``teacher.json``."""
        value = {"format": FORMAT, "format_version": FORMAT_VERSION, **vars(self)}
        return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def is_finetuned(folder: Path) -> bool:
    """Return whether the folder looks like a fine-tuned transformer."""
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
    fields = versioned_fields(
        content,
        where=str(path),
        error=CheckpointError,
        limit=_LIMIT,
        format=FORMAT,
        version=FORMAT_VERSION,
        otherwise="make it again with textgate teach",
    )
    training = fields.object("training")
    manifest = FinetunedManifest(
        labels=fields.texts("labels"),
        task=fields.text("task", choices=("single-label", "multi-label")),
        max_tokens=fields.integer("max_tokens", low=1, high=1_000_000),
        temperature=fields.number("temperature", low=1e-3, high=1e3),
        bfloat16=fields.boolean("bfloat16"),
        sha256=fields.sha256("sha256"),
        training={name: training.raw(name) for name in training.names()},
    )
    fields.finish()
    return manifest


def save_weights(folder: Path, model: EncoderClassifier) -> str:
    """Write a model's weights and return their file's checksum.

    Raises:
        OSError: they cannot be written.
    """
    tensors = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
    content = safetensors.torch.save(tensors)
    (folder / WEIGHTS).write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def open_finetuned(
    folder: Path, device: torch.device
) -> Callable[[Sequence[str]], NDArray[np.float32]]:
    """Load a fine-tuned transformer and return what gives probabilities, float32 [texts, labels].

    Raises:
        CheckpointError: the folder is damaged.
        TextgateError: the library transformers is not installed.
    """
    manifest = read_finetuned(folder)
    model = EncoderClassifier(build_encoder(folder), label_count=len(manifest.labels))
    try:
        content = (folder / WEIGHTS).read_bytes()
        if hashlib.sha256(content).hexdigest() != manifest.sha256:
            raise CheckpointError(f"{folder / WEIGHTS}: damaged: it does not match its checksum")
        model.load_state_dict(safetensors.torch.load(content))
    except (OSError, RuntimeError, SafetensorError) as problem:
        first_line = str(problem).splitlines()[0]
        raise CheckpointError(f"{folder / WEIGHTS}: damaged: {first_line}") from None
    model.to(device)
    tokenizer = EncoderTokenizer(folder / TOKENIZER, max_tokens=manifest.max_tokens)
    multi_label = manifest.task == "multi-label"

    def answer(texts: Sequence[str]) -> NDArray[np.float32]:
        sequences = tuple(encode_texts(texts, tokenizer))
        dataset = Dataset(sequences, np.zeros((len(sequences), 0), dtype=np.float32))
        logits = finetuned_logits(model, dataset, bfloat16=manifest.bfloat16)
        return probabilities(logits, manifest.temperature, multi_label=multi_label)

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
