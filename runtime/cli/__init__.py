"""Command line: a group of commands, each imported when it is run.

`textgate --help` therefore needs only click, and commands that need torch are known only by name.
"""

from __future__ import annotations

import ast
import gc
import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from inspect import getsource
from typing import Any

import click

from textgate import __version__
from textgate.errors import CheckpointError, ConfigError, TextgateError, needing

# name -> (module, attribute, the extra that it needs or "", first line of its help)
COMMANDS = {
    "train": ("textgate.train.cli", "train", "train", "Train a classifier on labelled rows."),
    "fit": (
        "textgate.export.fit_cli",
        "fit_command",
        "train",
        "Train a classifier and export it in one step.",
    ),
    "curve": (
        "textgate.train.curve_cli",
        "curve",
        "train",
        "Estimate whether more labels would help.",
    ),
    "teach": (
        "textgate.train.teaching.cli",
        "teach_command",
        "train",
        "Fine-tune a transformer as a teacher of small networks.",
    ),
    "pretrain": (
        "textgate.train.pretraining.cli",
        "pretrain_command",
        "train",
        "Pretrain a network for classifiers to start from.",
    ),
    "export": ("textgate.export.cli", "export", "train", "Turn a run into a verified bundle."),
    "classify": ("textgate.cli.classify", "classify", "", "Classify texts with a bundle."),
    "explain": (
        "textgate.cli.explain",
        "explain",
        "",
        "Explain the label of a text by its words.",
    ),
    "evaluate": ("textgate.cli.evaluate", "evaluate", "", "Score a bundle on labelled rows."),
    "errors": (
        "textgate.cli.errors",
        "errors",
        "",
        "Show mistakes, and likely errors of the labels.",
    ),
    "bench": ("textgate.cli.bench", "bench", "", "Measure a bundle's latency on this machine."),
    "serve": ("textgate.cli.serve", "serve", "", "Serve bundles over HTTP."),
    "page": ("textgate.cli.page", "page", "", "Write a page that classifies in the browser."),
    "scale": ("textgate.cli.scale", "scale", "", "Classify a corpus with Ray or Spark."),
    "push": ("textgate.cli.push", "push", "", "Publish a bundle on the Hugging Face Hub."),
    "inspect": ("textgate.cli.inspect", "inspect", "", "Show the layers of a run or a bundle."),
    "models": ("textgate.cli.models", "models", "", "List the models that come with textgate."),
    "compare": (
        "textgate.export.compare_cli",
        "compare",
        "train",
        "Train several presets on the same rows and compare them.",
    ),
}


class LazyGroup(click.Group):
    """A group of commands that are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the commands in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command and return it."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, extra, _ = COMMANDS[cmd_name]
        explained = needing(extra, f"textgate {cmd_name}") if extra else nullcontext()
        with explained, _collecting_no_garbage():
            command = getattr(import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}.{attribute} is not a command")
        if command.help is None:
            command.help = _docstring(command)
        for parameter in command.params:
            if parameter.type is click.STRING:
                parameter.type = _UTF8
            elif type(parameter.type) is click.Choice:
                parameter.type = _Choice(parameter.type.choices)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the first argument names, or suggest a similar one."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as problem:
            from textgate.messages import did_you_mean

            message = f"{problem.message.removesuffix('.')}{did_you_mean(args[0], COMMANDS)}."
            raise click.UsageError(message, ctx) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; its errors name an option where the library names a parameter."""
        try:
            return super().invoke(ctx)
        except (ConfigError, CheckpointError) as problem:
            command = self.get_command(ctx, ctx.invoked_subcommand or "")
            if command is not None:
                problem.args = (_with_options(str(problem), command),)
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry[3]) for name, entry in COMMANDS.items()])


class _Utf8(click.types.StringParamType):
    """Text in UTF-8, whatever the locale; bytes that are not UTF-8 are decoded by the locale.

    Names of files have the type `click.Path` and keep the system's encoding.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text of an argument."""
        text = str(super().convert(value, param, ctx))
        try:
            return os.fsencode(text).decode("utf-8")
        except UnicodeError:
            return text


_UTF8 = _Utf8()


class _Choice(click.Choice[str]):
    """A closed set of words, of which a mistyped one is answered with the most similar."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the word.

        Raises:
            click.BadParameter: it is not in the set.
        """
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as problem:
            from textgate.messages import did_you_mean

            near = did_you_mean(str(value), self.choices)
            self.fail(f"{problem.message.removesuffix('.')}{near}.", param, ctx)


def _with_options(message: str, command: click.Command) -> str:
    """Return a message about a parameter of Python or a setting with the names of the options.

    The message begins with the name, or with the folder that was begun with another value.
    """
    options = {
        parameter.name: max(parameter.opts, key=len)
        for parameter in command.params
        if isinstance(parameter, click.Option) and parameter.name
    }
    begin = re.match(r"(?:.*: begun with )?(\w+)", message)
    if begin is None or begin[1] not in options:
        return message
    names = "|".join([f"^{begin[1]}", *(name for name in options if "_" in name)])
    about = re.sub(
        rf"(?<!\w)({names})(?:\[\d+\])?(?!\w)",
        lambda match: options[match[1]],
        message[begin.start(1) :],
    )
    return message[: begin.start(1)] + about


def _docstring(command: click.Command) -> str | None:
    """Return the help of a command from its source: ``python -OO`` drops docstrings."""
    try:
        (function,) = ast.parse(getsource(command.callback)).body  # type: ignore[arg-type]
    except OSError:  # there is no source
        return None
    return ast.get_docstring(function)  # type: ignore[arg-type]


@click.group(
    cls=LazyGroup,
    help="Small recurrent text classifiers: train once, export, classify on any CPU.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 done, 1 the work failed, 2 wrong usage.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=lambda context, _, asked: _show_version(context) if asked else None,
    help="Show the version and the engine, and exit.",
)
def commands() -> None:
    """Small recurrent text classifiers: train once, export, classify on any CPU."""


def _show_version(context: click.Context) -> None:
    from textgate.inference.engines import native_engine

    click.echo(f"textgate, version {__version__}\nnative engine: {native_engine()}")
    context.exit()


def main() -> None:
    """Run the command line and exit."""
    if sys.stdout is None:
        sys.exit("textgate: standard output is closed")
    status = _status()
    try:
        sys.stdout.flush()
    except OSError:
        # The output is lost; keep Python from trying again and printing an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = status or 1
    gc.freeze()  # so that Python does not search all imports for garbage before it exits
    sys.exit(status)


@contextmanager
def _collecting_no_garbage() -> Iterator[None]:
    """Turn the garbage collector off for an import, which makes hardly any garbage."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _status() -> int:
    """Run the command line and return its exit status."""
    if isinstance(
        sys.stdout, io.TextIOWrapper
    ):  # the terminal's encoding may lack the characters of a label
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        result = commands.main(prog_name="textgate", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.ClickException as problem:
        problem.show()
        return problem.exit_code
    except (click.Abort, KeyboardInterrupt):
        message, status = "textgate: interrupted", 130
    except TextgateError as problem:
        message, status = f"textgate: {problem}", 2 if isinstance(problem, ConfigError) else 1
    except BrokenPipeError:  # the reader of the results has stopped
        return 1
    except OSError as problem:
        message, status = f"textgate: {_system_message(problem)}", 1
    from textgate.tables import printable

    click.echo(printable(message), err=True)  # it may quote a file, or what a server says
    return status


def _system_message(problem: OSError) -> str:
    reason = problem.strerror or str(problem)
    return f"{problem.filename}: {reason}" if problem.filename else f"writing failed: {reason}"
