"""Results of rows: classified and written to standard output or to a file, which may be resumed.

The rows may never end: they are read, classified and written a window at a time.
"""

from __future__ import annotations

import gc
import itertools
import os
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from textgate.errors import DataError
from textgate.inference.bulk import classify_rows
from textgate.rows import RESULT_FORMATS, open_writer
from textgate.rows.output import ResultFile, ResultOutput, StandardOutput
from textgate.rows.resume import ResumeFile
from textgate.rows.source import STANDARD_INPUT, source_name
from textgate.rows.writers import LABEL_SEPARATOR

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

    from textgate.inference.classifier import Classifier
    from textgate.inference.prediction import Prediction
    from textgate.rows import ResultWriter, Row
    from textgate.rows.reading import Pairs
    from textgate.rows.tracking import TrackedPath

_UNWRITTEN = (".json", ".parquet", ".xlsx", ".xls", ".ods")
_PROGRESS_AFTER = 1.0  # seconds
_PROGRESS_STEPS = 1000  # of a file


def require_output_options(
    output: Path | None,
    source: str | None,
    result_format: str | None = None,
    *,
    resume: bool,
    force: bool,
) -> None:
    """Refuse options of the output that do not go together.

    Raises:
        click.UsageError: --resume or --force without --output, both of them, or a format that is
            not written.
        DataError: the output is the input.
    """
    if output is None:
        if resume or force:
            raise click.UsageError(f"{'--resume' if resume else '--force'} needs --output")
        _refuse_input_as_output(source, STANDARD_INPUT)
        return
    if resume and force:
        raise click.UsageError("--resume continues a file, and --force replaces it: give one")
    if output.suffix.lower() == ".gz":
        raise click.UsageError(f"{output}: results are not compressed; leave .gz out of the name")
    if result_format is None and output.suffix.lower() in _UNWRITTEN:
        raise click.UsageError(
            f"{output}: results are written as {', '.join(RESULT_FORMATS)}, not as "
            f"{output.suffix}; name the file so, or pass --format"
        )
    _refuse_input_as_output(source, str(output))


def _refuse_input_as_output(source: str | None, output: str) -> None:
    """Refuse an output that is the file of the rows; ``-`` is standard input or output."""
    read = None if source is None else _file(source, sys.stdin)
    if read is not None and read == _file(output, sys.stdout):
        name = "standard output" if output == STANDARD_INPUT else output
        raise DataError(f"{name}: is the input; write the results to another file")


def _file(path: str, standard: TextIO | None) -> tuple[int, int] | None:
    """Return the device and the number of a regular file; None if it is not one."""
    try:
        status = os.fstat(_descriptor(standard)) if path == STANDARD_INPUT else Path(path).stat()
    except (OSError, ValueError):  # a name may hold characters that a path cannot
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None


def _descriptor(standard: TextIO | None) -> int:
    return -1 if standard is None else standard.fileno()


def result_format_of(output: Path | None, source: str | None, input_format: str | None) -> str:
    """Return the format of the results by the name of the output, else by that of the rows."""
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
    header: Sequence[str] = (),
    output: Path | None,
    settings: Mapping[str, str] | None = None,
    resume: bool = False,
    force: bool = False,
    label_separator: str = LABEL_SEPARATOR,
    window: int,
    jobs: int,
) -> None:
    """Classify rows and write the results in their order.

    If a row cannot be used, the results of the rows before it are written first.

    Args:
        classifier: the classifier.
        rows: the rows.
        result_format: one of `RESULT_FORMATS`.
        top_k: how many labels, the most probable ones, are written with their scores instead of
            the scores of all labels; None for all.
        source: the file of the rows.
        header: the columns of a table without rows; it may be filled while rows are read.
        output: the file of the results; None for standard output.
        settings: everything else that determines the results, for the resume file.
        resume: whether an older output is continued.
        force: whether an older output may be replaced.
        label_separator: the text between several labels, in formats without lists.
        window: how many rows at most are read before the first of them is answered.
        jobs: workers that classify, including this thread.

    Raises:
        TextgateError: a row cannot be read or classified, or a result cannot be written.
    """
    multi_label = classifier.manifest.task == "multi-label"
    with ExitStack() as stack:
        first: Row | None = None
        resumed: ResumeFile | None = None
        destination: ResultOutput
        if output is None:
            destination = StandardOutput()
        else:
            resumed = stack.enter_context(ResumeFile(output, settings or {}, keep=resume))
            keep = None
            if resume and output.exists():
                name = source_name(source) or "the command line"
                first, rows = resumed.rows_left(rows, source=name)
                keep = resumed.size
            destination = ResultFile(output, force=force, keep=keep, opened=resumed.save)
        stack.enter_context(closing(destination))
        writer = open_writer(
            destination,
            result_format,
            classifier.labels,
            top_k=top_k,
            multi_label=multi_label,
            label_separator=label_separator,
        )
        if first is not None:
            writer.begin([name for name, _ in _cells(first)])
            destination.take()  # it is there already
        answered = classify_rows(
            classifier,
            rows,
            top_k=top_k,
            window=window,
            jobs=jobs,
            forked=jobs > 1 and _can_fork(),
            more_has_come=source.more_has_come,
        )
        stack.enter_context(closing(answered))
        stack.enter_context(_garbage_frozen())
        progress = stack.enter_context(_progress(_terminal(output, source), source))
        begun = first is not None
        for answers in answered:
            begun = True
            try:
                for row, prediction in answers:
                    _write(writer, row, prediction, multi_label=multi_label)
            finally:
                destination.flush()
            if isinstance(destination, ResultFile) and resumed is not None:
                resumed.advance((row for row, _ in answers), destination)
            progress(len(answers))
        if header and not begun:
            writer.begin(header)
        destination.flush()  # which makes the file, if there was no row


def _can_fork() -> bool:
    from textgate.inference.workers import can_fork  # a single text does not need it

    return can_fork()


@contextmanager
def _garbage_frozen() -> Iterator[None]:
    """Keep the garbage collector from visiting the existing objects in every window."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def _progress(stream: TextIO | None, source: TrackedPath) -> Iterator[Callable[[int], None]]:
    """Yield a function that takes the number of new results and, on a terminal, draws a bar.

    The bar appears after a second. Its length is the size of a file; for a pipe, only the rows are
    counted.
    """
    if stream is None or not stream.isatty():
        yield lambda _: None
        return
    begun, before = time.time(), source.fraction_read() or 0.0
    rows = 0
    bar: ProgressBar[int] | None = None
    with ExitStack() as stack:

        def step(count: int) -> None:
            nonlocal rows, bar
            rows += count
            fraction = source.fraction_read()
            if bar is None and time.time() - begun >= _PROGRESS_AFTER:
                bar = click.progressbar(
                    itertools.count(),
                    length=None if fraction is None else _PROGRESS_STEPS,
                    item_show_func=lambda _: f"{rows:,} rows",
                    file=stream,
                )
                bar.start = begun
                stack.enter_context(bar)
            if bar is not None and fraction is not None:
                done = (fraction - before) / (1 - before) if before < 1 else 1.0
                bar.update(round(_PROGRESS_STEPS * done) - bar.pos)
            elif bar is not None:
                bar.update(rows - bar.pos)

        yield step


def _write(writer: ResultWriter, row: Row, prediction: Prediction, *, multi_label: bool) -> None:
    writer.write(
        row.text,
        _cells(row),
        list(prediction.labels) if multi_label else prediction.label or "",
        prediction.score,
        prediction.scores,
        prediction.truncated,
        prediction.reason,
    )


def _cells(row: Row) -> Pairs:
    """Return the cells of a row; a text without a table is a cell named ``text``."""
    return row.cells or (("text", row.text),)


def _terminal(output: Path | None, source: TrackedPath) -> TextIO | None:
    """Return standard error, unless the user types texts or reads results on the terminal."""
    typed = str(source) == STANDARD_INPUT and sys.stdin is not None and sys.stdin.isatty()
    printed = output is None and sys.stdout.isatty()
    return None if typed or printed else sys.stderr


def _format(name: str) -> str | None:
    name = {"ndjson": "jsonl", "json": "jsonl", "txt": "text"}.get(name, name)
    return name if name in RESULT_FORMATS else None
