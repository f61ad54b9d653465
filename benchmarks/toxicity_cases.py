"""Behaviour tests of a toxicity model: texts of known meaning, one group per behaviour.

The texts are in `toxicity_cases.toml`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

CLEAN, TOXIC = "clean", "toxic"
_FILE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
IDENTITIES: list[str] = _FILE["lists"]["identity"]


@dataclass(frozen=True)
class Case:
    """A text and whether it is toxic.

    Attributes:
        text: the text.
        toxic: whether it is.
        about: the member of a list that the text names, "" if it names none.
    """

    text: str
    toxic: bool
    about: str = ""


def _listed(rules: list[dict[str, Any]]) -> tuple[Case, ...]:
    found = []
    for rule in rules:
        lists = [_FILE["lists"][name] for name in rule.get("over", ())]
        for chosen in product(*lists):
            for pattern in rule["texts"]:
                text = pattern.format_map(dict(zip(rule.get("over", ()), chosen, strict=True)))
                about = chosen[0] if chosen else ""
                found.append(
                    Case(text[:1].upper() + text[1:] if about else text, rule["side"] == "+", about)
                )
    return tuple(found)


GROUPS: dict[str, tuple[Case, ...]] = {
    name: _listed(rules) for name, rules in _FILE["groups"].items()
}
