"""A tokenizer without unknown words: frequent words whole, the others in pieces, or in bytes."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

from textgate.bundle.checks.tokenizer import SUBWORD_WORDS
from textgate.errors import DataError
from textgate.inference.tokenizer import (
    CHARACTERS_PER_TOKEN,
    PADDING_ID,
    UNKNOWN_ID,
    without_surrogates,
)
from textgate.train.text.vocabulary import PADDING, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# The ids before the first piece: padding, the unknown token, and the 256 bytes.
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
_SPECIAL = (PADDING, UNKNOWN, *BYTES)

_NORMALIZER = normalizers.Sequence(
    [normalizers.NFC(), normalizers.Replace("\u2019", "'"), normalizers.Lowercase()]
)
_SPLITTER = pre_tokenizers.Split(Regex(SUBWORD_WORDS), behavior="removed", invert=True)
_PIECES = 2000  # enough for any word to come out in two to four
_FREQUENT = 2  # occurrences from which a word is worth a row of its own


def build_subword_tokenizer(
    texts: Iterable[str], *, vocabulary_size: int, max_tokens: int, known: Sequence[str] = ()
) -> str:
    """Return a subword tokenizer in the Hugging Face JSON format.

    Texts are put in Unicode form NFC and lower case, with straight apostrophes, and split into
    words; contractions are split as in the Penn Treebank ("do n't", "it 's"), which is how the
    usual word vectors have them. A word of the vocabulary is one token. Any other is taken apart by
    byte-pair encoding (Sennrich et al. 2016), whose pieces were learned on the same texts, and a
    character that is no piece becomes its bytes.

    Ids are in the order padding, unknown token, bytes, pieces, words; of the words, the last are
    the most dispensable: first those that occur twice or more, by frequency, then those that occur
    once and are known, then the known words that do not occur. A text in a language without spaces
    repeats few of its "words", so that there nearly all ids are pieces.

    Args:
        texts: the training texts.
        vocabulary_size: most ids.
        max_tokens: tokens of a text that are read; words far behind them are not counted.
        known: words something is known of, such as a vector, the most frequent first.

    Raises:
        DataError: there is not one word in the texts.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(split_words(text[: CHARACTERS_PER_TOKEN * max_tokens]))
    for special in _SPECIAL:
        counts.pop(special, None)
    if not counts:
        raise DataError("there is not one word in the training texts")
    words = _ranked_words(counts, known)
    room = max(0, vocabulary_size - len(_SPECIAL))
    wanted = max(min(_PIECES, room // 2), room - len(words))
    pieces, merges = _learned_pieces(counts, wanted, room)
    vocabulary = {PADDING: PADDING_ID, UNKNOWN: UNKNOWN_ID}
    for token in (*BYTES, *pieces, *words):
        if len(vocabulary) == max(vocabulary_size, len(_SPECIAL)):
            break
        vocabulary.setdefault(token, len(vocabulary))
    tokenizer = Tokenizer(BPE())
    tokenizer.normalizer = _NORMALIZER
    tokenizer.pre_tokenizer = _SPLITTER
    document: dict[str, Any] = json.loads(tokenizer.to_str())
    document["model"] |= {
        "vocab": vocabulary,
        "merges": merges,
        "unk_token": UNKNOWN,
        "byte_fallback": True,
        "ignore_merges": True,
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def split_words(text: str) -> list[str]:
    """Return the words of a text as the subword tokenizer sees them, before any is taken apart."""
    normalized = _NORMALIZER.normalize_str(without_surrogates(text))
    return [word for word, _ in _SPLITTER.pre_tokenize_str(normalized)]


def piece_count(tokenizer_json: str) -> int:
    """Return how many ids stand before the first whole word; all of them are needed.

    Args:
        tokenizer_json: what `build_subword_tokenizer` returned.
    """
    model = json.loads(tokenizer_json)["model"]
    vocabulary = model["vocab"]
    merged = max((vocabulary[first + second] for first, second in model["merges"]), default=0)
    parts = (vocabulary[part] for merge in model["merges"] for part in merge)
    return max(merged, max(parts, default=0), len(_SPECIAL) - 1) + 1


def _ranked_words(counts: Counter[str], known: Sequence[str]) -> list[str]:
    """Return the words that deserve an id, the most useful first."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    frequent = [word for word, count in ranked if count >= _FREQUENT]
    vectors = set(known)
    once = [word for word, count in ranked if count < _FREQUENT and word in vectors]
    return [*frequent, *once, *(word for word in known if word not in counts)]


def _learned_pieces(
    counts: Counter[str], wanted: int, room: int
) -> tuple[list[str], list[list[str]]]:
    """Return pieces, single characters first, and the merges that make the longer ones.

    Args:
        counts: words and how often they occur.
        wanted: how many pieces to learn.
        room: most pieces there may be.
    """
    # A word as often as it occurs, capped: pieces are for rare words, not for the most frequent.
    sample = [word for word, count in counts.items() for _ in range(min(count, 5))]
    alphabet = _frequent_characters(sample, max(1, wanted // 2))
    tokenizer = Tokenizer(BPE())
    trainer = BpeTrainer(
        vocab_size=min(wanted, room),
        min_frequency=_FREQUENT,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sample, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return sorted(model["vocab"], key=model["vocab"].__getitem__), model["merges"]


def _frequent_characters(words: Iterable[str], most: int) -> list[str]:
    """Return the most frequent characters, those that are equally frequent in their own order.

    The package's trainer would choose among equals by chance, each time anew.
    """
    counts = Counter(character for word in words for character in word)
    return sorted(counts, key=lambda character: (-counts[character], character))[:most]
