"""Report of a benchmark: its tables and sentences, for a terminal and for the HTML page."""

from __future__ import annotations

from textgate.bench.noise import Noise
from textgate.bench.results import Benchmark, Times
from textgate.messages import counted
from textgate.tables import format_bytes, format_count, format_ms, format_table

_Table = tuple[list[str], list[list[str]]]


def report(result: Benchmark) -> str:
    """Return the whole report as text for a terminal."""
    parts = ["\n".join([*machine_lines(result), noise_line(result.noise)])]
    for header, rows in (latency_table(result), cold_start_table(result), size_table(result)):
        parts.append(format_table(header, rows))
    if result.agreements or result.accuracies:
        parts.append("\n".join(agreement_lines(result)))
    return "\n\n".join(parts)


def machine_lines(result: Benchmark) -> list[str]:
    """Return the machine, its versions and the threads."""
    machine = result.machine
    features = " ".join(machine.features) or "none of the features known to matter"
    load = "unknown" if machine.load is None else f"{machine.load:g}"
    return [
        (
            f"{machine.processor} ({features}), {machine.cpus} CPUs, {machine.architecture}, "
            f"clock governor {result.governor or 'unknown'}, load {load}, {machine.system}"
        ),
        ", ".join(f"{name} {version}" for name, version in machine.versions.items())
        + f"; {counted(result.threads, 'thread', 'threads')} per call",
    ]


def noise_line(noise: Noise) -> str:
    """Return whether the machine was quiet, with the figures."""
    if noise.quiet:
        return (
            "The machine was quiet: a fixed calculation, timed between the measurements, took "
            f"{noise.median_us:.1f} µs, and at most {noise.spread:.2f} times as long in nine of "
            "ten calls."
        )
    return (
        "The machine was noisy: do not trust these times. Of a fixed calculation, timed between "
        f"the measurements, {'; '.join(noise.reasons)}."
    )


def latency_table(result: Benchmark) -> _Table:
    """Return a row for each bundle, length and batch size."""
    several = len(result.bundles) > 1
    header = [
        *(["bundle"] if several else []), "tokens", "batch", "tokenize p50", "run p50", "both p50",
        "95 % interval", "p90", "p99", "max", "calls", "texts/s per core",
        *(["ratio to first bundle"] if several else []),
    ]  # fmt: skip
    rows = []
    for line in result.lines:
        ratio = "-"
        if line.ratio is not None:
            ratio = f"{line.ratio.value:.3f} [{line.ratio.low:.3f}, {line.ratio.high:.3f}]"
        rows.append(
            [
                *([line.bundle] if several else []),
                str(line.tokens) if line.texts == "words" else f"own texts, median {line.tokens}",
                str(line.batch_size),
                format_ms(line.tokenize.p50),
                format_ms(line.run.p50),
                format_ms(line.both.p50),
                _interval(line.both),
                format_ms(line.both.p90),
                format_ms(line.both.p99),
                format_ms(line.both.maximum),
                format_count(line.both.count),
                f"{line.texts_per_second_per_core:,.0f}",
                *([ratio] if several else []),
            ]
        )
    return header, rows


def cold_start_table(result: Benchmark) -> _Table:
    """Return a row for each bundle: the stages of a fresh process and its memory."""
    header = [
        "bundle", "interpreter", "imports", "load", "first prediction", "total", "next prediction",
        "memory at start", "after imports", "after load", "after predictions",
    ]  # fmt: skip
    rows = []
    for bundle in result.bundles:
        start = bundle.cold_start
        times = [
            start.interpreter_ms, start.import_ms, start.load_ms, start.first_ms, start.total_ms,
            start.next_ms,
        ]  # fmt: skip
        sizes = [
            start.resident_before, start.resident_imported, start.resident_loaded,
            start.resident_after,
        ]  # fmt: skip
        rows.append(
            [
                bundle.name,
                *(format_ms(time) for time in times),
                *("-" if size is None else format_bytes(size) for size in sizes),
            ]
        )
    return header, rows


def size_table(result: Benchmark) -> _Table:
    """Return a row for each bundle: its cell, its precision and the sizes of its files."""
    files = list(dict.fromkeys(name for bundle in result.bundles for name in bundle.bytes))
    rows = [
        [
            bundle.name,
            bundle.cell.upper(),
            bundle.precision,
            *(format_bytes(bundle.bytes[name]) if name in bundle.bytes else "-" for name in files),
            format_bytes(sum(bundle.bytes.values())),
        ]
        for bundle in result.bundles
    ]
    return ["bundle", "cell", "precision", *files, "total"], rows


def agreement_lines(result: Benchmark) -> list[str]:
    """Return the accuracy of the bundles, if it was given, and their agreement."""
    lines = [
        f"{score.bundle}: accuracy {score.accuracy:.4f} "
        f"[{score.interval[0]:.4f}, {score.interval[1]:.4f}] on {format_count(score.rows)} rows."
        for score in result.accuracies
    ]
    lines.extend(
        f"{each.other} and {each.bundle} give the same labels on {each.same:.2%} of "
        f"{format_count(each.texts)} texts; probabilities differ by up to "
        f"{each.largest_difference:.2g}."
        for each in result.agreements
    )
    return lines


def _interval(times: Times) -> str:
    low, high = times.p50_interval
    return f"[{format_ms(low).removesuffix(' ms')}, {format_ms(high).removesuffix(' ms')}]"
