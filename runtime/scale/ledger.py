"""Folder of results: what it was begun with, and which partitions are finished.

The folder ``_textgate``, which readers of Parquet pass over, holds both. A worker records its
partitions after their files are complete. A partition is finished if its file is there with the
bytes of the record, and its source has not changed since. Files without a record, which a worker
that was killed may leave in an object store, are written again.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from textgate.bundle import strict_json
from textgate.bundle.schema import Location, read_field
from textgate.errors import DataError
from textgate.scale.folders import PARTIAL, Folder
from textgate.scale.job import Job
from textgate.scale.partitions import Partition

SETTINGS = "_textgate/settings.json"
_COMMITS = "_textgate/commits"
_VERSION = 1
_MAX_BYTES = 2**24
_READERS = 16  # records that are read at the same time


class Done(NamedTuple):
    """A partition whose results are complete.

    Attributes:
        output: the file of the results.
        size: the bytes of the source.
        modified: the time of the source's last change.
        bytes: the bytes of the results.
        rows: the number of rows, each with its result.
        errors: the number of rows with an error instead.
    """

    output: str
    size: int
    modified: int
    bytes: int
    rows: int
    errors: int


class Ledger:
    """The folder of results of one job.

    Args:
        folder: the folder; it need not exist.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    def begin(self, job: Job) -> None:
        """Note the settings in a new folder, or refuse a folder that was begun with others.

        Raises:
            DataError: the folder holds the results of another bundle or of other settings, or
                other files, or it cannot be written.
        """
        wanted = job.settings()
        content = self.folder.read(SETTINGS)
        if content is not None:
            self._require_same(content, wanted)
            return
        other = next((file.name for file in self.folder.files()), None)
        if other is not None:
            raise DataError(
                f"{self.folder.name}: holds {other}, but no results that textgate scale began; "
                "choose another folder"
            )
        document = {"version": _VERSION, "settings": wanted}
        self._write(SETTINGS, document)

    def finished(self, partitions: Sequence[Partition]) -> dict[str, Done]:
        """Return the partitions that are finished, by their files of results.

        Raises:
            DataError: the folder cannot be read, or a record is damaged.
        """
        bytes_of = {file.name: file.size for file in self.folder.files()}
        source = {partition.output: partition[2:4] for partition in partitions}
        records = [file.name for file in self.folder.files(_COMMITS, hidden=True)]
        records = [name for name in records if name.endswith(".json")]
        finished: dict[str, Done] = {}
        with ThreadPoolExecutor(_READERS) as pool:
            for several in pool.map(self._recorded, records):
                for done in several:
                    same_source = source.get(done.output) == (done.size, done.modified)
                    if same_source and bytes_of.get(done.output) == done.bytes:
                        finished[done.output] = done
        return finished

    def commit(self, finished: Iterable[Done]) -> None:
        """Record that partitions are finished.

        Raises:
            DataError: the record cannot be written.
        """
        document = {"version": _VERSION, "partitions": [list(done) for done in finished]}
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

    def _require_same(self, content: bytes, wanted: dict[str, str]) -> None:
        location = Location(f"{self.folder.name}/{SETTINGS}", DataError)
        document = strict_json.parse(
            content, where=location.name, error=DataError, limit=_MAX_BYTES
        )
        if (version := read_field(document, "version", int, location)) != _VERSION:
            raise location.mismatch("version", str(_VERSION), version)
        begun = read_field(document, "settings", dict[str, str], location)
        for name, value in wanted.items():
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
            return [Done(*entry) for entry in document["partitions"]]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise DataError(
                f"{self.folder.name}/{name}: damaged; remove it, and its partitions are done again"
            ) from None


def _with(name: str, value: str) -> str:
    return f"with {name} {value}" if value else f"without {name}"
