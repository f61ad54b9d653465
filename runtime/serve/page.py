"""The page at `/`, on which a model can be tried; it needs nothing from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textgate.page import SHARED, index, page_file
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
_ACCESS = """<form id="token-form" hidden>
    <label for="token">This service requires a token</label>
    <input id="token" type="password" autocomplete="off">
    <button>Use it</button>
  </form>"""
_FOOTER = '<a href="openapi.json">OpenAPI document</a> <a href="metrics">Metrics</a>'


def _file(content: bytes, media: str) -> Handler:
    async def answer(_: Context, __: Scope, ___: Receive, send: Send) -> None:
        await send_answer(send, content, media=media.encode(), headers=_HEADERS)

    return answer


_FILES = (
    ("/", index(access=_ACCESS, footer=_FOOTER), "text/html; charset=utf-8"),
    *((f"/{name}", page_file(name), media) for name, media in SHARED.items()),
    ("/source.js", page_file("service.js"), SHARED["page.js"]),
)
ENDPOINTS = tuple(
    Endpoint(
        "GET", path, "The page to try a model on.", _file(content, media), media=media, public=True
    )
    for path, content, media in _FILES
)
