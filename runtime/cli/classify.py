"""`textgate classify`: texts in, labels out."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from textgate.cli import options, stream
from textgate.cli.results import require_output_options, result_format_of, write_results
from textgate.inference.arguments import label_count
from textgate.inference.batching import BATCHES
from textgate.inference.classifier import Classifier
from textgate.inference.session import thread_count
from textgate.rows import RESULT_FORMATS, Row
from textgate.rows.source import STANDARD_INPUT
from textgate.rows.tracking import TrackedPath
from textgate.rows.writers import LABEL_SEPARATOR

if TYPE_CHECKING:
    from textgate.rows import Columns


@click.command()
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@options.bundle
@click.option(
    "-i",
    "--input",
    "source",
    type=options.FILE,
    metavar="FILE",
    help="Rows to classify; - is standard input.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File for the results, in place of standard output. It grows by whole lines, and those "
    "stay if the work stops half-way.",
)
@click.option("--resume", is_flag=True, help="Go on with the --output of work that stopped.")
@click.option("--force", is_flag=True, help="Replace an --output that exists.")
@click.option(
    "--format",
    "result_format",
    type=click.Choice(RESULT_FORMATS),
    help="Format of the results; by default by the name of --output, else that of the rows, else "
    "text: label, score, text.",
)
@click.option(
    "--abstain-below",
    type=float,
    metavar="P",
    callback=options.share,
    help="Give no label that is less probable, whatever the bundle's own thresholds.",
)
@click.option(
    "--top-k",
    type=click.IntRange(min=1),
    metavar="K",
    help="Write the K most probable labels with their scores, the most probable first, in place of "
    "the scores of all labels.",
)
@click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    metavar="N",
    help="Read only the first N tokens of a text; by default as many as the bundle says.",
)
@click.option(
    "-j",
    "--jobs",
    metavar="N|auto",
    callback=options.thread_count,
    default="1",
    show_default=True,
    help="Workers for the rows of a file: processes on Linux, threads elsewhere; auto: as many as "
    "this process may use processors.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    metavar="N",
    default=32,
    show_default=True,
    help="Most texts in one call of the network.",
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
    callback=options.positive_share,
    help="With --stream, end as soon as a label has this score, of at most 1.",
)
@click.option(
    "--label-separator",
    metavar="SEP",
    default=LABEL_SEPARATOR,
    show_default=True,
    help="What stands between several labels of a text, in all formats but jsonl.",
)
@options.texts
@options.threads
@options.engine
def classify(
    texts: tuple[str, ...],
    model: Path,
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
    label_separator: str,
    columns: Columns,
    threads: int | Literal["auto"],
    engine: str,
) -> None:
    """Classify texts: those given, the rows of a file, or standard input, one text a line.

    Results go to standard output in the order of the texts. The columns of a file's rows are kept,
    names and order, before those of the result; one that is named like one of these, such as label,
    becomes input.label. Where a model abstains, and where a text holds no token that it knows, the
    label is empty; JSON Lines say why. With --stream there is a line whenever the decision changes,
    and one at the end.

    A .txt and standard input hold a text a line, other files rows with a column of texts, of any
    size. Rows before one that cannot be used are answered, and the command fails there; with
    --skip-bad-rows the others are answered, too. On a terminal, standard error shows how far the
    work has come.
    """
    # The tokenizer would use every processor by itself; how many are used is what --jobs says.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if streaming:
        stream.require_stream_options(texts, source, result_format)
    elif stop_at is not None:
        raise click.UsageError("--stop-at goes with --stream")
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
        _write_utf8()
        stream.classify_pieces(
            classifier,
            stream.arriving_pieces(),
            as_json=result_format == "jsonl",
            stop_at=stop_at,
        )
        return
    path = TrackedPath(source or "")
    rows: Iterable[Row]
    if source is None:
        _note_file_name(texts)
        rows = (Row(text, (), number, {}) for number, text in enumerate(texts, start=1))
    else:
        from textgate.rows import read_rows

        rows = read_rows(path, columns, labelled=False, note=options.note)
    write_results(
        classifier,
        rows,
        result_format or result_format_of(output, source, columns.format),
        top_k=top_k,
        source=path,
        output=output,
        resume=resume,
        force=force,
        label_separator=label_separator,
        window=BATCHES * batch_size,
        jobs=thread_count("auto") if jobs == "auto" else jobs,
    )


def _note_file_name(texts: Sequence[str]) -> None:
    """Say on standard error that a text is the name of a file, whose rows were perhaps meant."""
    for text in texts:
        looks_like_a_path = ("." in text or os.sep in text) and not re.search(r"\s", text)
        if looks_like_a_path and os.path.isfile(text):  # noqa: PTH113 - no error, however long
            import shlex

            click.echo(
                f"textgate: note: the text {text} is also the name of a file; to classify the rows "
                f"in it: textgate classify -i {shlex.quote(text)}",
                err=True,
            )
            return


def _write_utf8() -> None:
    """Write UTF-8 whatever the locale says, and line ends as they are given."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", newline="")
