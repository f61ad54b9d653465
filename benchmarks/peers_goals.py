"""What the comparison with the peers is to show, out of what it found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from goals import Goal

_NETWORK = "seed-lstm"
# Peer, tokens, how many times its median should be the bundle's at least.
_FASTER = (
    ("LSTM, Keras predict", "100", 100.0),
    ("LSTM, LiteRT int8", "100", 4.0),
    ("LSTM, torch eager", "100", 2.0),
    ("LSTM, torch.onnx.export, quantize_dynamic", "100", 1.0),
    ("LSTM, torch.onnx.export, quantize_dynamic", "25", 2.0),
)
_TRANSFORMER = "transformer 6x384 int8"
_KERAS = "LSTM, Keras predict"


def goals(entries: list[dict[str, Any]]) -> list[Goal]:
    """Return the goals of what was measured; what was left out has none.

    Args:
        entries: as `latency_peers.py` writes them. A bundle besides the reference networks is taken
            for the default recipe's.
    """
    return list(_goals({entry["name"]: entry for entry in entries}))


def _goals(entries: dict[str, dict[str, Any]]) -> Iterator[Goal]:
    for peer, tokens, bound in _FASTER:
        if peer in entries and tokens in entries[peer]["times"]:
            value = entries[peer]["times"][tokens]["ratios"][_NETWORK][0]
            yield Goal(f"{peer} / {_NETWORK}, {tokens} tokens", value, bound, at_least=True)
    if _KERAS in entries and _NETWORK in entries:
        ours, keras = entries[_NETWORK], entries[_KERAS]
        if ours["peak_bytes"] and keras["peak_bytes"]:
            share = ours["peak_bytes"] / keras["peak_bytes"]
            yield Goal(f"peak memory of {_NETWORK} / Keras", share, 1 / 5)
        share = ours["installed_bytes"] / keras["installed_bytes"]
        yield Goal("installed packages of textgate / Keras", share, 1 / 7)
    for name, entry in entries.items():
        if not entry["is_bundle"] or name.startswith("seed-") or "25" not in entry["times"]:
            continue
        yield Goal(f"{name}, 25 tokens, p50 in ms", entry["times"]["25"]["p50"], 0.30)
        if _TRANSFORMER in entries:
            value = entries[_TRANSFORMER]["times"]["25"]["ratios"][name][0]
            yield Goal(f"{_TRANSFORMER} / {name}, 25 tokens", value, 12.0, at_least=True)
