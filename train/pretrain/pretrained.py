"""A pretrained embedding and recurrent layer on disk: what `textgate pretrain` makes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import torch

from textgate.bundle.architecture import MAX_SIZE
from textgate.bundle.run import MANIFEST_LIMIT, DataSummary, ModelSummary, written_name
from textgate.bundle.schema import (
    Place,
    PositiveCount,
    Range,
    Sha256,
    decode,
)
from textgate.bundle.strict_json import Format
from textgate.errors import CheckpointError, ConfigError
from textgate.train.fit.checkpoint import damage_told, read_tensors
from textgate.train.pretrain.language_model import LanguageModel
from textgate.train.pretrain.pretrainer import Pass
from textgate.train.pretrain.pretraining_config import PretrainingConfig

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMAT = Format(
    "textgate-pretrained",
    version=1,
    limit=MANIFEST_LIMIT,
    remedy="pretrain again, or use the textgate release that wrote it",
)
PRETRAINED = "pretrained.json"
TOKENIZER = "tokenizer.json"
CHECKPOINT = "checkpoint.safetensors"
MODEL = "model.safetensors"
EMBEDDING = "embedding.weight"
LAYER = "layers.0."  # what the recurrent layer's tensors begin with


@dataclass(frozen=True)
class Outcome:
    """What is known when pretraining has finished.

    Attributes:
        sha256: checksum of the file with the weights.
        best_epoch: number of the epoch they are from.
        history: every epoch.
    """

    sha256: Sha256
    best_epoch: PositiveCount
    history: tuple[Pass, ...]

    def __post_init__(self) -> None:
        if self.best_epoch > (last := len(self.history)):
            raise ConfigError(
                f"field 'best_epoch' should be a whole number from 1 to {last}, found "
                f"{self.best_epoch}"
            )

    @property
    def perplexity(self) -> float:
        """The best epoch's, on the held-out texts."""
        return self.history[self.best_epoch - 1].perplexity


@dataclass(frozen=True)
class PretrainedManifest:
    """What a pretrained folder says about itself.

    Attributes:
        settings: how it was pretrained.
        vocabulary_size: rows of the embedding.
        texts: the texts, of every file.
        held_out: how many of them chose the epoch.
        tokenizer_sha256: checksum of the tokenizer.
        versions: tool name -> version.
        outcome: None until it has finished.
    """

    settings: PretrainingConfig
    vocabulary_size: Annotated[int, Range(3, MAX_SIZE)]
    texts: tuple[DataSummary, ...]
    held_out: PositiveCount
    tokenizer_sha256: Sha256
    versions: dict[str, str]
    outcome: Outcome | None = None

    def to_json(self) -> str:
        """Return the text of ``pretrained.json``."""
        return FORMAT.to_text(self)


@dataclass(frozen=True)
class Pretrained:
    """What training takes out of a finished folder.

    Attributes:
        path: the folder.
        settings: how it was pretrained.
        tokenizer_json: the tokenizer.
        embedding: float32 [vocabulary, embedding].
        layers: the recurrent layer's tensors, by their names in a classifier.
        summary: what a run remembers of it.
    """

    path: Path
    settings: PretrainingConfig
    tokenizer_json: str
    embedding: NDArray[np.float32]
    layers: dict[str, torch.Tensor]
    summary: ModelSummary

    @property
    def note(self) -> str:
        """What it is, in words."""
        of, words = self.settings, len(self.embedding)
        return f"{words:,} words x {of.embedding_size}, {of.cell} of {of.hidden_size} units"


def is_pretrained(folder: Path) -> bool:
    """Return whether the folder looks like a pretrained one, finished or not."""
    return (folder / PRETRAINED).is_file()


def read_pretrained(folder: Path) -> PretrainedManifest:
    """Return what ``pretrained.json`` in a folder says.

    Raises:
        CheckpointError: it is missing, damaged, or of another version.
    """
    path = folder / PRETRAINED
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise CheckpointError(
            f"{folder} is not pretrained: it has no {PRETRAINED}; make one with textgate pretrain"
        ) from None
    except OSError as problem:
        raise CheckpointError(f"{path}: cannot be read: {problem.strerror}") from None
    place = Place(str(path), CheckpointError)
    document = FORMAT.read(content, place)
    return decode(PretrainedManifest, document, place)


def open_pretrained(folder: Path) -> Pretrained:
    """Return what training takes out of a finished folder.

    Raises:
        CheckpointError: it is not one, unfinished, damaged, or of another version.
    """
    manifest = read_pretrained(folder)
    if manifest.outcome is None:
        raise CheckpointError(
            f"{folder}: pretraining has not finished; go on with textgate pretrain --resume"
        )
    tokenizer = read_tokenizer(folder, manifest)
    path = folder / MODEL
    with damage_told(path):
        if hashlib.sha256(path.read_bytes()).hexdigest() != manifest.outcome.sha256:
            raise ValueError(f"it does not match its checksum in {PRETRAINED}")
        tensors, _ = read_tensors(path)
    _check_shapes(tensors, manifest, path)
    return Pretrained(
        path=folder,
        settings=manifest.settings,
        tokenizer_json=tokenizer,
        embedding=tensors[EMBEDDING].numpy(),
        layers={name: value for name, value in tensors.items() if name.startswith(LAYER)},
        summary=ModelSummary(written_name(folder.resolve().name), manifest.outcome.sha256),
    )


def _check_shapes(
    tensors: dict[str, torch.Tensor], manifest: PretrainedManifest, path: Path
) -> None:
    """Refuse weights that are not of the network that the folder says it has."""
    with torch.random.fork_rng(devices=[]):  # its first weights are random
        network = LanguageModel(manifest.vocabulary_size, manifest.settings)
    for name, weight in network.state_dict().items():
        shape = list(tensors[name].shape) if name in tensors else "none"
        if shape != list(weight.shape):
            raise CheckpointError(
                f"{path}: damaged: {name} should be {list(weight.shape)}, as {PRETRAINED} has it, "
                f"found {shape}"
            )


def read_tokenizer(folder: Path, manifest: PretrainedManifest) -> str:
    """Return the tokenizer in a folder.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    path = folder / TOKENIZER
    with damage_told(path):
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != manifest.tokenizer_sha256:
            raise ValueError(f"it does not match its checksum in {PRETRAINED}")
        return content.decode("utf-8")
