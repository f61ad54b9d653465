"""`pretrain`: from texts without labels to a pretrained embedding and recurrent layer."""

from __future__ import annotations

import dataclasses
import hashlib
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import textgate
from textgate.bundle.run import TOKENIZER
from textgate.inference.tokenizer import TextTokenizer
from textgate.rows import Columns
from textgate.train.data.corpus import encode_corpus
from textgate.train.data.unlabelled import Unlabelled
from textgate.train.pretraining.pretrained import (
    PRETRAINED,
    Outcome,
    PretrainedManifest,
    read_pretrained,
    read_pretrained_tokenizer,
)
from textgate.train.pretraining.pretrainer import Pretrainer, PretrainingEpoch
from textgate.train.pretraining.pretraining_config import PretrainingConfig
from textgate.train.text.embedding import find_vectors, initial_embedding
from textgate.train.text.subwords import build_subword_tokenizer
from textgate.train.training.config import check_size
from textgate.train.training.device import find_device
from textgate.train.training.folder import RunFolder
from textgate.train.training.loop import train_epochs
from textgate.train.training.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class PretrainedModel:
    """A finished pretraining.

    Attributes:
        path: its folder, absolute; give it to `textgate.train.fit` as ``pretrained``.
        manifest: what was pretrained on what.
        outcome: the best epoch, every epoch, and ``perplexity``, that of the best epoch.
    """

    path: Path
    manifest: PretrainedManifest
    outcome: Outcome


def pretrain(
    texts: Sequence[str | Path],
    output: str | Path,
    *,
    settings: PretrainingConfig | Mapping[str, Any] | None = None,
    columns: Columns | None = None,
    device: str = "cpu",
    resume: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> PretrainedModel:
    """Train a language model on texts, for classifiers to start from.

    The embedding and the recurrent layer learn to predict the next token (Dai and Le 2015,
    "Semi-supervised Sequence Learning").

    Args:
        texts: files of rows in any format, whose labels are ignored, or ``.txt`` files with one
            text per line.
        output: the folder to create.
        settings: all settings, or some of them by name; the others keep the defaults of
            `PretrainingConfig`, or the values of the folder that is resumed.
        columns: which columns of the files hold the text.
        device: where to compute: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, or ``auto``.
        resume: continue in `output` if pretraining has begun there, with the same texts and
            settings.
        force: replace a pretrained folder in `output`.
        progress: receives notes, steps and epochs; None for no progress.

    Returns:
        The finished pretraining.

    Raises:
        DataError: the texts or the vectors are missing, malformed or too few.
        ConfigError: the settings or the device are wrong, or pretraining diverged.
        CheckpointError: the folder exists, cannot be written, is damaged, or was begun with other
            texts or settings.
    """
    # Absolute: `progress` may change the working directory.
    folder = RunFolder(Path(output).absolute(), PRETRAINED, PretrainingEpoch)
    progress = progress or Progress()
    where = find_device(device)
    stored, config = folder.begin(
        read_pretrained, PretrainingConfig(), settings, resume=resume, force=force
    )
    found = Unlabelled(texts, columns or Columns(), purpose="to pretrain on")
    state = None
    if stored is not None:
        folder.require_same_sources("texts", stored.texts, found.summaries)
        if stored.outcome is not None:
            folder.leave_finished(progress)
            return PretrainedModel(folder.path, stored, stored.outcome)
        state = folder.load_checkpoint()
        if state is not None:
            progress.note(f"resuming after step {state.step:,}")
    vectors = find_vectors(config.vectors, found) if state is None else None
    if stored is None:
        for note in found.notes:  # a resumed run has reported them already
            progress.note(note)
        tokenizer_json = build_subword_tokenizer(
            found,
            vocabulary_size=config.vocabulary_size,
            max_tokens=config.max_tokens,
            known=() if vectors is None else list(vectors.words),
        )
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
    learned, held_out = encode_corpus(found, tokenizer, vocabulary_size=size, seed=config.seed)
    manifest = stored or PretrainedManifest(
        settings=config,
        vocabulary_size=size,
        texts=found.summaries,
        held_out=len(held_out),
        tokenizer_sha256=hashlib.sha256(tokenizer_json.encode("utf-8")).hexdigest(),
        versions={
            "textgate": textgate.__version__,
            "torch": version("torch"),
            "tokenizers": version("tokenizers"),
            "python": platform.python_version(),
        },
    )
    if stored is None:
        with folder.create(manifest.to_json(), force=force) as new:
            (new / TOKENIZER).write_bytes(tokenizer_json.encode("utf-8"))
    pretrainer = Pretrainer(
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
        f"{pretrainer.steps // config.epochs:,} steps an epoch"
    )
    train_epochs(pretrainer, folder.save_checkpoint, progress)
    final = pretrainer.state
    outcome = Outcome(
        sha256=folder.save_weights(final.best_weights),
        best_epoch=final.best_epoch,
        history=tuple(final.history),
    )
    manifest = dataclasses.replace(manifest, outcome=outcome)
    folder.finish(manifest.to_json())
    return PretrainedModel(folder.path, manifest, outcome)
