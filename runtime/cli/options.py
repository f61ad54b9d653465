"""Options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from textgate import environment
from textgate.bundled import DEFAULT
from textgate.engines import ENGINES

_F = TypeVar("_F", bound=Callable[..., Any])

_MODEL: dict[str, Any] = {
    "type": click.Path(path_type=Path),
    "default": DEFAULT,
    "show_default": True,
    "envvar": environment.MODEL,
    "show_envvar": True,
}
_ENGINE: dict[str, Any] = {
    "type": click.Choice(ENGINES),
    "show_default": True,
    "envvar": environment.ENGINE,
    "show_envvar": True,
    "help": "What computes the network; auto: textgate's native engine where it is built and knows "
    "every part of the bundle, else ONNX Runtime.",
}
FORMATS = ("text", "jsonl", "csv", "tsv", "fasttext", "parquet")


_TEXT_FIELD: Any = click.option(
    "--text-field", default="text", show_default=True, help="Column of the texts."
)
_LABEL_FIELD: Any = click.option(
    "--label-field", default="label", show_default=True, help="Column of the labels."
)
_INPUT_FORMAT: Any = click.option(
    "--input-format",
    type=click.Choice(FORMATS),
    help="Format of the rows; by default the file's name tells.",
)


def columns(function: _F) -> _F:
    """Add where a file keeps its texts and labels."""
    return _added(function, _TEXT_FIELD, _LABEL_FIELD, _INPUT_FORMAT)


def texts(function: _F) -> _F:
    """Add where a file keeps its texts."""
    return _added(function, _TEXT_FIELD, _INPUT_FORMAT)


def bundle(function: _F) -> _F:
    """Add the bundle to use."""
    help_text = "Bundle to use: its path, or its name."
    option: Any = click.option("-m", "--model", **_MODEL, help=help_text)
    result: _F = option(function)
    return result


def bundles(function: _F) -> _F:
    """Add the bundles to use, one or several."""
    option: Any = click.option(
        "-m",
        "--model",
        "models",
        **{**_MODEL, "default": (DEFAULT,)},
        multiple=True,
        help="Bundle to measure; repeat it to compare several on the same texts.",
    )
    result: _F = option(function)
    return result


def threads(function: _F) -> _F:
    """Add the number of threads inside a call."""
    option: Any = click.option(
        "--threads",
        metavar="N|auto",
        callback=thread_count,
        default="1",
        show_default=True,
        help="Threads inside one call, or auto: what this process may use.",
    )
    result: _F = option(function)
    return result


def engine(function: _F) -> _F:
    """Add what computes the network."""
    option: Any = click.option("--engine", **_ENGINE, default="auto")
    result: _F = option(function)
    return result


def engines(function: _F) -> _F:
    """Add what computes the networks, one or several."""
    help_text = f"{_ENGINE['help']} Repeat it to compare engines on the same texts."
    option: Any = click.option(
        "--engine",
        "engines",
        **{**_ENGINE, "help": help_text},
        default=("auto",),
        multiple=True,
    )
    result: _F = option(function)
    return result


def setting(
    defaults: object, option: str, name: str, said: str = "", **kind: Any
) -> Callable[[_F], _F]:
    """Return an option without a default of its own, because a run that goes on has others.

    Args:
        defaults: the settings of a run that begins, whose value is shown.
        option: as it is written, as in ``--epochs``.
        name: the setting's.
        said: the beginning of its help.
        kind: what else click takes.
    """
    text = f"{said}  [default: {getattr(defaults, name)}]".strip()
    return click.option(option, name, help=text, **kind)


def thread_count(
    ctx: click.Context,  # noqa: ARG001
    param: click.Parameter,  # noqa: ARG001
    value: str,
) -> int | str:
    """Read a number from 1 on, or ``auto``."""
    if value == "auto":
        return value
    if not _is_size(value):
        raise click.BadParameter(f"{_shown(value)} is neither a number from 1 on nor auto")
    return int(value)


def whole_numbers(
    ctx: click.Context,  # noqa: ARG001
    param: click.Parameter,  # noqa: ARG001
    value: str | None,
) -> tuple[int, ...] | None:
    """Read whole numbers from 1 on, separated by commas."""
    if value is None:
        return None
    parts = value.split(",")
    if not all(map(_is_size, parts)):
        raise click.BadParameter(
            f"{_shown(value)} is not a list of numbers from 1 on, such as 128,64"
        )
    return tuple(int(part) for part in parts)


def whole_numbers_or_none(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> tuple[int, ...] | None:
    """Read whole numbers from 1 on, separated by commas, or ``none`` for none of them."""
    return () if value == "none" else whole_numbers(ctx, param, value)


def byte_count(
    ctx: click.Context,  # noqa: ARG001
    param: click.Parameter,  # noqa: ARG001
    value: str | None,
) -> int | None:
    """Read a size such as ``500KB`` or ``2MB``; 1 KB is 1000 bytes."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,12})?)\s*(B|KB|MB|GB)?", value.strip(), re.IGNORECASE)
    if match is None:
        raise click.BadParameter(f"{_shown(value)} is not a size such as 500KB or 2MB")
    unit = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}[(match[2] or "B").upper()]
    return int(float(match[1]) * unit)


def _added(function: _F, *options: Any) -> _F:
    for option in reversed(options):
        function = option(function)
    return function


def _is_size(text: str) -> bool:
    """Return whether the text is a whole number from 1 on, and no absurd one."""
    return re.fullmatch(r"0{0,8}[1-9][0-9]{0,8}", text) is not None


def _shown(value: str) -> str:
    return repr(value if len(value) <= 60 else value[:57] + "...")
