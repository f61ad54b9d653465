"""Program that times the stages up to its first prediction; `textgate.bench.coldstart` runs it.

    python -P first_prediction.py BUNDLE THREADS ENGINE BEGUN < TEXT

BEGUN is the parent's `time.monotonic_ns()` when it started this process; all processes share the
clock. Prints one JSON object: nanoseconds of the stages, and resident bytes after each.
"""

from __future__ import annotations

import time  # first: the time before it is the interpreter's own start

_ENTERED = time.monotonic_ns()

import sys  # noqa: E402

TYPE_CHECKING = False  # typing is heavy
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal, TypeVar

    from textgate import Classifier

    _T = TypeVar("_T")


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
    nanoseconds, resident = [_ENTERED - begun], [_resident()]

    def timed(stage: Callable[[], _T]) -> _T:
        start = time.monotonic_ns()
        result = stage()
        nanoseconds.append(time.monotonic_ns() - start)
        resident.append(_resident())
        return result

    def imported() -> type[Classifier]:
        from textgate import Classifier

        return Classifier

    load = timed(imported).load
    count: int | Literal["auto"] = "auto" if threads == "auto" else int(threads)
    classifier = timed(lambda: load(path, threads=count, engine=engine))
    timed(lambda: classifier.predict(text))
    timed(lambda: classifier.predict(text))

    import json

    print(json.dumps({"nanoseconds": nanoseconds, "resident": resident[:-1]}))  # noqa: T201


if __name__ == "__main__":
    _main()
