"""Generated rows for the sentiment model: nonsense, emoticons, swapped genders."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator
from typing import Any

_SEED = 0
_STEEPNESS = 2.0  # of the logistic function of the score
_NONSENSE = 3_000  # rows
_UNCLEAR = 0.15  # largest distance of a probability from 0.5
_PER_PICTURE = 40  # texts
_SWAPPED = 6_000  # rows
_HAPPY = (*[":)", ":-)", ":D", ":-D", ";)", "=)", "<3", "xD"], *"😀😃😄😊😍😘😂👍👏🎉❤💕😎🥰🤩🙌💯")
_SAD = (*[":(", ":-(", ":'(", ">:(", "=(", ":-/"], *"😡😠😭😢👎💔🤮🤢😒😞😩🙄💩😔")
_PAIRS = (
    "he she, his her, him her, man woman, men women, boy girl, boys girls, father mother, dad mom, "
    "son daughter, brother sister, husband wife, actor actress, king queen, male female, guy girl, "
    "himself herself, uncle aunt, gentleman lady, mr mrs"
)
_GENDERS = {
    one: other
    for pair in _PAIRS.split(", ")
    for man, woman in [pair.split()]
    for one, other in ((woman, man), (man, woman))
} | {"her": "his", "girl": "boy"}
_VOWELS, _CONSONANTS = "aeiou", "bcdfghjklmnpqrstvwxyz"


def probabilities(score: float) -> dict[str, float]:
    """Return the probabilities of both labels for a score from -4 to 4."""
    positive = round(1 / (1 + math.exp(-_STEEPNESS * score)), 4)
    return {"negative": round(1 - positive, 4), "positive": positive}


def nonsense(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield meaningless texts with the shape of words, like texts of another language."""
    chance = random.Random(_SEED)
    for row in chance.sample(rows, min(_NONSENSE, len(rows))):
        yield {"text": disguised(row["text"], chance), "probs": probabilities(0)}


def faces(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield emoticons and emoji, alone and after texts without a clear sentiment."""
    chance = random.Random(_SEED)
    plain = [row["text"] for row in rows if abs(_positive(row) - 0.5) < _UNCLEAR]
    for pictures, score in ((_HAPPY, 1.5), (_SAD, -1.5)):
        for picture in pictures:
            yield {"text": picture, "probs": probabilities(score)}
            for text in chance.sample(plain, min(_PER_PICTURE, len(plain))):
                yield {"text": f"{text} {picture}", "probs": probabilities(score)}


def swapped(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield texts with men and women swapped and their labels kept."""
    chance = random.Random(_SEED)
    found = [row | {"text": other} for row in rows if (other := exchanged(row["text"]))]
    yield from chance.sample(found, min(_SWAPPED, len(found)))


def exchanged(text: str) -> str:
    """Return a text with men and women swapped, "" if it mentions neither."""
    count = 0

    def other(match: re.Match[str]) -> str:
        nonlocal count
        word = match[0]
        instead = _GENDERS.get(word.lower())
        if instead is None:
            return word
        count += 1
        return instead.capitalize() if word[0].isupper() else instead

    result = re.sub(r"[A-Za-z]+", other, text)
    return result if count else ""


def disguised(text: str, chance: random.Random) -> str:
    """Return a text with its vowels and its consonants permuted."""
    table: dict[str, str] = {}
    for letters in (_VOWELS, _CONSONANTS):
        others = "".join(chance.sample(letters, len(letters)))
        table |= dict(zip(letters + letters.upper(), others + others.upper(), strict=True))
    return text.translate(str.maketrans(table))


def _positive(row: dict[str, Any]) -> float:
    """Return the probability that a row is positive."""
    if "probs" in row:
        return float(row["probs"]["positive"])
    return float(row["label"] == "positive")
