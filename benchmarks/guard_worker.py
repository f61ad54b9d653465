"""One side of `guard.py`: a fresh process that predicts when it is told to, and reports the times.

    python -P guard_worker.py BUNDLE < REQUESTS

The first line of the requests holds the calls of each case, ``{name: [[text, ...], ...]}``; every
further one asks for some calls of a case, ``{"case": name, "calls": number}``. Each is answered by
a line of JSON. Uses only what has been in the package from its first release on, since it runs with
other commits' code, too.
"""

import gc
import time

gc.disable()  # a collection falls into one stage or another by chance
_BEGUN = time.perf_counter_ns()

from textgate import Classifier  # noqa: E402

_IMPORTED = time.perf_counter_ns()

import json  # noqa: E402
import sys  # noqa: E402

import textgate  # noqa: E402


def main() -> None:
    """Answer requests until there are no more."""
    cases = json.loads(sys.stdin.readline())
    begun = time.perf_counter_ns()
    classifier = Classifier.load(sys.argv[1])
    loaded = time.perf_counter_ns()
    classifier.predict("warm")
    first = time.perf_counter_ns()

    def call(texts: list[str]) -> list[list[float]]:
        found = (
            [classifier.predict(texts[0])] if len(texts) == 1 else classifier.predict_many(texts)
        )
        return [list(prediction.scores.values()) for prediction in found]

    answer(
        {
            "package": textgate.__file__,
            "start": {
                "import": _IMPORTED - _BEGUN,
                "load": loaded - begun,
                "first prediction": first - loaded,
            },
            "scores": {name: [call(texts) for texts in calls] for name, calls in cases.items()},
        }
    )
    places = dict.fromkeys(cases, 0)
    for line in sys.stdin:
        request = json.loads(line)
        calls, place = cases[request["case"]], places[request["case"]]
        times = []
        for number in range(place, place + request["calls"]):
            texts = calls[number % len(calls)]
            begun = time.perf_counter_ns()
            call(texts)
            times.append(time.perf_counter_ns() - begun)
        places[request["case"]] += request["calls"]
        answer(times)


def answer(value: object) -> None:
    """Print one line that `turns.py` takes for an answer, at once."""
    print(f"answer: {json.dumps(value)}", flush=True)


if __name__ == "__main__":
    main()
