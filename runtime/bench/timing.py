"""The measuring behind `textgate bench`: calls timed in alternation, and what the times come to.

What is compared is run in turn within the same seconds, so that a clock that slows down or a busy
neighbour falls on all of it alike. numpy is imported only where it is used.
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
    """How long calls took, in milliseconds.

    Attributes:
        p50: half of the calls took no longer.
        p90: nine in ten took no longer.
        p99: 99 in 100 took no longer; with fewer than 100 calls, the slowest call.
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

    The p-th percentile is the smallest time that at least p in 100 calls did not exceed: always a
    time that was measured, never an interpolation.

    Args:
        nanoseconds: how long each call took, in any order.

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
    """Time workloads against each other, each once a round, until the time is spent.

    The order changes from round to round: it is turned by one workload every second round, and
    every other round runs backwards, so that each workload is equally often in each place. The
    garbage collector is off meanwhile, so that no workload pays for another's garbage.

    Args:
        workloads: what to call, by name.
        seconds: how long to measure all of them together, after warming up. A round that has begun
            is finished.
        warm_up: untimed calls of each workload before the first timed one.
        minimum: timed calls of each workload to make however long they take.

    Returns:
        For each workload, in the order given, the nanoseconds of each of its calls in the order
        they were made, as many for one workload as for another.

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
    """Return the median of `a` over the median of `b`: below 1 where `a` is the faster.

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

    The calls are taken as independent of each other; where a machine drifts, the interval is too
    narrow.

    Args:
        a: times of the one, in any order.
        b: times of the other.
        samples: how many times both are resampled.
        seed: of the resampling; the same seed gives the same interval.

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

    Of the same nearest ranks as `percentiles`. There is none of the maximum: a resample cannot hold
    a call slower than the slowest that was seen. The calls are taken as independent of each other.

    Args:
        nanoseconds: how long each call took, in any order.
        samples: how many times they are resampled.
        seed: of the resampling.

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
        places = _places_of_rank(-(-percent * count // 100), count, samples, generator)
        low, high = np.quantile(_at(ordered, places), (0.025, 0.975)).tolist()
        intervals[f"p{percent}"] = (
            low / _NANOSECONDS_PER_MILLISECOND,
            high / _NANOSECONDS_PER_MILLISECOND,
        )
    return intervals


def texts_of_length(words: Sequence[str], tokens: int, count: int, *, seed: int = 0) -> list[str]:
    """Return texts of random words, the same for the same arguments.

    Args:
        words: words to draw from, each of them one token to the tokenizer at hand.
        tokens: how many words a text has.
        count: how many texts to make.
        seed: of the draw.

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
    """Return the order of one round; every 2 * len(names) rounds are balanced."""
    turn = round_number // 2 % len(names)
    order = [*names[turn:], *names[:turn]]
    return order[::-1] if round_number % 2 else order


def _resampled_medians(
    times: Sequence[int], samples: int, generator: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return the medians of so many bootstrap resamples [samples], without making the resamples."""
    import numpy as np

    ordered, count = np.sort(np.asarray(times, dtype=np.float64)), len(times)
    lower = (count + 1) // 2
    places = _places_of_rank(lower, count, samples, generator)
    if count % 2:
        return _at(ordered, places)
    # The next one up is the smallest of the n - k uniform numbers above the k-th.
    above = places + (1 - places) * generator.beta(1, count - lower, size=samples)
    return (_at(ordered, places) + _at(ordered, above)) / 2


def _places_of_rank(
    rank: int, count: int, samples: int, generator: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return where in the sorted times the `rank`-th smallest of a resample is taken, from 0 to 1.

    Drawing n of n sorted times is drawing n uniform places among them, and the k-th smallest of n
    uniform numbers follows Beta(k, n - k + 1): exact, and 100,000 calls cost no more than 10.
    """
    return generator.beta(rank, count - rank + 1, size=samples)


def _at(
    ordered: npt.NDArray[np.float64], places: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the sorted times at places from 0 to 1."""
    import numpy as np

    last = len(ordered) - 1
    return np.asarray(ordered[np.minimum((places * len(ordered)).astype(np.int64), last)])


@contextmanager
def _garbage_collection_off() -> Iterator[None]:
    """Collect now, and not again until left; leave the collector as it was found."""
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
            f"do more work in a call than the clock can miss"
        )
