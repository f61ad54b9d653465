"""Program that times the stages up to its first prediction; `textgate.bench.coldstart` runs it.

    python -P first_prediction.py BUNDLE THREADS ENGINE BEGUN < TEXT

BEGUN is the parent's `time.monotonic_ns()` when it started this process; all processes share the
clock. Prints one JSON object: nanoseconds of the stages, and resident bytes after each.
"""

import time  # first: the time before it is the interpreter's own start

_ENTERED = time.monotonic_ns()

import sys  # noqa: E402


def _resident() -> int | None:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - pathlib is heavy
            pages = int(file.read().split()[1])
    except OSError:
        return None
    import os

    return pages * os.sysconf("SC_PAGE_SIZE")


def _main() -> None:
    path, threads, engine, begun = *sys.argv[1:4], int(sys.argv[4])
    text = sys.stdin.buffer.read().decode("utf-8")
    resident = [_resident()]
    clock = [time.monotonic_ns()]

    from textgate import Classifier

    clock.append(time.monotonic_ns())
    resident.append(_resident())
    resumed = [time.monotonic_ns()]

    classifier = Classifier.load(
        path, threads="auto" if threads == "auto" else int(threads), engine=engine
    )
    clock.append(time.monotonic_ns())
    resident.append(_resident())
    resumed.append(time.monotonic_ns())

    classifier.predict(text)
    clock.append(time.monotonic_ns())
    resident.append(_resident())
    resumed.append(time.monotonic_ns())

    classifier.predict(text)
    clock.append(time.monotonic_ns())

    import json

    starts = [clock[0], *resumed]
    stages = [end - start for start, end in zip(starts, clock[1:], strict=True)]
    print(  # noqa: T201
        json.dumps({"nanoseconds": [_ENTERED - begun, *stages], "resident": resident})
    )


if __name__ == "__main__":
    _main()
