"""Metrics of the service, for Prometheus."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector

if TYPE_CHECKING:
    from textgate.inference.prediction import Prediction

MEDIA = CONTENT_TYPE_LATEST.encode()
SHARED_FOLDER = (
    "PROMETHEUS_MULTIPROC_DIR"  # of files in which the library adds up the counts of processes
)
_SECONDS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
)  # fmt: skip


class Metrics:
    """Counters of a service."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "textgate_requests_total", "Requests answered.", ["route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "textgate_request_seconds",
            "Time from the first line of a request to the end of its response.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.queue = self._gauge("textgate_queue", "Requests waiting for a thread, or in it.")
        self.streams = self._gauge("textgate_open_streams", "Streams that are open.")
        self._texts = self._counter("textgate_texts_total", "Texts classified.")
        self._tokens = self._counter("textgate_tokens_total", "Tokens read.")
        self._truncations = self._counter(
            "textgate_truncations_total", "Texts longer than what the model reads."
        )
        self._abstentions = self._counter("textgate_abstentions_total", "Texts without a label.")
        self._labels = self._counter("textgate_labels_total", "Labels given.", "label")
        self._reloads = self._counter(
            "textgate_reloads_total", "Bundles reloaded, and refused.", "result"
        )
        self.lost_lines = Counter(
            "textgate_lost_log_lines_total",
            "Lines of the access log that could not be written.",
            registry=registry,
        )
        self._by_route_and_status: dict[tuple[str, int], Counter] = {}
        self._by_route: dict[str, Histogram] = {}
        self._by_model: dict[str, _ModelCounters] = {}

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        counter = self._by_route_and_status.get((route, status))
        if counter is None:
            counter = self._requests.labels(route, str(status))
            self._by_route_and_status[route, status] = counter
        counter.inc()
        histogram = self._by_route.get(route)
        if histogram is None:
            histogram = self._by_route[route] = self._seconds.labels(route)
        histogram.observe(seconds)

    def predicted(self, model: str, predictions: Iterable[Prediction]) -> None:
        """Count the predictions of a model."""
        counts = self._by_model.get(model)
        if counts is None:
            counts = self._by_model[model] = _ModelCounters(self, model)
        counts.add(predictions)

    def reloaded(self, model: str, result: str) -> None:
        """Count a bundle that was ``loaded`` or ``refused``."""
        self._reloads.labels(model, result).inc()

    def exposition(self) -> bytes:
        """Return the metrics of all processes in the text format of Prometheus."""
        if SHARED_FOLDER not in os.environ:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)

    def _counter(self, name: str, help_text: str, *more: str) -> Counter:
        return Counter(name, help_text, ["model", *more], registry=self._registry)

    def _gauge(self, name: str, help_text: str) -> Gauge:
        return Gauge(name, help_text, registry=self._registry, multiprocess_mode="livesum")


class _ModelCounters:
    """The counters of one model, looked up once."""

    def __init__(self, metrics: Metrics, model: str) -> None:
        self._texts = metrics._texts.labels(model)  # noqa: SLF001 - one class in two
        self._tokens = metrics._tokens.labels(model)  # noqa: SLF001
        self._truncations = metrics._truncations.labels(model)  # noqa: SLF001
        self._abstentions = metrics._abstentions.labels(model)  # noqa: SLF001
        self._all_labels = metrics._labels  # noqa: SLF001
        self._labels: dict[str, Counter] = {}
        self._model = model

    def add(self, predictions: Iterable[Prediction]) -> None:
        texts = tokens = truncations = abstentions = 0
        labels: dict[str, int] = {}
        for prediction in predictions:
            texts += 1
            tokens += prediction.tokens
            truncations += prediction.truncated
            abstentions += prediction.label is None
            for label in prediction.labels:
                labels[label] = labels.get(label, 0) + 1
        self._texts.inc(texts)
        self._tokens.inc(tokens)
        if truncations:
            self._truncations.inc(truncations)
        if abstentions:
            self._abstentions.inc(abstentions)
        for label, count in labels.items():
            counter = self._labels.get(label)
            if counter is None:
                counter = self._labels[label] = self._all_labels.labels(self._model, label)
            counter.inc(count)
