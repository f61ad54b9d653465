"""The tables of Unicode that the tokenizer of runtime/web reads.

    python .ci/unicode_tables.py

Writes ``runtime/web/src/unicode_tables.js``. The tokenizers package is asked about every code
point: its parts know different versions of Unicode, and a browser knows yet another. ``tests/web``
compares.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import Regex, normalizers, pre_tokenizers

from textgate.bundle.checks.tokenizer import WORDS

FILE = Path(__file__).parents[1] / "runtime" / "web" / "src" / "unicode_tables.js"
POINTS = [point for point in range(0x110000) if not 0xD800 <= point < 0xE000]
DOT = 0x130  # the only character whose lower case is two
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
WIDTH = 110  # of a line
HEADER = """/**
 * Unicode as the tokenizers package knows it, in base 36. Written by .ci/unicode_tables.py.
 *
 * Sets are gaps and lengths of runs. LOWER has, for runs of capital letters, the gap before them,
 * how many they are, the distance from one to the next, and what is added to get the small letter.
 *
 * @module
 */
"""


def main() -> None:
    """Write the tables."""
    splitter = pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True)
    compose, decompose = normalizers.NFC().normalize_str, normalizers.NFD().normalize_str
    words, spaces = set(), set()
    for point in POINTS:
        pieces = [piece for piece, _ in splitter.pre_tokenize_str(f"a{chr(point)}a")]
        if len(pieces) == 1 and point not in (0x27, 0x2019):  # apostrophes join words
            words.add(point)
        elif len(pieces) == 2:
            spaces.add(point)
    decomposed = {point: decompose(chr(point)) for point in POINTS}
    split = {point: parts for point, parts in decomposed.items() if parts != chr(point)}
    # Reordered behind a mark of the lowest class, or before one of the highest.
    moved = {
        point
        for point in POINTS
        if decompose(f"{chr(point)}\u0334") != f"{decomposed[point]}\u0334"
        or decompose(f"\u0345{chr(point)}") != f"\u0345{decomposed[point]}"
    }
    parts = {ord(character) for text in split.values() for character in text}
    later = {ord(character) for text in split.values() for character in text[1:]}
    changed = {point for point in POINTS if compose(chr(point)) != chr(point)}
    lowered = {
        point: small
        for point in POINTS
        if (small := normalizers.Lowercase().normalize_str(chr(point))) != chr(point)
        and point != DOT
    }
    if not all(len(small) == 1 for small in lowered.values()):
        sys.exit("another character whose lower case is not one")
    tables = {
        "WORD": runs(words),
        "SPACE": runs(spaces),
        "COMPOSED": runs({*split, *moved, *parts}),
        "MARKS": runs({*moved, *later, *changed}),
        "LOWER": steps({point: ord(small) - point for point, small in lowered.items()}),
    }
    text = HEADER + "".join(
        f"\nexport const {name} =\n{lines(table)};\n" for name, table in tables.items()
    )
    FILE.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{FILE}: {len(text):,} bytes\n")


def runs(points: Iterable[int]) -> Iterator[int]:
    """Yield the gap before each run of numbers, and its length."""
    end, begin, last = 0, -1, -2
    for point in sorted(points):
        if point != last + 1:
            if begin >= 0:
                yield from (begin - end, last + 1 - begin)
                end = last + 1
            begin = point
        last = point
    yield from (begin - end, last + 1 - begin)


def steps(added: dict[int, int]) -> Iterator[int]:
    """Yield four numbers for each run of equal differences, one or two apart."""
    points, end = sorted(added), 0
    while points:
        step = max((1, 2), key=functools.partial(run_length, points, added))
        count = run_length(points, added, step)
        yield from (points[0] - end, count, step, added[points[0]])
        end = points[0] + count * step
        points = points[count:]


def run_length(points: list[int], added: dict[int, int], step: int) -> int:
    """Return how many of the first numbers are equally far apart and have the same difference."""
    for index, point in enumerate(points):
        if point != points[0] + index * step or added[point] != added[points[0]]:
            return index
    return len(points)


def lines(numbers: Iterable[int]) -> str:
    """Return numbers as a string of JavaScript, over several lines."""
    found, line = [], ""
    for number in numbers:
        digits = base_36(number)
        if len(line) + len(digits) + 8 > WIDTH:
            found.append(line)
            line = ""
        line += f"{digits} "
    found.append(line.rstrip())
    return " +\n".join(f'  "{one}"' for one in found)


def base_36(number: int) -> str:
    """Return a whole number in base 36."""
    if number < 0:
        return f"-{base_36(-number)}"
    head, digit = divmod(number, 36)
    return (base_36(head) if head else "") + DIGITS[digit]


if __name__ == "__main__":
    main()
