"""The page at `/`, on which a model can be tried; it needs nothing from elsewhere."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from textgate.serve.endpoints import Endpoint
from textgate.serve.exchange import send_answer

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from textgate.serve.context import Context
    from textgate.serve.endpoints import Handler

_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-cache"),
)
_FOLDER = files("textgate.serve") / "page"


def _file(name: str, media: str) -> Handler:
    content = (_FOLDER / name).read_bytes()

    async def answer(_: Context, __: Scope, ___: Receive, send: Send) -> None:
        await send_answer(send, content, media=media.encode(), headers=_HEADERS)

    return answer


_FILES = (
    ("/", "index.html", "text/html; charset=utf-8"),
    ("/page.css", "page.css", "text/css; charset=utf-8"),
    ("/page.js", "page.js", "text/javascript; charset=utf-8"),
)
ENDPOINTS = tuple(
    Endpoint(
        "GET", path, "The page to try a model on.", _file(name, media), media=media, public=True
    )
    for path, name, media in _FILES
)
