"""From texts without labels to a pretrained folder: the story that `textgate pretrain` tells."""

from __future__ import annotations

import dataclasses
import hashlib
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import textgate
from textgate.atomic import new_folder
from textgate.errors import CheckpointError
from textgate.inference.tokenizer import TextTokenizer
from textgate.rows import Columns
from textgate.train.data.corpus import encode_corpus
from textgate.train.data.unlabelled import Unlabelled
from textgate.train.fit.checkpoint import file_sha256, write_tensors, write_whole
from textgate.train.fit.config import check_size
from textgate.train.fit.device import find_device
from textgate.train.fit.progress import Progress
from textgate.train.fit.resuming import require_same_settings, tidy
from textgate.train.fit.settings import named_settings
from textgate.train.pretrain import pretrained as pretrained_folder
from textgate.train.pretrain.pretrained import (
    Outcome,
    PretrainedManifest,
    is_pretrained,
    read_pretrained,
    read_tokenizer,
)
from textgate.train.pretrain.pretrainer import Pretrainer, load_pretraining, save_pretraining
from textgate.train.pretrain.pretraining_config import PretrainingConfig
from textgate.train.text.embedding import find_vectors, initial_embedding
from textgate.train.text.subwords import build_subword_tokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textgate.train.pretrain.pretrainer import PretrainingState


@dataclass(frozen=True)
class PretrainedModel:
    """A finished pretraining.

    Attributes:
        path: its folder, for `textgate.train.fit`.
        manifest: what the folder says.
        outcome: what it reached.
    """

    path: Path
    manifest: PretrainedManifest
    outcome: Outcome


def pretrain(
    texts: Sequence[str | Path],
    output: str | Path,
    *,
    settings: dict[str, Any] | None = None,
    columns: Columns | None = None,
    device: str = "cpu",
    resume: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> PretrainedModel:
    """Train a language model on texts and keep what a classifier can start from.

    The embedding and the recurrent layer learn to say which token comes next (Dai and Le 2015,
    "Semi-supervised Sequence Learning").

    Args:
        texts: files of texts: rows of any format, whose labels are ignored, or one text a line.
        output: the folder to make.
        settings: single settings by name, see `textgate.train.PretrainingConfig`.
        columns: where the files keep the text.
        device: where to compute, as for `textgate.train.fit`.
        resume: go on with what is in `output`, if there is something; it must be the same.
        force: replace what is there.
        progress: hears how it goes.

    Returns:
        The finished pretraining.

    Raises:
        DataError: the texts or the vectors are missing, malformed or too few.
        ConfigError: settings are wrong or cannot work together, or training diverged.
        CheckpointError: the folder exists, cannot be written, is damaged, or is not what to resume.
    """
    # Absolute: `progress` may change the working directory.
    output, progress = Path(output).absolute(), progress or Progress()
    where = find_device(device)
    stored = read_pretrained(output) if resume and is_pretrained(output) else None
    config = (PretrainingConfig() if stored is None else stored.settings).replace(
        **named_settings(settings)
    )
    if stored is not None:
        require_same_settings(output, vars(stored.settings), vars(config))
    found = Unlabelled(texts, columns or Columns(), purpose="to pretrain on")
    checkpoint = output / pretrained_folder.CHECKPOINT
    state = None
    if stored is not None:
        _require_same_texts(output, stored, found)
        if stored.outcome is not None:
            progress.note(f"{output} is finished already")
            tidy(output, pretrained_folder.CHECKPOINT)
            return PretrainedModel(output, stored, stored.outcome)
        if checkpoint.is_file():
            state = load_pretraining(checkpoint)
            progress.note(f"resuming after step {state.step:,}")
    vectors = find_vectors(config.vectors, found) if state is None else None
    if stored is None:
        for note in found.notes:  # who resumes has heard them
            progress.note(note)
        tokenizer_json = build_subword_tokenizer(
            found,
            vocabulary_size=config.vocabulary_size,
            max_tokens=config.max_tokens,
            known=() if vectors is None else list(vectors.words),
        )
    else:
        tokenizer_json = read_tokenizer(output, stored)
    tokenizer = TextTokenizer(tokenizer_json, max_tokens=config.max_tokens)
    rows = tokenizer.vocabulary_size
    check_size(
        config.training().architecture(vocabulary_size=rows, label_count=2, task="single-label")
    )
    embedding = None
    if vectors is not None:
        embedding = initial_embedding(
            tokenizer_json, vectors, rows=rows, size=config.embedding_size, seed=config.seed
        )
    train, held_out = encode_corpus(found, tokenizer, vocabulary_size=rows, seed=config.seed)
    manifest = stored or PretrainedManifest(
        settings=config,
        vocabulary_size=rows,
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
        _create(output, manifest, tokenizer_json, force=force)
    pretrainer = Pretrainer(
        config,
        train,
        held_out,
        vocabulary_size=rows,
        embedding=embedding,
        device=where,
        state=state,
    )
    progress.note(
        f"{len(train):,} texts with {train.positions:,} tokens to learn from, {len(held_out):,} "
        f"with {held_out.positions:,} held out, {rows:,} words, {pretrainer.steps:,} steps an epoch"
    )
    pretrainer.run(lambda reached: save_pretraining(checkpoint, reached), progress)
    return _finish(output, manifest, pretrainer.state)


def _create(
    output: Path, manifest: PretrainedManifest, tokenizer_json: str, *, force: bool
) -> None:
    """Make the folder, with all that is settled before the first step."""
    with new_folder(
        output,
        force=force,
        error=CheckpointError,
        complete_marker=pretrained_folder.PRETRAINED,
    ) as folder:
        content = tokenizer_json.encode("utf-8")
        (folder / pretrained_folder.TOKENIZER).write_bytes(content)
        text = manifest.to_json()
        (folder / pretrained_folder.PRETRAINED).write_text(text, encoding="utf-8")


def _finish(output: Path, manifest: PretrainedManifest, state: PretrainingState) -> PretrainedModel:
    """Write the weights, then that they are there; until then the checkpoint stays."""
    path = output / pretrained_folder.MODEL
    write_tensors(path, state.best_weights, {})
    outcome = Outcome(
        sha256=file_sha256(path),
        best_epoch=state.best_epoch,
        history=tuple(state.history),
    )
    manifest = dataclasses.replace(manifest, outcome=outcome)
    write_whole(output / pretrained_folder.PRETRAINED, manifest.to_json().encode("utf-8"))
    tidy(output, pretrained_folder.CHECKPOINT)
    return PretrainedModel(output, manifest, outcome)


def _require_same_texts(output: Path, stored: PretrainedManifest, found: Unlabelled) -> None:
    begun = [file.sha256 for file in stored.texts]
    if begun != [file.sha256 for file in found.summaries]:
        raise CheckpointError(
            f"{output}: begun with other texts than these; it had "
            f"{', '.join(file.file for file in stored.texts)}: give the same, in the same order, "
            "or begin anew in another folder"
        )
