"""Token ids from a cache of words: the library's ids in a fraction of its time.

The library normalizes, splits and looks up for all of Unicode, and records the position of each
token. In an ASCII text only the case needs to be normalized, and most words have occurred before:
`WordIds` takes a quarter of the time. Other texts are cut at characters that no token crosses, and
`PieceIds` caches the pieces.
"""

from __future__ import annotations

import json
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

from textgate.bundle.checks.tokenizer import KNOWN_EXPRESSIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenizers import Tokenizer
    from tokenizers.models import Model

# Normalizers that leave ASCII unchanged except for the case.
_HARMLESS = frozenset({"NFC", "Lowercase"})
_WORD_OR_MARK = re.compile(r"\w+|[^\w\s]", re.ASCII)
_MAX_WORDS = 2**14  # in a cache
_MAX_WORD = 64  # characters of a word in a cache
_MAX_NEW = 8  # new pieces of one text: the library takes longer for each than for a word in a text


class WordIds:
    """Cache of the ids of words; threads may share it. Make one with `WordIds.of`.

    Args:
        model: the model that returns the ids of a word.
        expression: the regular expression that finds words.
        lowercase: whether texts are lower-cased.
    """

    def __init__(self, model: Model, expression: str, *, lowercase: bool) -> None:
        self._model = model
        self._expression = expression
        self._lowercase = lowercase
        self._known: dict[str, list[int]] = {}
        self._known_pieces: dict[str, list[int]] = {}  # between spaces

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> WordIds | None:
        """Return the cache of a tokenizer; None if its tokens are not those of the words.

        Tokenizers that training writes treat every word of an ASCII text by itself.
        """
        expression, parts, model = _expression(tokenizer), normalizers(tokenizer), tokenizer.model
        if (
            expression not in KNOWN_EXPRESSIONS
            or tokenizer.post_processor is not None
            or tokenizer.get_added_tokens_decoder()
            or getattr(model, "dropout", None) is not None
            or not all(map(_is_harmless, parts))
        ):
            return None
        return cls(model, expression, lowercase=any(part["type"] == "Lowercase" for part in parts))

    def ids(self, text: str) -> list[int]:
        """Return the ids of a text.

        Args:
            text: a text of ASCII characters.
        """
        if self._lowercase:
            text = text.lower()
        known = self._known_pieces
        result: list[int] = []
        for piece in text.split(" "):  # no token goes across a space
            found = known.get(piece)
            result += self._read(piece) if found is None else found
        return result

    def _read(self, piece: str) -> list[int]:
        # The known expressions differ from this one only at apostrophes.
        splitter = self._splitter if "'" in piece else _WORD_OR_MARK
        known = self._known
        result: list[int] = []
        for word in splitter.findall(piece):
            found = known.get(word)
            result += self._looked_up(word) if found is None else found
        _cache(self._known_pieces, piece, result)
        return result

    @cached_property
    def _splitter(self) -> re.Pattern[str]:
        # ASCII only, because Python's white space differs from Unicode's.
        return re.compile(self._expression, re.ASCII)

    def _looked_up(self, word: str) -> list[int]:
        found = [token.id for token in self._model.tokenize(word)]
        _cache(self._known, word, found)
        return found


class PieceIds:
    """Looks texts of any script up piece by piece; threads may share it.

    Args:
        separators: the characters, a space among them, after which a text may be cut: its ids are
            those of its pieces. Before them it may be cut too: each is a token by itself or none.
        look_up: returns the ids of a piece.
    """

    def __init__(self, separators: str, look_up: Callable[[str], list[int]]) -> None:
        inside = re.escape(separators)
        self._pieces = re.compile(f"[^{inside}]+|[{inside}]")
        self._look_up = look_up
        self._known: dict[str, list[int]] = {}

    def ids(self, text: str) -> list[int] | None:
        """Return the ids of a text; None if too many pieces are new, of which some are learned."""
        known, left = self._known, _MAX_NEW
        result: list[int] = []
        for part in text.split(" "):
            found = known.get(part)
            if found is None:
                found = []
                for piece in self._pieces.findall(part):
                    ids = known.get(piece)
                    if ids is None:
                        if not left:
                            return None
                        left -= 1
                        ids = self._look_up(piece)
                        _cache(known, piece, ids)
                    found += ids
                _cache(known, part, found)
            result += found
        return result


def _cache(known: dict[str, list[int]], piece: str, ids: list[int]) -> None:
    if len(piece) <= _MAX_WORD:
        if len(known) >= _MAX_WORDS:
            known.clear()
        known[piece] = ids


def normalizers(tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """Return the parts of a tokenizer's normalizer, as in its file."""
    if tokenizer.normalizer is None:
        return []
    normalizer = json.loads(tokenizer.normalizer.__getstate__())
    parts: list[dict[str, Any]] = normalizer.get("normalizers", [normalizer])
    return parts


def _expression(tokenizer: Tokenizer) -> str:
    """Return the regular expression that finds words; "" if something else does."""
    if tokenizer.pre_tokenizer is None:
        return ""
    splitter = json.loads(tokenizer.pre_tokenizer.__getstate__())
    if splitter["type"] != "Split" or not splitter["invert"] or splitter["behavior"] != "Removed":
        return ""
    expression: str = splitter["pattern"].get("Regex", "")
    return expression


def _is_harmless(normalizer: dict[str, Any]) -> bool:
    if normalizer["type"] == "Replace":
        old = normalizer["pattern"].get("String", "")
        return bool(old) and not old.isascii()
    return normalizer["type"] in _HARMLESS
