"""Sections of options in the help of a command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])

_OTHERS = "Other options"


class SectionedCommand(click.Command):
    """A command whose help lists its options in the sections of `section`."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, section by section; those without a section come last."""
        sections: dict[str, list[tuple[str, str]]] = {}
        others: list[tuple[str, str]] = []
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                title = getattr(parameter, "section", "")
                (sections.setdefault(title, []) if title else others).append(record)
        for title, records in [*sections.items(), (_OTHERS, others)]:
            with formatter.section(title):
                formatter.write_dl(records)


def section(title: str) -> Callable[[_F], _F]:
    """Return a decorator that puts the options below it, up to the next section, into a section."""

    def mark(function: _F) -> _F:
        for parameter in getattr(function, "__click_params__", ()):
            if not hasattr(parameter, "section"):
                parameter.section = title
        return function

    return mark
