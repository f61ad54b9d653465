"""Bodies in and out: reading a request within its limits, sending a response."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from textgate.serve.problems import ClientGoneError, Problem

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from textgate.serve.settings import Settings

JSON = b"application/json"

encode_json = msgspec.json.Encoder().encode


def header(scope: Scope, name: bytes) -> bytes | None:
    """Return the value of a request's header, None if it has none of that name."""
    return next((value for key, value in scope["headers"] if key == name), None)


async def read_body(
    scope: Scope, receive: Receive, settings: Settings, *, media: Iterable[bytes] = (JSON,)
) -> bytes:
    """Return the body of a request.

    Args:
        scope: the request's.
        receive: the request's.
        settings: limits and timeouts.
        media: content types that are accepted; '' accepts a request without a content type.

    Raises:
        ClientGoneError: the client closed the connection.
        Problem: the content type is another one, or the body is too long or too slow.
    """
    require_media(scope, tuple(media))
    limit = settings.max_body
    length = header(scope, b"content-length")
    if length is not None and length.isdigit() and int(length) > limit:
        raise _too_long(limit)
    try:
        async with asyncio.timeout(settings.timeout):
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body"):
                body: bytes = message.get("body", b"")
            else:
                parts = bytearray()
                while message["type"] == "http.request":
                    parts += message.get("body", b"")
                    if len(parts) > limit:
                        raise _too_long(limit)
                    if not message.get("more_body"):
                        break
                    message = await receive()
                else:
                    raise ClientGoneError
                body = bytes(parts)
    except TimeoutError:
        raise Problem(
            408,
            f"the body did not arrive within {settings.timeout:g} s",
            {b"connection": b"close"},
        ) from None
    if len(body) > limit:
        raise _too_long(limit)
    return body


async def send_answer(
    send: Send,
    body: bytes,
    *,
    status: int = 200,
    media: bytes = JSON,
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> None:
    """Send a response."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", media),
                (b"content-length", str(len(body)).encode()),
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


def require_media(scope: Scope, accepted: tuple[bytes, ...]) -> None:
    """Refuse a body of another content type than the accepted ones, or a compressed one.

    Raises:
        Problem: the content type is not accepted, or the body is compressed.
    """
    if header(scope, b"content-encoding") not in {None, b"identity"}:
        raise Problem(415, "compressed bodies are not accepted; send the body as it is")
    given = header(scope, b"content-type") or b""
    if given in accepted:  # the common case, without parsing
        return
    if given.partition(b";")[0].strip().lower() not in accepted:
        shown = given.decode("latin-1") or "none"
        wanted = b" or ".join(one for one in accepted if one).decode()
        raise Problem(415, f"the content type should be {wanted}, found {shown}")


def _too_long(limit: int) -> Problem:
    return Problem(413, f"the body is too long; at most {limit} bytes are accepted")
