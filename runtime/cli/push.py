"""`textgate push`: a bundle to the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path

import click

from textgate.bundle.builtin import open_bundle
from textgate.bundle.hub import publish
from textgate.bundle.hub_name import PREFIX, HubName
from textgate.cli import options
from textgate.tables import printable


@click.command()
@click.argument("bundle", type=options.BUNDLE)
@click.argument("repository", metavar="OWNER/NAME")
@click.option(
    "--revision",
    metavar="BRANCH",
    help="Branch to publish to, created if it is missing.  [default: the main branch]",
)
@click.option(
    "--private",
    is_flag=True,
    help="Create a private repository; an existing one must be private.",
)
@click.option(
    "--create-pr",
    is_flag=True,
    help="Open a pull request in an existing repository.",
)
def push(
    bundle: Path | str, repository: str, revision: str | None, private: bool, create_pr: bool
) -> None:
    """Publish a bundle on the Hugging Face Hub, after all checks of loading.

    Only the files of the bundle are uploaded. The token is HF_TOKEN, or that of hf auth login.
    HF_ENDPOINT is the address of another Hub. The printed address is that of the commit.
    """
    target = HubName(repository.removeprefix(PREFIX), revision)
    address = publish(
        open_bundle(bundle), target, private=private, create_pr=create_pr, note=options.note
    )
    click.echo(printable(address))
