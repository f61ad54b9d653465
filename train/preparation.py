"""Everything that is settled before the first step: rows, settings, tokenizer, where to start."""

from __future__ import annotations

import dataclasses
import platform
from dataclasses import dataclass
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import textgate
from textgate.bundle.run import DataSummary, RunManifest
from textgate.inference.tokenizer import TextTokenizer
from textgate.rows import Row, fingerprint
from textgate.train.data.dataset import Dataset, encode_rows, encode_texts
from textgate.train.data.split import split_rows
from textgate.train.data.unlabelled import Unlabelled
from textgate.train.fit.config import check_size
from textgate.train.fit.initialization import Start
from textgate.train.fit.presets import RECIPE
from textgate.train.fit.presets import preset as named_preset
from textgate.train.fit.recipe import recommend
from textgate.train.pretrain.pretrained_settings import fix_settings
from textgate.train.teach.distillation import Distillation
from textgate.train.teach.teachers import check_teachers
from textgate.train.text.bigrams import find_features
from textgate.train.text.embedding import find_vectors, initial_embedding
from textgate.train.text.subwords import build_subword_tokenizer
from textgate.train.text.vectors import NO_VECTORS
from textgate.train.text.vocabulary import build_tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from textgate.rows import Columns
    from textgate.train.fit.config import TrainingConfig
    from textgate.train.pretrain.pretrained import Pretrained
    from textgate.train.teach.teachers import Teacher
    from textgate.train.text.vectors import Vectors


@dataclass(frozen=True)
class Preparation:
    """Everything that is settled before the first step.

    Attributes:
        manifest: what the run's folder will say.
        config: the settings.
        tokenizer_json: the tokenizer.
        train: the training rows, encoded, and behind them the texts without labels, whose targets
            are 0 until a teacher has answered.
        dev: the rows to choose by, encoded.
        dev_rows: the same, as they are.
        start: what training starts from.
        warnings: what somebody should know of the rows, in words.
        notes: what was chosen and why, in words.
        distillation: the teachers and their texts; None without teachers.
    """

    manifest: RunManifest
    config: TrainingConfig
    tokenizer_json: str
    train: Dataset
    dev: Dataset
    dev_rows: Sequence[Row]
    start: Start
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    distillation: Distillation | None


def prepare(
    data: str | Path | Sequence[Row],
    dev: str | Path | Sequence[Row] | None,
    preset: str,
    settings: dict[str, Any],
    columns: Columns,
    teachers: Sequence[Teacher] = (),
    unlabelled: Sequence[str | Path] = (),
    pretrained: Pretrained | None = None,
) -> Preparation:
    """Read the rows and settle the rest.

    Args:
        data: a file of labelled rows, or the rows.
        dev: rows that decide when to stop; None holds some of `data` out.
        preset: the settings to start from.
        settings: single settings by name, which go before the preset's and the recipe's.
        columns: where files keep text and label.
        teachers: models whose answers are learned, too.
        unlabelled: files of texts that they alone label.
        pretrained: what the embedding and the first recurrent layer start from.

    Raises:
        DataError: the rows are missing, malformed or do not suit a classifier.
        ConfigError: settings are wrong or cannot work together, or disagree with what is
            pretrained; or a teacher has other labels.
    """
    if pretrained is not None:
        settings = fix_settings(pretrained, preset, settings)
    config = named_preset(preset).replace(**settings)
    split = split_rows(
        data, dev, columns, task=config.task, dev_fraction=config.dev_fraction, seed=config.seed
    )
    rows, labels, task = split.train, split.labels, split.task
    check_teachers(teachers, labels, task=task, file=split.file)
    said: list[str] = []
    if pretrained is not None:
        said.append(f"starts from {pretrained.path}: {pretrained.note}")
    more = Unlabelled(unlabelled, columns, split.dev)
    said.extend(more.notes)
    distillation = Distillation(tuple(teachers), labels, rows, more) if teachers else None
    spec = NO_VECTORS if pretrained is not None else config.vectors
    vectors = find_vectors(spec, chain((row.text for row in rows), more))
    if preset == RECIPE:
        recipe = recommend(
            rows, labels, task=task, vectors=vectors, unlabelled=more, given=settings
        )
        config = named_preset(preset).replace(**{**recipe.settings, **settings})
        said.extend(recipe.notes(settings))
        if config.vectors == NO_VECTORS:
            vectors = None
    if pretrained is not None:
        tokenizer_json = pretrained.tokenizer_json
    else:
        tokenizer_json = _tokenizer(chain((row.text for row in rows), more), config, vectors)
    tokenizer = TextTokenizer(tokenizer_json, max_tokens=config.max_tokens)
    vocabulary_size = (
        config.vocabulary_size if config.whole_vocabulary else tokenizer.vocabulary_size
    )
    train = _with_texts(
        encode_rows(rows, tokenizer, labels, task=task, file=split.file), more, tokenizer
    )
    features = None
    if config.linear_size:
        features = find_features(train.sequences, train.targets, most_buckets=config.linear_buckets)
    architecture = config.architecture(
        vocabulary_size=vocabulary_size,
        label_count=len(labels),
        task=task,
        linear_tokens=0 if features is None else len(features.token_weights),
        linear_buckets=0 if features is None else len(features.fingerprints),
    )
    check_size(architecture)
    start = Start(
        embedding=(
            pretrained.embedding
            if pretrained is not None
            else _embedding(tokenizer_json, config, vectors, rows=vocabulary_size)
        ),
        layers={} if pretrained is None else pretrained.layers,
        features=features,
    )
    manifest = RunManifest(
        architecture=architecture,
        labels=labels,
        max_tokens=config.max_tokens,
        preset=preset,
        settings=config.to_json(),
        train=DataSummary(split.file, len(rows), fingerprint(rows)),
        dev=DataSummary(split.dev_file, len(split.dev), fingerprint(split.dev)),
        versions={
            "textgate": textgate.__version__,
            "torch": version("torch"),
            "tokenizers": version("tokenizers"),
            "python": platform.python_version(),
        },
        teaching=None if distillation is None else distillation.summary,
        pretrained=None if pretrained is None else pretrained.summary,
    )
    return Preparation(
        manifest=manifest,
        config=config,
        tokenizer_json=tokenizer_json,
        train=train,
        dev=encode_rows(split.dev, tokenizer, labels, task=task, file=split.dev_file, soft=False),
        dev_rows=split.dev,
        start=start,
        warnings=split.notes,
        notes=tuple(said),
        distillation=distillation,
    )


def _embedding(
    tokenizer_json: str, config: TrainingConfig, vectors: Vectors | None, *, rows: int
) -> NDArray[np.float32] | None:
    if vectors is None:
        return None
    return initial_embedding(
        tokenizer_json, vectors, rows=rows, size=config.embedding_size, seed=config.seed
    )


def _with_texts(rows: Dataset, texts: Unlabelled, tokenizer: TextTokenizer) -> Dataset:
    """Return the rows with more texts behind them, which have no targets yet."""
    if not len(texts):
        return rows
    nothing = np.zeros((len(texts), rows.targets.shape[1]), dtype=np.float32)
    return dataclasses.replace(
        rows,
        sequences=(*rows.sequences, *encode_texts(texts, tokenizer)),
        targets=np.concatenate([rows.targets, nothing]),
    )


def _tokenizer(texts: Iterable[str], config: TrainingConfig, vectors: Vectors | None) -> str:
    if config.tokenizer == "words":
        return build_tokenizer(
            texts, vocabulary_size=config.vocabulary_size, max_tokens=config.max_tokens
        )
    return build_subword_tokenizer(
        texts,
        vocabulary_size=config.vocabulary_size,
        max_tokens=config.max_tokens,
        known=() if vectors is None else list(vectors.words),
    )
