"""What the turns of a peer come to: percentiles, and ratios to those it took turns with."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from textgate.latency import bootstrap_percentile_intervals, percentiles

_DRAWS = 1000  # of the bootstrap


@dataclass(frozen=True)
class Timed:
    """The times of one length: milliseconds, and ratios of medians to each bundle.

    A ratio is (value, low, high): this one's median over the bundle's, with the 95 % bootstrap
    interval over turns.
    """

    p50: float
    p50_interval: tuple[float, float]
    p90: float
    p99: float
    calls: int
    ratios: dict[str, tuple[float, float, float]]


def timed(turns: list[list[int]], bases: Mapping[str, list[list[int]]]) -> Timed:
    """Return percentiles of all calls, and ratios to the bases, turn by turn."""
    calls = [time for turn in turns for time in turn]
    found = percentiles(calls)
    return Timed(
        p50=found.p50,
        p50_interval=bootstrap_percentile_intervals(calls)["p50"],
        p90=found.p90,
        p99=found.p99,
        calls=found.count,
        ratios={name: ratio(turns, base) for name, base in bases.items()},
    )


def ratio(turns: list[list[int]], base: list[list[int]]) -> tuple[float, float, float]:
    """Return the median over turns of the ratio of their medians, with its 95 % interval."""
    ratios = np.array(
        [
            statistics.median(mine) / statistics.median(other)
            for mine, other in zip(turns, base, strict=True)
        ]
    )
    drawn = np.random.default_rng(0).choice(ratios, size=(_DRAWS, len(ratios)))
    low, high = np.quantile(np.median(drawn, axis=1), (0.025, 0.975)).tolist()
    return float(np.median(ratios)), low, high
