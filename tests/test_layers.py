"""The rooms of the package import one another in one direction, type-only imports included."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from textgate.cli import COMMANDS

ROOT = Path(__file__).parents[1]
FOLDERS = {
    "runtime": "textgate",
    "train": "textgate.train",
    "export": "textgate.export",
    "estimator": "textgate.sklearn",
}
# From the lowest to the highest: a room imports from itself and from rooms before it in this list.
# The checks of a bundle are one level with the bundle: they read its manifest, and it calls them.
LEVELS = (
    ("textgate",),
    ("textgate.bundle.checks", "textgate.bundle"),
    ("textgate.native",),
    ("textgate.rows",),
    ("textgate.inference",),
    ("textgate.evaluation",),
    ("textgate.bench",),
    ("textgate.page",),
    ("textgate.serve",),
    ("textgate.scale",),
    ("textgate.cli",),
    ("textgate.train.text",),
    ("textgate.train.data",),
    ("textgate.train.network",),
    ("textgate.train.training",),
    ("textgate.train.teaching",),
    ("textgate.train.pretraining",),
    ("textgate.train.tuning",),
    ("textgate.train",),
    ("textgate.export.quantize",),
    ("textgate.export.graph",),
    ("textgate.export",),
    ("textgate.sklearn",),
)
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
# The face imports lazily what it shows; the program is what `python -m` runs.
FACES = {"textgate", "textgate.__main__"}


def modules() -> dict[str, Path]:
    found = {}
    for folder, package in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            found[".".join([package, *(part for part in parts if part != "__init__")])] = path
    return found


MODULES = modules()


def room_of(module: str) -> str:
    if MODULES[module].name == "__init__.py":
        return module
    return module.rpartition(".")[0]


def imported(module: str) -> set[str]:
    """The modules of the package that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{name.name}" for name in node.names}
            found |= (inner & MODULES.keys()) or {node.module}
    return {name for name in found if name in MODULES and name != module}


@pytest.mark.parametrize("module", sorted(MODULES.keys() - FACES))
def test_rooms_import_downwards(module):
    own = LEVEL[room_of(module)]
    assert not {name for name in imported(module) if LEVEL[room_of(name)] > own}


def test_only_commands_import_the_command_line():
    commands = {module for module, *_ in COMMANDS.values()}
    outside = {name for name in MODULES if not name.startswith("textgate.cli")} - FACES - commands
    assert not {
        name: found
        for name in outside
        if (found := {one for one in imported(name) if one.startswith("textgate.cli")})
    }


def test_no_modules_import_each_other_in_a_circle():
    graph = {module: imported(module) for module in MODULES.keys() - FACES}
    while free := {module for module, wanted in graph.items() if not wanted & graph.keys()}:
        graph = {module: wanted for module, wanted in graph.items() if module not in free}
    assert not {module: wanted & graph.keys() for module, wanted in graph.items()}
