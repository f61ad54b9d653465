"""Figures of peers: times and ratios, sizes of packages, goals."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from common import Goal, median_ratio

from textgate.bench.timing import bootstrap_percentile_intervals, percentiles

REFERENCE = "seed-lstm"
# Peer, tokens, smallest ratio of its median to the reference LSTM's.
MIN_RATIOS = (
    ("LSTM, Keras predict", "100", 100.0),
    ("LSTM, LiteRT int8", "100", 4.0),
    ("LSTM, torch eager", "100", 2.0),
    ("LSTM, torch.onnx.export, quantize_dynamic", "100", 1.0),
    ("LSTM, torch.onnx.export, quantize_dynamic", "25", 2.0),
)
TRANSFORMER = "transformer 6x384 int8"
KERAS = "LSTM, Keras predict"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def timed(turns: list[list[int]], bases: Mapping[str, list[list[int]]]) -> dict[str, Any]:
    """Return the milliseconds of all calls, and the ratios to the bases over turns."""
    calls = [time for turn in turns for time in turn]
    found = percentiles(calls)
    return {
        "p50": found.p50,
        "p50_interval": bootstrap_percentile_intervals(calls)["p50"],
        "p90": found.p90,
        "p99": found.p99,
        "calls": found.count,
        "ratios": {name: ratio(turns, base) for name, base in bases.items()},
    }


def ratio(turns: list[list[int]], base: list[list[int]]) -> tuple[float, float, float]:
    """Return the median over turns of the ratio of their medians, with its 95 % interval."""
    medians = ([statistics.median(turn) for turn in side] for side in (turns, base))
    return median_ratio(*medians)


def installed_bytes(packages: Iterable[str]) -> int:
    """Return the bytes of the packages' files and of all their dependencies without extras."""
    seen: set[str] = set()
    waiting, total = list(packages), 0
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue  # for another system, or not installed
        for file in found.files or ():
            path = Path(str(found.locate_file(file)))
            total += path.stat().st_size if path.is_file() else 0
        for requirement in found.requires or ():
            needed, _, marker = requirement.partition(";")
            if "extra" not in marker and (match := _NAME.match(needed)):
                waiting.append(match.group())
    return total


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of the installed packages."""
    found = {}
    for name in sorted(packages):
        try:
            found[name] = distribution(name).version
        except PackageNotFoundError:
            continue
    return found


def goals(entries: list[dict[str, Any]]) -> list[Goal]:
    """Return the goals that the measured entries can show.

    Args:
        entries: as `latency_peers.py` writes them. A bundle that is not a reference network counts
            as the default recipe's.
    """
    return list(_goals({entry["name"]: entry for entry in entries}))


def _goals(entries: dict[str, dict[str, Any]]) -> Iterator[Goal]:
    for peer, tokens, bound in MIN_RATIOS:
        if peer in entries and tokens in entries[peer]["times"]:
            value = entries[peer]["times"][tokens]["ratios"][REFERENCE][0]
            yield Goal(f"{peer} / {REFERENCE}, {tokens} tokens", value, bound, at_least=True)
    if KERAS in entries and REFERENCE in entries:
        ours, keras = entries[REFERENCE], entries[KERAS]
        if ours["peak_bytes"] and keras["peak_bytes"]:
            ratio = ours["peak_bytes"] / keras["peak_bytes"]
            yield Goal(f"peak memory of {REFERENCE} / Keras", ratio, 1 / 5)
        ratio = ours["installed_bytes"] / keras["installed_bytes"]
        yield Goal("installed packages of textgate / Keras", ratio, 1 / 7)
    for name, entry in entries.items():
        if not entry["is_bundle"] or name.startswith("seed-") or "25" not in entry["times"]:
            continue
        yield Goal(f"{name}, 25 tokens, p50 in ms", entry["times"]["25"]["p50"], 0.30)
        if TRANSFORMER in entries:
            value = entries[TRANSFORMER]["times"]["25"]["ratios"][name][0]
            yield Goal(f"{TRANSFORMER} / {name}, 25 tokens", value, 12.0, at_least=True)
