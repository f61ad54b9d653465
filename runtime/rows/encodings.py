"""Which encoding bytes that are not UTF-8 may be in: a guess to be shown, never to be acted on."""

from __future__ import annotations

import re

_MOST = 3  # guesses
_RUNS = re.compile(rb"[\x80-\xff]+")
_UNDEFINED = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")  # in cp1252
_COMMON = {  # encoding -> what most characters outside ASCII are in texts that it is used for
    "shift_jis": re.compile("[\u3000-\u30ff\u4e00-\u9fff\uff01-\uff5e]"),
    "gb18030": re.compile("[\u3000-\u303f\u4e00-\u9fff\uff01-\uff5e]"),
    "euc_kr": re.compile("[\uac00-\ud7a3]"),
    "cp1251": re.compile("[\u0410-\u044f\u0401\u0451]"),
}
_KANA = re.compile("[\u3041-\u30fe]")
_ENOUGH = 0.8  # of the characters


def likely_encodings(line: bytes) -> list[str]:
    """Return one to three encodings that a line which is not UTF-8 may be in, the likeliest first.

    Accents are single bytes among letters, which speaks for Western Europe; long runs of bytes
    outside ASCII speak for another script, and then for what decodes them to its common characters.
    """
    runs = _RUNS.findall(line)
    western = ["latin-1"] if _UNDEFINED.search(line) else ["cp1252", "latin-1"]
    if max(map(len, runs), default=0) <= 2:
        return western
    found = {}
    for encoding, common in _COMMON.items():
        try:
            text = line.decode(encoding)
        except UnicodeDecodeError:
            continue
        outside = [character for character in text if not character.isascii()]
        share = sum(map(bool, map(common.match, outside))) / len(outside)
        if encoding == "shift_jis" and not any(map(_KANA.match, outside)):
            share /= 2  # Chinese, too, can be taken for it
        if encoding == "cp1251":
            # Words are small letters, perhaps after a capital; by chance they are not.
            small = sum("\u0430" <= character <= "\u044f" for character in outside)
            share = small / len(outside)
        if share >= _ENOUGH:
            found[encoding] = share
    return [*sorted(found, key=found.__getitem__, reverse=True), *western][:_MOST]
