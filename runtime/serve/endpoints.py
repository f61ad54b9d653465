"""Endpoints: what the router, the OpenAPI document and the metrics know about each path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from textgate.serve.context import Context

    Handler = Callable[["Context", Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class Endpoint:
    """One method of one path.

    Attributes:
        method: the HTTP method.
        path: the path, with parameters in braces.
        summary: one line for the OpenAPI document.
        handler: answers requests.
        answer: type of the JSON response; None if it is not JSON.
        body: type of the JSON request; None if there is none.
        media: content type of the response.
        statuses: statuses of errors, besides those that any request may meet.
        query: query parameters.
        public: whether it needs no token.
    """

    method: str
    path: str
    summary: str
    handler: Handler
    answer: Any = None
    body: Any = None
    media: str = "application/json"
    statuses: tuple[int, ...] = ()
    query: tuple[str, ...] = ()
    public: bool = False


@dataclass(frozen=True)
class Bound:
    """An endpoint of a service, as the router calls it: an ASGI application."""

    endpoint: Endpoint
    context: Context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self.endpoint.handler(self.context, scope, receive, send)
