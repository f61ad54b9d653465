"""Limits of size and latency, and models of both that need no training and no export.

The size is that of an int8 bundle, counted tensor by tensor. The time is that of an LSTM in
integers: the model that comes with the package is timed once on this machine, and the time of the
recurrent layers is proportional to their multiplications.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from textgate.bundle.architecture import GATES

if TYPE_CHECKING:
    from textgate.bundle.architecture import Architecture

_OTHER_BYTES = 13_000  # nodes of the graph, manifest and card
_BYTES_PER_LABEL = 150  # in the manifest and the card
_ANCHORS = 2  # columns and units that the integer kernel adds
_MIN_STORED_OUTPUTS = 200  # a last dense layer with fewer units stays in float32
_TIMED_TOKENS = (10, 100)
_TIMED_TEXTS = 16
_TIMED_SECONDS = 0.5
_WORDS = 500


@dataclass(frozen=True)
class Limits:
    """Largest size and latency.

    Attributes:
        max_bytes: size of the int8 bundle, in bytes; None for no limit.
        max_latency_ms: time of a text of `tokens` tokens on one core, in milliseconds; None for no
            limit.
        tokens: number of tokens of that text.
    """

    max_bytes: int | None = None
    max_latency_ms: float | None = None
    tokens: int = 1

    @property
    def given(self) -> bool:
        """Whether there is a limit."""
        return self.max_bytes is not None or self.max_latency_ms is not None

    def measure(self, architecture: Architecture, tokenizer_json: str) -> Cost:
        """Return the size and, if it is limited, the latency of a network."""
        size = bundle_bytes(architecture, tokenizer_json)
        if self.max_latency_ms is None:
            return Cost(size, None)
        return Cost(size, machine_speed().latency_ms(architecture, self.tokens))

    def allow(self, cost: Cost) -> bool:
        """Return whether a network is within the limits."""
        small = self.max_bytes is None or cost.bytes <= self.max_bytes
        return small and (
            self.max_latency_ms is None
            or cost.latency_ms is None
            or cost.latency_ms <= self.max_latency_ms
        )


@dataclass(frozen=True)
class Cost:
    """Estimated size and latency of a network.

    Attributes:
        bytes: size of its int8 bundle.
        latency_ms: time of one text, in milliseconds; None if it was not estimated.
    """

    bytes: int
    latency_ms: float | None


@dataclass(frozen=True)
class Speed:
    """Speed of this machine.

    Attributes:
        fixed_ms: time of any text, in milliseconds.
        tokenizing_ms: time to tokenize one token.
        product_ms: time of one multiplication of a recurrent layer.
    """

    fixed_ms: float
    tokenizing_ms: float
    product_ms: float

    def latency_ms(self, architecture: Architecture, tokens: int) -> float:
        """Return the estimated time of a text, in milliseconds."""
        per_token = self.tokenizing_ms + self.product_ms * products(architecture)
        return self.fixed_ms + tokens * per_token


def bundle_bytes(architecture: Architecture, tokenizer_json: str) -> int:
    """Return the estimated size of an int8 bundle.

    Args:
        architecture: the network.
        tokenizer_json: its tokenizer.
    """
    net = architecture
    anchors = _ANCHORS if net.cell == "lstm" else 0
    total = net.vocabulary_size * (net.embedding_size + anchors)
    gates, directions = GATES[net.cell], net.directions
    for inputs, hidden in zip(net.input_sizes, net.hidden_sizes, strict=True):
        rows = gates * (hidden + anchors) * directions
        # Weights of one byte, and for each row two scales and two biases in float32.
        total += rows * (inputs + hidden + 2 * anchors) + 16 * rows
    width = net.pooled_size + anchors * net.directions * len(net.pooling)
    for size in net.dense_sizes:
        total += 4 * (width + 1) * size
        width = size
    stored = 1 if net.output_units >= _MIN_STORED_OUTPUTS else 4
    total += (stored * width + 4) * net.output_units
    if net.linear_size:
        # Each feature has a byte per column and a byte of weight; a bigram has a fingerprint.
        features = net.linear_tokens + net.linear_buckets
        total += features * (net.linear_size + 1) + net.linear_buckets
        total += 8 * net.linear_size * net.output_units
    names = _BYTES_PER_LABEL * net.label_count
    return total + len(tokenizer_json.encode("utf-8")) + _OTHER_BYTES + names


def products(architecture: Architecture) -> int:
    """Return the multiplications of the recurrent layers for one token."""
    net = architecture
    return sum(
        GATES[net.cell] * hidden * (inputs + hidden) * net.directions
        for inputs, hidden in zip(net.input_sizes, net.hidden_sizes, strict=True)
    )


@cache
def machine_speed() -> Speed:
    """Return the speed of this machine, measured with the package's own model on one thread."""
    from textgate.bench.measure import in_turn
    from textgate.bench.timing import measure_alternating, percentiles, texts_of_length
    from textgate.inference.classifier import Classifier

    with Classifier.load() as classifier:
        stages = classifier.stages()
        words = stages.words(_WORDS)
        texts = {count: texts_of_length(words, count, _TIMED_TEXTS) for count in _TIMED_TOKENS}
        workloads = {}
        for count, some in texts.items():
            workloads["both", count] = in_turn(classifier.predict, some)
            workloads["tokenize", count] = in_turn(lambda text: stages.encode([text]), some)
        times = measure_alternating(workloads, seconds=_TIMED_SECONDS)
        medians = {name: percentiles(values).p50 for name, values in times.items()}
        architecture = classifier.manifest.architecture
    few, many = _TIMED_TOKENS
    both = max(0.0, medians["both", many] - medians["both", few]) / (many - few)
    tokenizing = max(0.0, medians["tokenize", many] - medians["tokenize", few]) / (many - few)
    tokenizing = min(tokenizing, both)
    return Speed(
        fixed_ms=max(0.0, medians["both", few] - few * both),
        tokenizing_ms=tokenizing,
        product_ms=(both - tokenizing) / products(architecture),
    )
