"""Text to token ids: the one rule that training, verification and the runtime share."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer

from textgate.errors import BundleError
from textgate.inference.word_ids import PieceIds, WordIds, normalizers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenizers import Encoding

PADDING_ID = 0
UNKNOWN_ID = 1

# Tokenizers read a whole text before they truncate it. Cutting the characters first bounds the time
# and memory a text can take; 64 a token is far above any language's average.
CHARACTERS_PER_TOKEN = 64

# Where a text may be cut, after the character, before the rest of it is known: white space, which
# belongs to no token, and punctuation that is a token by itself. None of these is ever part of a
# word, and none has a part in a composition or a reordering of Unicode's form NFC, neither with
# what stands before it nor with what follows (unlike "=", which becomes one character with U+0338).
# The apostrophe and the underscore belong to words. Kept to Unicode's own White_Space: Python also
# takes U+001C to U+001F for spaces.
_WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_MARKS = (
    '!"#$%&()*+,-./:;?@[\\]^`{|}~'
    "\u3001\u3002\u3008\u3009\u300a\u300b\u300c\u300d\u300e\u300f\u3010\u3011"
    "\uff01\uff08\uff09\uff0c\uff0e\uff1a\uff1b\uff1f"
)
SEPARATORS = _WHITE_SPACE + _MARKS

_LOCAL_NORMALIZERS = {"NFC", "Lowercase"}
# Words, numbers and separators, every character of which must be a piece by itself.
_PROBE = "".join("a|b||1|2|".replace("|", separator) for separator in SEPARATORS)
_WITHOUT_SPACES = [character for character in _PROBE if character not in _WHITE_SPACE]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A text as the network reads it.

    Attributes:
        ids: token ids, at least one and at most the tokenizer's `max_tokens`.
        truncated: whether the text went on after the last of them.
        reason: why the text gets no label, whatever the network says; None where it may get one.
    """

    ids: list[int]
    truncated: bool
    reason: str | None = None


class TextTokenizer:
    """Turns texts into ids.

    A text without any token (empty, or only spaces) becomes the single unknown token, so that every
    text has a length of at least 1.

    Args:
        tokenizer_json: a tokenizer in the Hugging Face format.
        max_tokens: how many tokens of a text are kept; the rest is cut off.

    Attributes:
        max_tokens: as given.
        max_characters: how many characters of a text are looked at.

    Raises:
        BundleError: the JSON is not a tokenizer.
    """

    def __init__(self, tokenizer_json: str, *, max_tokens: int) -> None:
        self.max_tokens = max_tokens
        self.max_characters = CHARACTERS_PER_TOKEN * max_tokens
        try:
            self._tokenizer = Tokenizer.from_str(tokenizer_json)
        except Exception as problem:  # the package raises bare Exceptions
            raise BundleError(f"tokenizer.json is not a tokenizer: {_reason(problem)}") from None
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    @property
    def vocabulary_size(self) -> int:
        """How many ids there are."""
        return int(self._tokenizer.get_vocab_size())

    def encode(self, text: str) -> Encoded:
        """Return the ids of one text."""
        limit = self.max_characters
        return self._encoded(self.token_ids(text[:limit]), was_cut=len(text) > limit)

    def encode_batch(self, texts: Sequence[str]) -> list[Encoded]:
        """Return the ids of several texts, in order; other threads can run meanwhile."""
        limit = self.max_characters
        found = self._batch_ids([text[:limit] for text in texts])
        return [
            self._encoded(ids, was_cut=len(text) > limit)
            for ids, text in zip(found, texts, strict=True)
        ]

    def token_ids(self, text: str) -> list[int]:
        """Return the ids of a piece of a text: all of them, and none for a piece without tokens."""
        if not text:
            return []
        found = self._remembered(text)
        return self._ids([text])[0] if found is None else found

    @cached_property
    def splits_at_separators(self) -> bool:
        """Whether every text has the tokens of its pieces, if it is cut after `SEPARATORS`.

        True of what training writes. Another tokenizer may keep a space at the front of a word,
        join punctuation, or look for tokens that hold spaces; it is not guessed at.
        """
        tokenizer = self._tokenizer
        splitter = tokenizer.pre_tokenizer
        return (
            splitter is not None
            and tokenizer.post_processor is None
            and not tokenizer.get_added_tokens_decoder()
            and all(map(_is_local, normalizers(tokenizer)))
            and [piece for piece, _ in splitter.pre_tokenize_str(_PROBE)] == _WITHOUT_SPACES
        )

    def knows(self, ids: Sequence[int]) -> bool:
        """Return whether training can have taught anything about one of these tokens.

        Not about the unknown token; and of a subword tokenizer, not about single bytes, which stand
        for characters that are no piece.
        """
        return not self._unknown_ids.issuperset(ids)

    def words(self) -> list[str]:
        """Return the vocabulary in the order of its ids."""
        vocabulary = self._tokenizer.get_vocab()
        return sorted(vocabulary, key=vocabulary.__getitem__)

    @cached_property
    def _unknown_ids(self) -> frozenset[int]:
        model = self._tokenizer.model
        tokens = [getattr(model, "unk_token", None)]
        if getattr(model, "byte_fallback", False):
            tokens += [f"<0x{byte:02X}>" for byte in range(256)]
        ids = [model.token_to_id(token) for token in tokens if token is not None]
        return frozenset(place for place in ids if place is not None)

    @cached_property
    def _word_ids(self) -> WordIds | None:
        return WordIds.of(self._tokenizer)

    def _batch_ids(self, texts: list[str]) -> list[list[int]]:
        """Return the ids of texts; those of many new words go through the library together."""
        found = [self._remembered(text) for text in texts]
        others = [text for text, ids in zip(texts, found, strict=True) if ids is None]
        rest = iter(self._ids(others) if others else [])
        return [next(rest) if ids is None else ids for ids in found]

    @cached_property
    def _piece_ids(self) -> PieceIds | None:
        return PieceIds(SEPARATORS, self._ids_of_piece) if self.splits_at_separators else None

    def _ids_of_piece(self, piece: str) -> list[int]:
        words = self._word_ids
        if words is not None and piece.isascii():
            return self._looked_up(words, piece)
        return self._ids([piece])[0]

    def _remembered(self, text: str) -> list[int] | None:
        """Return the ids of a text without the library, or None."""
        words = self._word_ids
        if words is None:
            return None
        if text.isascii():
            return self._looked_up(words, text)
        return None if self._piece_ids is None else self._piece_ids.ids(text)

    def _looked_up(self, words: WordIds, text: str) -> list[int]:
        try:
            return words.ids(text)
        except Exception as problem:  # the package raises bare Exceptions
            raise BundleError(f"tokenizer.json cannot be used: {_reason(problem)}") from None

    def _ids(self, texts: list[str]) -> list[list[int]]:
        try:
            encodings = self._encodings(texts)
        except (UnicodeEncodeError, TypeError):  # which of them depends on the release
            encodings = self._encodings([without_surrogates(text) for text in texts])
        except Exception as problem:  # the package raises bare Exceptions
            raise BundleError(f"tokenizer.json cannot be used: {_reason(problem)}") from None
        return [encoding.ids for encoding in encodings]

    def _encodings(self, texts: list[str]) -> list[Encoding]:
        # For its first batch, be it of one text, the package makes a thread for every processor,
        # and warns when the process forks from then on. Without other threads there is no need to
        # let them run.
        if len(texts) == 1 and threading.active_count() == 1:
            return [self._tokenizer.encode(texts[0])]
        return self._tokenizer.encode_batch_fast(texts)

    def _encoded(self, ids: list[int], *, was_cut: bool) -> Encoded:
        truncated = was_cut or len(ids) > self.max_tokens
        if truncated:
            ids = ids[: self.max_tokens]
        if self.knows(ids):
            return Encoded(ids, truncated)
        reason = reason_for_no_label(tokens=len(ids), truncated=truncated)
        return Encoded(ids or [UNKNOWN_ID], truncated, reason)


def reason_for_no_label(*, tokens: int, truncated: bool) -> str:
    """Return why a text without a known token gets no label.

    Args:
        tokens: how many tokens were read.
        truncated: whether the text went on after them.
    """
    return "no known token was read" if tokens or truncated else "the text is empty"


def settled_length(text: str) -> int:
    """Return how many characters at the beginning have tokens that no continuation can change."""
    match = _up_to_last_separator().match(text)
    return match.end() if match else 0


@cache
def _up_to_last_separator() -> re.Pattern[str]:
    return re.compile(f".*[{re.escape(SEPARATORS)}]", re.DOTALL)  # takes time, for streams alone


def _reason(problem: Exception) -> str:
    """Return what the package says on one line, and not too long: it may quote the tokenizer."""
    reason = " ".join(str(problem).split())
    return reason if len(reason) <= 400 else reason[:397] + "..."


def _is_local(normalizer: dict[str, Any]) -> bool:
    """Return whether a separator keeps a normalizer from seeing across it, and is kept by it."""
    if normalizer["type"] == "Replace":
        old = normalizer["pattern"].get("String", "")
        return len(old) == len(normalizer["content"]) == 1 and old not in SEPARATORS
    return normalizer["type"] in _LOCAL_NORMALIZERS


def without_surrogates(text: str) -> str:
    """Return the text with lone surrogates, which are not characters, replaced by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
