"""Options shared by several commands, and how their values are parsed."""

from __future__ import annotations

import functools
import io
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import click
from click.core import ParameterSource

from textgate import environment
from textgate.bundle.builtin import DEFAULT_MODEL
from textgate.bundle.hub_name import PREFIX, is_hub_name
from textgate.errors import ConfigError, DataError
from textgate.inference import arguments
from textgate.inference.engines import DEFAULT_ENGINE, ENGINES
from textgate.messages import quoted
from textgate.rows.columns import INPUT_FORMATS
from textgate.tables import printable

_F = TypeVar("_F", bound=Callable[..., Any])
_Callback = Callable[[click.Context, click.Parameter, Any], Any]

FILE = click.Path(readable=False)  # errors are raised where the file is read


class _BundlePath(click.Path):
    """The path of a bundle, or its name on the Hugging Face Hub, which stays a str."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path | str:
        """Return the path or the name."""
        return str(value) if is_hub_name(value) else Path(str(super().convert(value, param, ctx)))


BUNDLE = _BundlePath()


def note(message: str) -> None:
    """Print a note on standard error."""
    click.echo(printable(f"textgate: note: {message}"), err=True)


def write_utf8() -> None:
    """Write UTF-8 on standard output whatever the locale, and line ends unchanged."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", newline="")


def require_free(target: Path, read: Sequence[Path]) -> None:
    """Refuse a file to write before the work that takes minutes, if it cannot be written.

    Raises:
        DataError: its folder is missing, it is not a regular file, or it is one of the files that
            are read.
    """
    if not target.parent.is_dir():
        raise DataError(f"{target}: there is no folder {target.parent}; make it first")
    if target.exists() and not target.is_file():
        raise DataError(f"{target}: not a regular file; choose another path")
    if target.exists() and any(path.exists() and target.samefile(path) for path in read):
        raise DataError(f"{target}: is an input of this command; write to another file")


# Parsers of values: callbacks of options


def _callback(parse: Callable[[Any], object]) -> _Callback:
    return lambda _context, _parameter, value: None if value is None else parse(value)


def _count_or_auto(value: str) -> int | str:
    if value == "auto":
        return value
    if not _is_size(value):
        raise click.BadParameter(f"{quoted(value)} is neither a number from 1 on nor auto")
    return int(value)


def _whole_numbers(value: str) -> tuple[int, ...]:
    parts = value.split(",")
    if not all(map(_is_size, parts)):
        raise click.BadParameter(
            f"{quoted(value)} is not a list of numbers from 1 on, such as 128,64"
        )
    return tuple(int(part) for part in parts)


def _fraction(value: float, *, positive: bool = False) -> float:
    try:
        return arguments.checked_fraction(value, "it", positive=positive)
    except ConfigError as problem:
        raise click.BadParameter(str(problem)) from None


def _byte_count(value: str) -> int:
    match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,12})?)\s*(B|KB|MB|GB)?", value.strip(), re.IGNORECASE)
    if match is None:
        raise click.BadParameter(f"{quoted(value)} is not a size such as 500KB or 2MB")
    unit = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}[(match[2] or "B").upper()]
    return int(float(match[1]) * unit)


def _seconds(value: str, units: Mapping[str, float], examples: str) -> float:
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*([a-z]+)", value.strip().lower())
    if match is None or match[2] not in units or float(match[1]) == 0:
        raise click.BadParameter(f"{quoted(value)} is not a time above 0 such as {examples}")
    return float(match[1]) * units[match[2]]


def _names(value: str) -> tuple[str, ...]:
    import csv

    try:
        (names,) = csv.reader([value], strict=True)
    except (csv.Error, ValueError):
        raise click.BadParameter(f"{quoted(value)} is not a list of names such as a,b") from None
    return tuple(names)


def _is_size(text: str) -> bool:
    """Return whether the text is a whole number of at least 1 and few digits."""
    return re.fullmatch(r"0{0,8}[1-9][0-9]{0,8}", text) is not None


count_or_auto = _callback(_count_or_auto)
whole_numbers = _callback(_whole_numbers)
whole_numbers_or_none = _callback(lambda value: () if value == "none" else _whole_numbers(value))
fraction = _callback(_fraction)
positive_fraction = _callback(functools.partial(_fraction, positive=True))
byte_count = _callback(_byte_count)  # 1 KB is 1000 bytes
duration = _callback(  # in seconds
    lambda value: _seconds(value, {"s": 1, "m": 60, "h": 3600}, "90s, 10m or 2h")
)
latency = _callback(  # in milliseconds
    lambda value: _seconds(value, {"us": 1e-3, "ms": 1, "s": 1e3}, "500us or 0.5ms")
)


# Options of one value

_MODEL: dict[str, Any] = {
    "type": BUNDLE,
    "show_default": True,
    "envvar": environment.MODEL,
    "show_envvar": True,
}
_ENGINE: dict[str, Any] = {
    "type": click.Choice(ENGINES),
    "show_default": True,
    "envvar": environment.ENGINE,
    "show_envvar": True,
}
_ENGINE_HELP = (
    "Engine that computes the network; auto: textgate's native engine if it is built and knows "
    "every part of the bundle, else ONNX Runtime."
)

bundle = click.option(
    "-m",
    "--model",
    **_MODEL,
    default=DEFAULT_MODEL,
    help=f"Bundle to use: its path, the name of an included model, or {PREFIX}OWNER/NAME.",
)
bundles = click.option(
    "-m",
    "--model",
    "models",
    **_MODEL,
    default=(DEFAULT_MODEL,),
    multiple=True,
    help="Bundle to measure; repeat it to compare several on the same texts.",
)
threads = click.option(
    "--threads",
    metavar="N|auto",
    callback=count_or_auto,
    default="1",
    show_default=True,
    help="Threads per call; auto: one for each processor that this process may use.",
)
abstain_below = click.option(
    "--abstain-below",
    type=float,
    metavar="P",
    callback=fraction,
    help="Give no label whose probability is below P; replaces the bundle's own thresholds.",
)
max_tokens = click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    metavar="N",
    help="Read only the first N tokens of a text; by default the bundle's limit.",
)
top_k = functools.partial(click.option, "--top-k", type=click.IntRange(min=1), metavar="K")
engine = click.option("--engine", **_ENGINE, default=DEFAULT_ENGINE, help=_ENGINE_HELP)
engines = click.option(
    "--engine",
    "engines",
    **_ENGINE,
    default=(DEFAULT_ENGINE,),
    multiple=True,
    help=f"{_ENGINE_HELP} Repeat it to compare engines on the same texts.",
)
dev = click.option(
    "--dev",
    type=FILE,
    metavar="FILE",
    help="Rows that choose the epoch; by default a part of DATA.",
)
dev_or_folds = click.option(
    "--dev",
    type=FILE,
    metavar="FILE",
    help="Rows that choose the epoch; by default a part of DATA, or folds if DATA has few rows.",
)
group_field = click.option(
    "--group-field",
    metavar="NAME",
    help="Column such as an author or a product; rows with the same value are never split between "
    "folds, or between training and dev rows.",
)
weight_field = click.option(
    "--weight-field",
    metavar="NAME",
    help="Column of numbers: how much each row counts in training; 2 as the row twice, 0 as no "
    "row, 1 if it is empty.",
)
quiet = click.option(
    "-q", "--quiet", is_flag=True, help="Print warnings and the result only, no progress."
)


device = click.option(
    "--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, mps or auto."
)
torch_threads = click.option(
    "--threads",
    type=click.IntRange(min=1, max=1024),
    default=1,
    show_default=True,
    help="Threads of torch; more than one is rarely faster, because steps are small.",
)


def folder(help: str) -> Callable[[_F], _F]:  # noqa: A002 - as click names it
    """Return the option --output of a command that creates a folder."""
    return click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help=help)


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


# Options of the card of a bundle

_CARD = (
    click.option(
        "--license",
        "licence",
        metavar="ID",
        help="Licence of the model, for its card: an identifier of the Hugging Face Hub, such as "
        "apache-2.0.",
    ),
    click.option(
        "--language",
        metavar="CODE",
        multiple=True,
        help="Language of the texts, for the card, such as de; repeat it for several.  [default: "
        "en if the network began with the English encoder or vectors]",
    ),
    click.option(
        "--dataset",
        metavar="NAME",
        multiple=True,
        help="Dataset of the Hugging Face Hub that the rows come from, for the card, such as "
        "stanfordnlp/sst2; repeat it for several.",
    ),
)


def card(function: _F) -> _F:
    """Add the options of the card; the command takes them as licence, language and dataset."""
    return _added(function, *_CARD)


# Options of rows

_FILE_OPTIONS = ("delimiter", "encoding", "skip_bad_rows")
_TEXT_FIELD = click.option(
    "--text-field",
    multiple=True,
    default=("text",),
    show_default=True,
    help="Column of the texts; repeat it to join several columns with line ends.",
)
_LABELS = (
    click.option("--label-field", default="label", show_default=True, help="Column of the labels."),
    click.option(
        "--label-separator",
        metavar="SEP",
        help="Text between several labels in a cell, such as ; or |.",
    ),
    click.option(
        "--label-fields",
        metavar="NAME,NAME,...",
        callback=_callback(_names),
        help="Columns that each hold 0 or 1 for one label, instead of --label-field.",
    ),
)
_FILES = (
    click.option(
        "--input-format",
        type=click.Choice(INPUT_FORMATS),
        help="Format of the rows; by default that of the file's name.",
    ),
    click.option(
        "--delimiter",
        metavar="CHAR",
        callback=_callback(lambda value: "\t" if value in ("tab", "\\t") else value),
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


def columns(function: _F) -> _F:
    """Add the options of labelled rows; the command takes them as a `Columns` in ``columns``."""
    command = _with_columns(function, *_FILE_OPTIONS, "label_separator")
    return _added(command, _TEXT_FIELD, *_LABELS, *_FILES)


def texts(function: _F) -> _F:
    """Add the options of texts; the command takes them as a `Columns` in ``columns``."""
    return _added(_with_columns(function, *_FILE_OPTIONS), _TEXT_FIELD, *_FILES)


def _added(function: _F, *options: Callable[[_F], _F]) -> _F:
    return functools.reduce(lambda command, option: option(command), reversed(options), function)


def _with_columns(function: _F, *names: str) -> _F:
    """Return a command that takes the options of reading, including those named, as one value."""

    @functools.wraps(function)
    def command(
        *,
        text_field: tuple[str, ...],
        label_field: str = "label",
        label_fields: tuple[str, ...] | None = None,
        input_format: str | None,
        **others: Any,
    ) -> Any:
        from textgate.rows import Columns  # --help does not need it

        source = click.get_current_context().get_parameter_source("label_field")
        if label_fields and source is not ParameterSource.DEFAULT:
            raise click.UsageError("give --label-field or --label-fields, not both")
        more = {name: others.pop(name) for name in names}
        found = Columns(
            text_field[0] if len(text_field) == 1 else text_field,
            label_field,
            input_format,
            label_fields=label_fields or (),
            **more,
        )
        return function(columns=found, **others)

    return cast("_F", command)
