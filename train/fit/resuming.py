"""Going on with what was begun in a folder: it must be the same, and nothing needless stays."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from textgate.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from textgate.bundle.run import DataSummary


def require_same_settings(
    output: Path, begun: Mapping[str, Any], wanted: Mapping[str, Any]
) -> None:
    """Refuse to go on with other settings.

    Args:
        output: the folder.
        begun: its settings, by name.
        wanted: those that are asked for.

    Raises:
        CheckpointError: one of them is another.
    """
    for name, value in wanted.items():
        # What was begun before there was the setting went without it.
        if begun.get(name, value) != value:
            raise CheckpointError(
                f"{output}: begun with {name} {begun[name]!r}, not {value!r}; leave the option "
                "out, or begin anew in another folder"
            )


def require_same_rows(output: Path, name: str, begun: DataSummary, given: DataSummary) -> None:
    """Refuse to go on with other rows; in which file they come does not matter.

    Args:
        output: the folder.
        name: what the rows are for, ``train`` or ``dev``.
        begun: the folder's.
        given: those that are given now.

    Raises:
        CheckpointError: they are others.
    """
    if begun.sha256 != given.sha256:
        raise CheckpointError(
            f"{output}: begun with other {name} rows than these; give the same file, or begin "
            "anew in another folder"
        )


def tidy(output: Path, *needless: str) -> None:
    """Remove files that a finished folder no longer needs, and what was half-written in it."""
    for path in (*(output / name for name in needless), *output.glob(".*.partial")):
        with contextlib.suppress(OSError):
            path.unlink()
