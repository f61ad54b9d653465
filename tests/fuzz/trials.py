"""Try thousands of wrong bundles in processes of their own and write down what came of them.

    python tests/fuzz/trials.py --cases 20000

A case that ends a process, takes more than ten seconds or a gibibyte, raises anything but a
`TextgateError`, or returns values that are not probabilities is printed with its number, and makes
the exit status 1. ``--kind KIND --first NUMBER --cases 1`` tries one again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import cases

from textgate.bench.machine import this_machine

RESULT = Path(__file__).parents[2] / "benchmarks" / "results" / "fuzz.json"
MAX_SECONDS = 10.0  # seconds a case
_MAX_START_SECONDS = 60.0  # seconds until a worker tries its first case
_WORKER = Path(__file__).with_name("worker.py")


def main() -> int:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=20_000, help="how many random ones of a kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    parser.add_argument("--every", type=int, default=1, help="try one case of so many")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kind", choices=cases.KINDS, action="append", help="all, if not given")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    kinds, bad = {}, 0
    for kind in options.kind or cases.KINDS:
        known = cases.count(kind)
        cases_left = options.cases if known is None else min(options.cases, known - options.first)
        started = time.monotonic()
        found = run(
            kind,
            cases_left,
            seed=options.seed,
            workers=options.workers,
            first=options.first,
            every=options.every,
        )
        bad += len(found.bad)
        for number, what, told in found.bad:
            print(f"{kind} {number}: {what}: {told}")
        kinds[kind] = {
            "cases": sum(found.counts.values()),
            "outcomes": dict(sorted(found.counts.items())),
            "seconds": round(time.monotonic() - started, 1),
        }
        print(f"{kind}: {json.dumps(kinds[kind])}", flush=True)
    result = {
        "command": f"python tests/fuzz/trials.py --cases {options.cases}",
        "seed": options.seed,
        "kinds": kinds,
        "machine": dataclasses.asdict(this_machine()),
    }
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 1 if bad else 0


@dataclass
class Outcomes:
    """What came of the cases.

    Attributes:
        counts: cases by class; the classes that must not occur begin with ``BAD``.
        bad: number, class and details of every case that must not occur.
    """

    counts: Counter[str] = field(default_factory=Counter)
    bad: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, number: int, found: str, told: str) -> None:
        """Count one case."""
        self.counts[found] += 1
        if found.startswith("BAD"):
            self.bad.append((number, found, told))


def run(kind: str, count: int, *, seed: int, workers: int, first: int, every: int = 1) -> Outcomes:
    """Try the cases of `count` numbers from `first` on and return what came of them.

    With `every` above 1, only one number of so many is tried. The workers share them; where a case
    ends a worker, another one goes on behind it.
    """
    outcomes, lock = Outcomes(), threading.Lock()

    def share(offset: int) -> None:
        number, stop = first + offset * every, first + count
        while number < stop:
            number = _run_worker(kind, seed, number, stop, workers * every, outcomes, lock)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(share, range(workers)))
    outcomes.bad.sort()
    return outcomes


def _run_worker(
    kind: str, seed: int, first: int, stop: int, step: int, outcomes: Outcomes, lock: threading.Lock
) -> int:
    """Run a worker until it is done or dead; return the first case that is still to be tried."""
    command = [sys.executable, _WORKER, kind, *map(str, (seed, first, stop, step))]
    worker = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, encoding="utf-8"
    )
    lines: queue.Queue[str] = queue.Queue()
    reader = threading.Thread(target=_pump, args=(worker, lines), daemon=True)
    reader.start()
    number, limit, begun = first, _MAX_START_SECONDS, False
    try:
        while line := lines.get(timeout=limit):
            limit = MAX_SECONDS
            if line.startswith("["):
                found, told = json.loads(line)
                with lock:
                    outcomes.add(number, found, told)
                begun = False
            else:
                number, begun = int(line), True
    except queue.Empty:
        worker.kill()
        ended = f"BAD: no end within {MAX_SECONDS:g} s"
    else:
        status = worker.wait()
        if status == 0:
            return stop
        ended = f"BAD: {signal.Signals(-status).name if status < 0 else f'exit {status}'}"
    finally:
        worker.wait()
        reader.join()
    if not begun:
        raise RuntimeError(f"the worker for {kind} died outside a case, near {number}: {ended}")
    with lock:
        outcomes.add(number, ended, "")
    return number + step


def _pump(worker: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
    for line in worker.stdout or ():
        lines.put(line.strip())
    lines.put("")


if __name__ == "__main__":
    sys.exit(main())
