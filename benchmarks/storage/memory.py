"""What a graph needs in memory, seen from outside: a fresh process loads it several times.

    python benchmarks/storage/memory.py MODEL.onnx

prints the resident bytes that one more session takes, after loading it and after its first call.
The first session of a process is not counted: it brings in code and tables of the library.
"""

from __future__ import annotations

import gc
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from textgate.session import make_session

_STATUS = Path("/proc/self/statm")
_SESSIONS = 10  # what one session takes drowns in what the process happened to have free
_TOKENS = 100


def resident_bytes(graph: bytes, *, processes: int) -> tuple[int, int] | tuple[None, None]:
    """Return what one session takes, loaded and after a call: medians over fresh processes.

    None where the system does not tell.
    """
    if not _STATUS.is_file():
        return None, None
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.onnx"
        path.write_bytes(graph)
        command = [sys.executable, __file__, str(path)]
        printed = [
            subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
            for _ in range(processes)
        ]
    loaded, used = (
        int(statistics.median(map(int, column))) for column in zip(*printed, strict=True)
    )
    return loaded, used


def _main(path: Path) -> None:
    graph = path.read_bytes()
    feed = {
        "input_ids": np.ones((1, _TOKENS), dtype=np.int64),
        "lengths": np.array([_TOKENS], dtype=np.int64),
    }
    sessions = [make_session(graph)]
    sessions[0].run(["probabilities"], feed)
    before = _resident()
    sessions += [make_session(graph) for _ in range(_SESSIONS)]
    loaded = _resident()
    for session in sessions[1:]:
        session.run(["probabilities"], feed)
    used = _resident()
    print((loaded - before) // _SESSIONS, (used - before) // _SESSIONS)


def _resident() -> int:
    gc.collect()
    pages = int(_STATUS.read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
