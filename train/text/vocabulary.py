"""Word tokenizer: the most frequent words of the training texts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordLevel

from textgate.bundle.checks.tokenizer import WORDS
from textgate.errors import DataError
from textgate.inference.tokenizer import (
    CHARACTERS_PER_TOKEN,
    PADDING_ID,
    UNKNOWN_ID,
    without_surrogates,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PADDING = "[PAD]"
UNKNOWN = "[UNK]"

_NORMALIZER = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
_SPLITTER = pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True)


def build_tokenizer(texts: Iterable[str], *, vocabulary_size: int, max_tokens: int) -> str:
    """Return a word-level tokenizer in the Hugging Face JSON format.

    Texts are put in Unicode form NFC and lower case. Id 0 is padding and id 1 the unknown word; the
    most frequent words, in order of frequency and then of spelling, get the ids from 2 on.

    Args:
        texts: the training texts.
        vocabulary_size: largest number of ids, including the two special ones.
        max_tokens: tokens of a text that are read; words far beyond them are not counted.

    Raises:
        DataError: there is no word in the texts.
    """
    counts = count_words(texts, _split_words, max_tokens=max_tokens)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    vocabulary = {PADDING: PADDING_ID, UNKNOWN: UNKNOWN_ID}
    for word, _ in ranked[: vocabulary_size - len(vocabulary)]:
        vocabulary[word] = len(vocabulary)
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = _NORMALIZER
    tokenizer.pre_tokenizer = _SPLITTER
    return str(tokenizer.to_str())


def count_words(
    texts: Iterable[str], split: Callable[[str], Iterable[str]], *, max_tokens: int
) -> Counter[str]:
    """Return how often each word occurs in the part of the texts that is read.

    Raises:
        DataError: there is no word in the texts.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(split(text[: CHARACTERS_PER_TOKEN * max_tokens]))
    if not counts:
        raise DataError("there is no word in the training texts")
    return counts


def _split_words(text: str) -> list[str]:
    normalized = _NORMALIZER.normalize_str(without_surrogates(text))
    return [word for word, _ in _SPLITTER.pre_tokenize_str(normalized)]
