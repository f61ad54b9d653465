"""Objects that every endpoint of a service uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textgate.serve.metrics import Metrics
from textgate.serve.work import Work

if TYPE_CHECKING:
    from textgate.serve.models import Models
    from textgate.serve.settings import Settings


class Context:
    """State of a service.

    Attributes:
        models: the served models.
        settings: limits and timeouts.
        metrics: counters of requests and predictions.
        work: the queue of requests, and the thread that computes long ones.
        draining: whether the service finishes open requests and accepts no new ones.
        openapi: the OpenAPI document, JSON.
    """

    def __init__(self, models: Models, settings: Settings, openapi: bytes) -> None:
        self.models = models
        self.settings = settings
        self.metrics = Metrics()
        self.work = Work(settings, self.metrics.queue)
        self.draining = False
        self.openapi = openapi
