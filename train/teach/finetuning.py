"""Fine-tuning a transformer on labelled rows: the story that `textgate teach` tells."""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import textgate
from textgate.atomic import new_folder
from textgate.bundle.manifest import Quality
from textgate.bundle.run import DataSummary
from textgate.errors import CheckpointError
from textgate.rows import Columns, fingerprint
from textgate.train.data.encoding import encode_rows
from textgate.train.data.split import split_rows
from textgate.train.fit.calibration import fit_temperature
from textgate.train.fit.checkpoint import (
    file_sha256,
    load_state,
    save_state,
    write_tensors,
    write_whole,
)
from textgate.train.fit.device import find_device
from textgate.train.fit.progress import Progress
from textgate.train.fit.resuming import require_same_rows, require_same_settings, tidy
from textgate.train.fit.scoring import evaluate_logits
from textgate.train.fit.settings import format_labels, named_settings
from textgate.train.teach.encoders import (
    TOKENIZER,
    WEIGHTS,
    EncoderTokenizer,
    find_encoder,
    longest_text,
)
from textgate.train.teach.finetuned import (
    CHECKPOINT,
    COPIED,
    TEACHER,
    FinetunedManifest,
    FinetuningOutcome,
    check_copies,
    finetuned_logits,
    is_finetuned,
    read_finetuned,
    summarize_encoder,
)
from textgate.train.teach.finetuner import Finetuner
from textgate.train.teach.finetuning_config import FinetuningConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textgate.rows import Row
    from textgate.train.data.dataset import Dataset


@dataclass(frozen=True)
class Taught:
    """A fine-tuned transformer.

    Attributes:
        path: its folder.
        manifest: what the folder says.
        outcome: what it reached.
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
    settings: dict[str, Any] | None = None,
    columns: Columns | None = None,
    device: str = "cpu",
    resume: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> Taught:
    """Fine-tune a transformer on labelled rows and keep it as a folder that can teach.

    Args:
        data: a file of labelled rows, or the rows.
        output: the folder to make.
        transformer: a folder with an encoder, or ``minilm``, see `textgate.train.teach.encoders`.
        dev: rows that choose the epoch and the temperature; None holds some of `data` out: with the
            same seed the same that `textgate.train.fit` holds out.
        settings: single settings by name, see `textgate.train.FinetuningConfig`.
        columns: where the files keep text and label.
        device: where to compute, as for `textgate.train.fit`.
        resume: go on with the teacher in `output`, if there is one; it must be the same.
        force: replace a teacher that is there.
        progress: hears how it goes.

    Returns:
        The finished teacher.

    Raises:
        DataError: the rows are missing, malformed or do not suit a classifier.
        ConfigError: settings are wrong, there is no such encoder, or training diverged.
        CheckpointError: the folder exists, cannot be written, is damaged, or is not what to resume.
        MissingPackageError: the library transformers is not installed.
    """
    # Absolute: `progress` may change the working directory.
    output, progress = Path(output).absolute(), progress or Progress()
    where = find_device(device)
    stored = read_finetuned(output) if resume and is_finetuned(output) else None
    config = (FinetuningConfig() if stored is None else stored.settings).replace(
        **named_settings(settings)
    )
    if stored is not None:
        require_same_settings(output, vars(stored.settings), vars(config))
    folder = find_encoder(transformer)
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
        max_tokens=min(config.max_tokens, longest_text(folder)),
        bfloat16=False,  # which is found out with the encoder
        settings=config,
        encoder=summarize_encoder(transformer, folder),
        train=DataSummary(split.file, len(split.train), fingerprint(split.train)),
        dev=DataSummary(split.dev_file, len(split.dev), fingerprint(split.dev)),
        versions={},
    )
    state = None
    if stored is None:
        for note in split.notes:  # who resumes has heard them
            progress.warn(note)
    else:
        _require_same(output, stored, manifest)
        if stored.outcome is not None:
            progress.note(f"{output} is finished already")
            tidy(output, CHECKPOINT)
            return Taught(output, stored, stored.outcome)
        if (output / CHECKPOINT).is_file():
            state = load_state(output / CHECKPOINT)
            progress.note(f"resuming after epoch {len(state.history)}")
    tokenizer = EncoderTokenizer(folder / TOKENIZER, max_tokens=manifest.max_tokens)
    train = encode_rows(split.train, tokenizer, labels, task=task, file=split.file)
    on_dev = encode_rows(split.dev, tokenizer, labels, task=task, file=split.dev_file, soft=False)
    finetuner = Finetuner(
        folder,
        config,
        train,
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
        _create(output, manifest, folder, force=force)
    progress.note(
        f"{len(train):,} rows to train on, {len(on_dev):,} to choose by, "
        f"{format_labels(len(labels))}; {'bfloat16' if finetuner.bfloat16 else 'float32'}"
    )
    finetuner.run(lambda reached: save_state(output / CHECKPOINT, reached), progress)
    return _finish(output, stored or manifest, finetuner, on_dev)


def _create(output: Path, manifest: FinetunedManifest, encoder: Path, *, force: bool) -> None:
    """Make the folder, with all that is settled before the first step."""
    with new_folder(output, force=force, error=CheckpointError, complete_marker=TEACHER) as folder:
        for name in COPIED:
            shutil.copyfile(encoder / name, folder / name)
        (folder / TEACHER).write_text(manifest.to_json(), encoding="utf-8")


def _finish(
    output: Path, manifest: FinetunedManifest, finetuner: Finetuner, dev: Dataset
) -> Taught:
    """Write the weights, then that they are there; until then the checkpoint stays."""
    state, multi_label = finetuner.state, finetuner.multi_label
    logits = finetuned_logits(finetuner.best_model(), dev, bfloat16=finetuner.bfloat16)
    temperature = fit_temperature(logits, dev.targets, multi_label=multi_label)
    reached = evaluate_logits(
        logits, dev.targets, manifest.labels, multi_label=multi_label, temperature=temperature
    )
    write_tensors(output / WEIGHTS, state.best_weights, {})
    outcome = FinetuningOutcome(
        sha256=file_sha256(output / WEIGHTS),
        temperature=temperature,
        best_epoch=state.best_epoch,
        quality=Quality(reached.accuracy, reached.macro_f1, reached.ece, reached.rows),
        history=tuple(state.history),
    )
    manifest = dataclasses.replace(manifest, outcome=outcome)
    write_whole(output / TEACHER, manifest.to_json().encode("utf-8"))
    tidy(output, CHECKPOINT)
    return Taught(output, manifest, outcome)


def _require_same(output: Path, stored: FinetunedManifest, wanted: FinetunedManifest) -> None:
    """Refuse to go on with a teacher that was begun with another encoder or other rows."""
    if stored.encoder.sha256 != wanted.encoder.sha256:
        raise CheckpointError(
            f"{output}: begun with another encoder than this; it had {stored.encoder.name}: give "
            "the same with --transformer, or begin anew in another folder"
        )
    for name in ("train", "dev"):
        require_same_rows(output, name, getattr(stored, name), getattr(wanted, name))
    for name in ("labels", "task", "max_tokens"):
        if getattr(stored, name) != getattr(wanted, name):
            raise CheckpointError(
                f"{output}: begun as another network; begin anew in another folder"
            )
    check_copies(output, stored)
