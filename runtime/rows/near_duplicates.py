"""Near-duplicates: texts that say the same in nearly the same words."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence

_WORD = re.compile(r"[^\W_]+")
_SHINGLE = 3  # words in a row that two near-duplicates share
_MIN_SIMILARITY = 0.7  # shared shingles of all shingles of both texts (Jaccard)
_MAX_COMMON = 50  # texts with one shingle; a more frequent one is a phrase, not a duplicate


def near_duplicates(texts: Sequence[str]) -> list[tuple[int, int]]:
    """Return pairs of texts with the same words, or with most of their word triples in common.

    Numbers do not count: a text with another order number is the same text again. A text with the
    same words as several others is paired with the first of them.

    Args:
        texts: the texts.

    Returns:
        The indices of both texts of each pair, the smaller one first.
    """
    words = [
        tuple(word for word in _WORD.findall(text.casefold()) if not word.isdecimal())
        for text in texts
    ]
    pairs = equal_pairs(found or text for found, text in zip(words, texts, strict=True))
    shingles = [
        {found[start : start + _SHINGLE] for start in range(len(found) - _SHINGLE + 1)}
        for found in words
    ]
    where: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for index, own in enumerate(shingles):
        shared: Counter[int] = Counter()
        for shingle in own:
            others = where[shingle]
            if len(others) <= _MAX_COMMON:
                shared.update(others)
                others.append(index)
        for other, number in shared.items():
            if number >= _MIN_SIMILARITY * (len(own) + len(shingles[other]) - number):
                pairs.append((other, index))
    return list(dict.fromkeys(pairs))


def equal_pairs(keys: Iterable[Hashable]) -> list[tuple[int, int]]:
    """Return pairs of indices with equal keys: the first of each key with each of the others."""
    first: dict[Hashable, int] = {}
    pairs = ((first.setdefault(key, index), index) for index, key in enumerate(keys))
    return [(one, other) for one, other in pairs if one != other]
