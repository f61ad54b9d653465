"""Cases for fuzzing: bundles with one fault, each made from its number alone."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from mutations import mutated

from textgate.bundle import strict_json
from textgate.bundle.storage import CARD, GRAPH, MANIFEST, TOKENIZER

TESTS = Path(__file__).parents[1]
GOLDEN = TESTS / "runtime" / "golden" / "bundle"
BUNDLES = (GOLDEN, *sorted(path.parent for path in (TESTS / "data").glob(f"*/{MANIFEST}")))
_DAMAGED = (GOLDEN, TESTS / "data" / "lstm-int8")
TEXTS = ("good", "", "bad good bad a very good film " * 4)
KINDS = ("damaged", "signed", "graphs", "documents")

_NAMES = (MANIFEST, GRAPH, TOKENIZER, CARD)
_FLIPS = (0xFF, 0x01)
_STRIDE = 7919  # a prime that no count of cases is a multiple of
_VALUES = (
    None, True, False, 0, -1, 1, 2, 2**31, 2**63, 2**64, 10**400, 0.5, -0.5, 1e308, "", "x", "a\nb",
    "\0", "x" * 5000, [], {}, [0], [[]], {"type": "x"}, "reverse", "NFC", "Regex",
)  # fmt: skip


@cache
def files(folder: Path) -> Mapping[str, bytes]:
    """Return the files of a sound bundle."""
    return {name: (folder / name).read_bytes() for name in _NAMES}


def count(kind: str) -> int | None:
    """Return how many cases of a kind there are; None if there is no end of them."""
    if kind in {"graphs", "documents"}:
        return None
    return sum(_count(kind, folder) for folder in _DAMAGED)


def _count(kind: str, folder: Path) -> int:
    sizes = [len(content) for name, content in files(folder).items() if _is_tried(kind, name)]
    return sum(sizes) * (len(_FLIPS) + 1)


def case(kind: str, number: int, seed: int) -> tuple[Path, dict[str, bytes], str]:
    """Return a bundle to try: the sound one it comes from, its files, and what was done to it.

    Args:
        kind: ``damaged`` (a byte flipped or the end cut off), ``signed`` (the same with the
            checksums made to fit), ``graphs`` (the graph changed, checksums fitting), or
            ``documents`` (the manifest or the tokenizer changed, checksums fitting).
        number: from 0.
        seed: chooses the random ones.
    """
    if kind in {"damaged", "signed"}:
        for folder in _DAMAGED:
            known = _count(kind, folder)
            if number < known:
                if kind == "signed":  # so that the first few are of all files
                    number = number * _STRIDE % known
                content, told = _damaged(kind, folder, number)
                return folder, sign(content) if kind == "signed" else content, told
            number -= known
    generator = random.Random(f"{seed} {kind} {number}")
    folder = generator.choice(BUNDLES)
    content = dict(files(folder))
    if kind == "graphs":
        content[GRAPH] = mutated(content[GRAPH], generator)
    else:
        name = generator.choice((MANIFEST, TOKENIZER))
        content[name] = _changed(content[name], generator)
    return folder, sign(content), folder.name


def sign(content: dict[str, bytes]) -> dict[str, bytes]:
    """Return the files with a manifest whose sizes and checksums fit them, if it still can."""
    try:
        manifest = json.loads(content[MANIFEST])
        for name in (GRAPH, TOKENIZER):
            entry = manifest["files"][name]
            entry["size"] = len(content[name])
            entry["sha256"] = hashlib.sha256(content[name]).hexdigest()
        manifest["checksum"] = strict_json.sha256(
            {name: value for name, value in manifest.items() if name != "checksum"}
        )
        return {**content, MANIFEST: json.dumps(manifest).encode()}
    except (ValueError, KeyError, TypeError):
        return content


def _is_tried(kind: str, name: str) -> bool:
    return kind == "damaged" or name != CARD


def _damaged(kind: str, folder: Path, number: int) -> tuple[dict[str, bytes], str]:
    content = dict(files(folder))
    for name, sound in content.items():
        if not _is_tried(kind, name):
            continue
        size = len(sound)
        what, offset = divmod(number, size)
        if what < len(_FLIPS):
            changed = bytearray(sound)
            changed[offset] ^= _FLIPS[what]
            content[name] = bytes(changed)
            return content, f"{folder.name}/{name}: byte {offset} ^ {_FLIPS[what]:#04x}"
        if what == len(_FLIPS):
            content[name] = sound[:offset]
            return content, f"{folder.name}/{name}: cut to {offset} bytes"
        number -= size * (len(_FLIPS) + 1)
    raise IndexError(number)


def _changed(document: bytes, generator: random.Random) -> bytes:
    """Return JSON with one to three of its values replaced, removed or moved."""
    value = json.loads(document)
    for _ in range(generator.choice((1, 1, 2, 3))):
        locations = _locations(value)
        holder, key = generator.choice(locations)
        what = generator.random()
        if what < 0.15:
            del holder[key]
        elif what < 0.3:
            other, other_key = generator.choice(locations)
            holder[key] = json.loads(
                json.dumps(other.get(other_key) if isinstance(other, dict) else 0)
            )
        else:
            holder[key] = generator.choice(_VALUES)
        if not _locations(value):
            break
    return json.dumps(value).encode()


def _locations(value: object) -> list[tuple[dict | list, str | int]]:
    """Return every object or list with each of its keys, the short ones as often as the long."""
    found: list[tuple[dict | list, str | int]] = []
    if isinstance(value, dict | list):
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        found += [(value, key) for key in keys[:8]]
        for key in keys:
            found += _locations(value[key])
    return found
