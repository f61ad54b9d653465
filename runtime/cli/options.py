"""Options shared by several commands, and how their values are parsed."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import click
from click.core import ParameterSource

from textgate.bundle import environment
from textgate.bundle.builtin import DEFAULT
from textgate.errors import ConfigError
from textgate.inference import arguments
from textgate.inference.engines import DEFAULT as DEFAULT_ENGINE
from textgate.inference.engines import ENGINES
from textgate.messages import quoted
from textgate.rows.columns import INPUT_FORMATS

_F = TypeVar("_F", bound=Callable[..., Any])

FILE = click.Path(readable=False)  # errors are raised where the file is read

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
    "help": "Engine that computes the network; auto: textgate's native engine if it is built and "
    "knows every part of the bundle, else ONNX Runtime.",
}


def columns(function: _F) -> _F:
    """Add the options of labelled rows; the command takes them as a `Columns` in ``columns``."""
    return _added(
        _with_columns(function, *_OF_FILES, "label_separator"),
        _TEXT_FIELD,
        click.option(
            "--label-field", default="label", show_default=True, help="Column of the labels."
        ),
        click.option(
            "--label-separator",
            metavar="SEP",
            help="Text between several labels in a cell, such as ; or |.",
        ),
        click.option(
            "--label-fields",
            metavar="NAME,NAME,...",
            callback=_names,
            help="Columns of one label each, with 0 or 1, in place of --label-field.",
        ),
        *_FILES,
    )


def texts(function: _F) -> _F:
    """Add the options of texts; the command takes them as a `Columns` in ``columns``."""
    return _added(_with_columns(function, *_OF_FILES), _TEXT_FIELD, *_FILES)


def note(message: str) -> None:
    """Print a note on standard error."""
    click.echo(f"textgate: note: {message}", err=True)


def _with_columns(function: _F, *names: str) -> _F:
    """Return a command that takes the options of reading, including those named, as one value."""

    @functools.wraps(function)
    def command(
        *,
        text_field: tuple[str, ...],
        label_field: str = "label",
        label_fields: tuple[str, ...] = (),
        input_format: str | None,
        **others: Any,
    ) -> Any:
        from textgate.rows import Columns  # --help does not need it

        context = click.get_current_context()
        if label_fields and _is_given(context, "label_field"):
            raise click.UsageError("give --label-field or --label-fields, not both")
        more = {name: others.pop(name) for name in names}
        found = Columns(
            text_field[0] if len(text_field) == 1 else text_field,
            label_field,
            input_format,
            label_fields=label_fields,
            **more,
        )
        return function(columns=found, **others)

    return cast("_F", command)


def _is_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is not ParameterSource.DEFAULT


def _names(
    ctx: click.Context,  # noqa: ARG001
    param: click.Parameter,  # noqa: ARG001
    value: str | None,
) -> tuple[str, ...]:
    """Parse names separated by commas, as in a line of CSV."""
    if value is None:
        return ()
    import csv

    try:
        (names,) = csv.reader([value], strict=True)
    except (csv.Error, ValueError):
        raise click.BadParameter(f"{quoted(value)} is not a list of names such as a,b") from None
    return tuple(names)


def _delimiter(
    ctx: click.Context,  # noqa: ARG001
    param: click.Parameter,  # noqa: ARG001
    value: str | None,
) -> str | None:
    """Parse a character; a tab may be written as ``tab``."""
    return "\t" if value in ("tab", "\\t") else value


_OF_FILES = ("delimiter", "encoding", "skip_bad_rows")
_TEXT_FIELD: Any = click.option(
    "--text-field",
    multiple=True,
    default=("text",),
    show_default=True,
    help="Column of the texts; repeat it to join several with a line end.",
)
_FILES: tuple[Any, ...] = (
    click.option(
        "--input-format",
        type=click.Choice(INPUT_FORMATS),
        help="Format of the rows; by default that of the file's name.",
    ),
    click.option(
        "--delimiter",
        metavar="CHAR",
        callback=_delimiter,
        help="Character between the cells of CSV, or tab; by default a comma, or the one in the "
        "header.",
    ),
    click.option(
        "--encoding",
        metavar="NAME",
        help="Encoding of text files, such as cp1252 or utf-16; by default UTF-8, or that of the "
        "byte order mark.",
    ),
    click.option(
        "--skip-bad-rows",
        is_flag=True,
        help="Leave out rows that cannot be used, and report how many, where and why.",
    ),
)


def bundle(function: _F) -> _F:
    """Add the option of the bundle."""
    help_text = "Bundle to use: its path, or its name."
    option: Any = click.option("-m", "--model", **_MODEL, help=help_text)
    result: _F = option(function)
    return result


def bundles(function: _F) -> _F:
    """Add the option of one or several bundles."""
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
    """Add the option of the threads inside a call."""
    option: Any = click.option(
        "--threads",
        metavar="N|auto",
        callback=count_or_auto,
        default="1",
        show_default=True,
        help="Threads inside one call; auto: the processors that this process may use.",
    )
    result: _F = option(function)
    return result


def engine(function: _F) -> _F:
    """Add the option of the engine."""
    option: Any = click.option("--engine", **_ENGINE, default=DEFAULT_ENGINE)
    result: _F = option(function)
    return result


def engines(function: _F) -> _F:
    """Add the option of one or several engines."""
    help_text = f"{_ENGINE['help']} Repeat it to compare engines on the same texts."
    option: Any = click.option(
        "--engine",
        "engines",
        **{**_ENGINE, "help": help_text},
        default=(DEFAULT_ENGINE,),
        multiple=True,
    )
    result: _F = option(function)
    return result


def dev(function: _F) -> _F:
    """Add the option of the rows that choose the epoch."""
    option: Any = click.option(
        "--dev",
        type=FILE,
        metavar="FILE",
        help="Rows that choose the epoch; by default a part of DATA.",
    )
    result: _F = option(function)
    return result


def quiet(function: _F) -> _F:
    """Add the option that leaves out the progress of a long command."""
    option: Any = click.option(
        "-q", "--quiet", is_flag=True, help="Print warnings and the result only, no progress."
    )
    result: _F = option(function)
    return result


def setting(
    defaults: object, option: str, name: str, help_text: str = "", **kind: Any
) -> Callable[[_F], _F]:
    """Return an option without a default of its own, because a resumed run has its own settings.

    Args:
        defaults: the settings of a new run, whose value is shown as the default.
        option: the option as it is written, such as ``--epochs``.
        name: the name of the setting.
        help_text: the beginning of its help.
        kind: further arguments of `click.option`.
    """
    text = f"{help_text}  [default: {getattr(defaults, name)}]".strip()
    return click.option(option, name, help=text, **kind)


def count_or_auto(
    ctx: click.Context,  # noqa: ARG001
    param: click.Parameter,  # noqa: ARG001
    value: str,
) -> int | str:
    """Parse a number of at least 1, or ``auto``."""
    if value == "auto":
        return value
    if not _is_size(value):
        raise click.BadParameter(f"{quoted(value)} is neither a number from 1 on nor auto")
    return int(value)


def whole_numbers(
    ctx: click.Context,  # noqa: ARG001
    param: click.Parameter,  # noqa: ARG001
    value: str | None,
) -> tuple[int, ...] | None:
    """Parse whole numbers of at least 1, separated by commas."""
    if value is None:
        return None
    parts = value.split(",")
    if not all(map(_is_size, parts)):
        raise click.BadParameter(
            f"{quoted(value)} is not a list of numbers from 1 on, such as 128,64"
        )
    return tuple(int(part) for part in parts)


def whole_numbers_or_none(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> tuple[int, ...] | None:
    """Parse whole numbers of at least 1, separated by commas, or ``none``."""
    return () if value == "none" else whole_numbers(ctx, param, value)


def fraction(
    ctx: click.Context,  # noqa: ARG001
    param: click.Parameter,  # noqa: ARG001
    value: float | None,
) -> float | None:
    """Check a number from 0 to 1."""
    return _fraction(value)


def positive_fraction(
    ctx: click.Context,  # noqa: ARG001
    param: click.Parameter,  # noqa: ARG001
    value: float | None,
) -> float | None:
    """Check a number above 0, up to 1."""
    return _fraction(value, positive=True)


def byte_count(
    ctx: click.Context,  # noqa: ARG001
    param: click.Parameter,  # noqa: ARG001
    value: str | None,
) -> int | None:
    """Parse a size such as ``500KB`` or ``2MB``; 1 KB is 1000 bytes."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,12})?)\s*(B|KB|MB|GB)?", value.strip(), re.IGNORECASE)
    if match is None:
        raise click.BadParameter(f"{quoted(value)} is not a size such as 500KB or 2MB")
    unit = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}[(match[2] or "B").upper()]
    return int(float(match[1]) * unit)


def _fraction(value: float | None, *, positive: bool = False) -> float | None:
    if value is None:
        return None
    try:
        return arguments.fraction(value, "it", positive=positive)
    except ConfigError as problem:
        raise click.BadParameter(str(problem)) from None


def _added(function: _F, *options: Any) -> _F:
    for option in reversed(options):
        function = option(function)
    return function


def _is_size(text: str) -> bool:
    """Return whether the text is a whole number of at least 1 and few digits."""
    return re.fullmatch(r"0{0,8}[1-9][0-9]{0,8}", text) is not None
