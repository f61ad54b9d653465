"""Words of a text as a reader sees them: pieces between white space, with punctuation apart."""

from __future__ import annotations

import re
from functools import cache
from unicodedata import category

# Kinds of characters: "w" of a word, "n" a digit, "c" of a script without spaces between words,
# "x" belongs to the character before it, "h" joins words, "j" joins digits, "p" punctuation and
# symbols, " " white space.
_WORD = re.compile("[wnx]+(?:h[wnx]+|(?<=n)j(?=n)[wnx]+)*|cx*|[phj][phjx]*")
_JOINS_WORDS = "'\u2019-\u2010"
_JOINS_DIGITS = ".,:"
_WITHOUT_SPACES = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # Chinese characters
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),  # narrow Katakana
    (0x20000, 0x3FFFF),
)


def words_in(text: str) -> list[tuple[int, int]]:
    """Return the first and the last position, exclusive, of each word, in characters.

    Between and around words there is only white space. A hyphen or an apostrophe inside a word
    belongs to it, and so does a point, comma or colon between digits. A run of other punctuation is
    a word, and so is each character of a script without spaces between words.
    """
    kinds = "".join(map(_kind, text))
    return [match.span() for match in _WORD.finditer(kinds)]


@cache
def _kind(character: str) -> str:
    kind = category(character)
    if character.isspace():
        found = " "
    elif character in _JOINS_WORDS:
        found = "h"
    elif character in _JOINS_DIGITS:
        found = "j"
    elif kind in {"Mn", "Mc", "Me", "Cf"}:
        found = "x"
    elif kind == "Nd":
        found = "n"
    elif kind[0] in "PS" and character != "_":
        found = "p"
    else:
        number = ord(character)
        found = "c" if any(low <= number <= high for low, high in _WITHOUT_SPACES) else "w"
    return found
