"""A fresh process that predicts when it is told to, and reports the times.

    python worker.py bundle BUNDLE < REQUESTS
    python worker.py peer NAME FOLDER REFERENCES < REQUESTS
    python worker.py prepare NAME FOLDER REFERENCES

The first request holds the calls of each case, ``{name: [[text, ...], ...]}``, and is answered with
the nanoseconds of the start's stages and the probabilities. ``{"case": name, "calls": number}``
asks for the nanoseconds of some calls, ``null`` for the most bytes that the process ever had in
memory. A bundle takes no more than what has been in the package from its first release on:
`guard.py` runs this with other commits' code, too.
"""

import gc
import sys
import time

gc.disable()  # a collection falls into one stage or another by chance
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
    """Say what the process is and what it answers, then answer requests until there are none."""
    scores = {name: [call(texts) for texts in calls] for name, calls in cases.items()}
    answer({**about, "scores": scores})
    gc.collect()
    gc.disable()
    places = dict.fromkeys(cases, 0)
    for line in sys.stdin:
        request = json.loads(line)
        if request is None:
            answer(most_bytes())
            continue
        calls, place = cases[request["case"]], places[request["case"]]
        times = []
        for number in range(place, place + request["calls"]):
            texts = calls[number % len(calls)]
            begun = time.perf_counter_ns()
            call(texts)
            times.append(time.perf_counter_ns() - begun)
        places[request["case"]] += request["calls"]
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


def most_bytes() -> int | None:
    """Return the most bytes in memory; getrusage's figure would hold the parent's as well."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return None
    lines = dict(line.split(":", 1) for line in status.read_text(encoding="ascii").splitlines())
    return int(lines["VmHWM"].split()[0]) * 1024


def answer(value: object) -> None:
    """Print one line that `common.process` takes for an answer, at once."""
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
