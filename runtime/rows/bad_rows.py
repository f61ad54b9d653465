"""Rows that cannot be used: their counts, and the messages about them."""

from __future__ import annotations

from collections import Counter

from textgate.errors import DataError

LEAVE_OUT = "--skip-bad-rows leaves out"

_MAX_LOCATIONS = 3  # named per kind


class BadRowError(DataError):
    """A row that cannot be used, in a file whose other rows can be.

    Attributes:
        location: its location in the file, such as ``line 3``.
        kind: the reason as it is counted, such as ``an empty label`` in "3 for an empty label".
        problem: the reason in full, without the file and the location.
    """

    def __init__(self, message: str, location: str, kind: str, problem: str) -> None:
        super().__init__(message)
        self.location = location
        self.kind = kind
        self.problem = problem


class BadRows:
    """Counts of rows that cannot be used, by reason, with the locations of the first ones."""

    def __init__(self) -> None:
        self.count = 0
        self._first: BadRowError | None = None
        self._kinds: Counter[str] = Counter()
        self._locations: dict[str, list[str]] = {}

    def add(self, row: BadRowError) -> None:
        """Count a row."""
        self.count += 1
        self._first = self._first or row
        self._kinds[row.kind] += 1
        locations = self._locations.setdefault(row.kind, [])
        if len(locations) < _MAX_LOCATIONS:
            locations.append(row.location)

    def message(self, rows: int) -> str:
        """Return the message that refuses the file, which has `rows` rows."""
        if self.count == 1:
            return f"{self._first}; {LEAVE_OUT} rows like it"
        return (
            f"{self._first}; {self.count:,} of {rows:,} rows cannot be used: {self._summary()}; "
            f"{LEAVE_OUT} such rows"
        )

    def note(self, name: str, rows: int) -> str:
        """Return the note that the bad rows were left out of the file, which has `rows` rows."""
        return f"{name}: left out {self.count:,} of {rows:,} rows: {self._summary()}"

    def _summary(self) -> str:
        return ", ".join(
            f"{count:,} for {kind} ({', '.join(self._locations[kind])}"
            f"{', ...' if count > _MAX_LOCATIONS else ''})"
            for kind, count in self._kinds.most_common()
        )
