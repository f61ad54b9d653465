"""OpenTelemetry spans: one per request, without texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textgate.errors import needing
from textgate.serve.endpoints import route_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

with needing("serve", "traces"):
    from opentelemetry import propagate, trace


class Traced:
    """An ASGI application that makes a span per request, for the SDK that the process has set up.

    Names and attributes are those of OpenTelemetry's semantic conventions for HTTP.
    """

    def __init__(self, application: ASGIApp) -> None:
        self._application = application
        self._tracer = trace.get_tracer("textgate")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request within a span that continues its caller's trace."""
        headers = {
            key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]
        }
        method = scope["method"]
        with self._tracer.start_as_current_span(
            method, context=propagate.extract(headers), kind=trace.SpanKind.SERVER
        ) as span:

            async def seen(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                await send(message)

            await self._application(scope, receive, seen)
            span.set_attribute("http.request.method", method)
            route = route_of(scope)
            if route is not None:
                span.update_name(f"{method} {route}")
                span.set_attribute("http.route", route)
