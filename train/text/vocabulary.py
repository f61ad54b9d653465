"""Building the tokenizer: which words of the training texts get a row in the embedding."""

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
    from collections.abc import Iterable

PADDING = "[PAD]"
UNKNOWN = "[UNK]"


def build_tokenizer(texts: Iterable[str], *, vocabulary_size: int, max_tokens: int) -> str:
    """Return a word-level tokenizer in the Hugging Face JSON format.

    Texts are put in Unicode form NFC and lower case; the most frequent words, in order of frequency
    and then of spelling, get the ids from 2 on. 0 is padding, 1 the unknown word.

    Args:
        texts: the training texts.
        vocabulary_size: most ids, the two special ones included.
        max_tokens: tokens of a text that are read; words far behind them are not counted.

    Raises:
        DataError: there is not one word in the texts.
    """
    normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    splitter = pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True)
    counts: Counter[str] = Counter()
    for text in texts:
        clean = without_surrogates(text[: CHARACTERS_PER_TOKEN * max_tokens])
        words = splitter.pre_tokenize_str(normalizer.normalize_str(clean))
        counts.update(word for word, _ in words)
    for special in (PADDING, UNKNOWN):
        counts.pop(special, None)
    if not counts:
        raise DataError("there is not one word in the training texts")
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    vocabulary = {PADDING: PADDING_ID, UNKNOWN: UNKNOWN_ID}
    for word, _ in ranked[: vocabulary_size - len(vocabulary)]:
        vocabulary[word] = len(vocabulary)
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitter
    return str(tokenizer.to_str())
