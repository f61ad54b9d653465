"""A pretrained embedding and recurrent layer on disk, as `textgate pretrain` writes it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import torch

from textgate.bundle.architecture import MAX_SIZE
from textgate.bundle.run import (
    MAX_MANIFEST_BYTES,
    MODEL,
    TOKENIZER,
    DataSummary,
    ModelSummary,
    written_name,
)
from textgate.bundle.schema import PositiveCount, Range, Sha256
from textgate.bundle.strict_json import Format
from textgate.errors import CheckpointError
from textgate.train.pretraining.language_model import LanguageModel
from textgate.train.pretraining.pretrainer import PretrainingEpoch
from textgate.train.pretraining.pretraining_config import PretrainingConfig
from textgate.train.training.checkpoint import read_tensors, reporting_damage
from textgate.train.training.folder import check_best_epoch, read_manifest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMAT = Format(
    "textgate-pretrained",
    version=1,
    limit=MAX_MANIFEST_BYTES,
    remedy="pretrain again, or use the textgate release that wrote it",
)
PRETRAINED = "pretrained.json"
EMBEDDING = "embedding.weight"
LAYER = "layers.0."  # prefix of the recurrent layer's tensors


@dataclass(frozen=True)
class Outcome:
    """Result of a finished pretraining.

    Attributes:
        sha256: checksum of the file with the weights.
        best_epoch: number of the epoch that the weights are from.
        history: every epoch.
    """

    sha256: Sha256
    best_epoch: PositiveCount
    history: tuple[PretrainingEpoch, ...]

    def __post_init__(self) -> None:
        check_best_epoch(self.best_epoch, self.history)

    @property
    def perplexity(self) -> float:
        """Perplexity of the best epoch per token, on the held-out texts."""
        return self.history[self.best_epoch - 1].perplexity


@dataclass(frozen=True)
class PretrainedManifest:
    """Contents of ``pretrained.json``.

    Attributes:
        settings: the settings.
        vocabulary_size: rows of the embedding.
        texts: the texts of each file.
        held_out: number of texts that chose the epoch.
        tokenizer_sha256: checksum of the tokenizer.
        versions: version of each tool by its name.
        outcome: the result; None until pretraining has finished.
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
    """The parts of a finished folder that training starts from.

    Attributes:
        path: the folder.
        settings: the settings of pretraining.
        tokenizer_json: the tokenizer.
        embedding: float32 [vocabulary, embedding].
        layers: tensors of the recurrent layer, by their names in a classifier.
        summary: name and checksum, for the manifest of the run.
    """

    path: Path
    settings: PretrainingConfig
    tokenizer_json: str
    embedding: NDArray[np.float32]
    layers: dict[str, torch.Tensor]
    summary: ModelSummary

    @property
    def note(self) -> str:
        """The sizes as text."""
        of, words = self.settings, len(self.embedding)
        return f"{words:,} words x {of.embedding_size}, {of.cell} of {of.hidden_size} units"


def read_pretrained(folder: Path) -> PretrainedManifest:
    """Return the manifest of a pretrained folder.

    Raises:
        CheckpointError: it is missing, damaged, or has another format version.
    """
    path = folder / PRETRAINED
    if not path.is_file():
        raise CheckpointError(
            f"{folder} is not pretrained: it has no {PRETRAINED}; make one with textgate pretrain"
        )
    return read_manifest(path, PretrainedManifest, FORMAT)


def open_pretrained(folder: Path) -> Pretrained:
    """Return the parts of a finished folder that training starts from.

    Raises:
        CheckpointError: it is no pretrained folder, unfinished, damaged, or has another format
            version.
    """
    manifest = read_pretrained(folder)
    if manifest.outcome is None:
        raise CheckpointError(
            f"{folder}: pretraining has not finished; continue it with textgate pretrain --resume"
        )
    tokenizer = read_pretrained_tokenizer(folder, manifest)
    path = folder / MODEL
    with reporting_damage(path):
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
    """Refuse weights of another network than the one in the manifest."""
    with torch.random.fork_rng(devices=[]):  # the initial weights are random
        network = LanguageModel(manifest.vocabulary_size, manifest.settings)
    for name, weight in network.state_dict().items():
        shape = list(tensors[name].shape) if name in tensors else "none"
        if shape != list(weight.shape):
            raise CheckpointError(
                f"{path}: damaged: {name} should be {list(weight.shape)}, as {PRETRAINED} has it, "
                f"found {shape}"
            )


def read_pretrained_tokenizer(folder: Path, manifest: PretrainedManifest) -> str:
    """Return the tokenizer of a folder.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    path = folder / TOKENIZER
    with reporting_damage(path):
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != manifest.tokenizer_sha256:
            raise ValueError(f"it does not match its checksum in {PRETRAINED}")
        return content.decode("utf-8")
