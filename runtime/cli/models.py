"""`textgate models`: models that come with the package."""

from __future__ import annotations

import json
from typing import Any

import click

from textgate.bundle.builtin import DEFAULT_MODEL, MODELS, bundled_path, open_bundle
from textgate.tables import format_bytes, format_table


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def models(as_json: bool) -> None:
    """List the models that come with the package.

    Use a name instead of a bundle's path: textgate classify -m NAME. The accuracy was measured on
    the rows that chose the model; its card, README.md in its folder, gives figures on other rows.
    """
    found = [_facts(name) for name in MODELS]
    if as_json:
        click.echo(json.dumps(found))
        return
    rows = [
        [
            f"{one['name']} (default)" if one["default"] else one["name"],
            format_bytes(one["bytes"]),
            ", ".join(one["labels"]),
            f"{one['accuracy']:.4f}",
            "yes" if one["streaming"] else "no",
            one["purpose"],
        ]
        for one in found
    ]
    header = ["model", "size", "labels", "accuracy", "streams", "for"]
    click.echo(format_table(header, rows, align="<><><<"))


def _facts(name: str) -> dict[str, Any]:
    from textgate.bundle.storage import bundle_bytes

    bundle = open_bundle(bundled_path(name))  # even if the working directory has that name
    manifest, quality = bundle.manifest, bundle.manifest.scores
    return {
        "name": name,
        "default": name == DEFAULT_MODEL,
        "purpose": MODELS[name],
        "path": str(bundle.path),
        "bytes": bundle_bytes(bundle.path),
        "labels": list(manifest.labels),
        "accuracy": quality.accuracy if quality else None,
        "rows": quality.rows if quality else None,
        "streaming": bool(manifest.state),
        "max_tokens": manifest.max_tokens,
    }
