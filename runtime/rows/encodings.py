"""Likely encodings of bytes that are not UTF-8: guesses for a message, never used to read."""

from __future__ import annotations

import re

_MAX_GUESSES = 3
_RUNS = re.compile(rb"[\x80-\xff]+")
_UNDEFINED = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")  # in cp1252
_COMMON = {  # encoding -> most characters outside ASCII of texts that it is used for
    "euc_kr": re.compile("[\uac00-\ud7a3]"),
    "shift_jis": re.compile("[\u3000-\u30ff\u4e00-\u9fff\uff01-\uff5e]"),
    "cp1251": re.compile(
        "[\u0430-\u044f\u0451]"
    ),  # without capitals, which wrong decoding also gives
    "gb18030": re.compile(
        "[\u3000-\u303f\u4e00-\u9fff\uff01-\uff5e]"
    ),  # decodes almost anything, so it comes last
}
_KANA = re.compile("[\u3041-\u30fe]")
_MIN_COMMON = 0.9  # fraction of the characters outside ASCII


def likely_encodings(line: bytes) -> list[str]:
    """Return one to three likely encodings of a line that is not UTF-8, the likeliest first.

    Single bytes outside ASCII among letters are accents of Western Europe. Longer runs are another
    script; its encoding decodes them to common characters of that script.
    """
    runs = _RUNS.findall(line)
    western = ["latin-1"] if _UNDEFINED.search(line) else ["cp1252", "latin-1"]
    if max(map(len, runs), default=0) <= 2:
        return western
    found = []
    for encoding, common in _COMMON.items():
        try:
            text = line.decode(encoding)
        except UnicodeDecodeError:
            continue
        outside = [character for character in text if not character.isascii()]
        has_kana = any(map(_KANA.match, outside))  # without kana, Chinese is more likely
        fraction = sum(map(bool, map(common.match, outside))) / len(outside)
        if fraction >= _MIN_COMMON and (has_kana or encoding != "shift_jis"):
            found.append(encoding)
    return [*found, *western][:_MAX_GUESSES]
