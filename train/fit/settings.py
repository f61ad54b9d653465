"""Settings of any kind: out of a TOML file or a dictionary, checked, and shown."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from textgate.errors import ConfigError
from textgate.messages import did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

    from _typeshed import DataclassInstance

_Settings = TypeVar("_Settings", bound="DataclassInstance")


def read_settings(path: Path, kind: type[DataclassInstance]) -> dict[str, Any]:
    """Return the settings of a TOML file by name, lists as tuples.

    Args:
        path: the file.
        kind: the dataclass whose settings they are; ranges are checked where it is made.

    Raises:
        ConfigError: the file cannot be read, is not TOML, or holds a table, an unknown name or a
            value of the wrong type.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as problem:
        raise ConfigError(f"{path}: cannot be read: {problem.strerror}") from None
    except ValueError as problem:  # of TOML, or of UTF-8
        reason = " ".join(str(problem).split())
        raise ConfigError(f"{path}: not TOML in UTF-8: {reason}") from None
    except RecursionError:
        raise ConfigError(f"{path}: lists or tables are nested too deeply") from None
    for name, value in values.items():
        if isinstance(value, dict):
            raise ConfigError(
                f"{path}: {name!r} is a table; settings stand at the top level, as in epochs = 5"
            )
    settings = named_settings(values)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    try:
        _check_names(settings, fields)
        for name, value in settings.items():
            _check_type(fields[name], value)
    except ConfigError as problem:
        raise ConfigError(f"{path}: {problem}") from None
    return settings


def named_settings(settings: object) -> dict[str, Any]:
    """Return settings that somebody made in Python, by name: lists as tuples, None as no settings.

    Numbers of numpy become Python's.

    Raises:
        ConfigError: they are no dictionary with strings as names.
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


def changed(settings: _Settings, changes: dict[str, Any]) -> _Settings:
    """Return settings, a dataclass, with some changed.

    Raises:
        ConfigError: a name that is not a setting, or a value out of range.
    """
    _check_names(changes, [field.name for field in dataclasses.fields(settings)])
    return dataclasses.replace(settings, **changes)


def check_types(settings: DataclassInstance) -> None:
    """Refuse settings, a dataclass, of other types than their fields have.

    Raises:
        ConfigError: one of them is of the wrong type.
    """
    for field in dataclasses.fields(settings):
        _check_type(field, getattr(settings, field.name))


def check_ranges(settings: DataclassInstance, ranges: Iterable[tuple[str, float, float]]) -> None:
    """Refuse settings, a dataclass, that are out of range.

    Args:
        settings: the settings, of the right types.
        ranges: names, lowest and highest values.

    Raises:
        ConfigError: one of them is out of its range, or no number.
    """
    for name, low, high in ranges:
        value = getattr(settings, name)
        if not low <= value <= high:
            raise ConfigError(f"{name} must be from {low} to {high}, not {value!r:.60}")


def format_setting(value: object) -> str:
    """Return a setting's value in words, such as ``20,000`` or ``yes``."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


def format_labels(count: int) -> str:
    """Return how many labels there are, in words."""
    return f"{count:,} labels" if count != 1 else "one label"


def _check_names(names: Iterable[str], known: Collection[str]) -> None:
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise ConfigError(
            f"{unknown[0]!r} is not a setting{did_you_mean(unknown[0], known)}; there are "
            f"{', '.join(known)}"
        )


def _check_type(field: dataclasses.Field[Any], value: object) -> None:
    expected, fits = _TYPES[str(field.type)]
    if not fits(value):
        raise ConfigError(f"{field.name} must be {expected}, not {value!r:.60}")


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


# By the annotation of the field. Settings come from callers and out of run.json.
_TYPES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "str": ("a string", lambda value: isinstance(value, str)),
    "bool": ("true or false", lambda value: isinstance(value, bool)),
    "int": ("a whole number", _is_whole),
    "float": ("a number", lambda value: isinstance(value, float) or _is_whole(value)),
    "tuple[int, ...]": (
        "several whole numbers",
        lambda value: isinstance(value, tuple) and all(map(_is_whole, value)),
    ),
    "tuple[str, ...]": (
        "several names",
        lambda value: isinstance(value, tuple) and all(isinstance(item, str) for item in value),
    ),
}
