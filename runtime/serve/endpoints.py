"""Endpoints: the methods of each path, for Starlette's router and the OpenAPI document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textgate.serve.problems import Problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

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
    """What answers at a path, as Starlette's router calls it: an ASGI application.

    Attributes:
        path: the path, with parameters in braces.
        answer: answers requests and sockets of this path.
    """

    path: str
    answer: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self.answer(scope, receive, send)


def bound(context: Context, endpoints: Iterable[Endpoint]) -> list[Bound]:
    """Return what answers at each path of the endpoints of a service."""
    paths: dict[str, dict[str, Handler]] = {}
    for one in endpoints:
        paths.setdefault(one.path, {})[one.method] = one.handler
    return [Bound(path, _by_method(context, methods)) for path, methods in paths.items()]


def _by_method(context: Context, methods: Mapping[str, Handler]) -> ASGIApp:
    allowed = ", ".join(methods)

    def answer(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        method: str = scope["method"]
        handler = methods.get("GET" if method == "HEAD" else method)
        if handler is None:
            raise Problem(
                405,
                f"{method} is not a method of this path; it has {allowed}",
                {b"allow": allowed.encode()},
            )
        return handler(context, scope, receive, send)

    return answer


def route_of(scope: Scope) -> str | None:
    """Return the path of the endpoint that the router found for a request."""
    found = scope.get("endpoint")
    return found.path if isinstance(found, Bound) else None


def path_of(scope: Scope) -> str:
    """Return the path of a request, below the path that the service is mounted at."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
