"""Columns of texts and labels in a file of rows, and the format of the file."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from encodings.aliases import aliases

from textgate.errors import ConfigError
from textgate.messages import did_you_mean

INPUT_FORMATS = ("text", "jsonl", "json", "csv", "tsv", "fasttext", "parquet")
SOFT_LABELS = "probs"  # the column of soft labels
_ENCODINGS = ("utf-8", "utf-16", "cp1252", "latin-1", "gb18030", "shift_jis")  # named in a message


@dataclass(frozen=True)
class Columns:
    """Names of the columns of texts and labels in files, and the format of the files.

    Attributes:
        text: the column of the texts, or several: their texts are joined with a line end; missing
            and empty ones are left out.
        label: the column of the labels.
        format: the files' format; None for the one of their names.
        label_separator: the text between the labels of one cell; None if a cell is one label.
        label_fields: columns of one label each, which hold whether it applies, instead of `label`.
        delimiter: the character between the cells of CSV; None for a comma, or that of the header.
        encoding: Python's name of the encoding; None for UTF-8, or the one of a byte order mark.
        skip_bad_rows: whether rows that cannot be used are left out, counted and reported.

    Raises:
        ConfigError: a name is given twice, or a value cannot work.
    """

    text: str | tuple[str, ...] = "text"
    label: str = "label"
    format: str | None = None
    label_separator: str | None = None
    label_fields: tuple[str, ...] = ()
    delimiter: str | None = None
    encoding: str | None = None
    skip_bad_rows: bool = False

    def __post_init__(self) -> None:
        if not self.text_fields:
            raise ConfigError("no text field is named; name one or several")
        _require_names("text", self.text_fields)
        _require_names("label", (self.label,))
        _require_names("label_fields", self.label_fields)
        _refuse_repeated("text field", self.text_fields)
        if self.label_fields:
            from textgate.rows.labels import clean_label  # most commands do not need it

            labels = tuple(map(clean_label, self.label_fields))
            _refuse_repeated("label field", labels)
            if not all(labels):
                raise ConfigError("a label field without a name cannot be a label")
        if self.label_separator is not None:
            if not self.label_separator:
                raise ConfigError("the label separator is empty; give one such as ; or |")
            if self.label_fields:
                raise ConfigError(
                    "label fields hold one label each, so there is nothing to separate; give label "
                    "fields or a label separator"
                )
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            raise ConfigError(
                f"the delimiter must be one character, but not a quote or a line end; found "
                f"{self.delimiter!r}"
            )
        if self.encoding is not None and not _decodes_text(self.encoding):
            near = did_you_mean(self.encoding, (*_ENCODINGS, *filter(_decodes_text, aliases)))
            raise ConfigError(
                f"{self.encoding!r} is not a known encoding{near}; known are "
                f"{', '.join(_ENCODINGS)} and all others of Python"
            )

    @property
    def text_fields(self) -> tuple[str, ...]:
        """The columns of the texts."""
        return (self.text,) if isinstance(self.text, str) else self.text

    def wanted(self, *, labelled: bool) -> tuple[tuple[str, str], ...]:
        """Return the names of the columns to read, each with the option that sets it."""
        texts = tuple((name, "--text-field") for name in self.text_fields)
        if not labelled:
            return texts
        if self.label_fields:
            return texts + tuple((name, "--label-fields") for name in self.label_fields)
        return (*texts, (self.label, "--label-field"))


def _require_names(what: str, names: object) -> None:
    if isinstance(names, str):  # its letters would be taken for the names
        raise ConfigError(f"{what} should be a tuple of names, not {names!r}; put it in one")
    if not isinstance(names, tuple | list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"{what} should name columns as strings, not {names!r}")


def _refuse_repeated(what: str, names: tuple[str, ...]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"the {what} {name!r} is given twice; give it once")


def _decodes_text(encoding: str) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)
        b"a".decode(encoding)
    except UnicodeError:  # b"a" is half a character
        return True
    except (LookupError, ValueError):
        return False
    return True
