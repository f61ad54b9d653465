"""Text and a picture out of what `latency_peers.py` found."""

from __future__ import annotations

from typing import Any

from pictures import ranking

from textgate.tables import format_bytes, format_ms, markdown_table


def tables(result: dict[str, Any]) -> str:
    """Return the peers by time, who is faster than a bundle, and who was left out, as Markdown."""
    lengths = list(result["entries"][0]["times"])
    bundles = [entry["name"] for entry in result["entries"] if entry["is_bundle"]]
    base = bundles[0]
    header = ["", *(f"p50, {tokens} tokens" for tokens in lengths)]
    header += [f"of {base}'s, {tokens} tokens" for tokens in lengths]
    header += ["peak memory", "installed", ""]
    rows = []
    for entry in _by_time(result, lengths[0]):
        times = [entry["times"][tokens] for tokens in lengths]
        peak = entry["peak_bytes"]
        rows.append(
            [
                f"**{entry['name']}**" if entry["is_bundle"] else entry["name"],
                *(format_ms(each["p50"]) for each in times),
                *(_ratio(each["ratios"][base]) for each in times),
                "-" if peak is None else format_bytes(peak),
                format_bytes(entry["installed_bytes"]),
                entry["note"],
            ]
        )
    table = markdown_table(header, rows, align=f"<{'>' * (len(header) - 2)}<")
    lines = [table, "", *(_winners(result, bundle, lengths) for bundle in bundles)]
    if result["skipped"]:
        left_out = "; ".join(f"{name} ({why})" for name, why in result["skipped"].items())
        lines.append(f"Left out: {left_out}.")
    if result["noise"]["reasons"]:
        lines.append("**Measured on a noisy machine**: the ratios may hold, the times do not.")
    packages = ", ".join(f"{name} {version}" for name, version in result["packages"].items())
    lines.append(f"With {packages}.")
    return "\n".join(lines)


def picture(result: dict[str, Any]) -> str:
    """Return the medians of the first length, the fastest first."""
    tokens = next(iter(result["entries"][0]["times"]))
    rows = [
        (entry["name"], entry["times"][tokens]["p50"], entry["is_bundle"])
        for entry in _by_time(result, tokens)
    ]
    return ranking(f"One text of {tokens} tokens, p50 in ms", rows)


def _by_time(result: dict[str, Any], tokens: str) -> list[dict[str, Any]]:
    return sorted(result["entries"], key=lambda entry: float(entry["times"][tokens]["p50"]))


def _ratio(found: list[float]) -> str:
    value, low, high = found
    return f"{value:.3g} ({low:.3g} to {high:.3g})"


def _winners(result: dict[str, Any], bundle: str, lengths: list[str]) -> str:
    """Return who is faster than a bundle for certain, at each length."""
    found = []
    for tokens in lengths:
        faster = [
            f"{entry['name']} ({entry['times'][tokens]['ratios'][bundle][0]:.2g})"
            for entry in _by_time(result, tokens)
            if not entry["is_bundle"] and entry["times"][tokens]["ratios"][bundle][2] < 1
        ]
        found.append(f"at {tokens} tokens {', '.join(faster) or 'none'}")
    return f"Faster than {bundle}: {'; '.join(found)}."
