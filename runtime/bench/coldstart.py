"""Cold start of bundles: stages and memory of fresh processes up to their first prediction."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from textgate.errors import TextgateError

_PROGRAM = Path(__file__).with_name("first_prediction.py")
_TIMEOUT = 120  # seconds for one process


@dataclass(frozen=True)
class ColdStart:
    """Medians over fresh processes; the files were in the system's cache.

    Attributes:
        processes: how many processes there were.
        interpreter_ms: from the request for a process to Python's first line.
        import_ms: importing the package and its dependencies.
        load_ms: reading and checking the bundle.
        first_ms: the first prediction, which creates the session.
        total_ms: all of these together.
        next_ms: the second prediction of the same text.
        resident_before: bytes in memory before the package is imported; None, like the next three,
            if the system does not report it.
        resident_imported: bytes after importing it.
        resident_loaded: bytes after loading the bundle.
        resident_after: bytes after the first prediction.
    """

    processes: int
    interpreter_ms: float
    import_ms: float
    load_ms: float
    first_ms: float
    total_ms: float
    next_ms: float
    resident_before: int | None
    resident_imported: int | None
    resident_loaded: int | None
    resident_after: int | None


def cold_starts(
    bundles: Mapping[str, tuple[Path, str]],
    text: str,
    *,
    processes: int,
    threads: int | Literal["auto"] = 1,
) -> dict[str, ColdStart]:
    """Return the cold start of each bundle, measured in fresh processes in turn.

    Args:
        bundles: the bundles' folders and the engines that compute them, by name.
        text: the text that they predict first.
        processes: how many processes each bundle gets, at least 1.
        threads: threads inside one call.

    Raises:
        TextgateError: a process fails.
    """
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in bundles}
    for _ in range(processes):
        for name, (path, engine) in bundles.items():
            answers[name].append(_first_prediction(path, text, threads, engine))
    return {name: _medians(found) for name, found in answers.items()}


def _first_prediction(
    path: Path, text: str, threads: int | Literal["auto"], engine: str
) -> dict[str, Any]:
    # -P: without it, modules beside the program would hide installed packages.
    command = [sys.executable, "-P", str(_PROGRAM), str(path), str(threads), engine]
    begun = time.monotonic_ns()
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter and a file of this package
            [*command, str(begun)],
            input=text.encode("utf-8", errors="replace"),
            capture_output=True,
            timeout=_TIMEOUT,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise TextgateError(
            f"{path}: a fresh process took more than {_TIMEOUT} s to its first prediction"
        ) from None
    except subprocess.CalledProcessError as problem:
        lines = problem.stderr.decode("utf-8", errors="replace").strip().splitlines() or [
            f"exit status {problem.returncode}"
        ]
        raise TextgateError(f"{path}: a fresh process failed: {lines[-1][:400]}") from None
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _medians(answers: list[dict[str, Any]]) -> ColdStart:
    times = [[value / 1e6 for value in answer["nanoseconds"]] for answer in answers]
    interpreter, imported, loaded, first, following = map(
        statistics.median, zip(*times, strict=True)
    )
    resident = [
        None if None in column else int(statistics.median(column))
        for column in zip(*(answer["resident"] for answer in answers), strict=True)
    ]
    return ColdStart(
        len(answers),
        interpreter,
        imported,
        loaded,
        first,
        statistics.median(sum(row[:-1]) for row in times),
        following,
        *resident,
    )
