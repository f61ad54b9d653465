"""What `textgate bench` reports: several bundles measured side by side, as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from textgate.bench.agreement import Agreement
from textgate.bench.coldstart import ColdStart
from textgate.bench.machine import Machine
from textgate.bench.noise import Noise


@dataclass(frozen=True)
class Times:
    """How long the calls of one stage took, in milliseconds; intervals are 95 % bootstrap ones."""

    p50: float
    p90: float
    p99: float
    maximum: float
    count: int
    p50_interval: tuple[float, float]
    p90_interval: tuple[float, float]
    p99_interval: tuple[float, float]


@dataclass(frozen=True)
class Ratio:
    """A median over the first bundle's median of the same line, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Line:
    """One bundle at one length and batch size.

    Attributes:
        bundle: the bundle's name.
        texts: ``"words"``, made of frequent words, or ``"file"``, the user's own.
        tokens: of each text; of own texts, the median.
        batch_size: texts a call.
        tokenize: from texts to ids.
        run: from ids to probabilities.
        both: from texts to predictions, as a user calls it.
        quantiles: the 0th to the 100th percentile of the times in `both`, by nearest rank.
        texts_per_second_per_core: texts for each second of processor time, all threads counted.
        ratio: of `both` to the first bundle's; None on the first bundle's own lines.
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
    """A bundle that was measured: what it is, how it starts."""

    name: str
    path: str
    cell: str
    precision: str
    max_tokens: int
    bytes: dict[str, int]
    cold_start: ColdStart


@dataclass(frozen=True)
class Accuracy:
    """What `textgate evaluate` found for a bundle, with the 95 % interval."""

    bundle: str
    rows: int
    accuracy: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Benchmark:
    """All that was measured in one run."""

    machine: Machine
    governor: str | None
    threads: int
    noise: Noise
    bundles: tuple[Measured, ...]
    lines: tuple[Line, ...]
    agreements: tuple[Agreement, ...]
    accuracies: tuple[Accuracy, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return {**asdict(self), "quiet": self.noise.quiet}
