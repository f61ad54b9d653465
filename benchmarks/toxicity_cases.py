"""Behaviour tests of a toxicity model: texts of known meaning, one group per behaviour.

The texts are in `toxicity_cases.toml`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
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
        about: the group of people that the text names, one of IDENTITIES; "" if it names none.
    """

    text: str
    toxic: bool
    about: str = ""


def _listed(rules: list[dict[str, Any]]) -> tuple[Case, ...]:
    found = []
    for rule in rules:
        toxic = rule["side"] == "+"
        for name in rule.get("over", ()):  # the lists name the same groups in the same order
            for identity, word in zip(IDENTITIES, _FILE["lists"][name], strict=True):
                for pattern in rule["texts"]:
                    text = pattern.format_map({name: word})
                    found.append(Case(text[0].upper() + text[1:], toxic, identity))
        if "over" not in rule:
            found += [Case(text, toxic) for text in rule["texts"]]
    return tuple(found)


GROUPS: dict[str, tuple[Case, ...]] = {
    name: _listed(rules) for name, rules in _FILE["groups"].items()
}
