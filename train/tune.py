"""`tune`: settings that suit the rows, found in a given time, and a run that is trained with them.

The default recipe is the first trial, and it is kept unless another trial beats it. What is tried
and how trials are compared is in `textgate.train.tuning`.
"""

from __future__ import annotations

import contextlib
import hashlib
from numbers import Real
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np

import textgate
from textgate.bundle.run import MODEL, RUN, read_run
from textgate.errors import CheckpointError, ConfigError, DataError
from textgate.messages import counted
from textgate.rows import Columns
from textgate.rows.source import STANDARD_INPUT
from textgate.train.fitting import NO_ENCODER, FittedRun, fit, report
from textgate.train.preparation import Sources
from textgate.train.pretraining.pretrained import open_pretrained
from textgate.train.training.checkpoint import Epoch
from textgate.train.training.config import TrainingConfig
from textgate.train.training.device import find_device
from textgate.train.training.folder import RunFolder
from textgate.train.training.progress import Progress
from textgate.train.training.settings import named_settings
from textgate.train.trial import Laboratory
from textgate.train.tuning.limits import Limits
from textgate.train.tuning.trials import Inputs, Record, read_record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from textgate.rows import Row
    from textgate.train.preparation import Preparation

MIN_ROWS = 20  # that trials are compared on


def tune(
    data: str | Path | Sequence[Row],
    output: str | Path,
    *,
    seconds: float,
    max_bytes: int | None = None,
    max_latency_ms: float | None = None,
    dev: str | Path | Sequence[Row] | None = None,
    settings: Mapping[str, Any] | None = None,
    columns: Columns | None = None,
    pretrained: str | Path | None = None,
    group_field: str | None = None,
    weight_field: str | None = None,
    device: str = "cpu",
    resume: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> FittedRun:
    """Look for settings that suit the rows for some time, and train a classifier with them.

    Trials are compared on dev, or out of fold with few rows. They are kept in the file
    ``OUTPUT.tuning`` until the run is finished, and in its ``tuning.json`` afterwards.

    Args:
        data: a file of labelled rows, or the rows.
        output: the run folder to create.
        seconds: duration of the search. A trial that is not finished by then is stopped. The final
            training comes after it.
        max_bytes: largest estimated size of the int8 bundle, in bytes.
        max_latency_ms: largest estimated time of one text on one core of this machine, in
            milliseconds; the text has as many tokens as the median of the training rows.
        dev: as for `textgate.train.fit`.
        settings: settings by name, which are kept as they are in all trials.
        columns: as for `textgate.train.fit`.
        pretrained: as for `textgate.train.fit`.
        group_field: as for `textgate.train.fit`.
        weight_field: as for `textgate.train.fit`.
        device: as for `textgate.train.fit`.
        resume: continue with the trials of an interrupted tuning, and with a run that has begun.
        force: replace a run in `output`, and the trials of an interrupted tuning.
        progress: receives notes, steps and epochs; None for no progress.

    Returns:
        The finished run.

    Raises:
        MissingPackageError: Optuna is not installed.
        DataError: the rows are missing, malformed, too few, or do not suit a classifier.
        ConfigError: settings are wrong or in conflict, or no network is within the limits.
        CheckpointError: the folder or the file of trials exists, cannot be written, is damaged, or
            was begun with other inputs.
    """
    begun = monotonic()
    from textgate.train.tuner import Tuner  # needs Optuna

    progress, output = progress or Progress(), Path(output).absolute()
    given = _given(settings, seconds, max_bytes, max_latency_ms)
    if any(isinstance(rows, str | Path) and str(rows) == STANDARD_INPUT for rows in (data, dev)):
        raise ConfigError("tuning reads the rows several times; put them in a file")
    folder, kept = RunFolder(output, RUN, Epoch), _kept(output)
    if resume and folder.exists():
        if read_run(output).tuning is None:
            raise folder.mismatch("without tuning; leave --tune out")
        if not (output / MODEL).is_file():
            progress.note("the trials are done; the training with the chosen settings goes on")
        fitted = fit(
            data,
            output,
            dev=dev,
            settings=given,
            columns=columns,
            pretrained=pretrained,
            group_field=group_field,
            weight_field=weight_field,
            device=device,
            resume=True,
            progress=progress,
        )
        _remove(kept)
        return fitted
    folder.refuse_occupied(force=force)
    if kept.exists() and not (resume or force):
        raise CheckpointError(
            f"{kept}: trials of an interrupted tuning; continue it with --resume, or replace it "
            "with --force"
        )
    sources = Sources(
        data,
        dev,
        columns or Columns(),
        pretrained=None if pretrained in (None, NO_ENCODER) else open_pretrained(pretrained),
        packaged=pretrained is None,
        group_field=group_field,
        weight_field=weight_field,
    )
    laboratory = Laboratory(sources, given, find_device(device))
    first = laboratory.prepared({})
    if len(first.dev) < MIN_ROWS:
        raise DataError(
            f"{first.manifest.dev.file}: {counted(len(first.dev), 'row', 'rows')} to compare "
            f"settings on, and tuning needs {MIN_ROWS}; label more rows, or train without --tune"
        )
    inputs = _inputs(first, given)
    record = Record(inputs, [], {})
    if resume and kept.is_file():
        record = read_record(kept, inputs)
        progress.note(f"resuming after {counted(len(record.trials), 'trial', 'trials')}")
    else:
        report(first, progress)
    tokens = int(np.median(first.train.lengths()))
    tuner = Tuner(
        laboratory,
        first,
        record,
        kept,
        limits=Limits(max_bytes, max_latency_ms, tokens),
        has_other_family=pretrained is None and first.manifest.pretrained is not None,
        begun=begun - record.seconds,
        budget=seconds,
        progress=progress,
    )
    try:
        tuner.run()
    except KeyboardInterrupt:
        progress.end()
        progress.warn(tuner.interrupted())
        raise
    chosen, tuned = tuner.conclude()
    fitted = fit(
        data,
        output,
        dev=dev,
        settings={**given, **chosen.settings},
        columns=columns,
        pretrained=pretrained if chosen.encoder else NO_ENCODER,
        group_field=group_field,
        weight_field=weight_field,
        device=device,
        force=force,
        progress=progress,
        tuned=tuned,
    )
    _remove(kept)
    return fitted


def _given(
    settings: object, seconds: object, max_bytes: object, max_latency_ms: object
) -> dict[str, Any]:
    """Return the given settings by name; refuse arguments that are out of range."""
    if isinstance(settings, TrainingConfig):
        raise ConfigError(
            "a TrainingConfig gives all settings, which leaves nothing to tune; give some of them "
            "as a dictionary"
        )
    given = named_settings(settings)
    TrainingConfig.check_names(given)
    if given.get("frozen"):
        raise ConfigError(
            "frozen does not go with tuning: all that is trained is solved, and its penalties are "
            "chosen anyway; leave one of them out"
        )
    for name, value in (
        ("seconds", seconds),
        ("max_bytes", max_bytes),
        ("max_latency_ms", max_latency_ms),
    ):
        if value is None and name != "seconds":
            continue
        if not isinstance(value, Real):
            raise ConfigError(f"{name} must be a number, not {value!r:.60}")
        if not 0 < float(value) < float("inf"):
            raise ConfigError(f"{name} must be above 0, not {value!r:.60}")
    return given


def _kept(output: Path) -> Path:
    """Return the file that keeps the trials until the run is finished."""
    return output.parent / f"{output.name}.tuning"


def _remove(kept: Path) -> None:
    with contextlib.suppress(OSError):
        kept.unlink(missing_ok=True)


def require_no_trials(output: Path) -> None:
    """Refuse to resume a training whose tuning was interrupted, as if it had none.

    Raises:
        CheckpointError: there are trials of a tuning, and no run yet.
    """
    kept = _kept(output.absolute())
    if kept.is_file() and not (output / RUN).is_file():
        raise CheckpointError(
            f"{kept}: trials of an interrupted tuning; continue it with --tune, or remove this file"
        )


def _inputs(first: Preparation, given: Mapping[str, Any]) -> Inputs:
    manifest, folds = first.manifest, first.folds
    return Inputs(
        textgate=textgate.__version__,
        train=manifest.train.sha256,
        dev=manifest.dev.sha256,
        folds=hashlib.sha256(np.stack(folds.assignments).tobytes()).hexdigest() if folds else None,
        settings=dict(given),
        pretrained=manifest.pretrained.sha256 if manifest.pretrained else None,
    )
