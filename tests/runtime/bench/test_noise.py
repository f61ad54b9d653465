"""A noisy machine is told from a quiet one by work that never changes."""

from __future__ import annotations

import hashlib

import pytest

from textgate.bench import noise
from textgate.bench.noise import clock_governor, fixed_work, noise_in
from textgate.errors import DataError

STEADY = [1000] * 100


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([STEADY], []),
        ([STEADY, STEADY], []),
        ([[1000] * 95 + [1050] * 5], []),
        ([STEADY, [1040] * 100], []),  # 4 % of drift
        ([[1000] * 999 + [40_000]], []),  # 4 % lost in one call
        ([[1000] * 80 + [1200] * 20], ["one call in ten took 1.20 times the median or more"]),
        ([STEADY, [1100] * 100], ["the median changed by a factor of 1.10"]),
        # A neighbour's time slice hits few calls, and no percentile that is usually looked at.
        ([[1000] * 999 + [1_001_000]], ["50% of the time went to something else"]),
        (
            [STEADY, [2000] * 100],
            ["one call in ten took 2.00", "% of the time went", "a factor of 2.00"],
        ),
    ],
)
def test_what_speaks_against_the_figures(parts: list[list[int]], words: list[str]) -> None:
    found = noise_in(parts)
    assert len(found.reasons) == len(words), found
    assert all(word in reason for word, reason in zip(words, found.reasons, strict=True))
    assert found.quiet is (not words)
    assert found.median_us == 1.0


@pytest.mark.parametrize("parts", [[], [[]], [STEADY, []]])
def test_nothing_timed_is_refused(parts: list[list[int]]) -> None:
    with pytest.raises(DataError, match="times"):
        noise_in(parts)


def test_the_fixed_work_is_the_same_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[bytes] = []
    monkeypatch.setattr(hashlib, "sha256", lambda block, **_: hashed.append(block))
    fixed_work()
    once = list(hashed)
    fixed_work()
    assert once
    assert hashed == once * 2


@pytest.mark.parametrize(
    ("content", "expected"), [(b"performance\n", "performance"), (b"", None), (b"\xff", None)]
)
def test_the_governor_as_the_system_tells_it(tmp_path, monkeypatch, content, expected) -> None:
    file = tmp_path / "scaling_governor"
    monkeypatch.setattr(noise, "_GOVERNOR", file)
    assert clock_governor() is None
    file.write_bytes(content)
    assert clock_governor() == expected
