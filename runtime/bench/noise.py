"""Noise of a machine during a measurement, from the times of a fixed piece of work.

The fixed work is timed in alternation with the measured calls. On a quiet machine it always takes
the same time, so the spread of its times is the noise in every other figure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from textgate.bench.timing import percentiles
from textgate.errors import DataError

_BLOCK = bytes(1024)  # small enough to leave the caches to the measured calls
_REPEATS = 16  # tens of microseconds in total: as long as a short prediction
_MAX_SPREAD = 1.10
_MAX_DRIFT = 1.05
_MAX_LOST = 0.05
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


@dataclass(frozen=True)
class Noise:
    """Noise of a machine during a measurement.

    Attributes:
        median_us: median time of the fixed work, in microseconds.
        spread: its 90th percentile over its median, over all its calls.
        lost: fraction of its time beyond the median of all calls, from 0 to 1: mostly time slices
            of other processes, which are long and hit few calls.
        drift: the slowest median of the parts of the run over the fastest.
        reasons: sentences that say why the figures cannot be trusted; empty on a quiet machine.
    """

    median_us: float
    spread: float
    lost: float
    drift: float
    reasons: tuple[str, ...]

    @property
    def quiet(self) -> bool:
        """Whether the figures can be trusted."""
        return not self.reasons


def fixed_work() -> None:
    """Hash some kilobytes, always the same ones."""
    for _ in range(_REPEATS):
        hashlib.sha256(_BLOCK, usedforsecurity=False)


def noise_in(parts: Sequence[Sequence[int]]) -> Noise:
    """Return the noise in the times of the fixed work.

    Args:
        parts: the nanoseconds of its calls in each part of the run, in order.

    Raises:
        DataError: there is no part, or one without calls.
    """
    if not parts:
        raise DataError(
            "there are no times of the fixed work: time it together with what is measured"
        )
    medians = [percentiles(part).p50 for part in parts]
    together = percentiles([time for part in parts for time in part])
    spread, drift = together.p90 / together.p50, max(medians) / min(medians)
    total = sum(map(sum, parts)) / 1e6
    lost = max(0.0, 1 - together.p50 * together.count / total)
    reasons = []
    if spread > _MAX_SPREAD:
        reasons.append(
            f"one call in ten took {spread:.2f} times the median or more "
            f"(quiet: below {_MAX_SPREAD:g})"
        )
    if lost > _MAX_LOST:
        reasons.append(
            f"{lost:.0%} of the time went to something else (quiet: below {_MAX_LOST:.0%})"
        )
    if drift > _MAX_DRIFT:
        reasons.append(
            f"the median changed by a factor of {drift:.2f} during the run "
            f"(quiet: below {_MAX_DRIFT:g})"
        )
    return Noise(
        median_us=together.p50 * 1000,
        spread=spread,
        lost=lost,
        drift=drift,
        reasons=tuple(reasons),
    )


def clock_governor() -> str | None:
    """Return the governor of the processor's clock (``performance``, ...); None if unknown."""
    try:
        return _GOVERNOR.read_text(encoding="ascii").strip() or None
    except (OSError, ValueError):
        return None
