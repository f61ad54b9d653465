"""Behaviour tests of a sentiment model: texts and expected answers, one group per behaviour.

They follow CheckList (Ribeiro et al. 2020, "Beyond Accuracy"): minimum functionality, where a text
has an answer; invariance, where a change must not matter; direction, where a change may matter in
one direction only. The texts are in `sentiment_cases.toml`.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

ABSTAIN = ""
ANSWERS = {"+": "positive", "-": "negative", "0": ABSTAIN}
_SEED = 0
_FILE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_LISTS: dict[str, list[Any]] = _FILE["lists"]
FACTS: list[str] = _LISTS["fact"]
CLEAR = [
    (text, ANSWERS[sign])
    for sign, name in (("+", "clear_positive"), ("-", "clear_negative"))
    for text in _LISTS[name]
]


@dataclass(frozen=True)
class Case:
    """One expectation: the correct answers, or the largest difference to another text.

    `most` bounds the difference of the two probabilities of positive. If `rising`, `other` may be
    more positive by any amount.
    """

    text: str
    allowed: tuple[str, ...] = ()
    other: str = ""
    most: float = 0.0
    rising: bool = False


def listed(group: str) -> Iterator[Case]:
    """Yield the cases of a group in the file."""
    for rule in _FILE["groups"][group]:
        for chosen in product(*(_LISTS[name] for name in rule["over"])):
            words = dict(zip(rule["over"], chosen, strict=True))
            words["a"] = "an" if words.get("good", "")[:1] in set("aeiou") else "a"
            for text, signs in rule.get("cases", ()):
                allowed = tuple(ANSWERS[sign] for sign in signs)
                yield Case(text.format_map(words), allowed)
            for one, other in rule.get("pairs", ()):
                yield Case(
                    one.format_map(words),
                    other=other.format_map(words),
                    most=rule["most"],
                    rising=rule.get("rising", False),
                )


def typos() -> Iterator[Case]:
    """Yield clear texts with two adjacent letters swapped in two long words."""
    chance = random.Random(_SEED)
    for text, answer in CLEAR:
        for _ in range(4):
            yield Case(_with_typos(text, chance), (answer, ABSTAIN))


def _with_typos(text: str, chance: random.Random) -> str:
    words = text.split(" ")
    indices = [index for index, word in enumerate(words) if len(word.strip(".,")) >= 5]
    for index in chance.sample(indices, min(2, len(indices))):
        word = words[index]
        at = chance.randrange(1, len(word.strip(".,")) - 2)
        words[index] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return " ".join(words)


def capitals() -> Iterator[Case]:
    """Yield clear texts in capitals, and in small letters without a final full stop."""
    for text, answer in CLEAR:
        yield Case(text.upper(), (answer,))
        yield Case(text.lower().rstrip("."), (answer,))


def very_long() -> Iterator[Case]:
    """Yield clear texts among many neutral facts, and clear texts repeated 60 times."""
    for text, answer in CLEAR:
        yield Case(" ".join((*FACTS[:10], text, text, *FACTS[10:20])), (answer, ABSTAIN))
        yield Case(" ".join([text] * 60), (answer,))


def shouted() -> Iterator[Case]:
    """Yield clear texts with a very long row of exclamation marks, and the marks alone."""
    yield Case("!" * 10_000, (ABSTAIN,))
    for text, answer in CLEAR:
        yield Case(text.rstrip(".") + "!" * 500, (answer,))


_MADE = {
    "typos": typos,
    "ALL CAPS, no caps": capitals,
    "very long texts": very_long,
    "exclamation marks": shouted,
}
_ORDER = (
    "negation", "intensity", '"but" clauses', "names swapped", "genders swapped", "typos",
    "ALL CAPS, no caps", "emoji", "very short texts", "very long texts", "neutral facts",
    "empty texts", "other languages", "implied complaints", "implied praise", "idioms",
    "comparisons", "irony", "slang", "more neutral facts", "noise", "more languages",
    "more negation", "more names swapped", "exclamation marks",
    "sentences about anything",
)  # fmt: skip
GROUPS: dict[str, Callable[[], Iterator[Case]]] = {
    name: _MADE.get(name, partial(listed, name)) for name in _ORDER
}


def tested_texts() -> Iterator[str]:
    """Yield the texts of all cases, which no training row may resemble."""
    for cases in GROUPS.values():
        for case in cases():
            yield from filter(None, (case.text, case.other))
