"""Which encoding bytes that are not UTF-8 may be in: a guess to be shown, never to be acted on."""

from __future__ import annotations

import re

_MOST = 3  # guesses
_RUNS = re.compile(rb"[\x80-\xff]+")
_UNDEFINED = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")  # in cp1252
_COMMON = {  # encoding -> what most characters outside ASCII are in texts that it is used for
    "euc_kr": re.compile("[\uac00-\ud7a3]"),
    "shift_jis": re.compile("[\u3000-\u30ff\u4e00-\u9fff\uff01-\uff5e]"),
    "cp1251": re.compile("[\u0430-\u044f\u0451]"),  # by chance, capitals are as frequent
    "gb18030": re.compile("[\u3000-\u303f\u4e00-\u9fff\uff01-\uff5e]"),  # which decodes most
}
_KANA = re.compile("[\u3041-\u30fe]")
_ENOUGH = 0.9  # of the characters


def likely_encodings(line: bytes) -> list[str]:
    """Return one to three encodings that a line which is not UTF-8 may be in, the likeliest first.

    Accents are single bytes among letters, which speaks for Western Europe; long runs of bytes
    outside ASCII speak for another script, and then for what decodes them to its common characters.
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
        has_kana = any(map(_KANA.match, outside))  # without any it is rather Chinese
        share = sum(map(bool, map(common.match, outside))) / len(outside)
        if share >= _ENOUGH and (has_kana or encoding != "shift_jis"):
            found.append(encoding)
    return [*found, *western][:_MOST]
