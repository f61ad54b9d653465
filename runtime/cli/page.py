"""`textgate page`: a folder of static files that classifies in the browser."""

from __future__ import annotations

from pathlib import Path

import click

from textgate.bundle.builtin import find_bundle
from textgate.cli import options


@click.command()
@options.bundle
@options.folder("Folder to write.")
@click.option("--force", is_flag=True, help="Replace the folder of an earlier page.")
def page(model: Path, output: Path, force: bool) -> None:
    """Write a page that classifies with a bundle in the browser, without a server of its own.

    The folder works from any host of static files with https, from any path, and offline after the
    first visit. Texts stay in the tab. A link to the page may carry an example: ?text=...
    """
    from textgate.page.site import write_site
    from textgate.tables import format_bytes

    sizes = write_site(find_bundle(model), output, force=force)
    total = format_bytes(sum(sizes.values()))
    click.echo(
        f"{output}: {len(sizes)} files, {total}; to try it: python -m http.server -d {output}"
    )
