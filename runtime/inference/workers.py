"""Forked worker processes for many texts, which share the memory of the loaded model.

A thread that classifies waits for Python's lock; a process has its own. Each process costs another
session of the model, and the transfer of texts and scores.
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
    """Return whether this process can be forked safely: on Linux, with no other thread.

    Libraries of macOS fail in a forked child, and a lock that another thread holds is never
    released there.
    """
    return sys.platform == "linux" and threading.active_count() == 1


class ForkedWorkers:
    """Worker processes that return the scores of texts.

    They end when they are closed, and when this process ends for any reason.

    Args:
        classifier: the classifier; if it has been used, its session is created twice.
        count: the number of processes.
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
            # A worker sees the end of this process only if it closes the pipes that it inherits.
            inherited = [*self._ours]
            process = context.Process(
                target=_work, args=(classifier, theirs, inherited), daemon=True
            )
            with warnings.catch_warnings():
                # Some releases warn about the threads of numpy's libraries, which handle forks.
                warnings.simplefilter("ignore", DeprecationWarning)
                process.start()
            theirs.close()
            self._processes.append(process)
            self._idle.put(ours)

    def scores(self, texts: Sequence[str]) -> Scores:
        """Return the scores of texts; call it from as many threads as there are workers.

        Raises:
            TextgateError: the classifier raised it, or the worker has ended.
        """
        worker = self._idle.get()
        try:
            worker.send(texts)
            answer: Scores | Exception = worker.recv()
        except (EOFError, OSError):
            raise TextgateError(
                "a worker process ended before it answered, perhaps because memory ran out; take "
                "fewer --jobs"
            ) from None
        finally:
            self._idle.put(worker)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """End the workers, which must be idle."""
        for worker in self._ours:
            worker.close()
        for process in self._processes:
            process.join()


def _work(classifier: Classifier, caller: Connection, inherited: Sequence[Connection]) -> None:
    """Answer requests until the caller closes its end of the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller gets it too, and closes the pipe
    for connection in inherited:
        connection.close()
    with suppress(EOFError, OSError):
        while True:
            caller.send(_answer(classifier, caller.recv()))
    # Not sys.exit: in a forked process ONNX Runtime would wait for threads that do not exist.
    os._exit(0)


def _answer(classifier: Classifier, texts: Sequence[str]) -> Scores | Exception:
    try:
        return classifier.scores(texts)
    except Exception as problem:  # any error is raised in the caller
        return problem
