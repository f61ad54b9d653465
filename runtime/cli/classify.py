"""`textgate classify`: texts in, labels out."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from textgate.batching import windows
from textgate.classifier import Classifier
from textgate.cli import options, stream
from textgate.errors import DataError
from textgate.rows import RESULT_FORMATS, Row, open_writer, read_rows

if TYPE_CHECKING:
    from textgate.rows import ResultWriter

_WINDOW = 512  # rows read ahead from a file; from standard input every row is answered at once


@click.command()
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@options.bundle
@click.option(
    "-i", "--input", "source", metavar="FILE", help="Rows to classify; - is standard input."
)
@click.option(
    "--format",
    "result_format",
    type=click.Choice(RESULT_FORMATS),
    help="Format of the results; by default that of the rows, else text: label, score, text.",
)
@click.option(
    "--stream",
    "streaming",
    is_flag=True,
    help="Take standard input as one text and answer while it arrives: label, score, tokens read.",
)
@click.option(
    "--stop-at",
    type=float,
    metavar="SCORE",
    callback=stream.score_option,
    help="With --stream, end as soon as a label has this score, of at most 1.",
)
@options.columns
@options.threads
def classify(
    texts: tuple[str, ...],
    model: Path,
    source: str | None,
    result_format: str | None,
    streaming: bool,
    stop_at: float | None,
    text_field: str,
    label_field: str,
    input_format: str | None,
    threads: int | Literal["auto"],
) -> None:
    """Classify texts: those given, the rows of a file, or standard input, one text a line.

    Results go to standard output in the order of the texts; the other columns of a file's rows are
    kept. Where a model abstains, the label is empty. With --stream there is a line whenever the
    decision changes, and one at the end.
    """
    if streaming:
        stream.require_stream_options(texts, source, result_format)
        classifier = Classifier.load(model, threads=threads)
        _write_utf8()
        stream.classify_pieces(
            classifier,
            stream.arriving_pieces(),
            as_json=result_format == "jsonl",
            stop_at=stop_at,
        )
        return
    if stop_at is not None:
        raise click.UsageError("--stop-at goes with --stream")
    if texts and source is not None:
        raise click.UsageError("give texts or --input, not both")
    if not texts and source is None:
        source = "-"
        if sys.stdin.isatty():
            raise click.UsageError("no text: give some, or --input FILE, or pipe texts in")
    classifier = Classifier.load(model, threads=threads)
    rows: Iterable[Row]
    if source is None:
        rows = (Row(text, (), number, {}) for number, text in enumerate(texts, start=1))
    else:
        rows = read_rows(
            source,
            format=input_format,
            text_field=text_field,
            label_field=label_field,
            labelled=False,
        )
        result_format = result_format or _same_format(source, input_format)
    _write_utf8()
    writer = open_writer(sys.stdout, result_format or "text", classifier.labels)
    _write(writer, classifier, rows, window=1 if source == "-" else _WINDOW)


def _write_utf8() -> None:
    """Write UTF-8 whatever the locale says, and line ends as they are given."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", newline="")


def _write(
    writer: ResultWriter, classifier: Classifier, rows: Iterable[Row], *, window: int
) -> None:
    for group in windows(rows, window):
        for row, prediction in _answered(classifier, group):
            multi_label = classifier.manifest.task == "multi-label"
            label: Any = list(prediction.labels) if multi_label else prediction.label or ""
            try:
                writer.write(
                    row.text,
                    row.extras,
                    label,
                    prediction.score,
                    prediction.scores,
                    prediction.truncated,
                )
            except BrokenPipeError:
                raise
            except OSError as problem:
                raise DataError(f"the results cannot be written: {problem.strerror}") from None
        _flush()


def _answered(classifier: Classifier, rows: list[Row]) -> Iterator[tuple[Row, Any]]:
    return zip(rows, classifier.predict_many(row.text for row in rows), strict=True)


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as problem:
        raise DataError(f"the results cannot be written: {problem.strerror}") from None


def _same_format(source: str, input_format: str | None) -> str | None:
    """Return the results' format for rows of this format."""
    name = input_format or source.removesuffix(".gz").rpartition(".")[2]
    return {"ndjson": "jsonl"}.get(name, name if name in RESULT_FORMATS else None)
