"""`textgate classify`: labels of texts."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from textgate.cli import options, stream
from textgate.cli.classify_rows import require_output_options, result_format_of, write_results
from textgate.cli.sections import SectionedCommand, section
from textgate.inference.arguments import label_count
from textgate.inference.batching import WINDOW_BATCHES
from textgate.inference.classifier import Classifier
from textgate.inference.threads import thread_count
from textgate.rows import RESULT_FORMATS, Row
from textgate.rows.source import STANDARD_INPUT
from textgate.rows.tracking import TrackedPath
from textgate.rows.writers import LABEL_SEPARATOR

if TYPE_CHECKING:
    from textgate.rows import Columns


@click.command(cls=SectionedCommand)
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@section("Input")
@click.option(
    "-i",
    "--input",
    "source",
    type=options.FILE,
    metavar="FILE",
    help="Rows to classify; - is standard input.",
)
@options.texts
@section("Output")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File for the results, instead of standard output. It is written in whole lines, which "
    "stay if the command is interrupted.",
)
@click.option("--resume", is_flag=True, help="Continue an --output that was interrupted.")
@click.option("--force", is_flag=True, help="Replace an --output that exists.")
@click.option(
    "--format",
    "result_format",
    type=click.Choice(RESULT_FORMATS),
    help="Format of the results; by default that of the name of --output, else that of the rows, "
    "else text: label, score, text.",
)
@options.top_k(
    help="Write the K most probable labels with their scores, the most probable first, instead of "
    "the scores of all labels.",
)
@click.option(
    "--label-separator",
    metavar="SEP",
    default=LABEL_SEPARATOR,
    show_default=True,
    help="Text between several labels of a text, in all formats but jsonl.",
)
@section("Model")
@options.bundle
@options.abstain_below
@options.max_tokens
@options.engine
@section("Speed")
@click.option(
    "-j",
    "--jobs",
    metavar="N|auto",
    callback=options.count_or_auto,
    default="1",
    show_default=True,
    help="Workers for the rows of a file: processes on Linux, threads elsewhere; auto: the number "
    "of processors that this process may use.",
)
@options.threads
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    metavar="N",
    default=32,
    show_default=True,
    help="Maximum number of texts per call of the network.",
)
@section("Streaming")
@click.option(
    "--stream",
    "streaming",
    is_flag=True,
    help="Read standard input as one text and answer while it arrives: label, score, tokens read.",
)
@click.option(
    "--stop-at",
    type=float,
    metavar="SCORE",
    callback=options.positive_fraction,
    help="With --stream, stop after the piece of the text, as it arrives, with which a label that "
    "applies has at least this score, such as 0.95. Send whole words.",
)
@click.option(
    "--stop-label",
    "stop_labels",
    metavar="LABEL",
    multiple=True,
    help="Label that --stop-at is about, such as toxic, instead of any label. May be repeated.",
)
def classify(
    texts: tuple[str, ...],
    model: Path | str,
    source: str | None,
    output: Path | None,
    resume: bool,
    force: bool,
    result_format: str | None,
    abstain_below: float | None,
    top_k: int | None,
    max_tokens: int | None,
    jobs: int | Literal["auto"],
    batch_size: int,
    streaming: bool,
    stop_at: float | None,
    stop_labels: tuple[str, ...],
    label_separator: str,
    columns: Columns,
    threads: int | Literal["auto"],
    engine: str,
) -> None:
    """Classify the given texts, the rows of a file, or standard input with one text per line.

    Results go to standard output in the order of the texts. The columns of a file's rows come
    first, with their names and in their order, then the columns of the result. A column with the
    name of a result's column, such as label, becomes input.label. The label is empty where the
    model abstains and where a text holds no token that it knows; JSON Lines give the reason. With
    --stream there is a line whenever the decision changes, and one at the end.

    A .txt file and standard input hold one text per line; other files hold rows with a column of
    texts. Files may be of any size. If a row cannot be used, the rows before it are answered, and
    the command fails; with --skip-bad-rows such rows are left out. On a terminal, standard error
    shows the progress. Beside an unfinished --output lies a small file that --resume needs. It is
    removed when the results are complete, unless the command was given --resume.
    """
    # By itself the tokenizer uses every processor, whatever --jobs says.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if streaming:
        stream.require_stream_options(texts, source, result_format)
    elif stop_at is not None:
        raise click.UsageError("--stop-at needs --stream")
    if stop_labels and stop_at is None:
        raise click.UsageError("--stop-label needs --stop-at")
    if texts and source is not None:
        raise click.UsageError("give texts or --input, not both")
    if not texts and source is None:
        source = STANDARD_INPUT
        if not streaming and sys.stdin is not None and sys.stdin.isatty():
            raise click.UsageError("no text: give some, or --input FILE, or pipe texts in")
    require_output_options(output, source, result_format, resume=resume, force=force)
    classifier = Classifier.load(
        model,
        threads=threads,
        batch_size=batch_size,
        max_tokens=max_tokens,
        thresholds=abstain_below,
        engine=engine,
    )
    top_k = label_count(top_k, classifier.labels)
    if streaming:
        options.write_utf8()
        stream.classify_pieces(
            classifier,
            stream.arriving_pieces(),
            as_json=result_format == "jsonl",
            stop_at=stop_at,
            stop_labels=stop_labels or None,
            label_separator=label_separator,
        )
        return
    path = TrackedPath(source or "")
    rows: Iterable[Row]
    header: list[str] = []
    if source is None:
        _note_file_name(texts)
        rows = (Row(text, (), number, {}) for number, text in enumerate(texts, start=1))
    else:
        from textgate.rows import read_rows

        rows = read_rows(path, columns, labelled=False, note=options.note, header=header.extend)
    result_format = result_format or result_format_of(output, source, columns.format)
    write_results(
        classifier,
        rows,
        result_format,
        top_k=top_k,
        source=path,
        header=header,
        output=output,
        settings={
            "the bundle with the checksum": classifier.manifest.checksum,
            "--engine": classifier.describe()["engine"]["name"],
            "--format": result_format,
            "--top-k": _shown(top_k),
            "--abstain-below": _shown(abstain_below),
            "--max-tokens": _shown(max_tokens),
            "--label-separator": label_separator,
            "--text-field": ", ".join(columns.text_fields),
            "--skip-bad-rows": "on" if columns.skip_bad_rows else "",
        },
        resume=resume,
        force=force,
        label_separator=label_separator,
        window=WINDOW_BATCHES * batch_size,
        jobs=thread_count("auto") if jobs == "auto" else jobs,
    )


def _shown(value: float | None) -> str:
    return "" if value is None else str(value)


def _note_file_name(texts: Sequence[str]) -> None:
    """Note that a text is the name of a file: perhaps its rows were meant."""
    for text in texts:
        looks_like_a_path = ("." in text or os.sep in text) and not re.search(r"\s", text)
        if looks_like_a_path and os.path.isfile(text):  # noqa: PTH113 - no error, however long
            import shlex

            options.note(
                f"the text {text} is also the name of a file; to classify the rows in it: textgate "
                f"classify -i {shlex.quote(text)}"
            )
            return
