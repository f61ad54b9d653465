"""`textgate classify --stream`: standard input as one text, answered while it arrives."""

from __future__ import annotations

import codecs
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from textgate.errors import DataError
from textgate.rows.source import STANDARD_INPUT, source_name, unreadable

if TYPE_CHECKING:
    from textgate.inference.classifier import Classifier
    from textgate.inference.prediction import Prediction

FORMATS = ("text", "jsonl")

_MOST_AT_ONCE = 2**16  # bytes
_DIGITS = 6  # of every score; float32 holds no more
_OF_ROWS = (
    "text_field", "input_format", "delimiter", "encoding", "skip_bad_rows", "label_separator",
    "output", "resume", "force", "top_k", "jobs", "batch_size",
)  # fmt: skip
_LINE_BREAKING = re.compile(r"[\t\r\n]+")


def require_stream_options(
    texts: tuple[str, ...], source: str | None, result_format: str | None
) -> None:
    """Refuse what does not go with --stream.

    Raises:
        click.UsageError: texts, rows or a table are asked for.
    """
    if texts or source not in {None, STANDARD_INPUT}:
        raise click.UsageError("--stream reads standard input; leave out texts and --input")
    if result_format not in {None, *FORMATS}:
        raise click.UsageError(
            f"--stream writes {' or '.join(FORMATS)}, not {result_format}: its lines are no rows"
        )
    context = click.get_current_context()
    for name in _OF_ROWS:
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            option = "--" + name.replace("_", "-")
            raise click.UsageError(f"{option} is for rows, and --stream reads one text")


def classify_pieces(
    classifier: Classifier,
    pieces: Iterable[bytes],
    *,
    as_json: bool = False,
    stop_at: float | None = None,
) -> None:
    """Print a line whenever the decision on the text so far changes, and one when it ends.

    Nothing is decided before there is more than white space. A byte order mark is dropped; bytes
    that are not UTF-8 are read as U+FFFD.

    Args:
        classifier: a classifier that can stream.
        pieces: the text in UTF-8, cut anywhere.
        as_json: one JSON object a line instead of label, score and tokens.
        stop_at: end as soon as a label applies with at least this score.

    Raises:
        ConfigError: the classifier cannot stream.
        DataError: the pieces cannot be read or the results not be written.
    """
    stream = classifier.stream()
    several_labels = classifier.manifest.task == "multi-label"

    def answer(prediction: Prediction, *, final: bool) -> None:
        if as_json:
            _print(_json_line(prediction, several_labels=several_labels, final=final))
        else:
            _print(_text_line(prediction))

    decided: set[str] | None = None
    begun = False
    for text in codecs.iterdecode(iter(pieces), "utf-8-sig", "replace"):
        prediction = stream.feed(text)
        begun = begun or not text.isspace()
        if not begun:
            continue
        if stop_at is not None and _is_sure(prediction, stop_at):
            break
        if decided != set(prediction.labels):
            decided = set(prediction.labels)
            answer(prediction, final=False)
    answer(stream.finish(), final=True)


def arriving_pieces() -> Iterator[bytes]:
    """Yield what arrives on standard input, as soon as it does.

    Raises:
        DataError: it cannot be read.
    """
    name = source_name(STANDARD_INPUT)
    if sys.stdin is None:
        raise DataError(f"{name}: cannot be read: it is closed")
    try:
        while piece := os.read(sys.stdin.fileno(), _MOST_AT_ONCE):
            yield piece
    except OSError as problem:
        raise DataError(unreadable(name, problem)) from None


def _is_sure(prediction: Prediction, score: float) -> bool:
    return prediction.label == prediction.top_label and prediction.score >= score


def _text_line(prediction: Prediction) -> str:
    labels = _LINE_BREAKING.sub(" ", "|".join(prediction.labels))
    return f"{labels}\t{prediction.score:.4f}\t{prediction.tokens}\n"


def _json_line(prediction: Prediction, *, several_labels: bool, final: bool) -> str:
    label = list(prediction.labels) if several_labels else prediction.label or ""
    value = {
        "label": label,
        "score": round(prediction.score, _DIGITS),
        "scores": {name: round(score, _DIGITS) for name, score in prediction.scores.items()},
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
