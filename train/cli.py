"""`textgate train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import torch

from textgate.bundle.architecture import CELLS
from textgate.cli import options
from textgate.cli.sections import SectionedCommand, section
from textgate.messages import counted
from textgate.rows import Columns
from textgate.train.fitting import FittedRun, fit
from textgate.train.training.config import CRITERIA, TASKS, TOKENIZERS, TrainingConfig
from textgate.train.training.presets import PRESETS, RECIPE
from textgate.train.training.progress import TerminalProgress, duration
from textgate.train.training.settings import read_settings
from textgate.train.tune import require_no_trials, tune

if TYPE_CHECKING:
    from textgate.bundle.run import Tuning

_USELESS = (
    "this classifier is not better than always giving the most frequent label: it has learned "
    "nothing that can be measured on these rows. Label more rows, or check that the labels follow "
    "from the texts. textgate export refuses it without --allow-useless."
)
_UNCERTAIN = (
    "these rows are too few to be sure that this classifier is better than always giving the most "
    "frequent label: the interval includes the accuracy of doing so. Label more rows to know."
)


def poolings(
    ctx: click.Context,  # noqa: ARG001
    param: click.Parameter,  # noqa: ARG001
    value: str | None,
) -> tuple[str, ...] | None:
    """Read names of poolings joined by ``+``, which the network checks."""
    return None if value is None else tuple(value.split("+"))


@click.command(
    cls=SectionedCommand,
    epilog="An option that is not given keeps the value of the preset. The default preset chooses "
    "some values to suit the rows, and prints which and why.",
)
@click.argument("data", type=options.FILE, metavar="DATA")
@section("Output")
@options.folder("Run folder to create.")
@click.option("--resume", is_flag=True, help="Continue the run in OUTPUT, if there is one.")
@click.option("--force", is_flag=True, help="Replace the run in OUTPUT, if there is one.")
@options.quiet
@section("Data")
@options.dev_or_folds
@click.option(
    "--dev-fraction", type=float, help="Fraction of DATA held out when --dev is not given."
)
@click.option(
    "--folds",
    type=int,
    help="Folds of cross-validation, which choose instead of dev rows; 0 for dev rows.  "
    "[default: 5 or 3 if DATA has at most 3,000 rows, else 0]",
)
@options.group_field
@options.weight_field
@options.columns
@click.option(
    "--task",
    type=click.Choice(TASKS),
    help="auto: multi-label if a row has several labels or none.",
)
@section("Settings")
@click.option(
    "--preset", type=click.Choice(list(PRESETS)), help="Settings to start from.  [default: default]"
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="TOML file of settings with the names in run.json; options override it.",
)
@section("Network")
@click.option("--cell", type=click.Choice(CELLS), help="Recurrent cell.")
@click.option(
    "--tokenizer",
    type=click.Choice(TOKENIZERS),
    help="words: rare words are unknown; subwords: rare words are split into pieces.",
)
@click.option(
    "--vocabulary-size",
    type=int,
    help="Maximum number of tokens, including padding and the unknown token.",
)
@click.option("--max-tokens", type=int, help="Maximum number of tokens read from a text.")
@click.option(
    "--vectors",
    type=options.FILE,
    metavar="english|none|FILE",
    help="Word vectors that initialize the embedding; FILE is GloVe, word2vec or fastText text, "
    "or .npy with words.",
)
@click.option("--embedding-size", type=int, help="Width of the embedding.")
@click.option(
    "--hidden",
    "hidden_sizes",
    metavar="N,N,...",
    callback=options.whole_numbers,
    help="Units of each recurrent layer, for example 128,64.",
)
@click.option(
    "--bidirectional/--one-directional",
    default=None,
    help="Bidirectional networks cannot stream.",
)
@click.option(
    "--pooling",
    metavar="NAME+NAME",
    callback=poolings,
    help="last, max, mean, attention, or several: max+mean.",
)
@click.option(
    "--dense",
    "dense_sizes",
    metavar="N,N,...|none",
    callback=options.whole_numbers_or_none,
    help="Units of the hidden dense layers.",
)
@click.option(
    "--encoder",
    "--pretrained",
    "pretrained",
    type=options.FILE,
    metavar="english|none|FOLDER",
    help="Pretrained encoder that the network begins with: the packaged one for English, none, or "
    "a folder that textgate pretrain created.  [default: english if it suits DATA]",
)
@click.option("--linear-size", type=int, help="Columns of the linear branch; 0 for no branch.")
@click.option("--linear-buckets", type=int, help="Maximum number of bigrams in the linear branch.")
@section("Training")
@click.option(
    "--frozen",
    is_flag=True,
    default=None,
    help="Train only the head and the linear branch, in seconds; the encoder stays as it is.",
)
@click.option("--epochs", type=int, help="Maximum number of passes over the rows.")
@click.option(
    "--patience", type=int, help="Stop after this many epochs without improvement on dev."
)
@click.option(
    "--criterion",
    type=click.Choice(CRITERIA),
    help="Measure on dev that chooses the epoch: accuracy (macro-F1 for multi-label) or log loss.",
)
@click.option("--batch-size", type=int, help="Rows per step.")
@click.option("--learning-rate", type=float, help="Learning rate of Adam.")
@click.option(
    "--average", type=float, help="Decay of the moving average of the weights; 0 for none."
)
@click.option(
    "--embedding-dropout", type=float, help="Fraction of the embedded inputs that is dropped."
)
@click.option("--layer-dropout", type=float, help="Fraction dropped between recurrent layers.")
@click.option("--head-dropout", type=float, help="Fraction of the pooled vector that is dropped.")
@click.option(
    "--adversarial",
    type=float,
    help="Size of the adversarial perturbation of the embedding; 0 for none.",
)
@click.option("--class-weights", type=float, help="Class weighting: 0 none, 1 balanced.")
@click.option("--seed", type=int, help="Seed of all random numbers.")
@options.device
@options.torch_threads
@section("Tuning")
@click.option(
    "--tune",
    "seconds",
    metavar="TIME",
    callback=options.duration,
    help="First look for settings that suit DATA for this time, such as 90s, 10m or 2h; those "
    "given as options or by --config stay as they are.",
)
@click.option(
    "--max-size",
    "max_bytes",
    metavar="SIZE",
    callback=options.byte_count,
    help="Largest estimated size of the int8 bundle, such as 500KB or 2MB, for --tune.",
)
@click.option(
    "--max-latency",
    "max_latency_ms",
    metavar="TIME",
    callback=options.latency,
    help="Longest estimated time of a text of median length on one core of this machine, such as "
    "500us or 0.5ms, for --tune.",
)
@section("Teachers")
@click.option(
    "--teacher",
    "teachers",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="PATH",
    help="Run, bundle or fine-tuned transformer to learn from; repeat it to learn the mean of "
    "several.",
)
@click.option(
    "--unlabelled",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="Texts for the teachers to label: .txt with one text per line, or rows; can be repeated.",
)
@click.option(
    "--teacher-weight",
    type=float,
    help="Weight of the teachers against the row's own label: 0 label only, 1 teachers only.",
)
def train(
    data: str,
    output: Path,
    dev: str | None,
    preset: str | None,
    config: Path | None,
    teachers: tuple[Path, ...],
    unlabelled: tuple[Path, ...],
    pretrained: str | None,
    group_field: str | None,
    weight_field: str | None,
    device: str,
    threads: int,
    seconds: float | None,
    max_bytes: int | None,
    max_latency_ms: float | None,
    resume: bool,
    force: bool,
    columns: Columns,
    quiet: bool,
    **settings: Any,
) -> None:
    """Train a classifier on labelled rows.

    DATA is JSON Lines, a JSON list, CSV, TSV, a fastText file (.txt with `__label__x` in front of
    each line), gzip of these, or Parquet. JSON may give `"probs": {"label": 0.9, ...}` instead of a
    label.
    """
    if resume and force:
        raise click.UsageError("--resume continues a run and --force replaces it: give only one")
    if not teachers:
        _refuse_options_of_teachers(unlabelled, settings["teacher_weight"])
    if seconds is None:
        _refuse_options_of_tuning(max_bytes, max_latency_ms)
        if resume:
            require_no_trials(output)
    elif teachers or preset not in (None, RECIPE):
        other = "--teacher" if teachers else f"--preset {preset}"
        raise click.UsageError(
            f"--tune does not go with {other}: it varies the default recipe, without teachers"
        )
    torch.set_num_threads(threads)
    given = read_settings(config, TrainingConfig) if config is not None else {}
    given |= {name: value for name, value in settings.items() if value is not None}
    common: dict[str, Any] = {
        "dev": dev,
        "settings": given,
        "columns": columns,
        "pretrained": pretrained,
        "group_field": group_field,
        "weight_field": weight_field,
        "device": device,
        "resume": resume,
        "force": force,
        "progress": TerminalProgress(quiet=quiet),
    }
    if seconds is None:
        fitted = fit(
            data, output, preset=preset, teachers=teachers, unlabelled=unlabelled, **common
        )
    else:
        fitted = tune(
            data,
            output,
            seconds=seconds,
            max_bytes=max_bytes,
            max_latency_ms=max_latency_ms,
            **common,
        )
    click.echo(f"{output}: {result_line(fitted)}")
    if fitted.manifest.tuning is not None:
        click.echo(tuning_line(fitted.manifest.tuning))
    if not fitted.is_useful:
        click.echo(_USELESS, err=True)
    elif not fitted.is_certain:
        click.echo(_UNCERTAIN, err=True)


def tuning_line(tuning: Tuning) -> str:
    """Return how the settings of a run were chosen, as the command prints it."""
    trials = counted(tuning.trials, "trial", "trials")
    line = f"tuned: trial {tuning.chosen} of {trials} in {duration(tuning.seconds)}"
    if tuning.chosen == 0:
        others = ", which no other trial beat" if tuning.trials > 1 else ""
        return f"{line}, the default recipe{others}"
    if tuning.expected_accuracy is None:
        return line
    return (
        f"{line}; the same rows chose it, so the accuracy above may be too high: expect "
        f"{tuning.expected_accuracy:.4f}"
    )


def result_line(fitted: FittedRun) -> str:
    """Return the quality of a run, as the command prints it."""
    model, rows = fitted.model, fitted.manifest.dev.rows
    metrics, trained = model.metrics, len(model.history)
    accuracy, majority = metrics["accuracy"], metrics.get("majority_accuracy")
    low, high = fitted.accuracy_interval
    expected = f"expect {low:.2f} to {high:.2f} on new texts like these"
    if majority is not None:  # a run of an earlier release has none
        expected += f"; the most frequent label alone has {majority:.4f}"
    folds = fitted.manifest.settings.get("folds")
    measured = "out of fold" if folds else f"on {counted(rows, 'dev row', 'dev rows')}"
    epochs = f"epoch {model.best_epoch} of {trained}"
    if not trained:
        epochs = "frozen encoder" if model.uses_network else "linear branch alone"
    elif folds:
        epochs = counted(trained, "epoch", "epochs")
    return (
        f"{epochs}, {measured} accuracy {accuracy:.4f} ({expected}), macro-F1 "
        f"{metrics['macro_f1']:.4f}, calibration error {metrics['ece']:.4f} "
        f"({metrics['ece_uncalibrated']:.4f} before temperature {model.temperature:.2f})"
    )


def _refuse_options_of_teachers(unlabelled: tuple[Path, ...], weight: float | None) -> None:
    if unlabelled:
        raise click.UsageError(
            "--unlabelled needs a teacher to label the texts: add --teacher PATH, a finished "
            "run or a bundle with the labels of DATA"
        )
    if weight is not None:
        raise click.UsageError("--teacher-weight has no effect without --teacher PATH: add one")


def _refuse_options_of_tuning(max_bytes: int | None, max_latency_ms: float | None) -> None:
    for name, value in (("--max-size", max_bytes), ("--max-latency", max_latency_ms)):
        if value is not None:
            raise click.UsageError(f"{name} limits what --tune looks for: add --tune TIME")
