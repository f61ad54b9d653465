"""JSON with a single reading, and its checksum, which no layout of the text changes."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from textgate.errors import TextgateError

DEPTH_LIMIT = 16  # objects and lists inside one another


def parse(text: bytes, *, where: str, error: type[TextgateError], limit: int) -> dict[str, Any]:
    """Return the JSON object in `text`, refusing what parsers read in different ways.

    Args:
        text: UTF-8.
        where: how messages name the file.
        error: the class of the error to raise.
        limit: how many bytes are too many to parse.

    Raises:
        TextgateError: of class `error`: not JSON in UTF-8, not an object, a field given twice, a
            number that is none, text that is no Unicode, nested too deeply, or too large.
    """
    if len(text) > limit:
        raise error(f"{where}: larger than the {limit:,} bytes that are read of such a file")
    try:
        document = json.loads(
            text.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
        if _is_deeper(document, DEPTH_LIMIT):
            raise RecursionError
        # A lone surrogate, written as an escape, would only fail when the text is printed.
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise error(f"{where}: holds half a surrogate pair, which is not text") from None
    except RecursionError:
        raise error(f"{where}: more than {DEPTH_LIMIT} objects and lists deep") from None
    except ValueError as problem:
        raise error(f"{where}: not valid JSON in UTF-8: {problem}") from None
    if not isinstance(document, dict):
        raise error(f"{where}: expected a JSON object")
    return document


def sha256(document: dict[str, Any]) -> str:
    """Return the SHA-256 of the document written with sorted names, no spaces, and in ASCII."""
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
