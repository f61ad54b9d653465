"""Tokenizer of texts, shared by training, verification and the runtime."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer

from textgate.errors import BundleError
from textgate.inference.word_ids import PieceIds, WordIds, normalizers
from textgate.messages import reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenizers import Encoding

PADDING_ID = 0
UNKNOWN_ID = 1

# The library reads a whole text before it truncates the tokens. Cutting the characters first bounds
# the time and memory of a text; 64 per token is far above the average of any language.
CHARACTERS_PER_TOKEN = 64

# Characters after which a text may be cut before the rest of it is known: white space, which
# belongs to no token, and punctuation that is a token by itself. None of them is part of a word,
# and none is composed or reordered with its neighbours in Unicode's form NFC (unlike "=", which
# becomes one character with U+0338). The apostrophe and the underscore belong to words. White space
# is that of Unicode: Python also takes U+001C to U+001F for spaces.
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
# Words, numbers and separators, in which every character must be a piece by itself.
_PROBE = "".join("a|b||1|2|".replace("|", separator) for separator in SEPARATORS)
_WITHOUT_SPACES = [character for character in _PROBE if character not in _WHITE_SPACE]


@dataclass(frozen=True, slots=True)
class Encoded:
    """Tokens of a text.

    Attributes:
        ids: token ids, at least one and at most the tokenizer's `max_tokens`.
        truncated: whether the text has more tokens.
        reason: the reason why the text gets no label, whatever the probabilities; None if it may
            get one.
    """

    ids: list[int]
    truncated: bool
    reason: str | None = None


class TextTokenizer:
    """Tokenizer of a bundle or a run.

    A text without tokens (empty, or only spaces) becomes the single unknown token, so that every
    text has at least one token.

    Args:
        tokenizer_json: a tokenizer in the Hugging Face format.
        max_tokens: how many tokens of a text are kept.

    Attributes:
        max_tokens: how many tokens of a text are kept.
        max_characters: how many characters of a text are read.

    Raises:
        BundleError: the JSON is not a tokenizer.
    """

    def __init__(self, tokenizer_json: str, *, max_tokens: int) -> None:
        self.max_tokens = max_tokens
        self.max_characters = CHARACTERS_PER_TOKEN * max_tokens
        try:
            self._tokenizer = Tokenizer.from_str(tokenizer_json)
        except Exception as problem:  # the library raises bare Exceptions
            raise BundleError(f"tokenizer.json is not a tokenizer: {reason(problem)}") from None
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    @property
    def vocabulary_size(self) -> int:
        """The number of token ids."""
        return int(self._tokenizer.get_vocab_size())

    def encode(self, text: str) -> Encoded:
        """Return the ids of one text."""
        limit = self.max_characters
        return self._encoded(self.token_ids(text[:limit]), was_cut=len(text) > limit)

    def encode_batch(self, texts: Sequence[str]) -> list[Encoded]:
        """Return the ids of several texts, in order; other threads can run in the meantime."""
        limit = self.max_characters
        found = self._batch_ids([text[:limit] for text in texts])
        return [
            self._encoded(ids, was_cut=len(text) > limit)
            for ids, text in zip(found, texts, strict=True)
        ]

    def token_ids(self, text: str) -> list[int]:
        """Return all ids of a piece of a text; [] for a piece without tokens."""
        if not text:
            return []
        found = self._remembered(text)
        return self._ids([text])[0] if found is None else found

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Return the first and the last position, exclusive, of each token of `token_ids`.

        Args:
            text: a piece of a text, without lone surrogates.
        """
        try:
            spans: list[tuple[int, int]] = self._tokenizer.encode(text).offsets
        except Exception as problem:  # the library raises bare Exceptions
            raise _unusable(problem) from None
        return spans

    @cached_property
    def splits_at_separators(self) -> bool:
        """Whether cutting a text after any of `SEPARATORS` leaves its tokens unchanged.

        It does for tokenizers that training writes. Another tokenizer may keep a space before a
        word, join punctuation, or have tokens with spaces; the result is then False.
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
        """Return whether one of these tokens is known from training.

        The unknown token is not, nor are the single bytes by which a subword tokenizer writes
        characters that it does not know.
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
        return frozenset(each for each in ids if each is not None)

    @cached_property
    def _word_ids(self) -> WordIds | None:
        return WordIds.of(self._tokenizer)

    def _batch_ids(self, texts: list[str]) -> list[list[int]]:
        """Return the ids of texts; the library tokenizes those of many new words together."""
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
        except Exception as problem:  # the library raises bare Exceptions
            raise _unusable(problem) from None

    def _ids(self, texts: list[str]) -> list[list[int]]:
        try:
            encodings = self._encodings(texts)
        except (UnicodeEncodeError, TypeError):  # which of them depends on the release
            encodings = self._encodings([without_surrogates(text) for text in texts])
        except Exception as problem:  # the library raises bare Exceptions
            raise _unusable(problem) from None
        return [encoding.ids for encoding in encodings]

    def _encodings(self, texts: list[str]) -> list[Encoding]:
        # For its first batch, even of one text, the library starts a thread per processor and warns
        # about later forks. A single text in a process of one thread does not need a batch.
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


def _unusable(problem: Exception) -> BundleError:
    return BundleError(f"tokenizer.json cannot be used: {reason(problem)}")


def reason_for_no_label(*, tokens: int, truncated: bool) -> str:
    """Return the reason why a text without a known token gets no label.

    Args:
        tokens: the number of tokens that were read.
        truncated: whether the text has more.
    """
    return "no known token was read" if tokens or truncated else "the text is empty"


def settled_length(text: str) -> int:
    """Return the number of first characters whose tokens cannot change when the text grows."""
    match = _up_to_last_separator().match(text)
    return match.end() if match else 0


@cache
def _up_to_last_separator() -> re.Pattern[str]:
    return re.compile(
        f".*[{re.escape(SEPARATORS)}]", re.DOTALL
    )  # slow to compile, and only streams need it


def _is_local(normalizer: dict[str, Any]) -> bool:
    """Return whether a normalizer keeps separators and never combines text across one."""
    if normalizer["type"] == "Replace":
        old = normalizer["pattern"].get("String", "")
        return len(old) == len(normalizer["content"]) == 1 and old not in SEPARATORS
    return normalizer["type"] in _LOCAL_NORMALIZERS


def without_surrogates(text: str) -> str:
    """Return the text with lone surrogates, which are not characters, replaced by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
