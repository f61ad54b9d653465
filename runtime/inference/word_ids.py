"""Token ids of ASCII texts, word by word out of a memory: the pipeline without its detours.

The library normalizes, splits and looks up with care for all of Unicode, and notes where each token
came from. In a text of ASCII letters there is nothing to normalize but the case, and most words
have been seen before. This takes a sixth of the time, and gives the same ids.
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

# What these do to ASCII is nothing, or to make letters small.
_HARMLESS = frozenset({"NFC", "Lowercase"})
_WORD_OR_MARK = re.compile(r"\w+|[^\w\s]", re.ASCII)
_MOST_WORDS = 2**14
_LONGEST_WORD = 64  # characters; longer ones are not remembered


class WordIds:
    """Looks ASCII texts up word by word; threads may share it. Make one with `WordIds.of`.

    Args:
        model: what gives a word its ids.
        expression: what finds the words.
        lowercase: whether letters are made small.
    """

    def __init__(self, model: Model, expression: str, *, lowercase: bool) -> None:
        self._model = model
        self._expression = expression
        self._lowercase = lowercase
        self._known: dict[str, list[int]] = {}

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> WordIds | None:
        """Return what looks words up as a tokenizer does, None if it does more than that.

        What training writes treats every word of an ASCII text by itself.
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
            text: of ASCII characters alone.
        """
        if self._lowercase:
            text = text.lower()
        # All that the expressions add to this one is about apostrophes.
        splitter = self._splitter if "'" in text else _WORD_OR_MARK
        known = self._known
        result: list[int] = []
        for word in splitter.findall(text):
            found = known.get(word)
            result += self._looked_up(word) if found is None else found
        return result

    @cached_property
    def _splitter(self) -> re.Pattern[str]:
        # In ASCII alone: Python's white space is not quite Unicode's.
        return re.compile(self._expression, re.ASCII)

    def _looked_up(self, word: str) -> list[int]:
        found = [token.id for token in self._model.tokenize(word)]
        if len(word) <= _LONGEST_WORD:
            if len(self._known) >= _MOST_WORDS:
                self._known.clear()
            self._known[word] = found
        return found


def normalizers(tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """Return the parts of a tokenizer's normalizer, as its file has them."""
    if tokenizer.normalizer is None:
        return []
    normalizer = json.loads(tokenizer.normalizer.__getstate__())
    parts: list[dict[str, Any]] = normalizer.get("normalizers", [normalizer])
    return parts


def _expression(tokenizer: Tokenizer) -> str:
    """Return the expression that finds words; none where something else does."""
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
