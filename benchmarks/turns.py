"""Processes that take turns: each is asked by a line of JSON and answers with one."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

Ask = Callable[[object], Any]
ANSWER = "answer: "  # what the line of an answer begins with


class EndedError(Exception):
    """A process that ended instead of answering; the message is its last complaint."""


@contextmanager
def process(
    command: Sequence[str], *, environment: Mapping[str, str], folder: Path
) -> Iterator[Ask]:
    """Start a process; yield what asks it. It ends when the body does.

    Args:
        command: what to start.
        environment: its environment variables.
        folder: its working folder.

    Raises:
        EndedError: when asking, if the process has ended.
    """
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            env=environment,
            cwd=folder,
        ) as child,
    ):

        def ask(request: object) -> Any:
            if child.stdin is None or child.stdout is None:
                raise EndedError("started without pipes")
            with suppress(BrokenPipeError):  # what it complained about is told below
                child.stdin.write(json.dumps(request) + "\n")
                child.stdin.flush()
            # Libraries print what they like; an answer is marked.
            while line := child.stdout.readline():
                if line.startswith(ANSWER):
                    return json.loads(line.removeprefix(ANSWER))
            child.wait()
            complaints.seek(0)
            last = complaints.read().strip().splitlines() or ["no word"]
            raise EndedError(last[-1])

        yield ask
