"""Results of the rows of an Arrow table, as columns beside those of the table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from textgate.errors import ConfigError
from textgate.inference.batching import WINDOW_BATCHES
from textgate.inference.bulk import classify_rows
from textgate.messages import did_you_mean, listed
from textgate.rows.bad_rows import BadRowError
from textgate.rows.reading import Reading
from textgate.rows.row import Row
from textgate.rows.writers import renamed_columns

if TYPE_CHECKING:
    from textgate.inference.classifier import Classifier
    from textgate.inference.prediction import Prediction
    from textgate.scale.job import Job

_MAX_ROWS = 4096  # of a table that is returned; bounds the memory of predictions
_WINDOW = WINDOW_BATCHES * 32  # rows that are sorted by length together


def result_fields(job: Job) -> list[pa.Field]:
    """Return the columns of the results.

    ``label`` is null where the model abstains, and ``reason`` says why; a model of several labels
    has a list instead. A row that has no text is null in all of them but ``error``.
    """
    fields = [
        pa.field("label", pa.list_(pa.string()) if job.multi_label else pa.string()),
        pa.field("score", pa.float32()),
        pa.field("reason", pa.string()),
        pa.field("truncated", pa.bool_()),
        pa.field("error", pa.string()),
    ]
    if job.scores:
        scores = pa.struct([pa.field(label, pa.float32()) for label in job.labels])
        fields.append(pa.field("scores", scores))
    return fields


def kept_names(names: Sequence[str], job: Job) -> list[str]:
    """Return the names that the columns of a table have beside those of the results.

    A column with the name of a result, in any case, becomes ``input.NAME``: many readers of
    Parquet do not tell the two apart.
    """
    own = {field.name for field in result_fields(job)}
    return renamed_columns(names, own | {name for name in names if name.lower() in own})


def result_schema(schema: pa.Schema, job: Job) -> pa.Schema:
    """Return the columns of a table with results: its own, then those of the results.

    The metadata of the table are left out. Spark, pandas and others describe its columns there, and
    would read the results as if they had those columns alone.
    """
    names = kept_names(schema.names, job)
    kept = [field.with_name(name) for field, name in zip(schema, names, strict=True)]
    return pa.schema([*kept, *result_fields(job)])


def require_texts(names: Sequence[str], job: Job) -> None:
    """Refuse a table that has no column of texts.

    Raises:
        ConfigError: there is no such column.
    """
    wanted = job.columns.text_fields
    if not set(wanted) & set(names):
        raise ConfigError(
            f"text: no column {wanted[0]!r}{did_you_mean(wanted[0], names)}, found {listed(names)}"
        )


def classified_tables(classifier: Classifier, job: Job, table: pa.Table) -> Iterator[pa.Table]:
    """Yield the rows of a table with their results, a few thousand at a time; at least one table.

    Args:
        classifier: the classifier of the job.
        job: the job.
        table: the rows. A row without a text that can be read has an ``error`` and no result.
    """
    schema = result_schema(table.schema, job)
    for start in range(0, max(table.num_rows, 1), _MAX_ROWS):
        # Without columns, a slice that is too long would have more rows than the table.
        part = table.slice(start, min(_MAX_ROWS, table.num_rows - start))
        results = _results(classifier, job, part)
        yield pa.Table.from_arrays([*part.columns, *results], schema=schema)


def _results(classifier: Classifier, job: Job, table: pa.Table) -> list[pa.Array]:
    texts = _texts(job, table)
    rows = [Row(text, (), 0) for text, _ in texts if text is not None]
    answers = classify_rows(classifier, rows, window=_WINDOW)
    predictions = iter([prediction for window in answers for _, prediction in window])
    found = [None if text is None else next(predictions) for text, _ in texts]
    columns: list[list[Any]] = [
        [None if one is None else _label(one, job) for one in found],
        [None if one is None else one.score for one in found],
        [None if one is None else one.reason for one in found],
        [None if one is None else one.truncated for one in found],
        [error for _, error in texts],
    ]
    if job.scores:
        columns.append([None if one is None else one.scores for one in found])
    fields = result_fields(job)
    return [
        pa.array(values, type=field.type) for values, field in zip(columns, fields, strict=True)
    ]


def _label(prediction: Prediction, job: Job) -> str | list[str] | None:
    return list(prediction.labels) if job.multi_label else prediction.label


def _texts(job: Job, table: pa.Table) -> list[tuple[str | None, str | None]]:
    """Return the text of each row and None, or None and why it has no text."""
    reading = Reading("", job.columns, labelled=False, note=lambda _: None)
    names = table.schema.names
    wanted = [name for name in job.columns.text_fields if name in names]
    if not wanted:
        _, error = _text(reading, [(name, None) for name in names])
        return [(None, error)] * table.num_rows
    # Of columns with the same name the last one counts, as in rows of files.
    last = {name: index for index, name in enumerate(names)}
    columns = [_values(table.column(last[name])) for name in wanted]
    return [
        _text(reading, list(zip(wanted, values, strict=True)))
        for values in zip(*columns, strict=True)
    ]


def _text(reading: Reading, pairs: list[tuple[str, object]]) -> tuple[str | None, str | None]:
    try:
        row = reading.row(pairs, line=0, location="")
    except BadRowError as problem:
        return None, problem.problem
    return (None, None) if row is None else (row.text, None)


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Return the values of a column; of texts, bytes where they are not UTF-8."""
    try:
        return column.to_pylist()  # type: ignore[no-any-return]
    except UnicodeDecodeError:
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if not pa.types.is_nested(column.type):
            return [_decoded(value) for value in column.cast(pa.large_binary()).to_pylist()]
    except (ValueError, OverflowError):  # such as a date that Python has not
        pass
    return [None if null else _Unreadable(column.type) for null in column.is_null().to_pylist()]


@dataclass(frozen=True)
class _Unreadable:
    """A value that Python cannot represent, which is no text."""

    type: pa.DataType

    def __repr__(self) -> str:
        return f"a value of type {self.type}"


def _decoded(value: bytes | None) -> str | bytes | None:
    try:
        return None if value is None else value.decode("utf-8")
    except UnicodeDecodeError:
        return value
