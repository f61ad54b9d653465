"""`textgate scale`: a corpus in Parquet, classified on a cluster."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from textgate.cli import options
from textgate.errors import needing


@click.command()
@click.argument("cluster", metavar="ray|spark", type=click.Choice(("ray", "spark")))
@click.option(
    "-i",
    "--input",
    "source",
    type=options.FILE,
    metavar="PARQUET",
    required=True,
    help="Parquet file, folder of them, or pattern such as 'reviews/*.parquet'; a path that every "
    "node has, or an address such as s3://bucket/reviews/*.parquet.",
)
@click.option(
    "-o",
    "--output",
    type=options.FILE,
    metavar="FOLDER",
    required=True,
    help="Folder for the results: one Parquet file for each one of the input, with its name. The "
    "same command continues it.",
)
@options.bundle
@click.option(
    "--text-field",
    multiple=True,
    default=("text",),
    show_default=True,
    help="Column of the texts; repeat it to join several columns with line ends.",
)
@click.option("--scores", is_flag=True, help="Add a column of the probabilities of all labels.")
@options.abstain_below
@options.max_tokens
@options.engine
def scale(
    cluster: str,
    source: str,
    output: str,
    model: Path | str,
    text_field: tuple[str, ...],
    scores: bool,
    abstain_below: float | None,
    max_tokens: int | None,
    engine: str,
) -> None:
    """Classify a corpus in Parquet with Ray or Spark, on this machine or a cluster.

    The columns label, score, reason, truncated and error follow those of the input. The label is
    null where the model abstains. A row without a text has an error and no label.

    Ray is the cluster of RAY_ADDRESS, else the one that runs on this machine, else a new one here.
    Spark is configured as for any program, by spark-defaults.conf or spark-submit, and otherwise
    runs here.

    Each finished partition is recorded in the folder of the results. After an interruption the same
    command does the rest. Another corpus, another model or other settings are refused there.
    """
    with needing(cluster, f"textgate scale {cluster}"):
        from textgate.scale.folders import Folder
        from textgate.scale.job import open_job
        from textgate.scale.run import run

        if cluster == "ray":
            from textgate.scale.ray import execute, start
        else:
            from textgate.scale.spark import execute, start
    job, path = open_job(
        model,
        text=text_field[0] if len(text_field) == 1 else text_field,
        scores=scores,
        abstain_below=abstain_below,
        max_tokens=max_tokens,
        engine=engine,
    )
    start()  # before anything is written
    done = run(job, source, output, partial(execute, job, path), note=options.note)
    # An address may hold a password.
    click.echo(f"{Folder(output).name if '://' in output else output}: {done}")
