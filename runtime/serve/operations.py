"""Metrics and the OpenAPI document. Health is part of the Open Inference Protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textgate.serve.endpoints import Endpoint
from textgate.serve.exchange import send_answer
from textgate.serve.metrics import MEDIA

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from textgate.serve.context import Context


async def metrics(context: Context, _: Scope, __: Receive, send: Send) -> None:
    """Answer `GET /metrics`."""
    await send_answer(send, context.metrics.exposition(), media=MEDIA)


async def openapi(context: Context, _: Scope, __: Receive, send: Send) -> None:
    """Answer `GET /openapi.json`."""
    await send_answer(send, context.openapi)


ENDPOINTS = (
    Endpoint("GET", "/metrics", "Metrics for Prometheus.", metrics, media=MEDIA.decode()),
    Endpoint("GET", "/openapi.json", "This document.", openapi, answer=dict, public=True),
)
