"""The page to try a model on: the files that the service and static sites share."""

from __future__ import annotations

from importlib.resources import files

__all__ = ["SHARED", "index", "page_file"]

_FOLDER = files("textgate.page") / "files"
# name on the page -> media type; beside them the page has `source.js`, from one of `_SOURCES`
SHARED = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "rows.js": "text/javascript; charset=utf-8",
}


def page_file(name: str) -> bytes:
    """Return the content of a file in `files`."""
    return (_FOLDER / name).read_bytes()


def index(
    *, policy: str = "", access: str = "", more: str = "", footer: str = "", title: str = "textgate"
) -> bytes:
    """Return the page's HTML.

    Args:
        policy: elements for the beginning of its head.
        access: what comes before everything else.
        more: sections at its end.
        footer: the content of the footer.
        title: the title and the heading, escaped.
    """
    page = page_file("index.html").decode("utf-8")
    page = page.replace("<h1>textgate<", f"<h1>{title}<").replace(
        "<title>textgate<", f"<title>{title}<"
    )
    for place, content in (
        ("policy", policy),
        ("access", access),
        ("more", more),
        ("footer", footer),
    ):
        page = page.replace(f"<!-- {place} -->", content)
    return page.encode("utf-8")
