"""Preparation of a training run: rows, settings, tokenizer, datasets and initial values."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from textgate.bundle.run import DataSummary, RunManifest
from textgate.errors import ConfigError
from textgate.inference.tokenizer import TextTokenizer
from textgate.rows import fingerprint
from textgate.train.data.dataset import Dataset
from textgate.train.data.encoding import encode_rows, encode_texts
from textgate.train.data.split import split_rows
from textgate.train.data.unlabelled import Unlabelled
from textgate.train.pretraining.pretrained import ENGLISH_ENCODER, open_pretrained
from textgate.train.pretraining.pretrained_settings import fix_settings
from textgate.train.teaching.distillation import Distillation
from textgate.train.teaching.teachers import check_teachers
from textgate.train.text.bigrams import find_features
from textgate.train.text.embedding import find_vectors, initial_embedding
from textgate.train.text.subwords import build_subword_tokenizer, fit_subword_tokenizer
from textgate.train.text.vectors import NO_VECTORS
from textgate.train.text.vocabulary import build_tokenizer
from textgate.train.training.config import check_size
from textgate.train.training.folder import tool_versions
from textgate.train.training.initialization import Initialization, can_be_probed
from textgate.train.training.presets import RECIPE
from textgate.train.training.presets import preset as named_preset
from textgate.train.training.recipe import MIN_KNOWN_FRACTION, fold_count, known_fraction, recommend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from textgate.bundle.architecture import Architecture
    from textgate.rows import Columns, Row
    from textgate.train.data.folds import Folds
    from textgate.train.data.split import SplitRows
    from textgate.train.pretraining.pretrained import Pretrained
    from textgate.train.teaching.teachers import Teacher
    from textgate.train.text.bigrams import Features
    from textgate.train.text.vectors import Vectors
    from textgate.train.training.config import TrainingConfig


@dataclass(frozen=True)
class Sources:
    """Everything that a network is trained from.

    Attributes:
        data: a file of labelled rows, or the rows.
        dev: the dev rows; None holds out a part of `data`, or makes folds of it.
        columns: where the files keep text and label.
        group_field: column of the groups that a hold-out and folds do not split.
        weight_field: column of the weights of the rows; None for the weights that the rows have.
        teachers: models whose answers are learned, too.
        unlabelled: files of texts that only the teachers label.
        pretrained: the initial embedding and first recurrent layer.
        packaged: whether the packaged encoder may be used if it suits the rows.
    """

    data: str | Path | Sequence[Row]
    dev: str | Path | Sequence[Row] | None
    columns: Columns
    group_field: str | None = None
    weight_field: str | None = None
    teachers: Sequence[Teacher] = ()
    unlabelled: Sequence[str | Path] = ()
    pretrained: Pretrained | None = None
    packaged: bool = False


@dataclass(frozen=True)
class Preparation:
    """Everything that is settled before the first step.

    Attributes:
        manifest: the manifest of the run's folder.
        config: the settings.
        tokenizer_json: the tokenizer.
        train: the encoded training rows, followed by the texts without labels, whose targets are 0
            until the teachers have answered.
        dev: the encoded dev rows.
        dev_rows: the dev rows.
        folds: the folds of the training rows; None with dev rows that were held out or given.
        initialization: the initial values of the network.
        warnings: a sentence for each thing that is odd about the rows.
        notes: a sentence for each choice, with its reason.
        distillation: the teachers and their texts; None without teachers.
    """

    manifest: RunManifest
    config: TrainingConfig
    tokenizer_json: str
    train: Dataset
    dev: Dataset
    dev_rows: Sequence[Row]
    folds: Folds | None
    initialization: Initialization
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    distillation: Distillation | None


def prepare(sources: Sources, preset: str, settings: dict[str, Any]) -> Preparation:
    """Read and check the rows, and settle everything else before the first step.

    Args:
        sources: everything that the network is trained from.
        preset: name of the preset.
        settings: single settings by name, which override those of the preset and the recipe.

    Raises:
        DataError: the rows are missing, malformed or do not suit a classifier.
        ConfigError: settings are wrong, cannot work together, or contradict the pretrained weights;
            or a teacher has other labels.
    """
    notes: list[str] = []
    if sources.pretrained is not None:
        settings = fix_settings(sources.pretrained, preset, settings)
    config = named_preset(preset).replace(**settings)
    split = split_rows(
        sources.data,
        sources.dev,
        sources.columns,
        task=config.task,
        dev_fraction=config.dev_fraction,
        seed=config.seed,
        group_field=sources.group_field,
        weight_field=sources.weight_field,
        folds=_fold_counter(sources, preset, settings),
    )
    check_teachers(sources.teachers, split.labels, task=split.task, file=split.file)
    unlabelled = Unlabelled(sources.unlabelled, sources.columns, split.dev)
    notes += unlabelled.notes
    start = _find_start(sources, preset, settings, config, split, unlabelled)
    notes += start.notes
    settings, config = start.settings, config.replace(**start.settings)
    folds = split.folds.count if split.folds else 0
    if preset == RECIPE:
        recipe = recommend(
            split.train,
            split.labels,
            task=split.task,
            vectors=start.vectors,
            unlabelled=unlabelled,
            given=settings,
            pretrained=start.pretrained is not None,
            sentence_encoder=start.pretrained is not None
            and start.pretrained.projection is not None,
            folds=folds,
        )
        config = config.replace(**{**recipe.settings, **settings})
        notes += recipe.notes(settings)
        if config.vectors == NO_VECTORS:
            start = dataclasses.replace(start, vectors=None)
    if folds:  # there may be fewer rows, or groups of them, than folds were asked for
        config = config.replace(folds=folds)
    tokenizer_json, embedding = _vocabulary(start, config, split, unlabelled)
    tokenizer = TextTokenizer(tokenizer_json, max_tokens=config.max_tokens)
    train, dev = _encode(split, unlabelled, tokenizer)
    features = None
    if config.linear_size:
        features = find_features(train.sequences, train.targets, max_buckets=config.linear_buckets)
    architecture = _architecture(config, split, tokenizer, features)
    if start.vectors is not None:
        rows, size = architecture.vocabulary_size, config.embedding_size
        embedding = initial_embedding(
            tokenizer_json, start.vectors, rows=rows, size=size, seed=config.seed
        )
    distillation = None
    if sources.teachers:
        distillation = Distillation(tuple(sources.teachers), split.labels, split.train, unlabelled)
    pretrained = start.pretrained
    initialization = Initialization(
        embedding,
        features,
        layers={} if pretrained is None else pretrained.layers,
        projection=None if pretrained is None else pretrained.projection,
    )
    if config.frozen and not can_be_probed(initialization, architecture):
        found = "" if pretrained else "; ".join(start.notes)
        raise ConfigError(
            "frozen needs a pretrained encoder and one dense layer after it"
            f"{f', but {found}' if found else ''}; leave out --frozen, or the options that choose "
            "another encoder or network"
        )
    manifest = RunManifest(
        architecture=architecture,
        labels=split.labels,
        max_tokens=config.max_tokens,
        preset=preset,
        settings=config.to_json(),
        train=DataSummary(split.file, len(split.train), fingerprint(split.train)),
        dev=DataSummary(split.dev_file, len(split.dev), fingerprint(split.dev)),
        versions=tool_versions("torch", "tokenizers"),
        teaching=None if distillation is None else distillation.summary,
        pretrained=None if pretrained is None else pretrained.summary,
    )
    return Preparation(
        manifest=manifest,
        config=config,
        tokenizer_json=tokenizer_json,
        train=train,
        dev=dev,
        dev_rows=split.dev,
        folds=split.folds,
        initialization=initialization,
        warnings=split.notes,
        notes=tuple(notes),
        distillation=distillation,
    )


def _fold_counter(
    sources: Sources, preset: str, settings: Mapping[str, Any]
) -> Callable[[int], int]:
    """Return a function from the number of rows to the number of folds, 0 for none."""
    asked = settings.get("folds")
    options = {"dev": "--dev", "teachers": "--teacher", "unlabelled": "--unlabelled"}
    conflict = next((options[name] for name in options if getattr(sources, name)), None)
    if asked and conflict is not None:
        raise ConfigError(
            f"folds does not go with {conflict}, because folds choose with the training rows "
            "alone; leave one of them out"
        )
    if asked is not None:
        return lambda rows: min(asked, rows)
    if conflict is not None or preset != RECIPE or "dev_fraction" in settings:
        return lambda _: 0
    return fold_count


@dataclass(frozen=True)
class _Start:
    """What the embedding and the first layer begin with.

    Attributes:
        settings: the given settings, with those that pretrained weights fix.
        pretrained: pretrained weights; None without.
        vectors: pretrained vectors; None without.
        notes: a sentence for the user about the pretrained weights.
    """

    settings: dict[str, Any]
    pretrained: Pretrained | None = None
    vectors: Vectors | None = None
    notes: tuple[str, ...] = ()


def _find_start(
    sources: Sources,
    preset: str,
    settings: dict[str, Any],
    config: TrainingConfig,
    split: SplitRows,
    unlabelled: Unlabelled,
) -> _Start:
    pretrained, note = sources.pretrained, None
    if pretrained is not None:
        note = f"starts from {pretrained.path}: {pretrained.note}"
    elif sources.packaged and preset == RECIPE:
        pretrained, note = _packaged_encoder(preset, settings, split, unlabelled)
    notes = () if note is None else (note,)
    if pretrained is not None:
        settings = fix_settings(pretrained, preset, settings)
        return _Start(settings, pretrained=pretrained, notes=notes)
    vectors = find_vectors(config.vectors, _texts(split, unlabelled))
    return _Start(settings, vectors=vectors, notes=notes)


def _packaged_encoder(
    preset: str, settings: dict[str, Any], split: SplitRows, unlabelled: Unlabelled
) -> tuple[Pretrained | None, str]:
    """Return the packaged encoder if it suits the rows and the settings, and a note."""
    encoder = open_pretrained(ENGLISH_ENCODER)
    try:
        fix_settings(encoder, preset, settings)
    except ConfigError:
        return None, (
            f"the encoder {ENGLISH_ENCODER} does not go with the given settings, so it is not used"
        )
    words = json.loads(encoder.tokenizer_json)["model"]["vocab"]
    known = known_fraction(_texts(split, unlabelled), words)
    if known < MIN_KNOWN_FRACTION:
        return None, (
            f"the encoder {ENGLISH_ENCODER} knows {known:.0%} of the running words, so it is not "
            "used"
        )
    return encoder, (
        f"starts from the encoder {ENGLISH_ENCODER}, which knows {known:.0%} of the running words"
    )


def _vocabulary(
    start: _Start, config: TrainingConfig, split: SplitRows, unlabelled: Unlabelled
) -> tuple[str, NDArray[np.float32] | None]:
    """Return the tokenizer, and the initial embedding if it is pretrained."""
    texts, pretrained = _texts(split, unlabelled), start.pretrained
    if pretrained is None:
        return _build_tokenizer(texts, config, start.vectors), None
    if pretrained.projection is None:
        return pretrained.tokenizer_json, pretrained.embedding
    tokenizer_json, ids = fit_subword_tokenizer(
        pretrained.tokenizer_json,
        texts,
        vocabulary_size=config.vocabulary_size,
        max_tokens=config.max_tokens,
    )
    return tokenizer_json, np.stack([pretrained.embedding[spelled].mean(axis=0) for spelled in ids])


def _texts(split: SplitRows, unlabelled: Unlabelled) -> Iterable[str]:
    return chain((row.text for row in split.train), unlabelled)


def _build_tokenizer(texts: Iterable[str], config: TrainingConfig, vectors: Vectors | None) -> str:
    size, max_tokens = config.vocabulary_size, config.max_tokens
    if config.tokenizer == "words":
        return build_tokenizer(texts, vocabulary_size=size, max_tokens=max_tokens)
    known = () if vectors is None else list(vectors.words)
    return build_subword_tokenizer(texts, vocabulary_size=size, max_tokens=max_tokens, known=known)


def _encode(
    split: SplitRows, unlabelled: Unlabelled, tokenizer: TextTokenizer
) -> tuple[Dataset, Dataset]:
    """Return the training rows, followed by the texts without labels, and the dev rows."""
    labels, task = split.labels, split.task
    dev = encode_rows(split.dev, tokenizer, labels, task=task, file=split.dev_file, soft=False)
    train = encode_rows(split.train, tokenizer, labels, task=task, file=split.file)
    if len(unlabelled):
        sequences = (*train.sequences, *encode_texts(unlabelled, tokenizer))
        no_targets = np.zeros((len(unlabelled), len(labels)), dtype=np.float32)
        weights = train.weights
        if weights is not None:
            weights = np.concatenate([weights, np.ones(len(unlabelled), dtype=np.float32)])
        train = Dataset(sequences, np.concatenate([train.targets, no_targets]), weights)
    return train, dev


def _architecture(
    config: TrainingConfig, split: SplitRows, tokenizer: TextTokenizer, features: Features | None
) -> Architecture:
    """Return the architecture of the network; a bundle must be able to hold it."""
    architecture = config.architecture(
        vocabulary_size=(
            config.vocabulary_size if config.whole_vocabulary else tokenizer.vocabulary_size
        ),
        label_count=len(split.labels),
        task=split.task,
        linear_tokens=0 if features is None else len(features.token_weights),
        linear_buckets=0 if features is None else len(features.fingerprints),
    )
    check_size(architecture)
    return architecture
