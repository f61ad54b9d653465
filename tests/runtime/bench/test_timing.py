"""The measuring, on a clock that the tests turn themselves: nothing here depends on real time."""

from __future__ import annotations

import gc
import math
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgate.bench.timing import (
    Percentiles,
    _resampled_medians,
    bootstrap_percentile_intervals,
    bootstrap_ratio_interval,
    measure_alternating,
    percentiles,
    ratio_of_medians,
    texts_of_length,
)
from textgate.errors import ConfigError, DataError, TextgateError


class Clock:
    """A clock that stands still unless a workload moves it, and notes who moved it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000
        self.calls: list[str] = []
        monkeypatch.setattr("textgate.bench.timing.perf_counter_ns", lambda: self.now)

    def workload(self, name: str, *, takes: int) -> Callable[[], object]:
        def work() -> str:
            self.calls.append(name)
            self.now += takes
            return name

        return work


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


MS = 1_000_000


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([7 * MS], Percentiles(7.0, 7.0, 7.0, 7.0, 1)),
        ([2 * MS, MS], Percentiles(1.0, 2.0, 2.0, 2.0, 2)),
        ([3 * MS, MS, 2 * MS], Percentiles(2.0, 3.0, 3.0, 3.0, 3)),
        ([n * MS for n in range(10, 0, -1)], Percentiles(5.0, 9.0, 10.0, 10.0, 10)),
        ([n * MS for n in range(1, 101)], Percentiles(50.0, 90.0, 99.0, 100.0, 100)),
        ([n * MS for n in range(1, 102)], Percentiles(51.0, 91.0, 100.0, 101.0, 101)),
        ([n * MS for n in range(1, 1001)], Percentiles(500.0, 900.0, 990.0, 1000.0, 1000)),
        ([1, 550_000], Percentiles(1e-6, 0.55, 0.55, 0.55, 2)),
    ],
)
def test_percentiles(times: list[int], expected: Percentiles) -> None:
    assert percentiles(times) == expected


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=300))
def test_percentiles_are_the_least_times_that_enough_calls_kept_to(times: list[int]) -> None:
    found = percentiles(times)
    for percent, value in [(50, found.p50), (90, found.p90), (99, found.p99)]:
        enough = [t for t in times if 100 * sum(x <= t for x in times) >= percent * len(times)]
        assert value == min(enough) / 1e6
    assert found.maximum == max(times) / 1e6
    assert found.count == len(times)


def test_workloads_run_in_changing_and_balanced_order(clock: Clock) -> None:
    names = ["a", "b", "c"]
    workloads = {name: clock.workload(name, takes=10) for name in names}
    times = measure_alternating(workloads, seconds=0, warm_up=0, minimum=12)
    assert list(times) == names
    assert times == {name: [10] * 12 for name in names}
    rounds = [tuple(clock.calls[at : at + 3]) for at in range(0, len(clock.calls), 3)]
    assert rounds[:6] == [tuple(order) for order in ("abc", "cba", "bca", "acb", "cab", "bac")]
    for index in range(3):
        assert Counter(order[index] for order in rounds) == {"a": 4, "b": 4, "c": 4}


def test_each_call_is_timed_on_its_own(clock: Clock) -> None:
    workloads = {"slow": clock.workload("slow", takes=500), "fast": clock.workload("fast", takes=3)}
    times = measure_alternating(workloads, seconds=0, minimum=5)
    assert times == {"slow": [500] * 5, "fast": [3] * 5}


@pytest.mark.parametrize(
    ("seconds", "minimum", "rounds"),
    [
        (0, 1, 1),
        (0, 7, 7),
        (1, 1, 4),  # 0.3 s a round: the round begun at 0.9 s is finished
        (1, 4, 4),
        (1, 10, 10),  # the minimum holds after the time is spent
        (3, 1, 10),  # 3.0 s are spent after ten rounds
    ],
)
def test_measuring_ends_with_time_and_minimum(
    clock: Clock, seconds: float, minimum: int, rounds: int
) -> None:
    workloads = {
        "a": clock.workload("a", takes=200 * MS),
        "b": clock.workload("b", takes=100 * MS),
    }
    times = measure_alternating(workloads, seconds=seconds, warm_up=25, minimum=minimum)
    assert {name: len(each) for name, each in times.items()} == {"a": rounds, "b": rounds}


@pytest.mark.parametrize("warm_up", [0, 1, 20])
def test_warm_up_calls_are_not_reported(clock: Clock, warm_up: int) -> None:
    workloads = {name: clock.workload(name, takes=1) for name in "ab"}
    times = measure_alternating(workloads, seconds=0, warm_up=warm_up, minimum=2)
    assert Counter(clock.calls) == {"a": warm_up + 2, "b": warm_up + 2}
    assert [len(each) for each in times.values()] == [2, 2]


@pytest.mark.parametrize("was_on", [True, False])
@pytest.mark.parametrize("breaks_at", [None, 0, 3])
def test_garbage_collector_is_off_inside_and_restored(was_on: bool, breaks_at: int | None) -> None:
    seen: list[bool] = []

    def work() -> None:
        if len(seen) == breaks_at:
            raise RuntimeError("the workload broke")
        seen.append(gc.isenabled())

    before = gc.isenabled()
    try:
        (gc.enable if was_on else gc.disable)()
        if breaks_at is None:
            measure_alternating({"a": work}, seconds=0, warm_up=2, minimum=3)
            assert seen == [False] * 5
        else:
            with pytest.raises(RuntimeError, match="the workload broke"):
                measure_alternating({"a": work}, seconds=0, warm_up=2, minimum=3)
        assert gc.isenabled() is was_on
    finally:
        (gc.enable if before else gc.disable)()


@pytest.mark.parametrize(
    ("workloads", "options", "message"),
    [
        ({}, {"seconds": 1}, "nothing to measure"),
        ({"a": int}, {"seconds": -1}, "found -1, 20 and 30"),
        ({"a": int}, {"seconds": math.nan}, "found nan"),
        ({"a": int}, {"seconds": math.inf}, "found inf"),
        ({"a": int}, {"seconds": 1, "warm_up": -1}, "found 1, -1 and 30"),
        ({"a": int}, {"seconds": 1, "minimum": 0}, "found 1, 20 and 0"),
    ],
)
def test_measuring_refusals(
    workloads: dict[str, Callable[[], object]], options: dict[str, float], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        measure_alternating(workloads, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [([5], [10], 0.5), ([1, 100, 3], [6], 0.5), ([2, 4], [1, 1, 50], 3.0), ([0], [3], 0.0)],
)
def test_ratio_of_medians(a: list[int], b: list[int], expected: float) -> None:
    assert ratio_of_medians(a, b) == expected


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: percentiles([]), DataError, "no call times"),
        (lambda: ratio_of_medians([], [1]), DataError, "no call times"),
        (lambda: ratio_of_medians([1], []), DataError, "no call times"),
        (lambda: ratio_of_medians([1], [5, 0]), DataError, "above 0 ns, found 0"),
        (lambda: bootstrap_ratio_interval([], [1]), DataError, "no call times"),
        (lambda: bootstrap_ratio_interval([1], []), DataError, "no call times"),
        (lambda: bootstrap_ratio_interval([1], [0]), DataError, "above 0 ns, found 0"),
        (lambda: bootstrap_ratio_interval([1], [1], samples=0), ConfigError, "found 0"),
        (lambda: bootstrap_percentile_intervals([]), DataError, "no call times"),
        (lambda: bootstrap_percentile_intervals([1], samples=0), ConfigError, "found 0"),
        (lambda: texts_of_length([], 3, 1), DataError, "no words"),
        (lambda: texts_of_length(["a", "b c"], 3, 1), DataError, "found 'b c'"),
        (lambda: texts_of_length(["a", ""], 3, 1), DataError, "found ''"),
        (lambda: texts_of_length(["a"], 0, 1), ConfigError, "found 0 tokens and 1 texts"),
        (lambda: texts_of_length(["a"], 1, -1), ConfigError, "found 1 tokens and -1 texts"),
    ],
)
def test_refusals(call: Callable[[], object], error: type[TextgateError], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("sizes", [(1, 1), (2, 3), (9, 10), (25, 24)])
def test_bootstrap_agrees_with_resampling_outright(sizes: tuple[int, int]) -> None:
    draw = np.random.default_rng(7)
    a, b = (draw.integers(100, 200, size=size).tolist() for size in sizes)

    def medians(times: list[int]) -> np.ndarray:
        return np.asarray(np.median(draw.choice(times, size=(20_000, len(times))), axis=1))

    expected = np.quantile(medians(a) / medians(b), (0.025, 0.975))
    found = bootstrap_ratio_interval(a, b, samples=20_000)
    assert found == pytest.approx(tuple(expected), rel=0.02)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_resampled_medians_are_as_frequent_as_among_all_resamples(count: int) -> None:
    times = [3, 1, 40, 12, 200][:count]
    every = [statistics.median(resample) for resample in product(times, repeat=count)]
    found = _resampled_medians(times, 100_000, np.random.default_rng(3)).tolist()
    assert set(found) == set(every)
    frequencies, drawn = Counter(every), Counter(found)
    for median, times_seen in frequencies.items():
        assert drawn[median] / len(found) == pytest.approx(times_seen / len(every), abs=0.006)


def test_bootstrap_is_repeatable_and_narrows() -> None:
    draw = np.random.default_rng(1)
    few, many = (draw.integers(1_000, 2_000, size=size).tolist() for size in (30, 30_000))
    wide = bootstrap_ratio_interval(few, few)
    assert wide == bootstrap_ratio_interval(few, few)
    assert wide != bootstrap_ratio_interval(few, few, seed=1)
    narrow = bootstrap_ratio_interval(many, many)
    assert wide[0] < narrow[0] < 1 < narrow[1] < wide[1]


@pytest.mark.parametrize("size", [1, 2, 9, 10, 25, 200])
def test_intervals_of_percentiles_agree_with_resampling_outright(size: int) -> None:
    draw = np.random.default_rng(size)
    times = (draw.integers(100, 200, size=size) * MS).tolist()
    found = bootstrap_percentile_intervals(times, samples=20_000)
    resamples = np.sort(draw.choice(times, size=(20_000, size)), axis=1) / MS
    assert list(found) == ["p50", "p90", "p99"]
    for percent, interval in zip((50, 90, 99), found.values(), strict=True):
        ranked = resamples[:, -(-percent * size // 100) - 1]
        assert interval == pytest.approx(tuple(np.quantile(ranked, (0.025, 0.975))), rel=0.02)


def test_an_interval_holds_the_percentile_it_is_of() -> None:
    times = [n * MS for n in range(1, 1001)]
    value, found = percentiles(times), bootstrap_percentile_intervals(times)
    assert found == bootstrap_percentile_intervals(times)
    for name, (low, high) in found.items():
        assert low < getattr(value, name) < high <= value.maximum


@pytest.mark.parametrize(("tokens", "count"), [(1, 1), (10, 3), (100, 5), (4, 0)])
def test_texts_have_their_length(tokens: int, count: int) -> None:
    words = ["one", "zwei", "três", "四"]
    texts = texts_of_length(words, tokens, count)
    assert [len(text.split(" ")) for text in texts] == [tokens] * count
    assert all(set(text.split(" ")) <= set(words) for text in texts)


def test_texts_depend_on_the_seed_alone() -> None:
    words: Sequence[str] = [f"w{number}" for number in range(50)]
    texts = texts_of_length(words, 8, 4)
    assert texts == texts_of_length(words, 8, 4, seed=0)
    assert texts != texts_of_length(words, 8, 4, seed=1)
    assert len(set(texts)) == 4
    assert texts[0] == "w42 w37 w21 w12 w25 w20 w39 w15"  # the same on any machine


def test_importing_the_module_does_not_import_numpy() -> None:
    code = "import sys, textgate.bench.timing; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
