"""Subword tokenizer: frequent words are whole, other words are pieces or bytes."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

from textgate.bundle.checks.tokenizer import SUBWORD_WORDS
from textgate.inference.tokenizer import PADDING_ID, UNKNOWN_ID, without_surrogates
from textgate.train.text.vocabulary import PADDING, UNKNOWN, count_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# The ids before the first piece: padding, the unknown token, and the 256 bytes.
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
_SPECIAL = (PADDING, UNKNOWN, *BYTES)

_NORMALIZER = normalizers.Sequence(
    [normalizers.NFC(), normalizers.Replace("\u2019", "'"), normalizers.Lowercase()]
)
_SPLITTER = pre_tokenizers.Split(Regex(SUBWORD_WORDS), behavior="removed", invert=True)
_MIN_PIECES = 2000  # enough to spell most words in two to four pieces
_MIN_OCCURRENCES = 2  # of a word before it gets an id, unless it is known
_MIN_NEW_OCCURRENCES = 3  # of a word before it is added to a pretrained vocabulary
# Thai and Lao, Burmese, Khmer, kana, and Chinese characters: no space is between two words.
_UNSEGMENTED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_MIN_UNSEGMENTED_OCCURRENCES = 30  # of a piece in such texts; rarer ones would hide its characters
_MAX_SAMPLED_OCCURRENCES = 5  # pieces are for rare words, not for the most frequent ones


def build_subword_tokenizer(
    texts: Iterable[str], *, vocabulary_size: int, max_tokens: int, known: Sequence[str] = ()
) -> str:
    """Return a subword tokenizer in the Hugging Face JSON format.

    Texts are put in Unicode form NFC and lower case, with straight apostrophes, and split into
    words; contractions are split as in the Penn Treebank ("do n't", "it 's"), like those of common
    word vectors. A word of the vocabulary is one token. Other words are split by byte-pair encoding
    (Sennrich et al. 2016), trained on the same texts; a character that is not a piece becomes its
    bytes.

    The order of the ids is padding, unknown token, bytes, pieces, words. The most useful words come
    first: those that occur twice or more, by frequency, then known words that occur once, then
    known words that do not occur. In a language without spaces few "words" are repeated, so that
    nearly all ids are pieces.

    Args:
        texts: the training texts.
        vocabulary_size: largest number of ids.
        max_tokens: tokens of a text that are read; words far beyond them are not counted.
        known: words that have a pretrained vector, the most frequent first.

    Raises:
        DataError: there is no word in the texts.
    """
    counts = count_words(texts, split_words, max_tokens=max_tokens)
    words = _ranked_words(counts, known)
    room = max(0, vocabulary_size - len(_SPECIAL))
    wanted = max(min(_MIN_PIECES, room // 2), room - len(words))
    pieces, merges = _learned_pieces(counts, wanted, max_pieces=room)
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


def fit_subword_tokenizer(
    tokenizer_json: str, texts: Iterable[str], *, vocabulary_size: int, max_tokens: int
) -> tuple[str, list[list[int]]]:
    """Return a subword tokenizer with the words that suit texts.

    All pieces stay. The words of the texts come first, by frequency; one that is new must occur
    three times or more. The other words follow in their order, as far as there is room.

    Args:
        tokenizer_json: a tokenizer from `build_subword_tokenizer`.
        texts: the training texts.
        vocabulary_size: largest number of ids.
        max_tokens: tokens of a text that are read; words far beyond them are not counted.

    Returns:
        The tokenizer, and for each of its ids the ids in the given one: its own, or those of the
        pieces that spelled a new word.
    """
    counts = count_words(texts, split_words, max_tokens=max_tokens)
    document: dict[str, Any] = json.loads(tokenizer_json)
    vocabulary: dict[str, int] = document["model"]["vocab"]
    first = piece_count(tokenizer_json)
    pieces = sorted(
        (word for word in vocabulary if vocabulary[word] < first), key=vocabulary.__getitem__
    )
    words = sorted(
        (word for word in vocabulary if vocabulary[word] >= first), key=vocabulary.__getitem__
    )
    new = [
        word
        for word, count in counts.items()
        if count >= _MIN_NEW_OCCURRENCES and word not in vocabulary
    ]
    ranked = sorted(
        [*words, *new],
        key=lambda word: (-counts[word], vocabulary.get(word, len(vocabulary)), word),
    )
    kept = [*pieces, *ranked][: max(first, vocabulary_size)]
    spelled = Tokenizer.from_str(tokenizer_json)
    spelled.no_padding()
    spelled.no_truncation()
    ids = [[vocabulary[word]] if word in vocabulary else spelled.encode(word).ids for word in kept]
    document["model"]["vocab"] = {word: index for index, word in enumerate(kept)}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")), ids


def first_ids(tokenizer_json: str, vocabulary_size: int) -> str:
    """Return a tokenizer with only the first ids, which belong to the most useful words."""
    document: dict[str, Any] = json.loads(tokenizer_json)
    model = document["model"]
    model["vocab"] = {
        word: index for word, index in model["vocab"].items() if index < vocabulary_size
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def split_words(text: str) -> list[str]:
    """Return the words of a text as the subword tokenizer splits it, before it splits words."""
    normalized = _NORMALIZER.normalize_str(without_surrogates(text))
    return [word for word, _ in _SPLITTER.pre_tokenize_str(normalized)]


def unsegmented_length(word: str) -> int:
    """Return the number of characters of scripts that do not separate words."""
    return len(_UNSEGMENTED.findall(word))


def piece_count(tokenizer_json: str) -> int:
    """Return the number of ids before the first whole word; none of these can be removed.

    Args:
        tokenizer_json: a tokenizer from `build_subword_tokenizer`.
    """
    model = json.loads(tokenizer_json)["model"]
    vocabulary = model["vocab"]
    merged = max((vocabulary[first + second] for first, second in model["merges"]), default=0)
    parts = (vocabulary[part] for merge in model["merges"] for part in merge)
    return max(merged, max(parts, default=0), len(_SPECIAL) - 1) + 1


def _ranked_words(counts: Counter[str], known: Sequence[str]) -> list[str]:
    """Return the words that may get an id, the most useful first."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    frequent = [word for word, count in ranked if count >= _MIN_OCCURRENCES]
    known_set = set(known)
    rare = [word for word, count in ranked if count < _MIN_OCCURRENCES and word in known_set]
    return [*frequent, *rare, *(word for word in known if word not in counts)]


def _learned_pieces(
    counts: Counter[str], wanted: int, *, max_pieces: int
) -> tuple[list[str], list[list[str]]]:
    """Return pieces, single characters first, and the merges that make the longer ones."""
    sample = [
        word for word, count in counts.items() for _ in range(min(count, _MAX_SAMPLED_OCCURRENCES))
    ]
    alphabet = _frequent_characters(sample, max(1, wanted // 2))
    unsegmented = 2 * sum(map(unsegmented_length, sample)) > sum(map(len, sample))
    tokenizer = Tokenizer(BPE())
    trainer = BpeTrainer(
        vocab_size=min(wanted, max_pieces),
        min_frequency=_MIN_UNSEGMENTED_OCCURRENCES if unsegmented else _MIN_OCCURRENCES,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sample, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return sorted(model["vocab"], key=model["vocab"].__getitem__), model["merges"]


def _frequent_characters(words: Iterable[str], max_characters: int) -> list[str]:
    """Return the most frequent characters; equally frequent ones are in the order of their codes.

    `BpeTrainer` itself chooses among equally frequent characters at random.
    """
    counts = Counter(character for word in words for character in word)
    return sorted(counts, key=lambda character: (-counts[character], character))[:max_characters]
