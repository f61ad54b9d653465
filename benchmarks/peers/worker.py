"""One peer in a process of its own.

    python worker.py prepare NAME FOLDER REFERENCES
    python worker.py serve NAME FOLDER REFERENCES < REQUESTS
    python worker.py serve bundle BUNDLE - < REQUESTS

Serving, the first request is ``{case: [text, ...]}`` and is answered with the probabilities; then
``{"case": case, "calls": number}`` with the nanoseconds of these calls, and ``null`` with the most
bytes that the process ever had in memory.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from pathlib import Path
from typing import Any


def main(task: str, name: str, folder: Path, references: Path) -> None:
    """Prepare a peer, or let it predict when it is told to."""
    if task == "prepare":
        _peer(name).prepare(folder, references)
        return
    if name == "bundle":
        from textgate.classifier import Classifier

        classifier = Classifier.load(folder)

        def predict(text: str) -> list[float]:
            return list(classifier.predict(text).scores.values())
    else:
        predict = _peer(name).load(folder, references)
    cases = json.loads(sys.stdin.readline())
    _answer({case: [predict(text) for text in texts] for case, texts in cases.items()})
    gc.collect()
    gc.disable()
    places = dict.fromkeys(cases, 0)
    for line in sys.stdin:
        request = json.loads(line)
        if request is None:
            _answer(_peak())
            continue
        texts, place = cases[request["case"]], places[request["case"]]
        times = []
        for number in range(place, place + request["calls"]):
            text = texts[number % len(texts)]
            begun = time.perf_counter_ns()
            predict(text)
            times.append(time.perf_counter_ns() - begun)
        places[request["case"]] += request["calls"]
        _answer(times)


def _peer(name: str) -> Any:
    from table import PEERS

    return next(peer for peer in PEERS if peer.name == name)


def _peak() -> int | None:
    """Return the most bytes in memory; getrusage's figure would hold the parent's as well."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return None
    lines = dict(line.split(":", 1) for line in status.read_text(encoding="ascii").splitlines())
    return int(lines["VmHWM"].split()[0]) * 1024


def _answer(value: object) -> None:
    """Print one line that `turns.py` takes for an answer, at once."""
    print(f"answer: {json.dumps(value)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
