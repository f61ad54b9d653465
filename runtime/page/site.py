"""A folder of static files that classifies with a model in the browser."""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING

from textgate import __version__
from textgate.atomic import new_folder
from textgate.bundle.storage import CARD, GRAPH, MANIFEST, TOKENIZER, read_bundle
from textgate.errors import BundleError, ExportError
from textgate.page import SHARED, index, page_file
from textgate.page.card import card_html

if TYPE_CHECKING:
    from textgate.bundle.storage import Bundle

SITE = "textgate-page.json"  # the list of the other files
_FORMAT = 1
_INDEX = "index.html"
_MODEL = "model/"
_CODE = "textgate/"
_OFFLINE = "service-worker.js"
_MAX_CARD = 2**18  # bytes that are shown
_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "connect-src 'self'; worker-src 'self'; img-src data:; base-uri 'none'; form-action 'none'"
)
_MORE = """<section aria-labelledby="figures-heading">
    <h2 id="figures-heading">Size and speed</h2>
    <dl id="figures"></dl>
    <p class="controls">
      <button id="measure" type="button">Measure the answers here</button>
      <span id="measured" role="status"></span>
    </p>
  </section>"""
_CARD = """
  <section id="card" aria-labelledby="card-heading">
    <h2 id="card-heading">Model card</h2>
{}
  </section>"""
_FOOTER = (
    "Texts stay in this tab: nothing is sent anywhere. "
    '<span id="offline" role="status">It needs the network for the first visit.</span> '
    '<button id="update" type="button" hidden>Take the new version</button>'
)


def write_site(bundle: Path, target: Path, *, force: bool = False) -> dict[str, int]:
    """Write the page of a bundle and return the bytes of its files, by name.

    Args:
        bundle: the folder of the bundle.
        target: the folder to make.
        force: whether to replace the folder of an earlier page.

    Raises:
        BundleError: the bundle is damaged or unsafe, or the engine of browsers does not know a part
            of it.
        ExportError: the folder exists or cannot be written.
    """
    opened = read_bundle(bundle)
    _require_known(opened)
    contents = _contents(opened)
    listed = {name: _entry(content) for name, content in sorted(contents.items())}
    site = {
        "format": _FORMAT,
        "textgate": __version__,
        "name": _name(bundle),
        "files": listed,
    }
    contents[SITE] = json.dumps(site, indent=2, ensure_ascii=False).encode("utf-8") + b"\n"
    version = str(_entry(contents[SITE])["sha256"])
    contents[_OFFLINE] = page_file(_OFFLINE).replace(b"@version@", version.encode())
    with new_folder(target, force=force, error=ExportError, complete_marker=SITE) as folder:
        for name, content in contents.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
        if read_bundle(folder / _MODEL).manifest != opened.manifest:
            raise ExportError(f"{bundle}: changed while it was read; try again")
    return {name: len(content) for name, content in contents.items()}


def _require_known(bundle: Bundle) -> None:
    """Refuse a bundle that the engine of browsers cannot run."""
    from textgate.native.model import UnknownPartError, model_bytes

    try:
        model_bytes(bundle.parts, bundle.manifest)
    except UnknownPartError as problem:
        raise BundleError(
            f"{bundle.path}: the engine of browsers does not know a part of the graph: {problem}; "
            "export the run with this release of textgate"
        ) from None


def _contents(bundle: Bundle) -> dict[str, bytes]:
    """Return the files that the list holds."""
    contents = {name: page_file(name) for name in SHARED}
    contents["source.js"] = page_file("tab.js")
    for file in _code(files("textgate") / "web" / "src"):
        contents[_CODE + file.name] = file.read_bytes()
    contents[_MODEL + GRAPH] = bundle.graph
    for name in (TOKENIZER, MANIFEST):
        contents[_MODEL + name] = (bundle.path / name).read_bytes()
    name = escape(_name(bundle.path))
    card = _card(bundle.path / CARD)
    contents[_INDEX] = index(
        policy=f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        more=_MORE + (_CARD.format(card) if card else ""),
        footer=_FOOTER,
        title=name,
    )
    return contents


def _code(folder: Traversable) -> list[Traversable]:
    """Return the files of the browser package that run."""
    return [each for each in folder.iterdir() if each.name.endswith((".js", ".wasm"))]


def _card(path: Path) -> str:
    """Return the card as HTML; "" if there is none."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_CARD)
    except OSError:
        return ""
    return card_html(content.decode("utf-8", "replace"))


def _name(bundle: Path) -> str:
    """Return what the page calls the model; a name on a disk may be no UTF-8."""
    return bundle.resolve().name.encode("utf-8", "replace").decode("utf-8") or "model"


def _entry(content: bytes) -> dict[str, int | str]:
    digest = base64.b64encode(hashlib.sha256(content).digest())
    return {"bytes": len(content), "sha256": digest.decode("ascii")}
