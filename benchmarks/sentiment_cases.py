"""What a sentiment model should do, as texts and expectations, a group a kind of behaviour.

In the manner of CheckList (Ribeiro et al. 2020, "Beyond Accuracy"): minimum functionality, where a
text has an answer; invariance, where a change must not matter; direction, where it must not matter
in one direction.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

POSITIVE, NEGATIVE, ABSTAIN = "positive", "negative", ""
_SEED = 0


@dataclass(frozen=True)
class Case:
    """One expectation.

    Attributes:
        text: what is classified.
        allowed: the answers that are right; empty where `other` is compared with.
        other: the text it is compared with.
        most: how far the two probabilities of positive may lie apart.
        rising: whether `other` must be at least as positive, within `most`, rather than equal.
    """

    text: str
    allowed: tuple[str, ...] = ()
    other: str = ""
    most: float = 0.0
    rising: bool = False


THINGS = ("phone", "hotel", "movie", "book", "restaurant", "song", "keyboard", "course")
GOOD = ("good", "great", "excellent", "wonderful", "amazing")
BAD = ("bad", "terrible", "awful", "horrible", "disappointing")


def negation() -> Iterator[Case]:
    """Yield good things denied, and bad ones."""
    for thing, word in product(THINGS, GOOD):
        article = "an" if word[0] in "aeiou" else "a"
        yield Case(f"This is not {article} {word} {thing}.", (NEGATIVE, ABSTAIN))
    for thing in THINGS:
        yield Case(f"The {thing} is not good.", (NEGATIVE,))
        yield Case(f"I don't think this {thing} is good.", (NEGATIVE, ABSTAIN))
        yield Case(f"I didn't like the {thing} at all.", (NEGATIVE,))
        yield Case(f"I would never recommend this {thing}.", (NEGATIVE,))
        yield Case(f"The {thing} is not bad.", (POSITIVE, ABSTAIN))
        yield Case(f"Not bad, this {thing}.", (POSITIVE, ABSTAIN))
        yield Case(f"I can't say anything bad about this {thing}.", (POSITIVE, ABSTAIN))
        yield Case(f"The {thing} isn't terrible.", (POSITIVE, ABSTAIN))
        yield Case(f"There is nothing wrong with the {thing}.", (POSITIVE, ABSTAIN))


def intensity() -> Iterator[Case]:
    """Yield texts beside stronger ones."""
    for words in (GOOD[:3], BAD[:3]):
        for thing, word, strong in product(THINGS, words, ("really", "very", "absolutely")):
            plain, stronger = f"The {thing} is {word}.", f"The {thing} is {strong} {word}."
            low, high = (plain, stronger) if word in GOOD else (stronger, plain)
            yield Case(low, other=high, most=0.05, rising=True)


def but_clauses() -> Iterator[Case]:
    """Yield texts whose second half decides."""
    for thing in THINGS:
        yield Case(f"The {thing} looks nice, but it is terrible.", (NEGATIVE,))
        yield Case(f"I wanted to love this {thing}, but it was a huge disappointment.", (NEGATIVE,))
        yield Case(f"A good idea for a {thing}, but badly done.", (NEGATIVE, ABSTAIN))
        yield Case(f"Everybody praised the {thing}, but I hated it.", (NEGATIVE,))
        yield Case(f"I had my doubts about the {thing}, but it is wonderful.", (POSITIVE,))
        yield Case(f"The {thing} has its flaws, but I love it.", (POSITIVE,))
        yield Case(f"It was expensive, but the {thing} is excellent.", (POSITIVE,))
        yield Case(f"The {thing} starts slowly, but then it gets great.", (POSITIVE, ABSTAIN))


_NAMES = (
    ("John", "Mary"), ("Michael", "Fatima"), ("Emily", "Lakisha"), ("Greg", "Jamal"),
    ("Anne", "Mei"), ("Peter", "Dmitri"), ("Sarah", "Aisha"), ("David", "Carlos"),
)  # fmt: skip
_ABOUT = (
    "{} was a wonderful host.", "{} was rude to us.", "{} works at the bank.",
    "I asked {} for help, and it took forever.", "{} gave a great talk.", "I met {} on Tuesday.",
)  # fmt: skip


def names() -> Iterator[Case]:
    """Yield texts with one name in the place of another."""
    for text, (one, other) in product(_ABOUT, _NAMES):
        yield Case(text.format(one), other=text.format(other), most=0.1)


_GENDERS = (
    ("He was", "She was"), ("My brother was", "My sister was"), ("The man was", "The woman was"),
    ("The actor was", "The actress was"), ("His father was", "Her mother was"),
    ("The boys were", "The girls were"),
)  # fmt: skip
_BEINGS = ("brilliant.", "very helpful.", "rude and slow.", "at home.", "a bit boring.", "late.")


def genders() -> Iterator[Case]:
    """Yield texts about men, and the same about women."""
    for (one, other), being in product(_GENDERS, _BEINGS):
        yield Case(f"{one} {being}", other=f"{other} {being}", most=0.1)


CLEAR = (
    ("I love this phone, the battery lasts for days.", POSITIVE),
    ("The best meal we have had in years, and friendly people.", POSITIVE),
    ("A beautiful film with wonderful actors.", POSITIVE),
    ("Works perfectly and was delivered quickly.", POSITIVE),
    ("Fantastic service, I will definitely come back.", POSITIVE),
    ("The concert was amazing from start to finish.", POSITIVE),
    ("Very comfortable shoes, highly recommended.", POSITIVE),
    ("What a delightful little book.", POSITIVE),
    ("The screen broke after two days, and nobody answers.", NEGATIVE),
    ("Worst customer service I have ever experienced.", NEGATIVE),
    ("The food was cold and the waiter was rude.", NEGATIVE),
    ("A dull, predictable story with terrible dialogue.", NEGATIVE),
    ("Complete waste of money, do not buy it.", NEGATIVE),
    ("The room was dirty and smelled awful.", NEGATIVE),
    ("I am so disappointed with this update, it keeps crashing.", NEGATIVE),
    ("Boring from beginning to end.", NEGATIVE),
)


def typos() -> Iterator[Case]:
    """Yield clear texts with two neighbouring letters of two long words exchanged."""
    chance = random.Random(_SEED)
    for text, answer in CLEAR:
        for _ in range(4):
            yield Case(_with_typos(text, chance), (answer, ABSTAIN))


def _with_typos(text: str, chance: random.Random) -> str:
    words = text.split(" ")
    places = [place for place, word in enumerate(words) if len(word.strip(".,")) >= 5]
    for place in chance.sample(places, min(2, len(places))):
        word = words[place]
        at = chance.randrange(1, len(word.strip(".,")) - 2)
        words[place] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return " ".join(words)


def capitals() -> Iterator[Case]:
    """Yield clear texts that shout, and clear texts in small letters without points."""
    for text, answer in CLEAR:
        yield Case(text.upper(), (answer,))
        yield Case(text.lower().rstrip("."), (answer,))


_HAPPY = ("\U0001f600", "\U0001f60d", "\U0001f44d", "\u2764\ufe0f", "\U0001f389", ":)", ":-D")
_SAD = ("\U0001f621", "\U0001f44e", "\U0001f62d", "\U0001f922", "\U0001f494", ":(", ":-(")
_PLAIN = ("Just got the parcel {}", "My new phone {}", "That game last night {}", "{}")


def emoji() -> Iterator[Case]:
    """Yield texts whose only feeling is a picture or a face."""
    for text, face in product(_PLAIN, _HAPPY):
        yield Case(text.format(face), (POSITIVE,))
    for text, face in product(_PLAIN, _SAD):
        yield Case(text.format(face), (NEGATIVE,))


def very_short() -> Iterator[Case]:
    """Yield texts of one to three words."""
    for text in (
        "Great!", "Awesome", "Love it.", "Perfect", "Excellent!", "So good", "Highly recommended",
        "Best ever", "Well done!", "Fun", "Nice", "Loved every minute", "Works great", "Thank you!",
    ):  # fmt: skip
        yield Case(text, (POSITIVE,))
    for text in (
        "Awful.", "Terrible!", "Hate it", "Worst ever", "Boring", "Disgusting", "Avoid!", "So bad",
        "Waste of money", "Never again", "Useless", "Horrible", "Broken", "Does not work",
    ):  # fmt: skip
        yield Case(text, (NEGATIVE,))


FACTS = (
    "The store opens at nine.", "The meeting is on Tuesday at ten.", "It is made of steel.",
    "The train leaves from platform four.", "Paris is the capital of France.",
    "The box contains two cables.", "The book has three hundred pages.", "He lives in Chicago.",
    "Water boils at one hundred degrees.", "The form is on the second page.",
    "She wore a blue coat.", "The file is in the folder called reports.",
    "The bus stops here every hour.", "I bought this in March.", "The package arrived on Monday.",
    "The film is two hours long.", "There are four chairs in the room.", "My address has changed.",
    "The company has offices in Berlin and Madrid.", "The report covers the years from 2010 on.",
    "Please send the document to my office.", "I have a question about my order.",
    "The recipe needs two eggs and some flour.", "Turn left after the church.",
    "The phone comes in black and white.", "They moved to Canada in 1998.",
    "The library is next to the school.", "The car has five doors.", "Lunch is served at noon.",
    "The article was written by two students.",
)  # fmt: skip


def neutral_facts() -> Iterator[Case]:
    """Yield statements that praise nothing and blame nothing."""
    for text in FACTS:
        yield Case(text, (ABSTAIN,))


def very_long() -> Iterator[Case]:
    """Yield clear texts in the middle, or at the end, of many facts."""
    for text, answer in CLEAR:
        yield Case(" ".join((*FACTS[:10], text, text, *FACTS[10:20])), (answer, ABSTAIN))
        yield Case(" ".join([text] * 60), (answer,))


def empty() -> Iterator[Case]:
    """Yield texts that say nothing."""
    for text in ("", " ", "\n\n", ".", "...", "?", "123", "42 17 3", "-", "http://example.org/a"):
        yield Case(text, (ABSTAIN,))


def other_languages() -> Iterator[Case]:
    """Yield texts in languages that the model was never taught."""
    for text in (
        "La tienda abre a las nueve.",
        "Me encanta esta película.",
        "El servicio fue horrible.",
        "Ce film est vraiment magnifique.",
        "Le repas était froid et trop cher.",
        "Das Buch hat mir sehr gut gefallen.",
        "Der Service war eine Katastrophe.",
        "Questo ristorante è fantastico.",
        "Il telefono si è rotto subito.",
        "Este livro é muito bom.",
        "O hotel era sujo e barulhento.",
        "Ik vind deze film geweldig.",
        "Het eten was koud.",
        "Bu filmi çok sevdim.",
        "Jag älskar den här boken.",
        "Obsługa była okropna.",
        "Это отличный фильм.",
        "Обслуживание ужасное.",
        "这部电影很好看。",
        "この本は面白いです。",
        "هذا الكتاب رائع.",
        "यह फिल्म बहुत अच्छी है।",
    ):
        yield Case(text, (ABSTAIN,))


GROUPS: dict[str, Callable[[], Iterator[Case]]] = {
    "negation": negation,
    "intensity": intensity,
    '"but" clauses': but_clauses,
    "names swapped": names,
    "genders swapped": genders,
    "typos": typos,
    "ALL CAPS, no caps": capitals,
    "emoji": emoji,
    "very short texts": very_short,
    "very long texts": very_long,
    "neutral facts": neutral_facts,
    "empty texts": empty,
    "other languages": other_languages,
}
