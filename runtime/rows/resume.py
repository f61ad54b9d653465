"""Resume file: the state of unfinished results, from which `classify --resume` continues.

It lies beside the results and is named after them, as in ``results.csv.textgate-resume``. It holds
the number of rows that have results, the bytes of these, a digest of the rows, and the settings. It
is written when the results begin and every few seconds from then on. When they are complete it is
removed, unless the work was started with `--resume`: the same command then finds that nothing is
left to do. Results after its last state are computed again, so that the file ends up as that of an
uninterrupted run.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from textgate.bundle import strict_json
from textgate.bundle.schema import Count, Location, read_field
from textgate.errors import DataError
from textgate.rows.row import Row

if TYPE_CHECKING:
    from textgate.rows.output import ResultFile

_VERSION = 1
_INTERVAL = 2.0  # seconds between two updates
_MAX_BYTES = 2**20
_ANEW = "pass --force instead of --resume to write it again"


class _State(NamedTuple):
    """Rows that have results, the bytes of these, and the digest of the rows."""

    rows: int
    size: int
    digest: hashlib._Hash


class ResumeFile:
    """The resume file of one file of results.

    As a context, it is brought up to date at the end, or removed if the results are complete.

    Args:
        results: the file of results.
        settings: everything else that determines the results, by the names that messages use; ""
            for what is not set.
        keep: keep the resume file of complete results.
    """

    def __init__(self, results: Path, settings: Mapping[str, str], *, keep: bool = False) -> None:
        self.path = Path(f"{results}.textgate-resume")
        self._results = results
        self._settings = dict(settings)
        self._keep = keep
        self._state = _State(0, 0, hashlib.sha256())
        self._saved_at: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._saved_at is None:
            return
        with suppress(OSError):  # the results are right without it
            if kind is None and not self._keep:
                self.path.unlink(missing_ok=True)
            else:
                self.save()

    def rows_left(self, rows: Iterable[Row], *, source: str) -> tuple[Row | None, Iterator[Row]]:
        """Pass over the rows that have results; return the first of them and the rows left.

        Args:
            rows: all rows.
            source: the name of their file, for messages.

        Raises:
            DataError: the results cannot be continued with these rows and settings, or a row
                cannot be read.
        """
        if not self._results.is_file():  # a device or a pipe
            raise DataError(f"{self._results}: not a regular file, so --resume cannot continue it")
        count, size, expected = self._read()
        rest = iter(rows)
        first = None
        passed = 0
        digest = hashlib.sha256()
        for row in islice(rest, count):
            first = first or row
            passed += 1
            _add(digest, row)
        if passed < count:
            raise DataError(
                f"{self._results}: holds the results of {count:,} rows, but {source} has only "
                f"{passed:,}; give the same rows, or {_ANEW}"
            )
        if count and digest.hexdigest() != expected:
            raise DataError(
                f"{self._results}: holds the results of other rows than the first {count:,} of "
                f"{source}; give the same rows, or {_ANEW}"
            )
        self._state = _State(count, size, digest)
        return first, rest

    @property
    def size(self) -> int:
        """Bytes of the results that are kept."""
        return self._state.size

    def advance(self, rows: Iterable[Row], results: ResultFile) -> None:
        """Note that rows have results, all of which have been written.

        Raises:
            OSError: the resume file cannot be written.
        """
        digest, count = self._state.digest.copy(), self._state.rows
        for row in rows:
            _add(digest, row)
            count += 1
        self._state = _State(count, results.size, digest)
        if self._saved_at is not None and time.monotonic() - self._saved_at >= _INTERVAL:
            results.sync()  # or, after a crash, the resume file could count what was lost
            self.save()

    def save(self) -> None:
        """Write the resume file.

        Raises:
            OSError: it cannot be written.
        """
        from textgate.atomic import write_bytes  # not needed for standard output

        document = {
            "version": _VERSION,
            "rows": self._state.rows,
            "bytes": self._state.size,
            "digest": self._state.digest.hexdigest(),
            "settings": self._settings,
        }
        write_bytes(self.path, (json.dumps(document, indent=2) + "\n").encode())
        self._saved_at = time.monotonic()

    def _read(self) -> tuple[int, int, str]:
        """Return the rows, the bytes and the digest that the resume file holds."""
        found_size = self._results.stat().st_size
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            if found_size == 0:
                return 0, 0, ""
            raise DataError(
                f"{self._results}: cannot be resumed without {self.path.name}, which is missing: "
                f"the results are complete, or the file was removed; {_ANEW}"
            ) from None
        except OSError as problem:
            raise DataError(f"{self.path}: cannot be read: {problem.strerror}") from None
        location = Location(str(self.path), DataError)
        try:
            document = strict_json.parse(
                content, where=location.name, error=DataError, limit=_MAX_BYTES
            )
            if (version := read_field(document, "version", Count, location)) != _VERSION:
                raise location.mismatch("version", str(_VERSION), version)
            count, size = (
                read_field(document, name, Count, location) for name in ("rows", "bytes")
            )
            digest = read_field(document, "digest", str, location)
            settings = read_field(document, "settings", dict[str, str], location)
        except DataError as problem:
            raise DataError(f"{problem}; {self._results} cannot be resumed: {_ANEW}") from None
        for name, value in self._settings.items():
            before = settings.get(name, "")
            if before != value:
                raise DataError(
                    f"{self._results}: begun {_with(name, before)}, not {_with(name, value)}; give "
                    f"the same settings, or {_ANEW}"
                )
        if found_size < size:
            raise DataError(
                f"{self._results}: holds {found_size:,} bytes, but {self.path.name} counts "
                f"{size:,}; the results were changed or damaged: {_ANEW}"
            )
        return count, size, digest


def _with(name: str, value: str) -> str:
    return f"with {name} {value}" if value else f"without {name}"


def _add(digest: hashlib._Hash, row: Row) -> None:
    data = repr(row.cells or row.text).encode("utf-8", "surrogatepass")
    digest.update(len(data).to_bytes(8, "big") + data)
