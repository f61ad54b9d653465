"""Texts without labels, read from their files each time they are needed."""

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
_READ_OFTEN = "texts without labels are read several times; give a file, not"


class Unlabelled:
    """The texts of several files in order, without empty texts and texts of the dev rows.

    No text is kept: every iteration reads the files again, so that a million texts take no memory.

    Args:
        paths: files of rows, whose labels are ignored; plain text has one text per line.
        columns: where the files keep the text, and the format of a file whose name has none.
        dev_rows: rows whose texts are left out, because training must not see them.
        purpose: the purpose of the texts, for the notes.

    Attributes:
        summaries: a summary of the texts of each file.
        notes: a sentence for each thing that was found in the files.

    Raises:
        ConfigError: a format is unknown, or a file can be read only once.
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
        if isinstance(paths, str | Path):  # a string is a sequence of strings, too
            raise ConfigError(f"the files of texts should be a list, not {paths!s}; put it in one")
        if any(str(path) == STANDARD_INPUT for path in paths):
            raise ConfigError(f"{_READ_OFTEN} -")
        # Absolute: the working directory may change before they are read again.
        self._paths = [Path(path).absolute() for path in paths]
        for path in self._paths:
            # A missing file or a folder is refused when it is opened.
            if path.exists() and not (path.is_file() or path.is_dir()):
                raise ConfigError(f"{path}: {_READ_OFTEN} a pipe")
        self._columns = columns
        self._purpose = purpose
        self._dev_texts = {letters(row.text) for row in dev_rows} if paths else set()
        found = [self._look(path) for path in self._paths]
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

    def _look(self, path: Path) -> tuple[DataSummary, list[str]]:
        """Read a file once; return its summary and its notes."""
        counts: Counter[str] = Counter()
        notes: list[str] = []

        def kept() -> Iterator[Row]:
            for text, left_out in self._texts(path, notes.append):
                counts[left_out] += 1
                if not left_out:
                    yield Row(text, (), 0)

        digest = fingerprint(kept())
        name = written_name(path.name)
        if not counts[""]:
            in_dev = ", or in the dev rows" if self._dev_texts else ""
            raise DataError(f"{name}: no text can be used: all are empty{in_dev}")
        note = f"{name}: {counted(counts[''], 'text', 'texts')} {self._purpose}"
        left_out = [
            counted(count, f"text that is {reason}", f"texts that are {reason}")
            for reason, count in sorted(counts.items())
            if reason
        ]
        if left_out:
            note += f"; left out: {', '.join(left_out)}"
        return DataSummary(name, counts[""], digest), [*notes, note]

    def _texts(self, path: Path, note: Note = lambda _: None) -> Iterator[tuple[str, str]]:
        """Yield the texts of a file, each with the reason why it is left out, or ``""``."""
        for row in self._rows(path, note):
            if not row.text.strip():
                yield row.text, "empty"
            elif letters(row.text) in self._dev_texts:
                yield row.text, "in the dev rows"
            else:
                yield row.text, ""

    def _rows(self, path: Path, note: Note) -> Iterator[Row]:
        try:
            by_name = dataclasses.replace(self._columns, format=None)
            return read_rows(path, by_name, labelled=False, note=note)
        except ConfigError:
            if self._columns.format is None:
                raise
            return read_rows(path, self._columns, labelled=False, note=note)


def letters(text: str) -> str:
    """Return the text's letters and digits in lower case; a text without any, as it is."""
    return _NO_LETTER.sub("", text.casefold()) or text.strip()
