"""The service as an ASGI application: routes, tokens, metrics, logs, errors around them."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.routing import BaseRoute, Route, Router, WebSocketRoute

from textgate.logs import logger
from textgate.serve import classify, open_inference, operations, page, streams, text_embeddings
from textgate.serve.access_log import AccessLog
from textgate.serve.context import Context
from textgate.serve.endpoints import Bound, bound, path_of, route_of
from textgate.serve.exchange import header, send_answer
from textgate.serve.openapi import document
from textgate.serve.problems import PROBLEM_JSON, ClientGoneError, Problem, problem_body

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from textgate.serve.models import Models
    from textgate.serve.settings import Settings

ENDPOINTS = (
    *classify.ENDPOINTS,
    *open_inference.ENDPOINTS,
    *text_embeddings.ENDPOINTS,
    *streams.ENDPOINTS,
    *operations.ENDPOINTS,
    *page.ENDPOINTS,
)
_CLIENT_GONE = 499  # in logs and metrics; nobody is there to read it
_NO_ROUTE = "none"


class Service(Context):
    """Serves models: an ASGI application. Make one with `textgate.serve.app`."""

    def __init__(self, models: Models, settings: Settings) -> None:
        super().__init__(models, settings, document(ENDPOINTS))
        self._tokens = [token.encode() for token in settings.tokens]
        self._log: AccessLog | None = None
        if settings.access_log is not None:
            self._log = AccessLog(settings.access_log, self.metrics.lost_lines.inc)
        self._watching: asyncio.Task[None] | None = None
        socket = Bound(streams.PATH, partial(streams.answer_socket, self))
        routes: list[BaseRoute] = [Route(one.path, one) for one in bound(self, ENDPOINTS)]
        routes.append(WebSocketRoute(socket.path, socket))
        self._router = Router(
            routes, redirect_slashes=False, default=_nothing, lifespan=self._lifespan
        )
        self._http: Any = self._answer
        if settings.traces:
            from textgate.serve.traces import Traced

            self._http = Traced(self._http)
        if settings.origins:
            from starlette.middleware.cors import CORSMiddleware

            self._http = CORSMiddleware(
                self._http,
                allow_origins=settings.origins,
                allow_methods=("GET", "POST"),
                allow_headers=("authorization", "content-type"),
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, a stream, or the events of an ASGI server's life."""
        if scope["type"] == "lifespan":
            await self._router(scope, receive, send)
            return
        if self._watching is None:
            self._start()  # a mounted application receives no lifespan events
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await self._answer_socket(scope, receive, send)

    async def reload(self, *, forced: bool = False) -> None:
        """Load the bundles that changed, or all of them."""
        await asyncio.to_thread(self.models.reload, forced=forced, report=self.metrics.reloaded)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: object) -> AsyncIterator[None]:
        self._start()
        yield
        if self._watching is not None:
            self._watching.cancel()
        self.work.close()

    def _start(self) -> None:
        """Make the first predictions, and begin to watch the bundles' folders."""
        if not self.models.ready:
            self.models.warm_up()
        self._watching = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        while self.settings.poll:
            await asyncio.sleep(self.settings.poll)
            if self.models.are_stale():  # else no thread is needed
                await self.reload()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        status = 0

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if self.draining:
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        problem = None
        try:
            self._require_token(scope)
            await self._router(scope, receive, counted)
        except Problem as found:
            problem = found
        except ClientGoneError:
            status = status or _CLIENT_GONE
        except Exception:
            logger.exception("a request failed")
            problem = Problem(500, "the service failed; its log says why")
        if problem is not None and not status:
            await send_answer(
                counted,
                problem_body(problem),
                status=problem.status,
                media=PROBLEM_JSON,
                headers=problem.headers.items(),
            )
        self._record(scope, status, time.perf_counter() - began)

    async def _answer_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        status = 101
        try:
            self._require_token(scope)
            self._require_origin(scope)
            await self._router(scope, receive, send)
        except Problem as problem:
            status = problem.status
            await _refuse_socket(scope, receive, send, problem)
        except OSError:  # the client went away
            status = _CLIENT_GONE
        self._record(scope, status, time.perf_counter() - began)

    def _require_token(self, scope: Scope) -> None:
        """Refuse a request without one of the tokens, in constant time.

        Raises:
            Problem: it brings none of them.
        """
        if not self._tokens or _is_public(scope):
            return
        scheme, _, given = (header(scope, b"authorization") or b"").partition(b" ")
        matches = [hmac.compare_digest(given.strip(), token) for token in self._tokens]
        if scheme.lower() != b"bearer" or not any(matches):
            raise Problem(
                401,
                "this service requires a token: Authorization: Bearer TOKEN",
                {b"www-authenticate": b"Bearer"},
            )

    def _require_origin(self, scope: Scope) -> None:
        """Refuse a socket of another site's page, which browsers do not hold back themselves.

        Raises:
            Problem: the origin is neither this service nor among the settings.
        """
        origin = (header(scope, b"origin") or b"").decode("latin-1")
        host = (header(scope, b"host") or b"").decode("latin-1")
        if not origin or origin in self.settings.origins or "*" in self.settings.origins:
            return
        if origin.partition("://")[2] != host:
            raise Problem(403, f"pages of {origin} may not open streams here")

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = route_of(scope) or _NO_ROUTE
        self.metrics.answered(route, status, seconds)
        if self._log is not None:
            client = scope.get("client")
            self._log.write(
                method=scope.get("method", "WEBSOCKET"),
                route=route,
                status=status,
                seconds=round(seconds, 6),
                client=client[0] if client else None,
            )


_PUBLIC = {one.path for one in ENDPOINTS if one.public}


def _is_public(scope: Scope) -> bool:
    return path_of(scope) in _PUBLIC and scope.get("method") in {"GET", "HEAD"}


async def _nothing(scope: Scope, _: Receive, __: Send) -> None:
    """Refuse a path that the router does not know.

    Raises:
        Problem: always.
    """
    if scope["type"] == "websocket":
        raise Problem(404, f"there is no stream at this path; there is {streams.PATH}")
    raise Problem(404, "there is nothing at this path; /openapi.json lists what there is")


async def _refuse_socket(scope: Scope, receive: Receive, send: Send, problem: Problem) -> None:
    await receive()
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008, "reason": problem.detail[:120]})
        return
    headers = [(b"content-type", PROBLEM_JSON), *problem.headers.items()]
    await send(
        {"type": "websocket.http.response.start", "status": problem.status, "headers": headers}
    )
    await send({"type": "websocket.http.response.body", "body": problem_body(problem)})
