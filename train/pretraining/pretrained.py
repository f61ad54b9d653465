"""A pretrained embedding and recurrent layer on disk, as `textgate pretrain` writes it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import torch

from textgate.atomic import new_folder
from textgate.bundle.architecture import MAX_SIZE, Size
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
from textgate.errors import CheckpointError, ConfigError
from textgate.train.pretraining.distiller import DistillationEpoch
from textgate.train.pretraining.labelled import LabelledSummary
from textgate.train.pretraining.language_model import LanguageModel
from textgate.train.pretraining.packing import packed, unpacked
from textgate.train.pretraining.pretrainer import PretrainingEpoch
from textgate.train.pretraining.pretraining_config import PretrainingConfig
from textgate.train.pretraining.sentence_encoder import SentenceEncoder
from textgate.train.teaching.finetuned import EncoderSummary
from textgate.train.text.subwords import first_ids
from textgate.train.training.checkpoint import (
    file_sha256,
    read_tensors,
    reporting_damage,
    write_tensors,
)
from textgate.train.training.folder import check_best_epoch, read_manifest
from textgate.train.training.probe import Projection

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
ENGLISH_ENCODER = "english"  # the sentence encoder in the package
_EMBEDDING = "embedding.weight"
_LAYER = "layers.0."  # prefix of the recurrent layer's tensors
_PROJECTION = "projection."


@dataclass(frozen=True)
class Outcome:
    """Result of a finished language model.

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

    @property
    def score(self) -> str:
        """The perplexity as text."""
        return f"perplexity {self.perplexity:,.1f}"


@dataclass(frozen=True)
class DistillationOutcome:
    """Result of a finished sentence encoder.

    Attributes:
        sha256: checksum of the file with the weights.
        best_epoch: number of the epoch that the weights are from.
        history: every epoch.
    """

    sha256: Sha256
    best_epoch: PositiveCount
    history: tuple[DistillationEpoch, ...]

    def __post_init__(self) -> None:
        check_best_epoch(self.best_epoch, self.history)

    @property
    def cosine(self) -> float:
        """Mean cosine of the best epoch with the teacher, on the held-out texts."""
        return self.history[self.best_epoch - 1].cosine

    @property
    def score(self) -> str:
        """The cosine as text."""
        return f"cosine {self.cosine:.4f}"


@dataclass(frozen=True)
class SentenceTeacher:
    """The teacher of a sentence encoder, and the labelled rows it also learns.

    Attributes:
        teacher: name and checksums of the transformer.
        components: number of the principal components of its vectors that the encoder learned.
        bfloat16: whether the teacher, and the recurrent layer in training, compute in bfloat16.
        labelled: the labelled rows of each task.
    """

    teacher: EncoderSummary
    components: Size
    bfloat16: bool
    labelled: tuple[LabelledSummary, ...] = ()

    @property
    def projected(self) -> int:
        """Number of rows of the projection: the components, then the labels of all tasks."""
        return self.components + sum(len(task.labels) for task in self.labelled)


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
        outcome: the result of a language model; None until it has finished.
        distillation: the teacher of a sentence encoder; None for a language model.
        distilled: the result of a sentence encoder; None until it has finished.
    """

    settings: PretrainingConfig
    vocabulary_size: Annotated[int, Range(3, MAX_SIZE)]
    texts: tuple[DataSummary, ...]
    held_out: PositiveCount
    tokenizer_sha256: Sha256
    versions: dict[str, str]
    outcome: Outcome | None = None
    distillation: SentenceTeacher | None = None
    distilled: DistillationOutcome | None = None

    def __post_init__(self) -> None:
        wrong = self.distilled if self.distillation is None else self.outcome
        if wrong is not None:
            raise ConfigError("its outcome is not that of its objective")

    @property
    def result(self) -> Outcome | DistillationOutcome | None:
        """The result of either objective; None until pretraining has finished."""
        return self.outcome or self.distilled

    def finished(self, result: Outcome | DistillationOutcome) -> PretrainedManifest:
        """Return the manifest with a result."""
        if isinstance(result, Outcome):
            return replace(self, outcome=result)
        return replace(self, distilled=result)

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
        projection: the projection of a sentence encoder; None for a language model.
    """

    path: Path
    settings: PretrainingConfig
    tokenizer_json: str
    embedding: NDArray[np.float32]
    layers: dict[str, torch.Tensor]
    summary: ModelSummary
    projection: Projection | None = None

    @property
    def is_packaged(self) -> bool:
        """Whether it is the sentence encoder in the package."""
        return self.path == _english()

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


def open_pretrained(folder: str | Path) -> Pretrained:
    """Return the parts of a finished folder that training starts from.

    Args:
        folder: the folder; or ``english`` for the sentence encoder in the package.

    Raises:
        CheckpointError: it is no pretrained folder, unfinished, damaged, or has another format
            version; or the package lacks the sentence encoder.
    """
    name = None
    if str(folder) == ENGLISH_ENCODER:
        name, folder = ENGLISH_ENCODER, _english()
    folder = Path(folder)
    manifest, result = _read_finished(folder)
    tokenizer = read_pretrained_tokenizer(folder, manifest)
    path = folder / MODEL
    with reporting_damage(path):
        tensors = unpacked(_read_weights(path, result))
    _check_shapes(tensors, manifest, path)
    return Pretrained(
        path=folder,
        settings=manifest.settings,
        tokenizer_json=tokenizer,
        embedding=tensors[_EMBEDDING].numpy(),
        layers={name: value for name, value in tensors.items() if name.startswith(_LAYER)},
        summary=ModelSummary(name or written_name(folder.resolve().name), result.sha256),
        projection=None
        if manifest.distillation is None
        else Projection(
            weight=tensors[f"{_PROJECTION}weight"].numpy(),
            bias=tensors[f"{_PROJECTION}bias"].numpy(),
        ),
    )


def pack(folder: Path, output: Path, *, max_words: int | None = None, force: bool = False) -> None:
    """Write a finished folder again with weights of int8, in a quarter of the space.

    `open_pretrained` reads it like any other. Every matrix has one scale per row.

    Args:
        folder: the folder.
        output: the folder to create.
        max_words: largest number of ids to keep, of the most useful words; None for all.
        force: replace a pretrained folder in `output`.

    Raises:
        CheckpointError: the folder is no pretrained folder, unfinished, damaged, or packed already;
            or `output` exists or cannot be written.
    """
    manifest, result = _read_finished(folder)
    tokenizer_json = read_pretrained_tokenizer(folder, manifest)
    path = folder / MODEL
    with reporting_damage(path):
        tensors = _read_weights(path, result)
        if any(tensor.dtype != torch.float32 for tensor in tensors.values()):
            raise ValueError("it has int8 weights already")
    _check_shapes(tensors, manifest, path)
    if max_words is not None and max_words < manifest.vocabulary_size:
        tokenizer_json = first_ids(tokenizer_json, max_words)
        tensors[_EMBEDDING] = tensors[_EMBEDDING][:max_words].clone()
        digest = hashlib.sha256(tokenizer_json.encode("utf-8")).hexdigest()
        manifest = replace(manifest, vocabulary_size=max_words, tokenizer_sha256=digest)
    with new_folder(output, force=force, error=CheckpointError, complete_marker=PRETRAINED) as new:
        (new / TOKENIZER).write_bytes(tokenizer_json.encode("utf-8"))
        write_tensors(new / MODEL, packed(tensors), {})
        done = manifest.finished(replace(result, sha256=file_sha256(new / MODEL)))
        (new / PRETRAINED).write_text(done.to_json(), encoding="utf-8")


def _english() -> Path:
    """Return the folder of the sentence encoder in the package."""
    folder = Path(str(resources.files("textgate.train") / ENGLISH_ENCODER / "encoder"))
    if not (folder / PRETRAINED).is_file():
        raise CheckpointError(
            f"{folder}: this installation lacks the sentence encoder {ENGLISH_ENCODER!r}; install "
            "textgate again, or give a folder that textgate pretrain --teacher made"
        )
    return folder


def _read_finished(folder: Path) -> tuple[PretrainedManifest, Outcome | DistillationOutcome]:
    manifest = read_pretrained(folder)
    if manifest.result is None:
        raise CheckpointError(
            f"{folder}: pretraining has not finished; continue it with textgate pretrain --resume"
        )
    return manifest, manifest.result


def _read_weights(path: Path, result: Outcome | DistillationOutcome) -> dict[str, torch.Tensor]:
    """Return the tensors as they are stored. Call it inside `reporting_damage`."""
    if hashlib.sha256(path.read_bytes()).hexdigest() != result.sha256:
        raise ValueError(f"it does not match its checksum in {PRETRAINED}")
    tensors, _ = read_tensors(path)
    return tensors


def _check_shapes(
    tensors: dict[str, torch.Tensor], manifest: PretrainedManifest, path: Path
) -> None:
    """Refuse weights of another network than the one in the manifest."""
    size, config, taught = manifest.vocabulary_size, manifest.settings, manifest.distillation
    with torch.device("meta"):  # only the shapes are needed
        network = (
            LanguageModel(size, config)
            if taught is None
            else SentenceEncoder(size, config, components=taught.projected)
        )
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
