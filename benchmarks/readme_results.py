"""The results that the pages are made of, and what is said when one is missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
NOT_YET = "Not measured yet: `python benchmarks/{}`."


def measured(name: str) -> Callable[[Callable[[dict[str, Any]], str]], Callable[[], str]]:
    """Make a block out of what writes a result down; without the result the block says so."""

    def decorated(write: Callable[[dict[str, Any]], str]) -> Callable[[], str]:
        def block() -> str:
            result = result_or_none(name)
            return NOT_YET.format(f"{name}.py") if result is None else write(result)

        return block

    return decorated


def goal_lines(result: dict[str, Any]) -> list[list[str]]:
    """Return what was to be reached, what was, and whether, a line a goal."""
    return [
        [
            goal["what"],
            f"{goal['value']:.3f}",
            f"{'at least' if goal['at_least'] else 'at most'} {goal['bound']:.3g}",
            "yes" if goal["reached"] else "**no**",
        ]
        for goal in result.get("goals", [])
    ]


def result_or_none(name: str) -> dict[str, Any] | None:
    """Return a result, None if it was not measured yet."""
    return read_result(name) if (RESULTS / f"{name}.json").exists() else None


def read_result(name: str) -> dict[str, Any]:
    """Return a result that is there."""
    result: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return result


def where(result: dict[str, Any]) -> str:
    """Return on what machine a result was measured."""
    machine = result["machine"]
    versions = machine["versions"]
    return (
        f"Measured on {machine['processor']} ({', '.join(machine['features'])}), "
        f"{machine['cpus']} CPUs, onnxruntime {versions['onnxruntime']}."
    )
