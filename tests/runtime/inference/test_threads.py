"""The number of threads of a call: given, or what the process may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from textgate.errors import ConfigError
from textgate.inference.threads import thread_count


@pytest.mark.parametrize("threads", [1, 2, 64])
def test_a_number_of_threads_is_itself(threads):
    assert thread_count(threads) == threads


@pytest.mark.parametrize("threads", [0, -1, 1.0, "2", "AUTO", "", None, True, 10**11])
def test_what_is_no_number_of_threads(threads):
    with pytest.raises(ConfigError, match=r'threads must be a number from 1 to .*, or "auto", not'):
        thread_count(threads)


QUOTAS = [
    # files, CPUs in the mask, what auto is
    ({}, 8, 8),
    ({"/sys/fs/cgroup/cpu.max": "max 100000\n"}, 8, 8),
    ({"/sys/fs/cgroup/cpu.max": "200000 100000\n"}, 8, 2),
    ({"/sys/fs/cgroup/cpu.max": "250000 100000\n"}, 8, 2),
    ({"/sys/fs/cgroup/cpu.max": "50000 100000\n"}, 8, 1),  # half a CPU is still one thread
    ({"/sys/fs/cgroup/cpu.max": "900000 100000\n"}, 3, 3),  # the mask is narrower
    ({"/sys/fs/cgroup/cpu.max": "nonsense"}, 8, 8),
    (
        {
            "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "300000\n",
            "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
        8,
        3,
    ),
    (
        {
            "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
        8,
        8,
    ),
]


@pytest.mark.parametrize(("files", "mask", "expected"), QUOTAS)
def test_auto_is_what_the_process_may_use(monkeypatch, files, mask, expected):
    def read_text(path: Path, encoding: str) -> str:
        if str(path) not in files:
            raise FileNotFoundError
        return files[str(path)]

    monkeypatch.setattr(Path, "read_text", read_text)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(mask)), raising=False)
    assert thread_count("auto") == expected


def test_auto_where_the_system_has_no_affinity_mask(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert 1 <= thread_count("auto") <= (os.cpu_count() or 1)
