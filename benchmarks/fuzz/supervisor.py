"""Runs workers over all cases of a kind, and goes on behind the cases that kill one."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

TIME_LIMIT = 10.0  # seconds a case
_START_LIMIT = 60.0  # seconds until a worker tries its first case
_WORKER = Path(__file__).with_name("worker.py")


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


def run(kind: str, *, cases: int, seed: int, workers: int = 2, first: int = 0) -> Outcomes:
    """Try the cases from `first` to `first + cases` and return what came of them."""
    outcomes, lock = Outcomes(), threading.Lock()

    def share(offset: int) -> None:
        number, stop = first + offset, first + cases
        while number < stop:
            number = _run_worker(kind, seed, number, stop, workers, outcomes, lock)

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
    number, limit, begun = first, _START_LIMIT, False
    try:
        while line := lines.get(timeout=limit):
            limit = TIME_LIMIT
            if line.startswith("["):
                found, told = json.loads(line)
                with lock:
                    outcomes.add(number, found, told)
                begun = False
            else:
                number, begun = int(line), True
    except queue.Empty:
        worker.kill()
        ended = f"BAD: no end within {TIME_LIMIT:g} s"
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
