"""Text to token ids: the one rule that training, verification and the runtime share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokenizers import Tokenizer

from textgate.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Sequence

PADDING_ID = 0
UNKNOWN_ID = 1

# Tokenizers read a whole text before they truncate it. Cutting the characters first bounds the time
# and memory a text can take; 64 a token is far above any language's average.
CHARACTERS_PER_TOKEN = 64


@dataclass(frozen=True, slots=True)
class Encoded:
    """A text as the network reads it.

    Attributes:
        ids: token ids, at least one and at most the tokenizer's `max_tokens`.
        truncated: whether the text went on after the last of them.
    """

    ids: list[int]
    truncated: bool


class TextTokenizer:
    """Turns texts into ids.

    A text without any token (empty, or only spaces) becomes the single unknown token, so that every
    text has a length of at least 1.

    Args:
        tokenizer_json: a tokenizer in the Hugging Face format.
        max_tokens: how many tokens of a text are kept; the rest is cut off.

    Raises:
        BundleError: the JSON is not a tokenizer.
    """

    def __init__(self, tokenizer_json: str, *, max_tokens: int) -> None:
        self.max_tokens = max_tokens
        self._max_characters = CHARACTERS_PER_TOKEN * max_tokens
        try:
            self._tokenizer = Tokenizer.from_str(tokenizer_json)
        except Exception as problem:  # the package raises bare Exceptions
            raise BundleError(f"tokenizer.json is not a tokenizer: {problem}") from None
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    @property
    def vocabulary_size(self) -> int:
        """How many ids there are."""
        return int(self._tokenizer.get_vocab_size())

    def encode(self, text: str) -> Encoded:
        """Return the ids of one text."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[Encoded]:
        """Return the ids of several texts, in order; other threads can run meanwhile."""
        limit = self._max_characters
        cut = [text[:limit] for text in texts]
        try:
            encodings = self._tokenizer.encode_batch_fast(cut)
        except UnicodeEncodeError:
            encodings = self._tokenizer.encode_batch_fast([_without_surrogates(t) for t in cut])
        return [
            self._encoded(encoding.ids, was_cut=len(text) > limit)
            for encoding, text in zip(encodings, texts, strict=True)
        ]

    def words(self) -> list[str]:
        """Return the vocabulary in the order of its ids."""
        vocabulary = self._tokenizer.get_vocab()
        return sorted(vocabulary, key=vocabulary.__getitem__)

    def _encoded(self, ids: list[int], *, was_cut: bool) -> Encoded:
        if not ids:
            return Encoded([UNKNOWN_ID], was_cut)
        if len(ids) > self.max_tokens:
            return Encoded(ids[: self.max_tokens], True)
        return Encoded(ids, was_cut)


def _without_surrogates(text: str) -> str:
    """Return the text with lone surrogates, which are not characters, replaced by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
