"""A fresh process that predicts on request and reports the times.

    python worker.py bundle BUNDLE < REQUESTS
    python worker.py peer NAME FOLDER REFERENCES < REQUESTS
    python worker.py prepare NAME FOLDER REFERENCES

The first request holds the calls of each case, ``{name: [[text, ...], ...]}``; the answer holds the
nanoseconds of the start's stages and the probabilities. ``{"case": name, "calls": number}`` asks
for the nanoseconds of some calls, ``null`` for the peak memory of the process in bytes. For bundles
the code uses only functions that every release of the package has, because `guard.py` runs it with
the code of other commits.
"""

import gc
import sys
import time

gc.disable()  # a collection would hit a random stage
_BEGUN = time.perf_counter_ns()
if sys.argv[1] == "bundle":
    import textgate

_IMPORTED = time.perf_counter_ns()

import json  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

Call = Callable[[list[str]], list[list[float]]]


def serve(call: Call, cases: dict[str, list[list[str]]], about: dict[str, Any]) -> None:
    """Answer with `about` and the probabilities, then answer requests until the input ends."""
    scores = {name: [call(texts) for texts in calls] for name, calls in cases.items()}
    answer({**about, "scores": scores})
    gc.collect()
    gc.disable()
    made = dict.fromkeys(cases, 0)
    for line in sys.stdin:
        request = json.loads(line)
        if request is None:
            answer(peak_bytes())
            continue
        calls, first = cases[request["case"]], made[request["case"]]
        times = []
        for number in range(first, first + request["calls"]):
            texts = calls[number % len(calls)]
            begun = time.perf_counter_ns()
            call(texts)
            times.append(time.perf_counter_ns() - begun)
        made[request["case"]] += request["calls"]
        answer(times)


def serve_bundle(bundle: str) -> None:
    """Serve a bundle in textgate's runtime."""
    cases = json.loads(sys.stdin.readline())
    begun = time.perf_counter_ns()
    classifier = textgate.Classifier.load(bundle)
    loaded = time.perf_counter_ns()
    classifier.predict("warm")
    first = time.perf_counter_ns() - loaded

    def call(texts: list[str]) -> list[list[float]]:
        one = len(texts) == 1
        found = [classifier.predict(texts[0])] if one else classifier.predict_many(texts)
        return [list(prediction.scores.values()) for prediction in found]

    start = {"import": _IMPORTED - _BEGUN, "load": loaded - begun, "first prediction": first}
    serve(call, cases, {"package": textgate.__file__, "start": start})


def peer(name: str) -> Any:
    """Return a peer by its name."""
    sys.path.insert(0, str(Path(__file__).parent / "peers"))
    from table import PEERS

    return next(peer for peer in PEERS if peer.name == name)


def peak_bytes() -> int | None:
    """Return the peak memory; getrusage's figure would include the parent's."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return None
    lines = dict(line.split(":", 1) for line in status.read_text(encoding="ascii").splitlines())
    return int(lines["VmHWM"].split()[0]) * 1024


def answer(value: object) -> None:
    """Print one line that `common.process` reads as an answer, and flush it."""
    print(f"answer: {json.dumps(value)}", flush=True)


if __name__ == "__main__":
    task, name, *folders = sys.argv[1:]
    if task == "bundle":
        serve_bundle(name)
    elif task == "prepare":
        gc.enable()
        peer(name).prepare(*map(Path, folders))
    else:
        gc.enable()
        predict = peer(name).load(*map(Path, folders))
        serve(lambda texts: [predict(text) for text in texts], json.loads(sys.stdin.readline()), {})
