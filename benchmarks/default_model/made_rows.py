"""Generated rows for the packaged models: what public sets lack.

Neutral statements, names of many origins, opinions that are implied, negated or ironic, other
languages, nonsense, texts without words, emoticons, swapped genders, and noise. The words and
patterns are in made_words.toml.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]
NEUTRAL = {"negative": 0.02, "neutral": 0.96, "positive": 0.02}
SIDES = {  # of texts that consist of a clear picture
    "negative": {"negative": 0.95, "neutral": 0.03, "positive": 0.02},
    "positive": {"negative": 0.02, "neutral": 0.03, "positive": 0.95},
}

_SEED = 0
_WORDS = tomllib.loads(Path(__file__).with_name("made_words.toml").read_text(encoding="utf-8"))
_LISTS: dict[str, list[str]] = {
    name: text.split() if name == "name" else text.split(",")
    for name, text in _WORDS["lists"].items()
}
NAMES = tuple(  # given names that are no English words
    name for name in _LISTS["name"] if name.lower() not in _WORDS["names"]["words"].split()
)
_GROUPS = {name: _WORDS["groups"][name].split(",") for name in ("plural", "singular")}
_STATEMENTS, _NAMED = 9_000, 1_500  # rows
_OPINIONS, _GENERAL, _ANGRY, _OF_A_SIDE = 14_000, 8_000, 4_000, 2_400  # rows of each label
_NONSENSE, _FOREIGN, _WORDLESS, _SWAPPED = 2_500, 5_000, 2_500, 5_000
_PER_PICTURE = 60  # texts
_JOINED = 3, 14  # sentences of a long text
_MINE = 0.3, 1.0  # of them with its side
_CLEAR = 0.7  # probability
_FRAMED = 0.08  # of the rows that do not begin with he or she
_FRAMES = (
    "{name}: {text}",
    "{text} - {name}",
    "Hi {name}, {text}",
    "{name} said: {text}",
    "{text}, said {name}.",
    "I told {name}: {text}",
    "For {name}: {text}",
)
_SUBJECT = re.compile(r"(?:He|he|She|she)\b(?!['\u2019])")
_HAPPY = (*[":)", ":-)", ":D", ":-D", ";)", "=)", "<3", "xD"], *"😀😃😄😊😍😘😂👍👏🎉❤💕😎🥰🤩🙌💯")
_SAD = (*[":(", ":-(", ":'(", ">:(", "=(", ":-/"], *"😡😠😭😢👎💔🤮🤢😒😞😩🙄💩😔")
_THINGS = "📦📅📍📞🚗🏠📄📎🕒✈🔑💡🍽🎒📚🖨⌚🔋"
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
_IN_TEXT_SPEAK = 0.3  # of the disguised rows
_LOOK_ALIKES = {"a": "@", "e": "3", "i": "1", "o": "0", "s": "$", "u": "v"}
_TEXT_SPEAK = {
    "you": "u",
    "you are": "u r",
    "you're": "ur",
    "your": "ur",
    "are": "r",
    "people": "ppl",
    "and": "n",
    "so": "soo",
    "fuck": "fck",
    "shut up": "stfu",
    "what": "wat",
    "to": "2",
    "going to": "gonna",
    "want to": "wanna",
    "is": "iz",
    "the": "da",
    "fucking": "fkn",
}
_SPOKEN = re.compile(rf"\b(?:{'|'.join(sorted(_TEXT_SPEAK, key=len, reverse=True))})\b")
_VOWELS, _CONSONANTS = "aeiou", "bcdfghjklmnpqrstvwxyz"
_CODE = (
    "if ({a} > {n}) {{ {b} = {a} - {n}; }}",
    "while {a} < {n}:\n    {a} += 1",
    "const {a} = {b}.map(x => x * {n});",
    '<p class="{a}">{b}</p>',
    '<a href="/{a}/{n}">{b}</a>',
    "INSERT INTO {a} VALUES ({n}, '{b}');",
    "import {a} from '{b}'",
    "{a}:\n  - {b}\n  - {n}",
    '{{"{a}": {n}, "{b}": null}}',
    "| {a} | {n} |\n| {b} | {n} |",
    "$ {a} --{b} {n}",
    "{a}.{b}({n})",
)


def statements() -> Iterator[Row]:
    """Yield neutral statements and questions, some of them about people of any name."""
    chance = random.Random(_SEED)
    patterns = _WORDS["neutral"]["patterns"].strip().splitlines()
    for _ in range(_STATEMENTS):
        yield {"text": _filled(chance.choice(patterns), chance), "probs": NEUTRAL}


def named() -> Iterator[Row]:
    """Yield praise and blame of people of any name."""
    chance = random.Random(_SEED)
    for _ in range(_NAMED):
        side = chance.choice(("negative", "positive"))
        patterns = _WORDS["named"][side].strip().splitlines()
        yield {"text": _filled(chance.choice(patterns), chance), "probs": SIDES[side]}


def opinions() -> Iterator[Row]:
    """Yield implied complaints and praise, idioms, irony, slang, comparisons and negations."""
    chance = random.Random(_SEED)
    words = _WORDS["opinions"]
    lists = {name: words[name].split(",") for name in words if name not in SIDES}
    for side, answer in SIDES.items():
        patterns = words[side].strip().splitlines()
        for _ in range(_OPINIONS):
            text = _filled(chance.choice(patterns), chance, lists)
            yield {"text": text[0].upper() + text[1:], "probs": answer}


def foreign() -> Iterator[Row]:
    """Yield words of other languages in a random order, as neutral texts."""
    chance = random.Random(_SEED)
    languages = {name: words.split() for name, words in _WORDS["foreign"].items()}
    for _ in range(_FOREIGN):
        name = chance.choice(list(languages))
        joiner = "" if name in ("chinese", "japanese", "thai") else " "
        text = joiner.join(chance.choices(languages[name], k=chance.randint(2, 12)))
        end = chance.choice(("", ".", ".", "!", "?"))
        yield {"text": text[:1].upper() + text[1:] + end, "probs": NEUTRAL}


def nonsense(texts: Sequence[str]) -> Iterator[Row]:
    """Yield meaningless texts with the shape of words."""
    chance = random.Random(_SEED)
    for text in chance.sample(texts, min(_NONSENSE, len(texts))):
        yield {"text": disguised(text, chance), "probs": NEUTRAL}


def wordless() -> Iterator[Row]:
    """Yield digits, marks, addresses, handles, pictures of things, code, letters and runs."""
    chance = random.Random(_SEED)
    for _ in range(_WORDLESS):
        kinds = (_numbers, _marks, _addresses, _pictures, _code, _letters, _runs)
        text = chance.choice(kinds)(chance)
        yield {"text": text, "probs": NEUTRAL}


def alone() -> Iterator[Row]:
    """Yield the words of plain statements, names of people and names of groups, each by itself."""
    found = {word for row in statements() for word in re.findall(r"[A-Za-z]+", row["text"])}
    for text in sorted(found.union(_LISTS["name"], *_GROUPS.values())):
        yield {"text": text, "probs": NEUTRAL}


def faces(plain: Sequence[str]) -> Iterator[Row]:
    """Yield emoticons and emoji, alone and after texts without a clear sentiment."""
    chance = random.Random(_SEED)
    for pictures, side in ((_HAPPY, "positive"), (_SAD, "negative")):
        for picture in pictures:
            for repeated in (1, 1, 1, 2, 3):
                yield {"text": picture * repeated, "probs": SIDES[side]}
            for text in chance.sample(plain, min(_PER_PICTURE, len(plain))):
                cut = text.rstrip(".") if chance.random() < 0.5 else text
                yield {"text": f"{cut} {picture}", "probs": SIDES[side]}


def swapped(rows: Sequence[Row]) -> Iterator[Row]:
    """Yield rows with men and women swapped and their labels kept."""
    chance = random.Random(_SEED)
    found = [row | {"text": other} for row in rows if (other := exchanged(row["text"]))]
    yield from chance.sample(found, min(_SWAPPED, len(found)))


def noisy(rows: Iterable[Row], fraction: float) -> Iterator[Row]:
    """Yield a share of the rows with small faults of writing and the same labels."""
    chance = random.Random(_SEED)
    faults = (_capitals, _small, _typo, _no_apostrophes, _no_marks, _exclaimed)
    for row in rows:
        if chance.random() < fraction:
            text = chance.choice(faults)(row["text"], chance)
            if text.strip() and text != row["text"]:
                yield row | {"text": text}


def renamed(rows: Iterable[Row], fraction: float) -> Iterator[Row]:
    """Yield a share of the rows with a name: instead of a first he or she, else beside the text."""
    chance = random.Random(_SEED)
    for row in rows:
        name = chance.choice(_LISTS["name"])
        if found := _SUBJECT.match(row["text"]):
            if chance.random() < fraction:
                yield row | {"text": name + row["text"][found.end() :]}
        elif chance.random() < fraction * _FRAMED:
            yield row | {"text": chance.choice(_FRAMES).format(name=name, text=row["text"])}


def joined(rows: Iterable[Row], count: int) -> Iterator[Row]:
    """Yield long texts: clear rows of one side, plain ones, and a few of the other side."""
    chance = random.Random(_SEED)
    clear: dict[str, list[str]] = {"negative": [], "neutral": [], "positive": []}
    for row in rows if count else ():
        side = max(row["probs"], key=row["probs"].get)
        if row["probs"][side] > _CLEAR:
            clear[side].append(row["text"])
    for _ in range(count):
        side, other = chance.sample(list(SIDES), 2)
        length = chance.randint(*_JOINED)
        mine = max(1, round(length * chance.uniform(*_MINE)))
        against = chance.randint(0, mine // 3)
        texts = [
            *chance.choices(clear[side], k=mine),
            *chance.choices(clear[other], k=against),
            *chance.choices(clear["neutral"], k=length - mine),
        ]
        chance.shuffle(texts)
        yield {"text": " ".join(map(_sentence, texts)), "probs": SIDES[side]}


def about_groups(toxic: str, clean: str) -> Iterator[Row]:
    """Yield texts that name a group of people, some of them hateful, with the given labels."""
    for label, side in ((toxic, "toxic"), (clean, "clean")):
        for pattern in _WORDS["groups"][side].strip().splitlines():
            for name in _GROUPS["singular" if "{singular}" in pattern else "plural"]:
                text = re.sub(r"\{[Pp]lural\}|\{singular\}", name, pattern)
                yield {"text": text[0].upper() + text[1:], "label": label}


def reported(toxic: str, clean: str) -> Iterator[Row]:
    """Yield hateful claims about groups that somebody condemns, and that somebody makes."""
    return _sides("reported", toxic, clean, _OF_A_SIDE, {"plural": _GROUPS["plural"]})


def general(toxic: str, clean: str) -> Iterator[Row]:
    """Yield what is said of a group in all grammatical forms: harmless things, and hateful ones."""
    return _sides("general", toxic, clean, _GENERAL, {"who": _GROUPS["plural"]})


def angry(toxic: str, clean: str) -> Iterator[Row]:
    """Yield threats and insults, and swearing and harsh words that are meant for nobody."""
    return _sides("anger", toxic, clean, _ANGRY, {})


def hidden(toxic: str, clean: str) -> Iterator[Row]:
    """Yield several plain statements in a row, and the same with an insult or threat among them."""
    chance = random.Random(_SEED)
    plain = [row["text"] for row in statements()]
    insults = [row["text"] for row in angry(toxic, clean) if row["label"] == toxic]
    for _ in range(_OF_A_SIDE):
        texts = chance.sample(plain, chance.randint(2, 8))
        yield {"text": " ".join(texts), "label": clean}
        texts[chance.randrange(len(texts))] = chance.choice(insults)
        yield {"text": " ".join(texts), "label": toxic}


def trailing(rows: Sequence[Row]) -> Iterator[Row]:
    """Yield a share of the rows with a run of marks behind or before, and the same labels."""
    chance = random.Random(_SEED)
    for row in chance.sample(rows, min(_OF_A_SIDE, len(rows))):
        marks = chance.choice(".?!,*-=_") * round(2 ** chance.uniform(1, 6))
        text = row["text"].rstrip(".!?")
        yield row | {"text": f"{text}{marks}" if chance.random() < 0.7 else f"{marks} {text}"}


def disguises(rows: Iterable[Row], fraction: float) -> Iterator[Row]:
    """Yield a share of the rows as in a chat, or with other letters, and the same labels."""
    chance = random.Random(_SEED)
    for row in rows:
        if chance.random() < fraction:
            yield row | {"text": _disguise(row["text"], chance)}


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


def _disguise(text: str, chance: random.Random) -> str:
    """Return a text as it is written in chats, or with letters of some words replaced."""
    if chance.random() < _IN_TEXT_SPEAK:
        return _SPOKEN.sub(lambda match: _TEXT_SPEAK[match[0]], text.lower()).rstrip(".!")
    words = text.split(" ")
    for index in chance.sample(range(len(words)), max(1, len(words) // 4)):
        found = [at for at, letter in enumerate(words[index]) if letter.lower() in _LOOK_ALIKES]
        if found:
            at = chance.choice(found)
            word, letter = words[index], words[index][at].lower()
            instead = chance.choice((_LOOK_ALIKES[letter], "*", letter * 3, f"-{letter}-"))
            words[index] = word[:at] + instead + word[at + 1 :]
    return " ".join(words)


def _sides(
    table: str, toxic: str, clean: str, count: int, others: Mapping[str, list[str]]
) -> Iterator[Row]:
    """Yield so many texts of each side, from the patterns and the lists of a table and others."""
    chance = random.Random(_SEED)
    words = _WORDS[table]
    lists = {name: words[name].split(",") for name in words if name not in ("clean", "toxic")}
    for name, members in others.items():
        lists[name] = lists.get(name, []) + members
    for label, side in ((toxic, "toxic"), (clean, "clean")):
        patterns = words[side].strip().splitlines()
        for _ in range(count):
            yield {"text": _filled(chance.choice(patterns), chance, lists), "label": label}


def _filled(
    pattern: str, chance: random.Random, lists: Mapping[str, Sequence[str]] = _LISTS
) -> str:
    """Return a pattern with a random member of a list in place of each name in braces."""

    def member(match: re.Match[str]) -> str:
        word = chance.choice(lists[match[1].lower()])
        return word[0].upper() + word[1:] if match[1][0].isupper() else word

    text = re.sub(r"\{(\w+)\}", member, pattern)
    return re.sub(r"\ba(?= [aeiou])", "an", text)


def _sentence(text: str) -> str:
    """Return a text with a capital and an end."""
    text = text.strip()
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")


def _runs(chance: random.Random) -> str:
    """Return a mark, digit or letter that is repeated, often hundreds of times."""
    sign = chance.choice((*",.?!*-=_#~;:/|9a0x", ", ", ". ", "? ", "* ", "- ", ",\n", "a ", "lol "))
    return (sign * round(2 ** chance.uniform(1, 9))).strip()


def _numbers(chance: random.Random) -> str:
    parts = ("{}", "{}", "{}:{}", "{}.{}", "{}/{}", "{}%", "#{}", "{}-{}", "({})", "{} x {}")
    drawn = chance.choices(parts, k=chance.randint(1, 5))
    return " ".join(part.format(chance.randint(0, 2100), chance.randint(0, 60)) for part in drawn)


def _marks(chance: random.Random) -> str:
    return chance.choice(".,?!-_*=~#/|\u2026\u200b") * chance.choice((1, 2, 3, 5, 10, 50, 300))


def _addresses(chance: random.Random) -> str:
    parts = ("http", "@user", "https://{}.com/{}", "www.{}.org", "{}@{}.net", "#{}", "/{}/{}")
    drawn = chance.choices(parts, k=chance.randint(1, 4))
    return " ".join(part.format(_word(chance), _word(chance)) for part in drawn)


def _pictures(chance: random.Random) -> str:
    return chance.choice(("", " ")).join(chance.choices(_THINGS, k=chance.randint(1, 4)))


def _code(chance: random.Random) -> str:
    return chance.choice(_CODE).format(a=_word(chance), b=_word(chance), n=chance.randint(0, 99))


def _letters(chance: random.Random) -> str:
    letters = _VOWELS + _CONSONANTS
    drawn = [
        "".join(chance.choices(letters, k=chance.choice((1, 1, 6))))
        for _ in range(chance.randint(1, 4))
    ]
    text = " ".join(drawn)
    return text.upper() if chance.random() < 0.3 else text


def _word(chance: random.Random) -> str:
    return chance.choice(_LISTS[chance.choice(("item", "place", "part", "kind", "code"))]).replace(
        " ", "_"
    )


def _capitals(text: str, _: random.Random) -> str:
    return text.upper()


def _small(text: str, _: random.Random) -> str:
    return text.lower()


def _typo(text: str, chance: random.Random) -> str:
    """Return a text with two neighbouring letters of two words exchanged, or one left out."""
    words = text.split(" ")
    long = [index for index, word in enumerate(words) if len(word) >= 5 and word.isalpha()]
    for index in chance.sample(long, min(2, len(long))):
        word, at = words[index], chance.randrange(1, len(words[index]) - 2)
        rest = word[at + 1] + word[at] if chance.random() < 0.6 else word[at + 1]
        words[index] = word[:at] + rest + word[at + 2 :]
    return " ".join(words)


def _no_apostrophes(text: str, _: random.Random) -> str:
    return text.replace("'", "").replace("\u2019", "")


def _no_marks(text: str, _: random.Random) -> str:
    return re.sub(r"[.,;:!?]+(?=\s|$)", "", text)


def _exclaimed(text: str, chance: random.Random) -> str:
    return text.rstrip(".!") + "!" * chance.choice((1, 3, 10, 60))
