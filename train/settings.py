"""Settings out of a TOML file."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from textgate.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def read_settings(path: Path) -> dict[str, Any]:
    """Return the settings of a TOML file by name, lists as tuples; the names are checked later.

    Raises:
        ConfigError: the file cannot be read, is not TOML, or holds a table.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise ConfigError(f"{path}: cannot be read: {problem.strerror}") from None
    except ValueError as problem:  # of TOML, or of UTF-8
        reason = " ".join(str(problem).split())
        raise ConfigError(f"{path}: not TOML in UTF-8: {reason}") from None
    for name, value in values.items():
        if isinstance(value, dict):
            raise ConfigError(f"{path}: {name!r} is a table; settings stand by themselves")
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }


def format_setting(value: object) -> str:
    """Return a setting's value in words, such as ``20,000`` or ``yes``."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
