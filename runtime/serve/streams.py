"""Streams: decisions on a text while it arrives, over a WebSocket or a chunked request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import msgspec

from textgate.errors import TextgateError
from textgate.inference.arguments import checked_fraction
from textgate.inference.guard import is_sure, require_labels
from textgate.serve.endpoints import Endpoint
from textgate.serve.exchange import encode_json, require_media
from textgate.serve.problems import ClientGoneError, Problem

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from textgate.inference.prediction import Prediction
    from textgate.inference.streaming import Stream
    from textgate.serve.context import Context
    from textgate.serve.models import ServedModel

PATH = "/v1/stream"
EVENTS = b"text/event-stream"
_PLAIN_TEXT = (b"text/plain", b"application/octet-stream", b"")
_LABEL_SURE, _TEXT_OVER = "stopped", "final"


class StreamDecision(msgspec.Struct):
    """The decision on the text so far.

    Attributes:
        prediction: the prediction of `Classifier.predict` for that text.
        state: ``open``, ``final`` after the end of the text, ``stopped`` if a label was sure.
    """

    prediction: Prediction
    state: str


@dataclass
class _Text:
    """A text, while it arrives."""

    context: Context
    model: ServedModel
    stream: Stream
    stop_at: float | None
    labels: list[str] | None

    def take(self, piece: str | bytes, *, final: bool = False) -> tuple[str, bytes]:
        """Return the state after a piece, and the decision as JSON."""
        prediction = self.stream.feed(piece, final=final)
        state = _TEXT_OVER if final else "open"
        if self.stop_at is not None and is_sure(prediction, self.stop_at, self.labels):
            state = _LABEL_SURE
        if state != "open":
            self.context.metrics.predicted(self.model.name, [prediction])
        return state, encode_json(StreamDecision(prediction, state))


async def answer_socket(context: Context, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the WebSocket `/v1/stream`: each message is a piece, and gets one decision.

    An empty message ends the text. The service closes the socket after the last decision.
    """
    text = _begin(context, scope)
    await receive()  # websocket.connect
    await send({"type": "websocket.accept"})
    with _counted(context):
        while True:
            try:
                async with asyncio.timeout(context.settings.idle):
                    message = await receive()
            except TimeoutError:
                await send({"type": "websocket.close", "code": 1001, "reason": "idle"})
                return
            if message["type"] == "websocket.disconnect":
                return
            given = message.get("text")
            piece = message["bytes"] if given is None else given
            try:
                state, decision = text.take(piece, final=not piece)
            except TextgateError as problem:
                reason = str(problem)[:120]
                await send({"type": "websocket.close", "code": 1007, "reason": reason})
                return
            await send({"type": "websocket.send", "text": decision.decode()})
            if state != "open":
                await send({"type": "websocket.close", "code": 1000, "reason": state})
                return


async def stream(context: Context, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer `POST /v1/stream`: a body that arrives in chunks, with server-sent events."""
    require_media(scope, _PLAIN_TEXT)
    text = _begin(context, scope)
    with _counted(context):
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [
                    (b"content-type", EVENTS),
                    (b"cache-control", b"no-store"),
                    (b"x-accel-buffering", b"no"),
                ],
            }
        )
        state = "open"
        while state == "open":
            try:
                async with asyncio.timeout(context.settings.idle):
                    message = await receive()
            except TimeoutError:
                raise ClientGoneError from None
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            final = not message.get("more_body")
            piece = message.get("body", b"")
            if not piece and not final:
                continue
            state, decision = text.take(piece, final=final)
            event = b"data: %b\n\n" % decision
            await send({"type": "http.response.body", "body": event, "more_body": state == "open"})


@contextmanager
def _counted(context: Context) -> Iterator[None]:
    context.metrics.streams.inc()
    try:
        yield
    finally:
        context.metrics.streams.dec()


def _begin(context: Context, scope: Scope) -> _Text:
    """Return the text that a request starts.

    Raises:
        Problem: the model cannot stream, or the query is not what it should be.
    """
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    unknown = query.keys() - {"model", "version", "stop_at", "label"}
    if unknown:
        raise Problem(422, f"there is no parameter {min(unknown)!r}")
    model = context.models.find(query.get("model", [None])[0], query.get("version", [None])[0])
    labels = query.get("label")
    stop_at: float | None = None
    try:
        if "stop_at" in query:
            stop_at = checked_fraction(_number(query["stop_at"][0]), "stop_at", positive=True)
        require_labels(labels, model.classifier.labels)
        return _Text(context, model, model.classifier.stream(), stop_at, labels)
    except TextgateError as problem:
        raise Problem(422, str(problem)) from None


def _number(value: str) -> float | str:
    try:
        return float(value)
    except ValueError:
        return value


ENDPOINTS = (
    Endpoint(
        "POST",
        PATH,
        "Decisions on a text while it arrives, as server-sent events.",
        stream,
        body=str,
        media=EVENTS.decode(),
        statuses=(404, 415, 422),
        query=("model", "version", "stop_at", "label"),
    ),
)
