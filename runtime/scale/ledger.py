"""Folder of results: what it was begun with, and which partitions are finished.

The folder ``_textgate``, which readers of Parquet pass over, holds both. A worker records its
partitions after their files are complete. A partition is finished if its file is there with the
bytes of the record, and the partition is still the same. Files without a record, which a worker
that was killed may leave in an object store, are written again.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from textgate.bundle import strict_json
from textgate.bundle.schema import Location, read_field
from textgate.errors import DataError
from textgate.scale.folders import PARTIAL, Folder
from textgate.scale.job import Job
from textgate.scale.partitions import Partition, superseded

SETTINGS = "_textgate/settings.json"
_COMMITS = "_textgate/commits"
_VERSION = 1
_MAX_BYTES = 2**24
_READERS = 16  # records that are read at the same time


class Done(NamedTuple):
    """A partition whose results are complete.

    Attributes:
        partition: the partition, with the size and time of its source.
        bytes: the bytes of the results.
        rows: the number of rows, each with its result.
        errors: the number of rows with an error instead.
    """

    partition: Partition
    bytes: int
    rows: int
    errors: int

    @classmethod
    def decoded(cls, entry: list[Any]) -> Done:
        """Return what JSON has made a list of."""
        partition, *others = entry
        return cls(Partition(*partition), *others)


class Ledger:
    """The folder of results of one job on one corpus.

    Args:
        folder: the folder; it need not exist.
        corpus: the folder of the corpus.
        job: the job.
    """

    def __init__(self, folder: Folder, corpus: Folder, job: Job) -> None:
        self.folder = folder
        # Another corpus may have files of the same names.
        self._settings = {"the corpus in": corpus.name, **job.settings()}

    def begin(self) -> None:
        """Note the settings in a new folder, or refuse a folder that was begun with others.

        Raises:
            DataError: the folder holds the results of another corpus, of another bundle or of
                other settings, or other files, or it cannot be written.
        """
        content = self.folder.read(SETTINGS)
        if content is not None:
            self._require_same(content)
            return
        other = next((file.name for file in self.folder.files()), None)
        if other is not None:
            raise DataError(
                f"{self.folder.name}: holds {other}, but no results that textgate scale began; "
                "choose another folder"
            )
        self._write(SETTINGS, {"version": _VERSION, "settings": self._settings})
        self.require_begun()  # not by another command at the same moment

    def require_begun(self) -> None:
        """Refuse a folder that was not begun, or was begun with other settings.

        Raises:
            DataError: it is such a folder, or it cannot be read.
        """
        content = self.folder.read(SETTINGS)
        if content is None:
            raise DataError(
                f"{self.folder.name}: holds no {SETTINGS}; every node must have the same folder, "
                "and nothing may remove it"
            )
        self._require_same(content)

    def finished(self, partitions: Sequence[Partition]) -> dict[str, Done]:
        """Return the partitions that are finished, by their files of results.

        Results of a file that was divided into other partitions before are removed.

        Raises:
            DataError: the folder cannot be read, or a record is damaged.
        """
        bytes_of = {file.name: file.size for file in self.folder.files()}
        for name in superseded(bytes_of, partitions):
            self.folder.delete(name)
        wanted = {partition.output: partition for partition in partitions}
        records = [file.name for file in self.folder.files(_COMMITS, hidden=True)]
        records = [name for name in records if name.endswith(".json")]
        finished: dict[str, Done] = {}
        with ThreadPoolExecutor(_READERS) as pool:
            for several in pool.map(self._recorded, records):
                for done in several:
                    output = done.partition.output
                    if wanted.get(output) == done.partition and bytes_of.get(output) == done.bytes:
                        finished[output] = done
        return finished

    def commit(self, finished: Iterable[Done]) -> None:
        """Record that partitions are finished.

        Raises:
            DataError: the record cannot be written.
        """
        document = {"version": _VERSION, "partitions": list(finished)}
        self._write(f"{_COMMITS}/{secrets.token_hex(16)}.json", document)

    def sweep(self) -> None:
        """Remove files that workers had not finished when they were killed."""
        if self.folder.renames:
            for file in self.folder.files(hidden=True):
                if file.name.endswith(PARTIAL):
                    self.folder.delete(file.name)

    def _write(self, name: str, document: object) -> None:
        data = json.dumps(document).encode()
        try:
            self.folder.write(name, lambda stream: stream.write(data))
        except OSError as problem:
            raise DataError(
                f"{self.folder.name}: {name} cannot be written: {problem.strerror or problem}"
            ) from None

    def _require_same(self, content: bytes) -> None:
        location = Location(f"{self.folder.name}/{SETTINGS}", DataError)
        document = strict_json.parse(
            content, where=location.name, error=DataError, limit=_MAX_BYTES
        )
        if (version := read_field(document, "version", int, location)) != _VERSION:
            raise location.mismatch("version", str(_VERSION), version)
        begun = read_field(document, "settings", dict[str, str], location)
        for name, value in self._settings.items():
            before = begun.get(name, "")
            if before != value:
                raise DataError(
                    f"{self.folder.name}: begun {_with(name, before)}, not {_with(name, value)}; "
                    "give the same settings, or another folder"
                )

    def _recorded(self, name: str) -> list[Done]:
        content = self.folder.read(name)
        try:
            document = json.loads(content or b"")
            return [Done.decoded(entry) for entry in document["partitions"]]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise DataError(
                f"{self.folder.name}/{name}: damaged; remove it, and its partitions are done again"
            ) from None


def _with(name: str, value: str) -> str:
    return f"with {name} {value}" if value else f"without {name}"
