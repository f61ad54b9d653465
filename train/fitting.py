"""From labelled rows to a finished run: the story that `textgate train` tells."""

from __future__ import annotations

import contextlib
import gzip
import json
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import textgate
from textgate import run as run_folder
from textgate.atomic import new_folder
from textgate.errors import CheckpointError, DataError
from textgate.rows import Row, fingerprint, load_labelled
from textgate.run import DataSummary, RunManifest, read_run
from textgate.tokenizer import TextTokenizer
from textgate.train.calibration import fit_temperature
from textgate.train.checkpoint import TrainedModel, load_model, load_state, save_model, save_state
from textgate.train.checks import notes
from textgate.train.config import TrainingConfig
from textgate.train.dataset import Dataset, encode_rows, find_labels, hold_out
from textgate.train.device import find_device
from textgate.train.model import TextClassifier
from textgate.train.presets import preset as named_preset
from textgate.train.progress import Progress
from textgate.train.trainer import evaluate_logits, predict_logits, train_network
from textgate.train.vocabulary import build_tokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textgate.train.checkpoint import TrainingState


@dataclass(frozen=True)
class Columns:
    """Where rows keep their text and label, for files that name their columns.

    Attributes:
        text: the text's field.
        label: the label's field.
        format: the file's format; None takes it from the file's name.
    """

    text: str = "text"
    label: str = "label"
    format: str | None = None


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


@dataclass(frozen=True)
class _Preparation:
    """Everything that is settled before the first step."""

    manifest: RunManifest
    config: TrainingConfig
    tokenizer_json: str
    train: Dataset
    dev: Dataset
    dev_rows: Sequence[Row]


def fit(
    data: str | Path | Sequence[Row],
    output: str | Path,
    *,
    dev: str | Path | Sequence[Row] | None = None,
    preset: str | None = None,
    settings: dict[str, Any] | None = None,
    columns: Columns | None = None,
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
        preset: the settings to start from, see `textgate.train.presets`; "default" if None.
        settings: single settings by name, see `textgate.train.config.TrainingConfig`.
        columns: where the files keep text and label.
        device: where to compute: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, or ``auto``.
        resume: go on with the run in `output` if there is one; it must be the same run.
        force: replace a run that is there.
        progress: hears how it goes.

    Returns:
        The finished run.

    Raises:
        DataError: the rows are missing, malformed or do not suit a classifier.
        ConfigError: settings are wrong or cannot work together.
        CheckpointError: the folder exists, cannot be written, or is not the run to resume.
    """
    output = Path(output)
    progress = progress or Progress()
    where = find_device(device)
    stored = read_run(output) if resume and run_folder.is_run(output) else None
    if stored is not None:
        preset = preset or stored.preset
        settings = {**stored.settings, **(settings or {})} if preset == stored.preset else settings
    preset = preset or "default"
    config = named_preset(preset).replace(**_tuples(settings or {}))
    hears_of_rows = progress if stored is None else Progress()  # who resumes has heard it
    ready = _prepare(data, dev, preset, config, columns or Columns(), hears_of_rows)
    state = None
    if stored is None:
        _create(output, ready, force=force)
    else:
        _require_same(output, stored, ready.manifest)
        if (output / run_folder.MODEL).is_file():
            progress.note(f"{output} is finished already")
            _tidy(output)
            return FittedRun(output, stored, load_model(output / run_folder.MODEL))
        if (output / run_folder.CHECKPOINT).is_file():
            state = load_state(output / run_folder.CHECKPOINT)
            progress.note(f"resuming after epoch {len(state.history)}")
    manifest = stored or ready.manifest
    progress.note(
        f"{manifest.train.rows:,} rows to train on, {manifest.dev.rows:,} to choose by, "
        f"{len(manifest.labels)} labels, {manifest.architecture.vocabulary_size:,} words"
    )
    final = train_network(
        manifest.architecture,
        config,
        ready.train,
        ready.dev,
        device=where,
        save=lambda state: save_state(output / run_folder.CHECKPOINT, state),
        resume_from=state,
        progress=progress,
    )
    model = _finish(ready, final)
    save_model(output / run_folder.MODEL, model)
    _tidy(output)
    return FittedRun(output, manifest, model)


def _prepare(
    data: str | Path | Sequence[Row],
    dev: str | Path | Sequence[Row] | None,
    preset: str,
    config: TrainingConfig,
    columns: Columns,
    progress: Progress,
) -> _Preparation:
    rows, file = _load(data, columns, several_labels=config.task != "multi-label", soft_labels=True)
    labels, task = find_labels(rows, task=config.task, file=file)
    held_out, dev_file = ([], file) if dev is None else _load(dev, columns, several_labels=False)
    for note in notes(rows, held_out, file=file, dev_file=dev_file):
        progress.note(note)
    if dev is None:
        rows, held_out = hold_out(rows, config.dev_fraction, seed=config.seed)
        if not held_out:
            named = sum(bool(row.labels) or not row.probabilities for row in rows)
            raise DataError(
                f"{file}: {named} rows with labels are too few to hold some out for dev; give --dev"
            )
    tokenizer_json = build_tokenizer(
        (row.text for row in rows),
        vocabulary_size=config.vocabulary_size,
        max_tokens=config.max_tokens,
    )
    tokenizer = TextTokenizer(tokenizer_json, max_tokens=config.max_tokens)
    manifest = RunManifest(
        architecture=config.architecture(
            vocabulary_size=(
                config.vocabulary_size if config.whole_vocabulary else tokenizer.vocabulary_size
            ),
            label_count=len(labels),
            task=task,
        ),
        labels=labels,
        max_tokens=config.max_tokens,
        preset=preset,
        settings=config.to_json(),
        train=DataSummary(file, len(rows), fingerprint(rows)),
        dev=DataSummary(dev_file, len(held_out), fingerprint(held_out)),
        versions={
            "textgate": textgate.__version__,
            "torch": version("torch"),
            "tokenizers": version("tokenizers"),
            "python": platform.python_version(),
        },
    )
    return _Preparation(
        manifest=manifest,
        config=config,
        tokenizer_json=tokenizer_json,
        train=encode_rows(rows, tokenizer, labels, task=task, file=file),
        dev=encode_rows(held_out, tokenizer, labels, task=task, file=dev_file, soft=False),
        dev_rows=held_out,
    )


def _load(
    data: str | Path | Sequence[Row],
    columns: Columns,
    *,
    several_labels: bool,
    soft_labels: bool = False,
) -> tuple[list[Row], str]:
    if isinstance(data, str | Path):
        rows = load_labelled(
            data,
            format=columns.format,
            text_field=columns.text,
            label_field=columns.label,
            several_labels=several_labels,
            soft_labels=soft_labels,
        )
        # A name need not be UTF-8; what is written down must be.
        return rows, Path(data).name.encode("utf-8", "replace").decode()
    if not data:
        raise DataError("no rows were given")
    return list(data), "rows"


def _create(output: Path, ready: _Preparation, *, force: bool) -> None:
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


def _tidy(output: Path) -> None:
    """Remove the checkpoint of a finished run, and what was half-written when it was killed."""
    for path in (output / run_folder.CHECKPOINT, *output.glob(".*.partial")):
        with contextlib.suppress(OSError):
            path.unlink()


def _require_same(output: Path, stored: RunManifest, wanted: RunManifest) -> None:
    """Refuse to go on with a run that was begun with other rows or settings."""
    for name in ("train", "dev"):
        if getattr(stored, name).sha256 != getattr(wanted, name).sha256:
            raise CheckpointError(
                f"{output}: begun with other {name} rows than these; give the same file, or begin "
                "anew in another folder"
            )
    for name, value in wanted.settings.items():
        if stored.settings.get(name) != value:
            raise CheckpointError(
                f"{output}: begun with {name} {stored.settings.get(name)!r}, not {value!r}; leave "
                "the option out, or begin anew in another folder"
            )
    if stored.architecture != wanted.architecture or stored.labels != wanted.labels:
        raise CheckpointError(f"{output}: begun as another network; begin anew in another folder")


def _finish(ready: _Preparation, state: TrainingState) -> TrainedModel:
    """Return the best epoch's weights, calibrated and measured on dev."""
    manifest = ready.manifest
    with torch.random.fork_rng(devices=[]):  # its first weights are random
        network = TextClassifier(manifest.architecture)
    network.load_state_dict(state.best_weights)
    logits = predict_logits(network, ready.dev)
    targets = ready.dev.targets
    temperature = fit_temperature(
        logits, targets, multi_label=manifest.architecture.task == "multi-label"
    )
    before = evaluate_logits(network, logits, targets, manifest.labels)
    after = evaluate_logits(network, logits, targets, manifest.labels, temperature=temperature)
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


def _tuples(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()
    }
