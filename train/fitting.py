"""From labelled rows to a finished run: the story that `textgate train` tells."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from textgate.atomic import new_folder
from textgate.bundle import run as run_folder
from textgate.bundle.run import RunManifest, Teaching, read_run
from textgate.errors import CheckpointError, ConfigError
from textgate.rows import Columns
from textgate.train.fit.calibration import fit_temperature
from textgate.train.fit.checkpoint import (
    TrainedModel,
    load_model,
    load_state,
    save_model,
    save_state,
)
from textgate.train.fit.config import recorded_settings
from textgate.train.fit.device import find_device
from textgate.train.fit.progress import Progress
from textgate.train.fit.resuming import require_same_rows, require_same_settings, tidy
from textgate.train.fit.scoring import evaluate_logits
from textgate.train.fit.settings import format_labels, named_settings
from textgate.train.fit.trainer import predict_logits, train_network
from textgate.train.network.model import TextClassifier
from textgate.train.preparation import Preparation, prepare
from textgate.train.pretrain.pretrained import open_pretrained
from textgate.train.teach.teachers import find_teacher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textgate.bundle.run import ModelSummary
    from textgate.rows import Row
    from textgate.train.fit.checkpoint import TrainingState
    from textgate.train.pretrain.pretrained import Pretrained


_NEEDLESS = (run_folder.CHECKPOINT, run_folder.TEACHING)  # once a run has finished


@dataclass(frozen=True)
class FittedRun:
    """A finished run.

    Attributes:
        path: its folder.
        manifest: what was trained on what.
        model: the weights and what they reached on dev.
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
    settings: dict[str, Any] | None = None,
    columns: Columns | None = None,
    teachers: Sequence[str | Path] = (),
    unlabelled: Sequence[str | Path] = (),
    pretrained: str | Path | None = None,
    device: str = "cpu",
    resume: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> FittedRun:
    """Train a classifier on labelled rows and keep it as a run folder.

    Args:
        data: a file of labelled rows, or the rows.
        output: the run folder to make.
        dev: rows that decide when to stop; None holds some of `data` out.
        preset: the settings to start from, see `textgate.train.fit.presets`; "default" if None.
        settings: single settings by name, see `textgate.train.fit.config.TrainingConfig`.
        columns: where the files keep text and label.
        teachers: finished runs, bundles or fine-tuned transformers with the rows' labels; the mean
            of their answers is learned beside the labels, see the setting ``teacher_weight``.
        unlabelled: files of texts that the teachers alone label.
        pretrained: what `textgate.train.pretrain` made, whose tokenizer is taken and whose
            embedding and recurrent layer are started from.
        device: where to compute: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, or ``auto``.
        resume: go on with the run in `output` if there is one; it must be the same run.
        force: replace a run that is there.
        progress: hears how it goes.

    Returns:
        The finished run.

    Raises:
        DataError: the rows are missing, malformed or do not suit a classifier.
        ConfigError: settings are wrong or cannot work together, or disagree with what is
            pretrained; a teacher has other labels.
        CheckpointError: the folder exists, cannot be written, or is not the run to resume; a
            teacher or what is pretrained is unfinished or damaged.
        BundleError: a teacher is damaged.
    """
    output = Path(output).absolute()  # `progress` may change the working directory
    if isinstance(teachers, str | Path):  # whose letters would be the teachers
        raise ConfigError(f"teachers should be a list, not {teachers!s}; put it in one")
    if unlabelled and not teachers:
        raise ConfigError("texts without labels need a teacher to label them; add one: --teacher")
    if any(Path(path).resolve() == output.resolve() for path in teachers):
        raise ConfigError(f"{output} cannot be its own teacher; choose another folder to make")
    progress, settings = progress or Progress(), named_settings(settings)
    where = find_device(device)
    stored = read_run(output) if resume and run_folder.is_run(output) else None
    started_from = None if pretrained is None else open_pretrained(Path(pretrained))
    if stored is not None:
        # Before its settings are compared with another folder's.
        _require_same_pretrained(output, stored.pretrained, started_from)
        preset = preset or stored.preset
        if preset == stored.preset:
            settings = {**recorded_settings(stored.settings, where=output), **settings}
    preset = preset or "default"
    ready = prepare(
        data,
        dev,
        preset,
        settings,
        columns or Columns(),
        teachers=[find_teacher(path) for path in teachers],
        unlabelled=unlabelled,
        pretrained=started_from,
    )
    config = ready.config
    state = None
    if stored is None:  # who resumes has heard them
        _tell(ready, progress)
        _create(output, ready, force=force)
    else:
        _require_same(output, stored, ready.manifest)
        if (output / run_folder.MODEL).is_file():
            progress.note(f"{output} is finished already")
            tidy(output, *_NEEDLESS)
            return FittedRun(output, stored, load_model(output / run_folder.MODEL))
        _require_same_tokenizer(output, ready)
        if (output / run_folder.CHECKPOINT).is_file():
            state = load_state(output / run_folder.CHECKPOINT)
            progress.note(f"resuming after epoch {len(state.history)}")
    manifest = stored or ready.manifest
    progress.note(
        f"{manifest.train.rows:,} rows to train on, {manifest.dev.rows:,} to choose by, "
        f"{format_labels(len(manifest.labels))}, {manifest.architecture.vocabulary_size:,} tokens"
    )
    start = ready.start
    if ready.lesson is not None:
        ready.lesson.mix(
            ready.train.targets,
            weight=config.teacher_weight,
            kept=output / run_folder.TEACHING,
            device=where,
            progress=progress,
        )
        start = start.weighed(ready.train)
    start = start.solved(
        ready.train,
        ready.dev,
        manifest.architecture,
        class_weights=config.class_weights,
        progress=progress,
    )
    final = train_network(
        manifest.architecture,
        config,
        ready.train,
        ready.dev,
        device=where,
        start=start,
        save=lambda state: save_state(output / run_folder.CHECKPOINT, state),
        resume_from=state,
        progress=progress,
    )
    model = _finish(ready, final)
    save_model(output / run_folder.MODEL, model)
    tidy(output, *_NEEDLESS)
    return FittedRun(output, manifest, model)


def _tell(ready: Preparation, progress: Progress) -> None:
    for warning in ready.warnings:
        progress.warn(warning)
    for note in ready.notes:
        progress.note(note)


def _create(output: Path, ready: Preparation, *, force: bool) -> None:
    """Make the run's folder, with all that is settled before the first step."""
    with new_folder(
        output, force=force, error=CheckpointError, complete_marker=run_folder.RUN
    ) as folder:
        (folder / run_folder.TOKENIZER).write_text(ready.tokenizer_json, encoding="utf-8")
        lines = "".join(_dev_line(row, ready.manifest.architecture.task) for row in ready.dev_rows)
        compressed = gzip.compress(lines.encode("utf-8", "surrogatepass"), mtime=0)
        (folder / run_folder.DEV_ROWS).write_bytes(compressed)
        (folder / run_folder.RUN).write_text(ready.manifest.to_json(), encoding="utf-8")


def _dev_line(row: Row, task: str) -> str:
    label = row.labels[0] if task == "single-label" else list(row.labels)
    return json.dumps({"text": row.text, "label": label}) + "\n"


def _require_same(output: Path, stored: RunManifest, wanted: RunManifest) -> None:
    """Refuse to go on with a run that was begun with other rows or settings."""
    for name in ("train", "dev"):
        require_same_rows(output, name, getattr(stored, name), getattr(wanted, name))
    _require_same_teaching(output, stored.teaching, wanted.teaching)
    require_same_settings(output, stored.settings, wanted.settings)
    if stored.architecture != wanted.architecture or stored.labels != wanted.labels:
        raise CheckpointError(f"{output}: begun as another network; begin anew in another folder")


def _require_same_pretrained(
    output: Path, begun: ModelSummary | None, given: Pretrained | None
) -> None:
    if begun is None and given is not None:
        raise CheckpointError(
            f"{output}: begun without pretrained weights; leave --pretrained out, or begin anew in "
            "another folder"
        )
    if begun is not None and (given is None or given.summary.sha256 != begun.sha256):
        found = "none are given" if given is None else f"{given.path} holds others"
        raise CheckpointError(
            f"{output}: begun with the pretrained weights of {begun.name}, and {found}; give that "
            "folder with --pretrained, or begin anew in another folder"
        )


def _require_same_teaching(output: Path, stored: Teaching | None, wanted: Teaching | None) -> None:
    nothing = Teaching((), ())
    stored, wanted = stored or nothing, wanted or nothing
    for what, option, begun, given in (
        ("teachers", "--teacher", stored.teachers, wanted.teachers),
        ("texts without labels", "--unlabelled", stored.unlabelled, wanted.unlabelled),
    ):
        if [item.sha256 for item in begun] != [item.sha256 for item in given]:
            names = [getattr(item, "name", "") or getattr(item, "file", "") for item in begun]
            raise CheckpointError(
                f"{output}: begun with other {what} than these; it had "
                f"{', '.join(names) if names else 'none'}: give the same with {option}, in the "
                "same order, or begin anew in another folder"
            )


def _require_same_tokenizer(output: Path, ready: Preparation) -> None:
    """Refuse to go on with other ids: the path of the vectors may now be that of another file."""
    path = output / run_folder.TOKENIZER
    try:
        begun = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as problem:
        raise CheckpointError(f"{path}: cannot be read: {problem}") from None
    if begun != ready.tokenizer_json:
        raise CheckpointError(
            f"{output}: begun with another tokenizer than the rows and the vectors "
            f"{ready.config.vectors!r} make here; go on where that is the same file, with the same "
            "version of tokenizers, or begin anew in another folder"
        )


def _finish(ready: Preparation, state: TrainingState) -> TrainedModel:
    """Return the best epoch's weights, calibrated and measured on dev."""
    manifest = ready.manifest
    with torch.random.fork_rng(devices=[]):  # its first weights are random
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
