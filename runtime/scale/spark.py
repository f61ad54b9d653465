"""Spark: a DataFrame and SQL classified by the executors, and a corpus into a folder."""

from __future__ import annotations

import os
import sys
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from textgate.errors import ConfigError, DataError, needing
from textgate.messages import reason

with needing("spark", "textgate.scale.spark"):
    import pyarrow as pa

    from textgate.scale.results import (
        classified_tables,
        kept_names,
        require_texts,
        result_fields,
    )
from textgate.scale.job import Job, bundle_files, open_classifier, open_job
from textgate.scale.worker import Place, Worker

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import DataFrame, SparkSession

    from textgate.inference.classifier import Classifier

_TEXT = "text"  # the column of a batch of SQL's function


def classify(
    df: DataFrame,
    model: str | Path | None = None,
    text: str | tuple[str, ...] = "text",
    *,
    scores: bool = False,
    abstain_below: float | None = None,
    max_tokens: int | None = None,
    engine: str | None = None,
    ship: bool = True,
) -> DataFrame:
    """Return the rows of a DataFrame with the columns of their results.

    The columns are ``label``, ``score``, ``reason``, ``truncated`` and ``error``. A row without a
    text has an error and no label. A column of the DataFrame with one of these names becomes
    ``input.NAME``.

    Args:
        df: the rows.
        model: the bundle, as for `Classifier.load`.
        text: the column of the texts, or several, which are joined with line ends.
        scores: whether to add the column ``scores``, the probabilities of all labels.
        abstain_below: give no label whose probability is below this; None for the bundle's own
            thresholds.
        max_tokens: how many tokens of a text are read; None for the bundle's limit.
        engine: the engine, as for `Classifier.load`; the same one on every executor.
        ship: whether Spark brings the files of the bundle to the executors. Otherwise they are
            read on every node from the folder that they have here, and must be the same.

    Raises:
        BundleError: the bundle cannot be loaded.
        ConfigError: a setting is out of range.
        MissingPackageError: Spark is not installed.
    """
    with _needed():
        from pyspark.sql.pandas.types import from_arrow_schema
        from pyspark.sql.types import StructField, StructType
    job, path = open_job(
        model,
        text=text,
        scores=scores,
        abstain_below=abstain_below,
        max_tokens=max_tokens,
        engine=engine,
    )
    require_texts(df.columns, job)
    shipped = _ship(df.sparkSession.sparkContext, job, path) if ship else None

    def classified(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        classifier = _classifier(job, shipped, path)
        for batch in batches:
            for table in classified_tables(classifier, job, pa.Table.from_batches([batch])):
                yield from table.to_batches()

    kept = [
        StructField(name, field.dataType, field.nullable)
        for name, field in zip(kept_names(df.columns, job), df.schema, strict=True)
    ]
    results = from_arrow_schema(pa.schema(result_fields(job)))
    return df.mapInArrow(classified, StructType([*kept, *results]))


def register(
    spark: SparkSession,
    model: str | Path | None = None,
    name: str = "textgate",
    *,
    scores: bool = False,
    abstain_below: float | None = None,
    max_tokens: int | None = None,
    engine: str | None = None,
    ship: bool = True,
) -> None:
    """Register a function for SQL: ``SELECT textgate(text).label AS label FROM reviews``.

    It returns a struct of the results, with the fields that `classify` adds as columns.

    Args:
        spark: the session.
        model: the bundle, as for `classify`, like the arguments below `name`.
        name: the name of the function.
        scores: whether the struct holds the probabilities of all labels.
        abstain_below: give no label whose probability is below this.
        max_tokens: how many tokens of a text are read.
        engine: the engine.
        ship: whether Spark brings the files of the bundle to the executors.

    Raises:
        BundleError: the bundle cannot be loaded.
        ConfigError: a setting is out of range.
    """
    with _needed():
        from pyspark.sql.functions import arrow_udf
        from pyspark.sql.pandas.types import from_arrow_type
    job, path = open_job(
        model,
        text=_TEXT,
        scores=scores,
        abstain_below=abstain_below,
        max_tokens=max_tokens,
        engine=engine,
    )
    shipped = _ship(spark.sparkContext, job, path) if ship else None
    fields = result_fields(job)

    def classified(columns: Iterator[pa.Array]) -> Iterator[pa.Array]:
        classifier = _classifier(job, shipped, path)
        for column in columns:
            texts = pa.table({_TEXT: column})
            found = pa.concat_tables(classified_tables(classifier, job, texts)).combine_chunks()
            results = found.select([field.name for field in fields])
            yield pa.concat_arrays(results.to_struct_array().chunks)

    # Spark finds the kind of the function in its annotations, which are strings here.
    classified.__annotations__ = {"columns": Iterator[pa.Array], "return": Iterator[pa.Array]}
    spark.udf.register(name, arrow_udf(classified, from_arrow_type(pa.struct(fields))))


def execute(job: Job, path: Path, place: Place, groups: Sequence[str]) -> Iterator[str]:
    """Do groups of partitions on the executors; the driver's part of `run`.

    Args:
        job: the job.
        path: the bundle.
        place: where the corpus and the results are.
        groups: the groups, as `encoded_group` returns them.

    Raises:
        DataError: Spark gave up.
    """
    from pyspark.core.context import Py4JError
    from pyspark.errors import PySparkException

    context = start().sparkContext
    shipped = _ship(context, job, path)

    def done(group: str) -> str:
        return _worker(job, shipped, place).run(group)

    # One job of all groups; toLocalIterator() would do one group after another.
    try:
        yield from context.parallelize(groups, len(groups)).map(done).collect()
    except (Py4JError, PySparkException) as problem:
        raise DataError(
            f"Spark gave up: {_first_line(problem)}; the same command does the rest"
        ) from None


def start() -> SparkSession:
    """Return the session of this process, or a new one with Spark's own configuration.

    Raises:
        ConfigError: Spark cannot start.
        MissingPackageError: Spark is not installed.
    """
    with _needed():
        from pyspark.core.context import Py4JError
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    active = SparkSession.getActiveSession()
    if active is not None:
        return active
    # textgate uses no pandas.
    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
    # Spark's own default is another Python than that of a virtual environment.
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    try:
        return (
            SparkSession.builder.appName("textgate")
            .config("spark.ui.enabled", "false")
            .config("spark.ui.showConsoleProgress", "false")
            .getOrCreate()
        )
    except (Py4JError, PySparkException, OSError, ValueError) as problem:
        raise ConfigError(
            f"Spark cannot start: {_first_line(problem)}; its own messages are above; it needs "
            "Java 17 or later, such as Debian's openjdk-17-jre-headless"
        ) from None


def _first_line(problem: Exception) -> str:
    """Return the message of an error without the stack of Java."""
    lines = [line for line in str(problem).splitlines() if not line.startswith("\tat ")]
    return reason(Exception(" ".join(lines)))


def _ship(context: SparkContext, job: Job, path: Path) -> str:
    """Have Spark bring the files of a bundle to the executors; return the name of the archive.

    It is one file, because Spark brings no folders from the driver's disk.
    """
    from pyspark import SparkFiles

    name = f"textgate-{job.checksum}.zip"
    if name not in {Path(file).name for file in context.listFiles}:
        # Spark serves the archive from where it is, as long as it runs. Python looks for modules in
        # the folder above, so this one has a name that no module can have.
        folder = Path(SparkFiles.getRootDirectory()) / ".textgate"
        folder.mkdir(exist_ok=True)
        with zipfile.ZipFile(folder / name, "w") as archive:
            for file, content in bundle_files(path).items():
                archive.writestr(file, content)
        context.addFile(str(folder / name))
    return name


def _needed() -> AbstractContextManager[None]:
    return needing("spark", "textgate.scale.spark")


def _shipped_files(name: str) -> dict[str, bytes]:
    from pyspark import SparkFiles

    with zipfile.ZipFile(SparkFiles.get(name)) as archive:
        return {file: archive.read(file) for file in archive.namelist()}


# An executor's process does one task after another, with one session.
@lru_cache(maxsize=2)
def _classifier(job: Job, shipped: str | None, path: Path) -> Classifier:
    return open_classifier(job, path if shipped is None else _shipped_files(shipped))


@lru_cache(maxsize=2)
def _worker(job: Job, shipped: str, place: Place) -> Worker:
    return Worker(job, _shipped_files(shipped), place)
