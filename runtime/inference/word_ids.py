"""Token ids of ASCII texts from a cache of words, without the library's pipeline.

The library normalizes and splits for all of Unicode, and records the position of each token. In an
ASCII text only the case needs to be normalized, and most words have occurred before. The cache
gives the same ids in a sixth of the time.
"""

from __future__ import annotations

import json
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

from textgate.bundle.checks.tokenizer import KNOWN_EXPRESSIONS

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from tokenizers.models import Model

# Normalizers that leave ASCII unchanged except for the case.
_HARMLESS = frozenset({"NFC", "Lowercase"})
_WORD_OR_MARK = re.compile(r"\w+|[^\w\s]", re.ASCII)
_MAX_WORDS = 2**14  # in the cache
_MAX_WORD = 64  # characters of a word in the cache


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
        # The known expressions differ from this one only at apostrophes.
        splitter = self._splitter if "'" in text else _WORD_OR_MARK
        known = self._known
        result: list[int] = []
        for word in splitter.findall(text):
            found = known.get(word)
            result += self._looked_up(word) if found is None else found
        return result

    @cached_property
    def _splitter(self) -> re.Pattern[str]:
        # ASCII only, because Python's white space differs from Unicode's.
        return re.compile(self._expression, re.ASCII)

    def _looked_up(self, word: str) -> list[int]:
        found = [token.id for token in self._model.tokenize(word)]
        if len(word) <= _MAX_WORD:
            if len(self._known) >= _MAX_WORDS:
                self._known.clear()
            self._known[word] = found
        return found


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
