"""Results of a benchmark as data, which `textgate bench --json` prints."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from textgate.bench.agreement import Agreement
from textgate.bench.coldstart import ColdStart
from textgate.bench.machine import Machine
from textgate.bench.noise import Noise
from textgate.bench.timing import Percentiles


@dataclass(frozen=True)
class Times(Percentiles):
    """Times of the calls of one stage in milliseconds, with 95 % bootstrap intervals."""

    p50_interval: tuple[float, float]
    p90_interval: tuple[float, float]
    p99_interval: tuple[float, float]


@dataclass(frozen=True)
class Ratio:
    """Ratio of a median to the first bundle's median on the same texts, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Line:
    """Times of one bundle at one length and batch size.

    Attributes:
        bundle: the bundle's name.
        texts: ``"words"`` for texts made of frequent words, ``"file"`` for the user's own.
        tokens: tokens of each text; of own texts, the median.
        batch_size: texts per call.
        tokenize: from texts to ids.
        run: from ids to probabilities.
        both: from texts to predictions, by the call that a user makes.
        quantiles: the 0th to the 100th percentile of the times in `both`, by nearest rank.
        texts_per_second_per_core: texts per second of processor time, summed over all threads.
        ratio: ratio of `both` to the first bundle's; None for the first bundle.
    """

    bundle: str
    texts: Literal["words", "file"]
    tokens: int
    batch_size: int
    tokenize: Times
    run: Times
    both: Times
    quantiles: tuple[float, ...]
    texts_per_second_per_core: float
    ratio: Ratio | None


@dataclass(frozen=True)
class Measured:
    """A bundle that was measured, with its sizes and its cold start."""

    name: str
    path: str
    cell: str
    precision: str
    max_tokens: int
    bytes: dict[str, int]
    cold_start: ColdStart


@dataclass(frozen=True)
class Accuracy:
    """Accuracy of a bundle according to `textgate evaluate`, with its 95 % interval."""

    bundle: str
    rows: int
    accuracy: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Benchmark:
    """All results of one run."""

    machine: Machine
    governor: str | None
    threads: int
    noise: Noise
    bundles: tuple[Measured, ...]
    lines: tuple[Line, ...]
    agreements: tuple[Agreement, ...]
    accuracies: tuple[Accuracy, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the results as JSON-ready values."""
        return {**asdict(self), "quiet": self.noise.quiet}
