"""Fine-tuning a transformer on labelled rows: the story that `textgate teach` tells."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import textgate
from textgate.atomic import new_folder
from textgate.errors import CheckpointError
from textgate.rows import fingerprint
from textgate.train.calibration import fit_temperature
from textgate.train.dataset import encode_rows
from textgate.train.device import find_device
from textgate.train.encoders import (
    CONFIG,
    TOKENIZER,
    EncoderTokenizer,
    find_encoder,
    longest_text,
)
from textgate.train.finetuned import (
    TEACHER,
    FinetunedManifest,
    save_weights,
)
from textgate.train.finetuner import Finetuner, FinetuningConfig
from textgate.train.progress import Progress
from textgate.train.scoring import evaluate_logits
from textgate.train.split import Columns, split_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textgate.metrics import Evaluation
    from textgate.rows import Row
    from textgate.train.checkpoint import Epoch


@dataclass(frozen=True)
class Taught:
    """A fine-tuned transformer.

    Attributes:
        path: its folder.
        manifest: what the folder says.
        history: every epoch.
        best_epoch: number of the epoch the weights are from.
        quality: on dev, calibrated.
    """

    path: Path
    manifest: FinetunedManifest
    history: list[Epoch]
    best_epoch: int
    quality: Evaluation


def teach(
    data: str | Path | Sequence[Row],
    output: str | Path,
    *,
    transformer: str,
    dev: str | Path | Sequence[Row] | None = None,
    config: FinetuningConfig | None = None,
    columns: Columns | None = None,
    device: str = "cpu",
    force: bool = False,
    progress: Progress | None = None,
) -> Taught:
    """Fine-tune a transformer on labelled rows and keep it as a folder that can teach.

    Args:
        data: a file of labelled rows, or the rows.
        output: the folder to make; it appears when all is done.
        transformer: a folder with an encoder, or ``minilm``, see `textgate.train.encoders`.
        dev: rows that choose the epoch and the temperature; None holds some of `data` out: with the
            same seed the same that `textgate.train.fit` holds out.
        config: how it is done.
        columns: where the files keep text and label.
        device: where to compute, as for `textgate.train.fit`.
        force: replace a teacher that is there.
        progress: hears how it goes.

    Raises:
        DataError: the rows are missing, malformed or do not suit a classifier.
        ConfigError: settings are wrong, there is no such encoder, or training diverged.
        CheckpointError: the folder exists or cannot be written.
        TextgateError: the library transformers is not installed.
    """
    config, columns = config or FinetuningConfig(), columns or Columns()
    progress = progress or Progress()
    where = find_device(device)
    folder = find_encoder(transformer)
    split = split_rows(
        data, dev, columns, task=config.task, dev_fraction=config.dev_fraction, seed=config.seed
    )
    for note in split.notes:
        progress.note(note)
    labels, task = split.labels, split.task
    tokens = min(config.max_tokens, longest_text(folder))
    tokenizer = EncoderTokenizer(folder / TOKENIZER, max_tokens=tokens)
    train = encode_rows(split.train, tokenizer, labels, task=task, file=split.file)
    on_dev = encode_rows(split.dev, tokenizer, labels, task=task, file=split.dev_file, soft=False)
    output = Path(output)
    with new_folder(output, force=force, error=CheckpointError, complete_marker=TEACHER) as made:
        finetuning = Finetuner(folder, config, train, on_dev, task=task, device=where)
        progress.note(
            f"{len(train):,} rows to train on, {len(on_dev):,} to choose by, {len(labels)} labels; "
            f"{'bfloat16' if finetuning.bfloat16 else 'float32'}"
        )
        finetuning.run(progress)
        logits = finetuning.best_logits
        temperature = fit_temperature(logits, on_dev.targets, multi_label=finetuning.multi_label)
        quality = evaluate_logits(
            logits,
            on_dev.targets,
            labels,
            multi_label=finetuning.multi_label,
            temperature=temperature,
        )
        manifest = FinetunedManifest(
            labels=labels,
            task=task,
            max_tokens=tokens,
            temperature=temperature,
            bfloat16=finetuning.bfloat16,
            sha256=save_weights(made, finetuning.best_model()),
            training={
                "encoder": transformer if folder != Path(transformer) else folder.name,
                "train_file": split.file,
                "train_rows": len(split.train),
                "train_sha256": fingerprint(split.train),
                "dev_rows": len(split.dev),
                "dev_sha256": fingerprint(split.dev),
                "epochs": len(finetuning.history),
                "best_epoch": finetuning.best_epoch,
                "seed": config.seed,
                "learning_rate": config.learning_rate,
                "batch_size": config.batch_size,
                "accuracy": quality.accuracy,
                "macro_f1": quality.macro_f1,
                "ece": quality.ece,
                "textgate": textgate.__version__,
                "torch": version("torch"),
                "transformers": version("transformers"),
            },
        )
        for name in (CONFIG, TOKENIZER):
            shutil.copyfile(folder / name, made / name)
        (made / TEACHER).write_text(manifest.to_json(), encoding="utf-8")
    return Taught(output, manifest, finetuning.history, finetuning.best_epoch, quality)
