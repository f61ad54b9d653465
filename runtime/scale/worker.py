"""Worker: reads partitions, classifies them, and writes and records their results."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

import pyarrow as pa
from pyarrow import parquet

from textgate.errors import TextgateError
from textgate.inference.classifier import Classifier
from textgate.messages import reason
from textgate.scale.folders import Folder
from textgate.scale.job import Job, open_classifier
from textgate.scale.ledger import Done, Ledger
from textgate.scale.partitions import Partition, read_tables
from textgate.scale.results import classified_tables

_ROW_GROUP_ROWS = 2**17  # of the results, at most
_ROW_GROUP_BYTES = 32 * 2**20  # of the results, about


class Place(NamedTuple):
    """The addresses of the corpus and of the results, as every node reaches them."""

    corpus: str
    results: str


class Failure(NamedTuple):
    """A partition that a worker could not finish, and why, with the name of the node."""

    output: str
    message: str


class Outcome(NamedTuple):
    """The partitions of a group that are finished, and those that are not."""

    done: list[Done]
    failed: list[Failure]

    def encoded(self) -> str:
        """Return it as JSON, which every engine carries."""
        return json.dumps(self)

    @classmethod
    def decoded(cls, text: str) -> Outcome:
        """Return what `encoded` was called on."""
        done, failed = json.loads(text)
        return cls(list(map(Done.decoded, done)), [Failure(*one) for one in failed])


def encoded_group(group: Sequence[Partition]) -> str:
    """Return a group of partitions as JSON, which every engine carries."""
    return json.dumps(group)


class Worker:
    """Does groups of partitions in one process, with one session.

    Args:
        job: the job.
        bundle: the bundle, as for `open_classifier`.
        place: where the corpus and the results are.
    """

    def __init__(self, job: Job, bundle: Path | Mapping[str, bytes], place: Place) -> None:
        self._job = job
        self._bundle = bundle
        self._place = place
        self._classifier: Classifier | None = None

    def run(self, group: str) -> str:
        """Do a group of partitions and record those that are finished.

        What fails is part of the outcome: another node may be able to do it.

        Args:
            group: the partitions, as `encoded_group` returns them.

        Returns:
            The outcome, as `Outcome.encoded` returns it.
        """
        partitions = [Partition(*one) for one in json.loads(group)]
        outcome = Outcome([], [])
        try:
            if self._classifier is None:
                self._classifier = open_classifier(self._job, self._bundle)
            corpus, results = Folder(self._place.corpus), Folder(self._place.results)
            ledger = Ledger(results, corpus, self._job)
            ledger.require_begun()
        except (TextgateError, OSError) as problem:
            message = _said(problem)
            return Outcome([], [Failure(one.output, message) for one in partitions]).encoded()
        for partition in partitions:
            try:
                outcome.done.append(self._done(self._classifier, corpus, results, partition))
            except Exception as problem:  # the others are done, whatever this one holds
                outcome.failed.append(Failure(partition.output, _said(problem)))
        if outcome.done:
            try:
                ledger.commit(outcome.done)
            except TextgateError as problem:
                failed = [Failure(done.partition.output, _said(problem)) for done in outcome.done]
                return Outcome([], [*outcome.failed, *failed]).encoded()
        return outcome.encoded()

    def _done(
        self, classifier: Classifier, corpus: Folder, results: Folder, partition: Partition
    ) -> Done:
        rows = errors = 0

        def fill(stream: IO[bytes]) -> None:
            nonlocal rows, errors
            tables = (
                table
                for read in read_tables(corpus, partition)
                for table in classified_tables(classifier, self._job, read)
            )
            writer: parquet.ParquetWriter | None = None
            try:
                for table in _row_groups(tables):
                    writer = writer or parquet.ParquetWriter(stream, table.schema)
                    writer.write_table(table)
                    error = table.column(table.schema.names.index("error"))
                    rows += table.num_rows
                    errors += table.num_rows - error.null_count
            finally:
                if writer is not None:
                    writer.close()

        size = results.write(partition.output, fill)
        return Done(partition, size, rows, errors)


def _row_groups(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Yield the tables, several of them as one."""
    held: list[pa.Table] = []
    rows = size = 0
    for table in tables:
        held.append(table)
        rows += table.num_rows
        size += table.nbytes
        if rows >= _ROW_GROUP_ROWS or size >= _ROW_GROUP_BYTES:
            yield pa.concat_tables(held)
            held, rows, size = [], 0, 0
    if held:
        yield pa.concat_tables(held)


def _said(problem: Exception) -> str:
    text = str(problem) if isinstance(problem, TextgateError) else reason(problem)
    node = socket.gethostname()
    return text if text.startswith(f"on {node}:") else f"on {node}: {text}"
