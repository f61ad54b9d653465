"""Processes that help to classify many texts: forked from this one, they share its memory.

A thread that classifies waits for Python's lock between the calls that let go of it; a process has
a lock of its own. It costs the model's session once more, and what is sent: texts one way, numbers
the other.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING

from textgate.errors import TextgateError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection

    from textgate.inference.classifier import Classifier
    from textgate.inference.prediction import Scores


def can_fork() -> bool:
    """Return whether this process can be forked in safety: on Linux, with no thread but this one.

    Libraries of macOS break in a forked child, and a lock that another thread holds is never let
    go of there.
    """
    return sys.platform == "linux" and threading.active_count() == 1


class ForkedWorkers:
    """Processes that each read texts, run the network, and send back what it says.

    They end when they are closed, and when this process ends, however it does.

    Args:
        classifier: what classifies; it should not have been used, or its session is made twice.
        count: how many processes.
    """

    def __init__(self, classifier: Classifier, count: int) -> None:
        from multiprocessing import get_context

        context = get_context("fork")
        self._idle: SimpleQueue[Connection] = SimpleQueue()
        self._ours: list[Connection] = []
        self._processes = []
        for _ in range(count):
            ours, theirs = context.Pipe()
            self._ours.append(ours)
            # What is inherited holds the pipes open that tell a worker that this process has ended.
            inherited = [*self._ours]
            process = context.Process(
                target=_work, args=(classifier, theirs, inherited), daemon=True
            )
            with warnings.catch_warnings():
                # Some releases warn of the threads of numpy's libraries, which look after them.
                warnings.simplefilter("ignore", DeprecationWarning)
                process.start()
            theirs.close()
            self._processes.append(process)
            self._idle.put(ours)

    def scores(self, texts: Sequence[str]) -> Scores:
        """Return what the network says of texts; call it from as many threads as there are workers.

        Raises:
            TextgateError: as the classifier does, or the worker has ended.
        """
        worker = self._idle.get()
        try:
            worker.send(texts)
            answer: Scores | Exception = worker.recv()
        except (EOFError, OSError):
            raise TextgateError(
                "a worker process ended before it answered, as one does that the system kills for "
                "its memory; take fewer --jobs"
            ) from None
        finally:
            self._idle.put(worker)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """End the workers; nothing may be under way."""
        for worker in self._ours:
            worker.close()
        for process in self._processes:
            process.join()


def _work(classifier: Classifier, caller: Connection, inherited: Sequence[Connection]) -> None:
    """Answer until the caller closes its end of the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller is told too, and closes the pipe
    for connection in inherited:
        connection.close()
    with suppress(EOFError, OSError):
        while True:
            caller.send(_answer(classifier, caller.recv()))
    # Not by sys.exit: at the end of a forked process ONNX Runtime waits for threads it lacks.
    os._exit(0)


def _answer(classifier: Classifier, texts: Sequence[str]) -> Scores | Exception:
    try:
        return classifier.scores(texts)
    except Exception as problem:  # of any kind: it is raised where the answer is waited for
        return problem
