"""Settings of any command: read from a TOML file or a dictionary, changed, and shown."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from textgate.bundle.schema import check, check_value, hints
from textgate.errors import ConfigError
from textgate.messages import did_you_mean, reason

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Config:
    """Base of the settings of a command, whose values are checked against their annotations."""

    # Settings of earlier releases, with the values that switched them off.
    REMOVED: ClassVar[Mapping[str, Any]] = MappingProxyType({})

    def __post_init__(self) -> None:
        check(self)

    def replace(self, **changes: Any) -> Self:
        """Return the settings with some changed.

        Raises:
            ConfigError: a name that is not a setting or was removed, or a value out of range.
        """
        self.check_names(changes)
        return dataclasses.replace(self, **changes)

    @classmethod
    def check_names(cls, settings: Iterable[str]) -> None:
        """Refuse names that are not settings.

        Raises:
            ConfigError: naming the first of them.
        """
        known = hints(cls)
        for name in sorted(set(settings) - known.keys()):
            if name in cls.REMOVED:
                raise ConfigError(
                    f"{name!r} is no longer a setting, it was removed; leave it out, or use an "
                    "earlier release of textgate"
                )
            raise ConfigError(
                f"{name!r} is not a setting{did_you_mean(name, known)}; there are "
                f"{', '.join(known)}"
            )


def read_settings(path: Path, kind: type[Config]) -> dict[str, Any]:
    """Return the settings of a TOML file by name, lists as tuples.

    Args:
        path: the file.
        kind: the class of the settings; it checks for conflicts where it is made.

    Raises:
        ConfigError: the file cannot be read, is not TOML, or holds a table, an unknown or removed
            name, or a value of the wrong type or out of range.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as problem:
        raise ConfigError(f"{path}: cannot be read: {problem.strerror}") from None
    except ValueError as problem:  # of TOML, or of UTF-8
        raise ConfigError(f"{path}: not TOML in UTF-8: {reason(problem)}") from None
    except RecursionError:
        raise ConfigError(f"{path}: lists or tables are nested too deeply") from None
    for name, value in values.items():
        if isinstance(value, dict):
            raise ConfigError(
                f"{path}: {name!r} is a table; settings stand at the top level, as in epochs = 5"
            )
    settings = named_settings(values)
    try:
        kind.check_names(settings)
        for name, value in settings.items():
            check_value(name, value, hints(kind)[name])
    except ConfigError as problem:
        raise ConfigError(f"{path}: {problem}") from None
    return settings


def named_settings(settings: object) -> dict[str, Any]:
    """Return settings that were given in Python, by name.

    Lists become tuples, numbers of numpy become Python's, and None is no settings.

    Raises:
        ConfigError: they are not a dictionary with strings as names.
    """
    if settings is None:
        return {}
    if not isinstance(settings, Mapping):
        raise ConfigError(
            f"settings must be a dictionary such as {{'epochs': 5}}, not {settings!r:.60}"
        )
    for name in settings:
        if not isinstance(name, str):
            raise ConfigError(f"the name of a setting must be a string, not {name!r:.60}")
    return {name: _plain(value) for name, value in settings.items()}


def format_setting(value: object) -> str:
    """Return how messages show a setting's value, such as ``20,000``, ``yes`` or ``max+mean``."""
    if isinstance(value, tuple):
        return ("+" if value and isinstance(value[0], str) else ",").join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


def format_labels(count: int) -> str:
    """Return how messages show a number of labels."""
    return f"{count:,} labels" if count != 1 else "one label"


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value
