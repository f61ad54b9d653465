"""Rows that cannot be used: what is counted of them, and how they are told together."""

from __future__ import annotations

from collections import Counter

from textgate.errors import DataError

LEAVE_OUT = "--skip-bad-rows leaves out"

_MOST_PLACES = 3  # that are named of a kind


class BadRowError(DataError):
    """A row that cannot be used, in a file whose other rows can be.

    Attributes:
        place: where in its file it is, as in ``line 3``.
        kind: what rows like it are counted as, as in "3 for an empty label".
    """

    def __init__(self, message: str, place: str, kind: str) -> None:
        super().__init__(message)
        self.place = place
        self.kind = kind


class BadRows:
    """How many rows cannot be used, for which reasons, and where the first of them are."""

    def __init__(self) -> None:
        self.count = 0
        self._first: BadRowError | None = None
        self._kinds: Counter[str] = Counter()
        self._places: dict[str, list[str]] = {}

    def add(self, row: BadRowError) -> None:
        """Count a row."""
        self.count += 1
        self._first = self._first or row
        self._kinds[row.kind] += 1
        places = self._places.setdefault(row.kind, [])
        if len(places) < _MOST_PLACES:
            places.append(row.place)

    def message(self, rows: int) -> str:
        """Return the message that refuses a file of so many rows because of these."""
        if self.count == 1:
            return f"{self._first}; {LEAVE_OUT} rows like it"
        return (
            f"{self._first}; {self.count:,} of {rows:,} rows cannot be used: {self._summary()}; "
            f"{LEAVE_OUT} such rows"
        )

    def note(self, name: str, rows: int) -> str:
        """Return what is said of a file of so many rows that these are left out of."""
        return f"{name}: left out {self.count:,} of {rows:,} rows: {self._summary()}"

    def _summary(self) -> str:
        return ", ".join(
            f"{count:,} for {kind} ({', '.join(self._places[kind])}"
            f"{', ...' if count > _MOST_PLACES else ''})"
            for kind, count in self._kinds.most_common()
        )
