"""Whether a machine was quiet enough while something was timed, told by work that never changes.

A fixed piece of work is timed in alternation with what is measured. On a quiet machine it always
takes the same time; how much its times differ is what the machine adds to every other figure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from textgate.bench.timing import percentiles
from textgate.errors import DataError

_BLOCK = bytes(1024)  # small enough to leave the caches to what is measured
_REPEATS = 16  # tens of microseconds in all: as long as a short prediction
_MOST_SPREAD = 1.10
_MOST_DRIFT = 1.05
_MOST_LOST = 0.05
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


@dataclass(frozen=True)
class Noise:
    """How steady the machine was.

    Attributes:
        median_us: median time of the fixed work, in microseconds.
        spread: its 90th percentile over its median, over all its calls.
        lost: the share of its time, from 0 to 1, beyond what it takes at the median: mostly the
            time slices of other processes, which few calls meet but which are long.
        drift: the slowest median among the parts of the run over the fastest.
        reasons: why figures of this run are not to be trusted, in words; empty on a quiet machine.
    """

    median_us: float
    spread: float
    lost: float
    drift: float
    reasons: tuple[str, ...]

    @property
    def quiet(self) -> bool:
        """Whether nothing speaks against the figures."""
        return not self.reasons


def fixed_work() -> None:
    """Do the same work as every time: hash some kilobytes."""
    for _ in range(_REPEATS):
        hashlib.sha256(_BLOCK, usedforsecurity=False)


def noise_in(parts: Sequence[Sequence[int]]) -> Noise:
    """Return how steady the fixed work was.

    Args:
        parts: the nanoseconds of its calls, for each part of the run, in order.

    Raises:
        DataError: there is no part, or one without calls.
    """
    if not parts:
        raise DataError("there are no times of the fixed work: time it beside what is measured")
    medians = [percentiles(part).p50 for part in parts]
    together = percentiles([time for part in parts for time in part])
    spread, drift = together.p90 / together.p50, max(medians) / min(medians)
    total = sum(map(sum, parts)) / 1e6
    lost = max(0.0, 1 - together.p50 * together.count / total)
    reasons = []
    if spread > _MOST_SPREAD:
        reasons.append(
            f"one call in ten took {spread:.2f} times the median or more "
            f"(quiet: below {_MOST_SPREAD:g})"
        )
    if lost > _MOST_LOST:
        reasons.append(
            f"{lost:.0%} of the time went to something else (quiet: below {_MOST_LOST:.0%})"
        )
    if drift > _MOST_DRIFT:
        reasons.append(
            f"the median changed by a factor of {drift:.2f} during the run "
            f"(quiet: below {_MOST_DRIFT:g})"
        )
    return Noise(
        median_us=together.p50 * 1000,
        spread=spread,
        lost=lost,
        drift=drift,
        reasons=tuple(reasons),
    )


def clock_governor() -> str | None:
    """Return how the system sets the processor's clock (``performance``, ...), None if unknown."""
    try:
        return _GOVERNOR.read_text(encoding="ascii").strip() or None
    except (OSError, ValueError):
        return None
