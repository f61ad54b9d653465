"""Classifying rows and writing the results: to standard output or a file, from the beginning or on.

Rows may be without end: they are read, classified and written a window at a time.
"""

from __future__ import annotations

import gc
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from textgate.errors import DataError, TextgateError
from textgate.inference.bulk import classify_rows
from textgate.progress import Progress
from textgate.rows import RESULT_FORMATS, open_writer
from textgate.rows.output import Output, ResultFile, StandardOutput
from textgate.rows.source import STANDARD_INPUT, source_name
from textgate.rows.writers import LABEL_SEPARATOR

if TYPE_CHECKING:
    from textgate.inference.classifier import Classifier
    from textgate.inference.prediction import Prediction
    from textgate.rows import ResultWriter, Row
    from textgate.rows.reading import Pairs
    from textgate.rows.resume import Written
    from textgate.rows.tracking import TrackedPath


_NOT_WRITTEN = (".json", ".parquet", ".xlsx", ".xls", ".ods")


def require_output_options(
    output: Path | None,
    source: str | None,
    result_format: str | None = None,
    *,
    resume: bool,
    force: bool,
) -> None:
    """Refuse what does not go together, before anything is read.

    Raises:
        click.UsageError: an option of --output without it, or both of them.
        DataError: the output is the input.
    """
    if output is None:
        if resume or force:
            raise click.UsageError(f"{'--resume' if resume else '--force'} goes with --output")
        _refuse_what_is_read(source, STANDARD_INPUT)
        return
    if resume and force:
        raise click.UsageError("--resume goes on with a file, and --force replaces it: give one")
    if output.suffix.lower() == ".gz":
        raise click.UsageError(f"{output}: results are not compressed; leave .gz out of the name")
    if result_format is None and output.suffix.lower() in _NOT_WRITTEN:
        raise click.UsageError(
            f"{output}: results are written as {', '.join(RESULT_FORMATS)}, not as "
            f"{output.suffix}; name the file so, or pass --format"
        )
    _refuse_what_is_read(source, str(output))


def _refuse_what_is_read(source: str | None, output: str) -> None:
    """Refuse results in the file that the rows are from; ``-`` is standard input or output."""
    read = None if source is None else _file(source, sys.stdin)
    if read is not None and read == _file(output, sys.stdout):
        name = "standard output" if output == STANDARD_INPUT else output
        raise DataError(f"{name}: is what is read; write the results to another file")


def _file(path: str, standard: TextIO | None) -> tuple[int, int] | None:
    """Return what tells a file from all others, whatever its name; None where there is no file."""
    try:
        status = os.fstat(_descriptor(standard)) if path == STANDARD_INPUT else Path(path).stat()
    except (OSError, ValueError):  # a name may hold what no path can
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None


def _descriptor(standard: TextIO | None) -> int:
    return -1 if standard is None else standard.fileno()


def result_format_of(output: Path | None, source: str | None, input_format: str | None) -> str:
    """Return the format of results that are asked for in none: by names, that of the file first."""
    if output is not None and output.suffix:
        return _format(output.suffix[1:].lower()) or "text"
    name = input_format or (source or "").removesuffix(".gz").rpartition(".")[2]
    return _format(name) or "text"


def write_results(
    classifier: Classifier,
    rows: Iterable[Row],
    result_format: str,
    *,
    top_k: int | None = None,
    source: TrackedPath,
    output: Path | None,
    resume: bool = False,
    force: bool = False,
    label_separator: str = LABEL_SEPARATOR,
    window: int,
    jobs: int,
) -> None:
    """Classify rows and write the results in their order.

    If a row is not what it should be, the results of those before it are written first.

    Args:
        classifier: what classifies.
        rows: what to classify.
        result_format: one of `RESULT_FORMATS`.
        top_k: how many labels, the most probable ones, are written with their scores in place of
            the scores of all; None for all.
        source: where the rows are from.
        output: where the results go; None is standard output.
        resume: whether an older output is gone on with.
        force: whether an older output may be replaced.
        label_separator: what stands between several labels where there is no list.
        window: most rows that are read before the first of them is answered.
        jobs: workers that classify, this thread among them.

    Raises:
        TextgateError: a row cannot be read or classified, or a result not be written.
    """
    written = None
    if output is not None and resume and output.exists():
        from textgate.rows.resume import read_written

        written = read_written(output, result_format)
    with closing(_destination(output, written, force=force)) as destination:
        writer = open_writer(
            destination,
            result_format,
            classifier.labels,
            top_k=top_k,
            multi_label=classifier.manifest.task == "multi-label",
            label_separator=label_separator,
        )
        if written is not None:
            rows = _rows_left(rows, written, writer, destination, classifier, source, top_k)
        answered = classify_rows(
            classifier,
            rows,
            top_k=top_k,
            window=window,
            jobs=jobs,
            forked=jobs > 1 and _can_fork(),
            more_has_come=source.more_has_come,
        )
        progress = Progress(_terminal(output, source), source.share_read)
        with closing(answered), _settled(), progress:
            for answers in answered:
                try:
                    for row, prediction in answers:
                        _write(writer, row, prediction, classifier)
                except TextgateError:
                    destination.flush()
                    raise
                destination.flush()
                progress.step(len(answers))
        destination.flush()  # which makes the file, if there was no row


def _can_fork() -> bool:
    from textgate.inference.workers import can_fork  # which a single text need not wait for

    return can_fork()


@contextmanager
def _settled() -> Iterator[None]:
    """Spare the garbage collector what is there already, which every window would have it visit."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _destination(output: Path | None, written: Written | None, *, force: bool) -> Output:
    if output is None:
        return StandardOutput()
    return ResultFile(output, force=force, keep=None if written is None else written.size)


def _rows_left(
    rows: Iterable[Row],
    written: Written,
    writer: ResultWriter,
    destination: Output,
    classifier: Classifier,
    source: TrackedPath,
    top_k: int | None,
) -> Iterable[Row]:
    """Return the rows without results. A header that is there already is not written again."""
    from textgate.rows.resume import rows_left

    scores = dict.fromkeys(classifier.labels[:top_k], 0.0)

    def rendered(row: Row) -> str:
        writer.write(row.text, _columns(row), "", 0.0, scores, False)
        return destination.take()

    return rows_left(
        rows,
        written,
        source=source_name(source) or "the command line",
        rendered=rendered,
        ranked=top_k is not None,
    )


def _write(writer: ResultWriter, row: Row, prediction: Prediction, classifier: Classifier) -> None:
    multi_label = classifier.manifest.task == "multi-label"
    writer.write(
        row.text,
        _columns(row),
        list(prediction.labels) if multi_label else prediction.label or "",
        prediction.score,
        prediction.scores,
        prediction.truncated,
        prediction.reason,
    )


def _columns(row: Row) -> Pairs:
    """Return the columns of a row; a text from nowhere is a column of its own."""
    return row.columns or (("text", row.text),)


def _terminal(output: Path | None, source: TrackedPath) -> TextIO | None:
    """Return where progress can be shown without mixing with what is typed or printed."""
    typed = str(source) == STANDARD_INPUT and sys.stdin is not None and sys.stdin.isatty()
    printed = output is None and sys.stdout.isatty()
    return None if typed or printed else sys.stderr


def _format(name: str) -> str | None:
    name = {"ndjson": "jsonl", "json": "jsonl", "txt": "text"}.get(name, name)
    return name if name in RESULT_FORMATS else None
