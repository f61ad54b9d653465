"""JSON files that every parser reads alike, their formats, and checksums of their content."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from textgate.bundle.schema import Count, Location, read_field
from textgate.errors import TextgateError

MAX_JSON_DEPTH = 16  # objects and lists inside one another


@dataclass(frozen=True)
class Format:
    """A kind of JSON file, which holds its format and version.

    Attributes:
        name: the field ``format``.
        version: the field ``format_version``.
        limit: maximum size in bytes.
        remedy: what to do with a file of an older version.
    """

    name: str
    version: int
    limit: int
    remedy: str

    @property
    def fields(self) -> dict[str, Any]:
        """The fields that every file of this kind has."""
        return {"format": self.name, "format_version": self.version}

    def to_text(self, value: Any) -> str:
        """Return the file of a dataclass, without its fields that are None."""
        fields = {name: one for name, one in dataclasses.asdict(value).items() if one is not None}
        return json.dumps({**self.fields, **fields}, indent=2, ensure_ascii=False) + "\n"

    def read(self, content: bytes, location: Location) -> dict[str, Any]:
        """Return the fields of a file except format and version.

        Raises:
            TextgateError: it is not JSON, or of another format or version.
        """
        document = parse(content, where=location.name, error=location.error, limit=self.limit)
        if (found := read_field(document, "format", str, location)) != self.name:
            raise location.mismatch("format", self.name, found)
        if (found := read_field(document, "format_version", Count, location)) != self.version:
            remedy = "upgrade textgate" if found > self.version else self.remedy
            raise location.problem(
                f"format version {found}, but this release reads version {self.version}; {remedy}"
            )
        return {name: one for name, one in document.items() if name not in self.fields}


def parse(text: bytes, *, where: str, error: type[TextgateError], limit: int) -> dict[str, Any]:
    """Return the JSON object in `text`; refuse text that parsers read in different ways.

    Args:
        text: UTF-8.
        where: how messages name the file.
        error: the class of the error to raise.
        limit: maximum size in bytes.

    Raises:
        TextgateError: of class `error`: the text is not JSON in UTF-8, not an object, nested too
            deeply or too large, or has a field twice, NaN, infinity, or half a surrogate pair.
    """
    if len(text) > limit:
        raise error(f"{where}: larger than the {limit:,} bytes that are read of such a file")
    try:
        document = json.loads(
            text.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
        if _is_deeper(document, MAX_JSON_DEPTH):
            raise RecursionError
        # An escaped lone surrogate passes the parser, but fails when the text is printed.
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise error(f"{where}: holds half a surrogate pair, which is not text") from None
    except RecursionError:
        raise error(f"{where}: more than {MAX_JSON_DEPTH} objects and lists deep") from None
    except ValueError as problem:
        raise error(f"{where}: not valid JSON in UTF-8: {problem}") from None
    if not isinstance(document, dict):
        raise error(f"{where}: expected a JSON object")
    return document


def sha256(document: dict[str, Any]) -> str:
    """Return the SHA-256 of the document as ASCII with sorted names and no spaces."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            raise ValueError(f"field {name!r} is given twice")
        fields[name] = value
    return fields


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _is_deeper(value: object, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    items = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(item, levels - 1) for item in items)
