"""`textgate classify --stream`: standard input as one text, classified while it arrives."""

from __future__ import annotations

import codecs
import json
import os
import sys
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from textgate.errors import DataError
from textgate.inference.guard import is_sure, require_labels
from textgate.rows.source import STANDARD_INPUT, source_name, unreadable
from textgate.rows.writers import (
    LABEL_SEPARATOR,
    SCORE_DIGITS,
    for_reading,
    require_separator,
)

if TYPE_CHECKING:
    from textgate.inference.classifier import Classifier
    from textgate.inference.prediction import Prediction

STREAM_FORMATS = ("text", "jsonl")

_MAX_PIECE = 2**16  # bytes
_ROW_OPTIONS = (
    "text_field", "input_format", "delimiter", "encoding", "skip_bad_rows", "output", "resume",
    "force", "top_k", "jobs", "batch_size",
)  # fmt: skip


def require_stream_options(
    texts: tuple[str, ...], source: str | None, result_format: str | None
) -> None:
    """Refuse options that --stream does not take.

    Raises:
        click.UsageError: texts, rows or a table are given.
    """
    if texts or source not in {None, STANDARD_INPUT}:
        raise click.UsageError("--stream reads standard input; leave out texts and --input")
    if result_format not in {None, *STREAM_FORMATS}:
        raise click.UsageError(
            f"--stream writes {' or '.join(STREAM_FORMATS)}, not {result_format}: its lines are "
            "not rows"
        )
    context = click.get_current_context()
    for name in _ROW_OPTIONS:
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            option = "--" + name.replace("_", "-")
            raise click.UsageError(f"{option} is for rows, and --stream reads one text")


def classify_pieces(
    classifier: Classifier,
    pieces: Iterable[bytes],
    *,
    as_json: bool = False,
    stop_at: float | None = None,
    stop_labels: Collection[str] | None = None,
    label_separator: str = LABEL_SEPARATOR,
) -> None:
    """Print a line whenever the decision on the text so far changes, and one when it ends.

    Nothing is printed before there is more than white space. A byte order mark is dropped; bytes
    that are not UTF-8 are read as U+FFFD.

    Args:
        classifier: a classifier that can stream.
        pieces: the text in UTF-8, cut anywhere.
        as_json: whether each line is a JSON object instead of label, score and tokens.
        stop_at: end as soon as a label applies with at least this score.
        stop_labels: the labels that `stop_at` is about; None for all.
        label_separator: the text between several labels, unless the lines are JSON.

    Raises:
        ConfigError: the classifier cannot stream or does not have one of `stop_labels`, or a label
            holds the separator.
        DataError: the pieces cannot be read, or the results cannot be written.
    """
    require_labels(stop_labels, classifier.labels)
    stream = classifier.stream()
    multi_label = classifier.manifest.task == "multi-label"
    if multi_label and not as_json:
        require_separator(label_separator, classifier.labels, "text")

    def answer(prediction: Prediction, *, final: bool) -> None:
        if as_json:
            _print(_json_line(prediction, multi_label=multi_label, final=final))
        else:
            _print(_text_line(prediction, label_separator))

    decided: set[str] | None = None
    only_space = True
    for text in codecs.iterdecode(iter(pieces), "utf-8-sig", "replace"):
        prediction = stream.feed(text)
        only_space = only_space and text.isspace()
        if only_space:
            continue
        if stop_at is not None and is_sure(prediction, stop_at, stop_labels):
            break
        if decided != set(prediction.labels):
            decided = set(prediction.labels)
            answer(prediction, final=False)
    answer(stream.finish(), final=True)


def arriving_pieces() -> Iterator[bytes]:
    """Yield the bytes of standard input as soon as they arrive.

    Raises:
        DataError: it cannot be read.
    """
    name = source_name(STANDARD_INPUT)
    if sys.stdin is None:
        raise DataError(f"{name}: cannot be read: it is closed")
    try:
        while piece := os.read(sys.stdin.fileno(), _MAX_PIECE):
            yield piece
    except OSError as problem:
        raise DataError(unreadable(name, problem)) from None


def _text_line(prediction: Prediction, separator: str) -> str:
    labels = for_reading(separator.join(prediction.labels))
    return f"{labels}\t{prediction.score:.4f}\t{prediction.tokens}\n"


def _json_line(prediction: Prediction, *, multi_label: bool, final: bool) -> str:
    label = list(prediction.labels) if multi_label else prediction.label or ""
    value = {
        "label": label,
        "score": round(prediction.score, SCORE_DIGITS),
        "scores": {name: round(score, SCORE_DIGITS) for name, score in prediction.scores.items()},
        "tokens": prediction.tokens,
        "truncated": prediction.truncated,
        "final": final,
    }
    if prediction.reason is not None:
        value["reason"] = prediction.reason
    return json.dumps(value, ensure_ascii=False) + "\n"


def _print(line: str) -> None:
    try:
        sys.stdout.write(line)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as problem:
        raise DataError(f"the results cannot be written: {problem.strerror}") from None
