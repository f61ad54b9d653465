"""Writes docs/commands.md from the help of the commands, or checks that it is up to date.

python docs/make_commands.py [--check]
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from textgate.cli import commands

PAGE = Path(__file__).parent / "commands.md"


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; exit 1 if the page would change.")
def main(check: bool) -> None:
    """Write the page of all commands."""
    text = page()
    if not check:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text:
        click.echo("docs/commands.md is out of date; run python docs/make_commands.py", err=True)
        sys.exit(1)


def page() -> str:
    """Return the help of every command as Markdown."""
    context = click.Context(
        commands,
        info_name="textgate",
        max_content_width=100,
        terminal_width=100,
        help_option_names=["-h", "--help"],
    )
    parts = ["# Commands", "The help of every command, written by `python docs/make_commands.py`."]
    parts.append(f"```\n{commands.get_help(context)}\n```")
    for name in commands.list_commands(context):
        command = commands.get_command(context, name)
        if command is None:
            raise click.ClickException(f"there is no command {name!r}")
        inner = click.Context(
            command, info_name=name, parent=context, max_content_width=100, terminal_width=100
        )
        parts += [f"## textgate {name}", f"```\n{command.get_help(inner)}\n```"]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
