"""Number of threads that a call may use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from textgate.errors import ConfigError

MAX_THREADS = 1024  # far more than one call can use, far fewer than a machine can start


def thread_count(threads: int | Literal["auto"]) -> int:
    """Return a number of threads; ``auto`` is what this process may use, its quota included.

    Raises:
        ConfigError: it is neither a number from 1 to `MAX_THREADS` nor ``auto``.
    """
    if threads == "auto":
        return max(1, min(_allowed_cpus(), _quota()))
    number = isinstance(threads, int) and not isinstance(threads, bool)
    if not number or not 1 <= threads <= MAX_THREADS:
        raise ConfigError(
            f'threads must be a number from 1 to {MAX_THREADS}, or "auto", not {threads!r}'
        )
    return threads


def _allowed_cpus() -> int:
    """Return the CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota() -> int:
    """Return the whole CPUs that the control group of this process may use."""
    unlimited = os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return unlimited if quota == "max" else max(1, int(quota) // int(period))
    except (OSError, ValueError):
        pass
    folder = Path("/sys/fs/cgroup/cpu")
    try:
        quota_us = int((folder / "cpu.cfs_quota_us").read_text(encoding="ascii"))
        period_us = int((folder / "cpu.cfs_period_us").read_text(encoding="ascii"))
        return unlimited if quota_us < 0 else max(1, quota_us // period_us)
    except (OSError, ValueError):
        return unlimited
