"""`fit`: from labelled rows to a trained classifier in a run folder."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from textgate.bundle.run import (
    CHECKPOINT,
    DEV_ROWS,
    MODEL,
    RUN,
    TEACHING,
    TOKENIZER,
    RunManifest,
    Teaching,
    read_run,
)
from textgate.errors import CheckpointError, ConfigError
from textgate.rows import Columns
from textgate.train.network.model import TextClassifier
from textgate.train.preparation import Preparation, Sources, prepare
from textgate.train.pretraining.pretrained import open_pretrained
from textgate.train.teaching.teachers import find_teacher
from textgate.train.training.calibration import fit_temperature
from textgate.train.training.checkpoint import Epoch, TrainedModel, load_model, save_model
from textgate.train.training.config import TrainingConfig, recorded_settings
from textgate.train.training.device import find_device
from textgate.train.training.folder import RunFolder, settings_by_name
from textgate.train.training.loop import train_epochs
from textgate.train.training.progress import Progress
from textgate.train.training.scoring import evaluate_logits
from textgate.train.training.settings import format_labels
from textgate.train.training.trainer import Trainer, predict_logits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from textgate.bundle.run import ModelSummary
    from textgate.rows import Row
    from textgate.train.pretraining.pretrained import Pretrained
    from textgate.train.training.checkpoint import TrainingState


@dataclass(frozen=True)
class FittedRun:
    """A finished run.

    Attributes:
        path: its folder, absolute.
        manifest: what was trained on what.
        model: the weights, their quality on dev, and every epoch.
    """

    path: Path
    manifest: RunManifest
    model: TrainedModel


def fit(
    data: str | Path | Sequence[Row],
    output: str | Path,
    *,
    dev: str | Path | Sequence[Row] | None = None,
    preset: str | None = None,
    settings: TrainingConfig | Mapping[str, Any] | None = None,
    columns: Columns | None = None,
    teachers: Sequence[str | Path] = (),
    unlabelled: Sequence[str | Path] = (),
    pretrained: str | Path | None = None,
    device: str = "cpu",
    resume: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> FittedRun:
    """Train a classifier on labelled rows and write a run folder.

    Args:
        data: a file of labelled rows, or the rows.
        output: the run folder to create.
        dev: rows that choose the epoch; with None a part of `data` is held out.
        preset: name of the settings to start from, see `textgate.train.PRESETS`; None for
            ``default``, which also chooses settings that suit the rows.
        settings: some settings by name, which override those of the preset; or a `TrainingConfig`,
            which gives all settings and excludes a preset.
        columns: which columns of the files hold text and labels.
        teachers: folders of finished runs, bundles or fine-tuned transformers with the labels of
            the rows. The network also learns the mean of their probabilities, weighted by the
            setting ``teacher_weight``.
        unlabelled: files of texts for the teachers to label.
        pretrained: folder that `textgate.train.pretrain` created. Its tokenizer is used, and its
            weights initialize the embedding and the first recurrent layer.
        device: where to compute: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, or ``auto``.
        resume: continue in `output` if a run has begun there, with the same rows, settings,
            teachers and pretrained weights.
        force: replace a run in `output`.
        progress: receives notes, steps and epochs; None for no progress.

    Returns:
        The finished run.

    Raises:
        DataError: the rows are missing, malformed or do not suit a classifier.
        ConfigError: the settings are wrong or in conflict with each other or with `pretrained`; a
            teacher has other labels; the device is not available; or training diverged.
        CheckpointError: the folder exists, cannot be written, is damaged, or was begun with other
            inputs; a teacher or `pretrained` is unfinished or damaged.
        BundleError: a teacher is a damaged bundle.
    """
    # Absolute: `progress` may change the working directory.
    folder = RunFolder(Path(output).absolute(), RUN, Epoch, temporary=(CHECKPOINT, TEACHING))
    output = folder.path
    _check_teachers(output, teachers, unlabelled)
    if isinstance(settings, TrainingConfig) and preset is not None:
        raise ConfigError(
            "a TrainingConfig gives all settings, so it does not go with a preset; start from one "
            f"with PRESETS[{preset!r}].replace(...), or give the settings as a dictionary"
        )
    progress, chosen = progress or Progress(), settings_by_name(settings, TrainingConfig)
    where = find_device(device)
    stored = read_run(output) if resume and folder.exists() else None
    if stored is None:
        folder.refuse_occupied(force=force)
    initial = None if pretrained is None else open_pretrained(Path(pretrained))
    if stored is not None:
        # Before its settings are compared with those of another pretrained folder.
        _require_same_pretrained(folder, stored.pretrained, initial)
        preset = preset or stored.preset
        if preset == stored.preset:
            chosen = {**recorded_settings(stored.settings, where=output), **chosen}
    sources = Sources(
        data,
        dev,
        columns or Columns(),
        teachers=[find_teacher(path) for path in teachers],
        unlabelled=unlabelled,
        pretrained=initial,
    )
    ready = prepare(sources, preset or "default", chosen)
    config = ready.config
    state = None
    if stored is None:
        _report(ready, progress)  # a resumed run has reported this already
        _create_run_folder(folder, ready, force=force)
    else:
        _require_same_inputs(folder, stored, ready.manifest)
        if (output / MODEL).is_file():
            folder.leave_finished(progress)
            return FittedRun(output, stored, load_model(output / MODEL))
        _require_same_tokenizer(folder, ready)
        state = folder.load_checkpoint()
        if state is not None:
            progress.note(f"resuming after epoch {len(state.history)}")
    manifest = stored or ready.manifest
    progress.note(
        f"{manifest.train.rows:,} training rows, {manifest.dev.rows:,} dev rows, "
        f"{format_labels(len(manifest.labels))}, {manifest.architecture.vocabulary_size:,} tokens"
    )
    initialization = ready.initialization
    if ready.distillation is not None:
        ready.distillation.mix(
            ready.train.targets,
            weight=config.teacher_weight,
            kept=output / TEACHING,
            device=where,
            progress=progress,
        )
        initialization = initialization.reweighted(ready.train)
    initialization = initialization.solved(
        ready.train,
        ready.dev,
        manifest.architecture,
        class_weights=config.class_weights,
        progress=progress,
    )
    trainer = Trainer(
        manifest.architecture,
        config,
        ready.train,
        ready.dev,
        device=where,
        initialization=initialization,
        state=state,
    )
    train_epochs(trainer, folder.save_checkpoint, progress)
    model = _calibrate(ready, trainer.state)
    save_model(output / MODEL, model)
    folder.tidy()
    return FittedRun(output, manifest, model)


def _check_teachers(
    output: Path, teachers: Sequence[str | Path], unlabelled: Sequence[str | Path]
) -> None:
    if isinstance(teachers, str | Path):  # a string is a sequence of its letters
        raise ConfigError(f"teachers must be a list, not {teachers!s}; put it in a list")
    if unlabelled and not teachers:
        raise ConfigError("texts without labels need a teacher to label them; add one: --teacher")
    if any(Path(path).resolve() == output.resolve() for path in teachers):
        raise ConfigError(f"{output} cannot be its own teacher; choose another output folder")


def _report(ready: Preparation, progress: Progress) -> None:
    for warning in ready.warnings:
        progress.warn(warning)
    for note in ready.notes:
        progress.note(note)


def _create_run_folder(folder: RunFolder[Epoch], ready: Preparation, *, force: bool) -> None:
    with folder.create(ready.manifest.to_json(), force=force) as new:
        (new / TOKENIZER).write_text(ready.tokenizer_json, encoding="utf-8")
        lines = "".join(_dev_line(row, ready.manifest.architecture.task) for row in ready.dev_rows)
        compressed = gzip.compress(lines.encode("utf-8", "surrogatepass"), mtime=0)
        (new / DEV_ROWS).write_bytes(compressed)


def _dev_line(row: Row, task: str) -> str:
    label = row.labels[0] if task == "single-label" else list(row.labels)
    return json.dumps({"text": row.text, "label": label}) + "\n"


def _require_same_inputs(
    folder: RunFolder[Epoch], stored: RunManifest, wanted: RunManifest
) -> None:
    """Refuse to resume with other rows, teachers or settings."""
    folder.require_same_rows(stored, wanted)
    nothing = Teaching((), ())
    begun, given = stored.teaching or nothing, wanted.teaching or nothing
    folder.require_same_sources(
        "teachers", begun.teachers, given.teachers, advice="give the same with --teacher"
    )
    folder.require_same_sources(
        "texts without labels",
        begun.unlabelled,
        given.unlabelled,
        advice="give the same with --unlabelled",
    )
    folder.require_same_settings(stored.settings, wanted.settings)
    folder.require_same_network(stored, wanted, "architecture", "labels")


def _require_same_pretrained(
    folder: RunFolder[Epoch], begun: ModelSummary | None, given: Pretrained | None
) -> None:
    if begun is None and given is not None:
        raise folder.mismatch("without pretrained weights; leave --pretrained out")
    if begun is not None and (given is None or given.summary.sha256 != begun.sha256):
        found = "none are given" if given is None else f"{given.path} holds others"
        raise folder.mismatch(
            f"with the pretrained weights of {begun.name}, and {found}; give that folder with "
            "--pretrained"
        )


def _require_same_tokenizer(folder: RunFolder[Epoch], ready: Preparation) -> None:
    """Refuse to resume with other token ids: the vectors' path may now lead to another file."""
    path = folder.path / TOKENIZER
    try:
        begun = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as problem:
        raise CheckpointError(f"{path}: cannot be read: {problem}") from None
    if begun != ready.tokenizer_json:
        raise folder.mismatch(
            f"with another tokenizer than the rows and the vectors {ready.config.vectors!r} make "
            "here; resume where that is the same file, with the same version of tokenizers"
        )


def _calibrate(ready: Preparation, state: TrainingState[Epoch]) -> TrainedModel:
    """Return the weights of the best epoch with their temperature and their quality on dev."""
    manifest = ready.manifest
    with torch.random.fork_rng(devices=[]):  # the initial weights are random
        network = TextClassifier(manifest.architecture)
    network.load_state_dict(state.best_weights)
    logits = predict_logits(network, ready.dev)
    targets, labels = ready.dev.targets, manifest.labels
    multi_label = manifest.architecture.task == "multi-label"
    temperature = fit_temperature(logits, targets, multi_label=multi_label)
    before = evaluate_logits(logits, targets, labels, multi_label=multi_label)
    after = evaluate_logits(
        logits, targets, labels, multi_label=multi_label, temperature=temperature
    )
    return TrainedModel(
        weights=state.best_weights,
        temperature=temperature,
        metrics={
            "accuracy": after.accuracy,
            "macro_f1": after.macro_f1,
            "ece": after.ece,
            "ece_uncalibrated": before.ece,
        },
        history=state.history,
        best_epoch=state.best_epoch,
    )
