"""`fit`: from labelled rows to a trained classifier in a run folder."""

from __future__ import annotations

import dataclasses
import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textgate.bundle.run import (
    CHECKPOINT,
    DEV_ROWS,
    FOLDS,
    MODEL,
    OUT_OF_FOLD,
    RUN,
    TEACHING,
    TOKENIZER,
    TUNING,
    RunManifest,
    Teaching,
    read_run,
)
from textgate.errors import CheckpointError, ConfigError
from textgate.evaluation.floor import beats_floor
from textgate.evaluation.metrics import wilson_interval
from textgate.messages import counted
from textgate.rows import Columns
from textgate.train.preparation import Preparation, Sources, prepare
from textgate.train.pretraining.pretrained import ENGLISH_ENCODER, open_pretrained
from textgate.train.teaching.teachers import find_teacher
from textgate.train.train_network import train_network
from textgate.train.training.checkpoint import (
    Epoch,
    TrainedModel,
    load_model,
    save_model,
    write_atomically,
)
from textgate.train.training.config import TrainingConfig, recorded_settings
from textgate.train.training.device import find_device
from textgate.train.training.folder import RunFolder, settings_by_name
from textgate.train.training.progress import Progress
from textgate.train.training.scoring import out_of_fold_interval
from textgate.train.training.settings import format_labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from textgate.bundle.run import ModelSummary, Tuning
    from textgate.rows import Row
    from textgate.train.pretraining.pretrained import Pretrained

NO_ENCODER = "none"


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

    @property
    def is_useful(self) -> bool:
        """Whether it is better than the most frequent label alone, on dev or out of fold."""
        return beats_floor(self.model.metrics)

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """95 % interval of the accuracy on new texts: Wilson's on dev, a wider one out of fold.

        After tuning it is that of the expected accuracy, see `textgate.bundle.run.Tuning`.
        """
        rows, folds = self.manifest.dev.rows, self.manifest.settings.get("folds")
        accuracy, tuning = self.model.metrics["accuracy"], self.manifest.tuning
        if tuning is not None and tuning.expected_accuracy is not None:
            accuracy = tuning.expected_accuracy
        if folds:
            return out_of_fold_interval(accuracy, rows, folds)
        return wilson_interval(round(accuracy * rows), rows)

    @property
    def is_certain(self) -> bool:
        """Whether the rows suffice to show a higher accuracy than the most frequent label's.

        It is true without such a gain, and for a run of an earlier release, which has no floor.
        """
        majority = self.model.metrics.get("majority_accuracy")
        if majority is None or self.model.metrics["accuracy"] <= majority:
            return True
        return self.accuracy_interval[0] > majority


@dataclass(frozen=True)
class Tuned:
    """A tuning that chose settings.

    Attributes:
        summary: its entry in the run's manifest.
        table: the content of ``tuning.json``.
    """

    summary: Tuning
    table: str


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
    group_field: str | None = None,
    weight_field: str | None = None,
    device: str = "cpu",
    resume: bool = False,
    force: bool = False,
    progress: Progress | None = None,
    tuned: Tuned | None = None,
) -> FittedRun:
    """Train a classifier on labelled rows and write a run folder.

    Args:
        data: a file of labelled rows, or the rows.
        output: the run folder to create.
        dev: rows that choose the epoch; with None a part of `data` is held out, or with few rows
            folds of it choose.
        preset: name of the settings to start from, see `textgate.train.PRESETS`; None for
            ``default``, which also chooses settings that suit the rows.
        settings: some settings by name, which override those of the preset; or a `TrainingConfig`,
            which gives all settings and excludes a preset.
        columns: which columns of the files hold text and labels.
        teachers: folders of finished runs, bundles or fine-tuned transformers with the labels of
            the rows. The network also learns the mean of their probabilities, weighted by the
            setting ``teacher_weight``.
        unlabelled: files of texts for the teachers to label.
        pretrained: folder that `textgate.train.pretrain` created, whose weights initialize the
            embedding and the first recurrent layer; ``english`` for the encoder in the package;
            ``none`` for none. With None the default preset uses ``english`` if it suits the rows.
        group_field: column whose rows of one value stay together when dev rows are held out or
            folds are made, such as an author or a product.
        weight_field: column with the weight of each row, see `textgate.rows.Row`; a row without a
            value has weight 1. None for the weights of the rows themselves.
        device: where to compute: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, or ``auto``.
        resume: continue in `output` if a run has begun there, with the same rows, settings,
            teachers and pretrained weights.
        force: replace a run in `output`.
        progress: receives notes, steps and epochs; None for no progress.
        tuned: the tuning that chose the settings, which is kept with the run; see
            `textgate.train.tune`.

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
    folder = RunFolder(Path(output).absolute(), RUN, Epoch, temporary=(CHECKPOINT, TEACHING, FOLDS))
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
    initial = None if pretrained in (None, NO_ENCODER) else open_pretrained(pretrained)
    if stored is not None:
        # Before its settings are compared with those of another pretrained folder.
        if pretrained is not None or not _is_packaged(stored.pretrained):
            _require_same_pretrained(folder, stored.pretrained, initial)
        _require_same_selection(folder, stored, dev)
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
        packaged=(
            pretrained is None
            and not isinstance(settings, TrainingConfig)
            and (stored is None or stored.pretrained is not None)
        ),
        group_field=group_field,
        weight_field=weight_field,
    )
    ready = _with_tuning(prepare(sources, preset or "default", chosen), tuned)
    state = None
    if stored is None:  # a resumed run has reported this already
        report(ready, progress, tuned)
        _create_run_folder(folder, ready, tuned, force=force)
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
    dev_rows = counted(manifest.dev.rows, "dev row", "dev rows")
    measured = f"{ready.folds.count} folds" if ready.folds else dev_rows
    progress.note(
        f"{manifest.train.rows:,} training rows, {measured}, "
        f"{format_labels(len(manifest.labels))}, {manifest.architecture.vocabulary_size:,} tokens"
    )
    trained = train_network(ready, folder, state, device=where, progress=progress)
    if trained.out_of_fold is not None:
        write_atomically(output / DEV_ROWS, _dev_rows(ready, trained.out_of_fold))
    save_model(output / MODEL, trained.model)
    folder.tidy()
    return FittedRun(output, manifest, trained.model)


def _check_teachers(
    output: Path, teachers: Sequence[str | Path], unlabelled: Sequence[str | Path]
) -> None:
    if isinstance(teachers, str | Path):  # a string is a sequence of its letters
        raise ConfigError(f"teachers must be a list, not {teachers!s}; put it in a list")
    if unlabelled and not teachers:
        raise ConfigError("texts without labels need a teacher to label them; add one: --teacher")
    if any(Path(path).resolve() == output.resolve() for path in teachers):
        raise ConfigError(f"{output} cannot be its own teacher; choose another output folder")


def _with_tuning(ready: Preparation, tuned: Tuned | None) -> Preparation:
    """Return a preparation whose manifest names the tuning that chose the settings, if any."""
    if tuned is None:
        return ready
    manifest = dataclasses.replace(ready.manifest, tuning=tuned.summary)
    return dataclasses.replace(ready, manifest=manifest)


def report(ready: Preparation, progress: Progress, tuned: Tuned | None = None) -> None:
    """Say what the rows are like, and what was chosen; a tuning has said it before it began."""
    if tuned is not None:
        return
    for warning in ready.warnings:
        progress.warn(warning)
    for note in ready.notes:
        progress.note(note)


def _create_run_folder(
    folder: RunFolder[Epoch], ready: Preparation, tuned: Tuned | None, *, force: bool
) -> None:
    with folder.create(ready.manifest.to_json(), force=force) as new:
        (new / TOKENIZER).write_text(ready.tokenizer_json, encoding="utf-8")
        (new / DEV_ROWS).write_bytes(_dev_rows(ready))
        if tuned is not None:
            (new / TUNING).write_text(tuned.table, encoding="utf-8")


def _dev_rows(ready: Preparation, out_of_fold: NDArray[np.float32] | None = None) -> bytes:
    """Return the file of the dev rows, with their out-of-fold probabilities [rows, labels]."""
    single = ready.manifest.architecture.task == "single-label"
    lines = []
    for index, row in enumerate(ready.dev_rows):
        line: dict[str, Any] = {
            "text": row.text,
            "label": row.labels[0] if single else list(row.labels),
        }
        if out_of_fold is not None:
            line[OUT_OF_FOLD] = [round(value, 6) for value in out_of_fold[index].tolist()]
        lines.append(json.dumps(line) + "\n")
    return gzip.compress("".join(lines).encode("utf-8", "surrogatepass"), mtime=0)


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
    if getattr(stored.pretrained, "sha256", None) != getattr(wanted.pretrained, "sha256", None):
        raise folder.mismatch(
            f"with another encoder {ENGLISH_ENCODER} than that of this release; resume with the "
            "release that began it"
        )
    folder.require_same_settings(stored.settings, wanted.settings)
    folder.require_same_network(stored, wanted, "architecture", "labels")


def _require_same_selection(folder: RunFolder[Epoch], begun: RunManifest, dev: object) -> None:
    if dev is not None and begun.settings.get("folds"):
        raise folder.mismatch("with cross-validation and no dev rows; leave --dev out")


def _require_same_pretrained(
    folder: RunFolder[Epoch], begun: ModelSummary | None, given: Pretrained | None
) -> None:
    if begun is None and given is not None:
        raise folder.mismatch("without pretrained weights; leave --encoder out")
    if begun is not None and (given is None or given.summary.sha256 != begun.sha256):
        found = "none are given" if given is None else f"{given.path} holds others"
        raise folder.mismatch(
            f"with the pretrained weights of {begun.name}, and {found}; give that folder with "
            "--encoder"
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


def _is_packaged(begun: ModelSummary | None) -> bool:
    return begun is None or begun.name == ENGLISH_ENCODER
