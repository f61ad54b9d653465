"""Texts without labels: read from their files whenever they are needed."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from textgate.bundle.run import DataSummary, written_name
from textgate.errors import ConfigError, DataError
from textgate.messages import counted
from textgate.rows import Row, fingerprint, read_rows
from textgate.rows.source import STANDARD_INPUT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from textgate.rows import Columns
    from textgate.rows.reading import Note

_NO_LETTER = re.compile(r"[\W_]+")


class Unlabelled:
    """The texts of several files, one after another, without the empty ones and those of dev.

    Nothing of them is kept: to go through them is to read the files again, so that a million texts
    take no memory.

    Args:
        paths: files of rows, whose labels are ignored; plain text has one text a line.
        columns: where files keep the text, and the format of a file whose name does not tell.
        dev_rows: rows whose texts are left out, because they decide.
        purpose: what the texts are for, as the notes say it.

    Attributes:
        summaries: the texts that are left, of every file.
        notes: what was found, a sentence each.

    Raises:
        ConfigError: a format is not known, or a file can be read only once.
        DataError: a file cannot be read, a row has no text, or no text is left.
    """

    def __init__(
        self,
        paths: Sequence[str | Path],
        columns: Columns,
        dev_rows: Iterable[Row] = (),
        *,
        purpose: str = "for the teachers to label",
    ) -> None:
        if isinstance(paths, str | Path):  # whose letters would be the files
            raise ConfigError(f"the files of texts should be a list, not {paths!s}; put it in one")
        if any(str(path) == STANDARD_INPUT for path in paths):
            raise ConfigError("texts without labels are read several times; give a file, not -")
        files = [Path(path).absolute() for path in paths]  # they are read again later
        once = next((path for path in files if path.exists() and not _stays(path)), None)
        if once is not None:
            raise ConfigError(
                f"{once}: texts without labels are read several times; give a file, not a pipe"
            )
        self._paths = files
        self._columns = columns
        self._purpose = purpose
        self._of_dev = {bare(row.text) for row in dev_rows} if paths else set()
        found = [self._look(path) for path in files]
        self.summaries = tuple(summary for summary, _ in found)
        self.notes = tuple(note for _, notes in found for note in notes)
        self._count = sum(summary.rows for summary in self.summaries)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        for path in self._paths:
            for text, left_out in self._texts(path):
                if not left_out:
                    yield text

    def _look(self, path: str | Path) -> tuple[DataSummary, list[str]]:
        """Go through a file once to count and fingerprint it, and hear what is odd about it."""
        counts: Counter[str] = Counter()
        notes: list[str] = []

        def kept() -> Iterator[Row]:
            for text, left_out in self._texts(path, notes.append):
                counts[left_out] += 1
                if not left_out:
                    yield Row(text, (), 0)

        digest = fingerprint(kept())
        name = written_name(Path(path).name)
        if not counts[""]:
            of_dev = ", or texts of dev" if self._of_dev else ""
            raise DataError(f"{name}: no text in it is of use: all are empty{of_dev}")
        note = f"{name}: {counted(counts[''], 'text', 'texts')} {self._purpose}"
        dropped = [
            f"{counted(count, 'text that is', 'texts that are')} {reason}"
            for reason, count in sorted(counts.items())
            if reason
        ]
        if dropped:
            note += f"; left out: {', '.join(dropped)}"
        return DataSummary(name, counts[""], digest), [*notes, note]

    def _texts(self, path: str | Path, note: Note = lambda _: None) -> Iterator[tuple[str, str]]:
        """Yield the texts of a file, each with why it is left out, or ``""``."""
        for row in self._rows(path, note):
            if not row.text.strip():
                yield row.text, "empty"
            elif bare(row.text) in self._of_dev:
                yield row.text, "in dev, too"
            else:
                yield row.text, ""

    def _rows(self, path: str | Path, note: Note) -> Iterator[Row]:
        try:
            by_name = dataclasses.replace(self._columns, format=None)
            return read_rows(path, by_name, labelled=False, note=note)
        except ConfigError:
            if self._columns.format is None:
                raise
            return read_rows(path, self._columns, labelled=False, note=note)


def _stays(path: Path) -> bool:
    """Return whether what is read can be read again; a folder is left to whoever opens it."""
    return path.is_file() or path.is_dir()


def bare(text: str) -> str:
    """Return the text's letters and digits in lower case; a text without any, as it is."""
    return _NO_LETTER.sub("", text.casefold()) or text.strip()
