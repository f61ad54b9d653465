"""Timing of calls in alternation, and statistics of the times.

The calls that are compared run in turn within the same seconds, so that a slower clock or a busy
process affects all of them equally.
"""

from __future__ import annotations

import gc
import random
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter_ns
from typing import TYPE_CHECKING, TypeVar

from textgate.errors import ConfigError, DataError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_Name = TypeVar("_Name")

_NANOSECONDS_PER_MILLISECOND = 1e6
_NANOSECONDS_PER_SECOND = 1e9


@dataclass(frozen=True)
class Percentiles:
    """Percentiles of the times of calls, in milliseconds.

    Attributes:
        p50: the time that half of the calls did not exceed.
        p90: the time that nine of ten calls did not exceed.
        p99: the time that 99 of 100 calls did not exceed; the slowest of fewer than 100 calls.
        maximum: the slowest call.
        count: how many calls were timed.
    """

    p50: float
    p90: float
    p99: float
    maximum: float
    count: int


def percentiles(nanoseconds: Sequence[int]) -> Percentiles:
    """Return the percentiles of call times by nearest rank.

    The p-th percentile is the smallest time that at least p of 100 calls did not exceed. It is
    always a measured time, never an interpolation.

    Args:
        nanoseconds: the times of the calls, in any order.

    Raises:
        DataError: there are no times.
    """
    _require_times(nanoseconds)
    ordered = sorted(nanoseconds)

    def at(percent: int) -> float:
        rank = -(-percent * len(ordered) // 100)  # rounded up, in whole numbers
        return ordered[rank - 1] / _NANOSECONDS_PER_MILLISECOND

    return Percentiles(p50=at(50), p90=at(90), p99=at(99), maximum=at(100), count=len(ordered))


def measure_alternating(
    workloads: Mapping[_Name, Callable[[], object]],
    *,
    seconds: float,
    warm_up: int = 20,
    minimum: int = 30,
) -> dict[_Name, list[int]]:
    """Time workloads in alternation, each once per round, until the time is over.

    The order changes from round to round: it is rotated by one workload every second round, and
    every other round is reversed, so that each workload is equally often in each position. The
    garbage collector is off, so that no workload pays for another's garbage.

    Args:
        workloads: the calls, by name.
        seconds: the time for all of them together, after warming up. A round that has begun is
            finished.
        warm_up: untimed calls of each workload before the first timed one.
        minimum: timed calls of each workload, at least, however long they take.

    Returns:
        The nanoseconds of the calls of each workload, in the order of the calls; the same number
        for every workload.

    Raises:
        ConfigError: there is no workload, or a setting is out of range.
    """
    if not workloads:
        raise ConfigError("there is nothing to measure: name at least one workload")
    if not 0 <= seconds < float("inf") or warm_up < 0 or minimum < 1:
        raise ConfigError(
            f"measuring needs seconds and warm-up of at least 0 and a minimum of at least 1, "
            f"found {seconds:g}, {warm_up} and {minimum}"
        )
    names = list(workloads)
    times: dict[_Name, list[int]] = {name: [] for name in names}
    with _garbage_collection_off():
        for _ in range(warm_up):
            for work in workloads.values():
                work()
        deadline = perf_counter_ns() + seconds * _NANOSECONDS_PER_SECOND
        rounds = 0
        while rounds < minimum or perf_counter_ns() < deadline:
            for name in turn_order(names, rounds):
                work = workloads[name]
                begun = perf_counter_ns()
                work()
                times[name].append(perf_counter_ns() - begun)
            rounds += 1
    return times


def ratio_of_medians(a: Sequence[int], b: Sequence[int]) -> float:
    """Return the median of `a` over the median of `b`: below 1 if `a` is faster.

    Raises:
        DataError: one of them is empty, or a time in `b` is not above 0.
    """
    _require_times(a)
    _require_divisors(b)
    return statistics.median(a) / statistics.median(b)


def bootstrap_ratio_interval(
    a: Sequence[int], b: Sequence[int], *, samples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of `ratio_of_medians(a, b)`.

    The calls are taken as independent of each other; on a machine that drifts, the interval is too
    narrow.

    Args:
        a: times of one workload, in any order.
        b: times of the other.
        samples: number of resamples.
        seed: seed of the resampling.

    Raises:
        ConfigError: `samples` is below 1.
        DataError: `a` or `b` is empty, or a time in `b` is not above 0.
    """
    import numpy as np

    _require_times(a)
    _require_divisors(b)
    _require_samples(samples)
    generator = np.random.default_rng(seed)
    ratios = _resampled_medians(a, samples, generator) / _resampled_medians(b, samples, generator)
    low, high = np.quantile(ratios, (0.025, 0.975)).tolist()
    return low, high


def bootstrap_percentile_intervals(
    nanoseconds: Sequence[int], *, samples: int = 1000, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Return the 95 % percentile bootstrap intervals of p50, p90 and p99, in milliseconds.

    The percentiles are those of `percentiles`. The maximum has no interval, because no resample can
    hold a slower call than the slowest one. The calls are taken as independent of each other.

    Args:
        nanoseconds: the times of the calls, in any order.
        samples: number of resamples.
        seed: seed of the resampling.

    Raises:
        ConfigError: `samples` is below 1.
        DataError: there are no times.
    """
    import numpy as np

    _require_times(nanoseconds)
    _require_samples(samples)
    ordered, count = np.sort(np.asarray(nanoseconds, dtype=np.float64)), len(nanoseconds)
    generator = np.random.default_rng(seed)
    intervals = {}
    for percent in (50, 90, 99):
        positions = _positions_of_rank(-(-percent * count // 100), count, samples, generator)
        low, high = np.quantile(_at(ordered, positions), (0.025, 0.975)).tolist()
        intervals[f"p{percent}"] = (
            low / _NANOSECONDS_PER_MILLISECOND,
            high / _NANOSECONDS_PER_MILLISECOND,
        )
    return intervals


def texts_of_length(words: Sequence[str], tokens: int, count: int, *, seed: int = 0) -> list[str]:
    """Return texts of random words, the same for the same arguments.

    Args:
        words: words to draw from, each of them one token of the tokenizer.
        tokens: words of each text.
        count: number of texts.
        seed: seed of the draw.

    Raises:
        ConfigError: `tokens` is below 1 or `count` below 0.
        DataError: there are no words, or one is empty or holds white space.
    """
    if tokens < 1 or count < 0:
        raise ConfigError(
            f"texts need at least 1 token each, and there cannot be fewer than 0 of them, "
            f"found {tokens} tokens and {count} texts"
        )
    if not words:
        raise DataError("there are no words to make texts of")
    broken = next((word for word in words if word.split() != [word]), None)
    if broken is not None:
        raise DataError(f"expected words without white space to make texts of, found {broken!r}")
    draw = random.Random(seed)  # noqa: S311 - repeatable, not secret
    return [" ".join(draw.choices(words, k=tokens)) for _ in range(count)]


def turn_order(names: Sequence[_Name], round_number: int) -> list[_Name]:
    """Return the order of one round; 2 * len(names) rounds in a row are balanced."""
    turn = round_number // 2 % len(names)
    order = [*names[turn:], *names[:turn]]
    return order[::-1] if round_number % 2 else order


def _resampled_medians(
    times: Sequence[int], samples: int, generator: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return the medians of bootstrap resamples [samples], without making the resamples."""
    import numpy as np

    ordered, count = np.sort(np.asarray(times, dtype=np.float64)), len(times)
    lower = (count + 1) // 2
    positions = _positions_of_rank(lower, count, samples, generator)
    if count % 2:
        return _at(ordered, positions)
    # The next larger one is the smallest of the n - k uniform numbers above the k-th.
    above = positions + (1 - positions) * generator.beta(1, count - lower, size=samples)
    return (_at(ordered, positions) + _at(ordered, above)) / 2


def _positions_of_rank(
    rank: int, count: int, samples: int, generator: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return positions of the `rank`-th smallest times of resamples in the sorted times, 0 to 1.

    To draw n of n sorted times is to draw n uniform positions among them, and the k-th smallest of
    n uniform numbers follows Beta(k, n - k + 1). This is exact, and as fast for 100,000 calls as
    for 10.
    """
    return generator.beta(rank, count - rank + 1, size=samples)


def _at(
    ordered: npt.NDArray[np.float64], positions: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the sorted times at positions from 0 to 1."""
    import numpy as np

    last = len(ordered) - 1
    return np.asarray(ordered[np.minimum((positions * len(ordered)).astype(np.int64), last)])


@contextmanager
def _garbage_collection_off() -> Iterator[None]:
    """Collect garbage once, then disable collection until the end; restore its state."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _require_times(times: Sequence[int]) -> None:
    if not len(times):
        raise DataError("there are no call times: measure at least one call")


def _require_samples(samples: int) -> None:
    if samples < 1:
        raise ConfigError(f"a bootstrap needs at least 1 sample, found {samples}")


def _require_divisors(times: Sequence[int]) -> None:
    _require_times(times)
    if min(times) <= 0:
        raise DataError(
            f"call times to compare with must be above 0 ns, found {min(times)}: "
            "let each call do more work"
        )
