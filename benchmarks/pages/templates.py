"""Templates that turn a result into tables and sentences.

Besides Python's own formats they know `count`, `size` (of bytes), `ms` (of milliseconds), `list`
and `upper`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Any

from common import RESULTS

from textgate.tables import format_bytes, format_count, format_ms, markdown_table

Result = Mapping[str, Any]
Part = Callable[[Result], str]

MACHINE = (
    "Measured on {machine[processor]} ({machine[features]:list}), {machine[cpus]} CPUs, "
    "onnxruntime {machine[versions][onnxruntime]}."
)


class _Templates(Formatter):
    def format_field(self, value: Any, format_spec: str) -> Any:
        kinds = {"count": format_count, "upper": str.upper, "ms": format_ms, "list": ", ".join}
        if format_spec == "size":
            return format_bytes(round(value))
        return kinds[format_spec](value) if format_spec in kinds else format(value, format_spec)


def filled(template: str, values: Result) -> str:
    """Return a template with the values filled in."""
    return _Templates().vformat(template, (), values)


@dataclass(frozen=True)
class Block:
    """Text about one result.

    Attributes:
        result: its name in `results/`.
        parts: templates, and functions of the result; empty parts are left out.
        picture: title of its picture, which has the result's name; "" without one.
    """

    result: str
    parts: tuple[str | Part, ...]
    picture: str = ""

    def text(self, result: Result) -> str:
        """Return the text for a terminal."""
        return joined(*self.parts)(result)

    def on_page(self) -> str:
        """Return the text for a page, with pictures and machine, or a note without a result."""
        result = read_result(self.result)
        if result is None:
            return not_measured(self.result)
        parts = [self.text(result)]
        if self.picture:
            parts += [f"![{self.picture}](results/{self.result}.svg)", filled(MACHINE, result)]
        return "\n\n".join(parts)


def table(
    rows: str | Callable[[Result], Iterable[Result]], header: str, cells: str, align: str = ""
) -> Part:
    """Return a function that makes a table of a result.

    Args:
        rows: key of the rows in the result, or a function that makes them of the result.
        header: template of the titles, separated by " | "; "@" stands for the names in the first
            row's "each".
        cells: template of a row, separated in the same way; "@" stands for the values in its
            "each".
        align: alignment of each column; the last one is repeated.
    """

    def made(result: Result) -> str:
        listed = list(rows(result) if callable(rows) else result[rows])
        if not listed:
            return ""
        titles = _cells(header, result, list(listed[0].get("each", ())))
        lines = [_cells(cells, row, list(row.get("each", {}).values())) for row in listed]
        sides = align.ljust(len(titles), align[-1]) if align else None
        return markdown_table(titles, lines, align=sides)

    return made


def joined(*parts: str | Part, by: str = "\n\n") -> Part:
    """Return a function that joins the parts that are not empty."""

    def made(result: Result) -> str:
        found = [filled(one, result) if isinstance(one, str) else one(result) for one in parts]
        return by.join(part for part in found if part)

    return made


def goal_rows(result: Result) -> list[dict[str, Any]]:
    """Return the result's goals with the words that the table shows of them."""
    return [
        {
            **goal,
            "side": "at least" if goal["at_least"] else "at most",
            "answer": "yes" if goal["reached"] else "**no**",
        }
        for goal in result.get("goals", [])
    ]


GOALS = ("what | measured | goal | reached", "{what} | {value:.3f} | {side} {bound:.3g} | {answer}")
goals = table(goal_rows, *GOALS, "<><<")


def noise_warning(what: str) -> Part:
    """Return a function that warns of a result measured on a busy machine."""
    warning = f"**Measured on a noisy machine**: the {what} may hold, the times do not."
    return lambda result: warning if result["noise"]["reasons"] else ""


def read_result(name: str) -> dict[str, Any] | None:
    """Return a result, None if it was not measured yet."""
    path = RESULTS / f"{name}.json"
    if not path.exists():
        return None
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result


def not_measured(name: str) -> str:
    """Return the note about a missing result."""
    return f"Not measured yet: `python benchmarks/{name}.py`."


def _cells(templates: str, values: Result, each: list[str]) -> list[str]:
    parts = templates.split(" | ")
    return [text for part in parts for text in (each if part == "@" else [filled(part, values)])]
