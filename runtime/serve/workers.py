"""Several processes that serve at one socket, and their parent, which replaces those that die."""

from __future__ import annotations

import gc
import os
import signal
import socket
import time
from collections.abc import Callable

from prometheus_client import multiprocess

from textgate.logs import logger
from textgate.serve.sockets import refuse_connections

SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
_MAX_QUICK_DEATHS = 5  # one after the other
_QUICK = 2.0  # seconds; a worker that ends sooner could not start


class Workers:
    """Processes forked from this one. They share the memory of what it has loaded."""

    def __init__(
        self, count: int, listening: socket.socket, serve: Callable[[], None], *, grace: float
    ) -> None:
        """Prepare workers.

        Args:
            count: number of workers.
            listening: the socket they serve at.
            serve: runs in each worker.
            grace: seconds that workers have to end.
        """
        self._count = count
        self._listening = listening
        self._serve = serve
        self._grace = grace
        self._born: dict[int, float] = {}
        self._quick_deaths = 0

    def run(self) -> int:
        """Start the workers, replace those that die, and return the exit status after a signal.

        SIGTERM and SIGINT end them, SIGHUP makes them reload the bundles.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        gc.collect()
        gc.freeze()  # collections of the workers do not write to the memory they share
        for _ in range(self._count):
            self._start()
        while True:
            number = signal.sigwaitinfo(SIGNALS).si_signo
            if number == signal.SIGHUP:
                self._send(signal.SIGHUP)
            elif number == signal.SIGCHLD:
                self._replace()
                if self._quick_deaths >= _MAX_QUICK_DEATHS:
                    logger.error("workers end as soon as they start; see the log above")
                    self._end()
                    return 1
            else:
                self._end()
                return 0

    def _start(self) -> None:
        child = os.fork()
        if child:
            self._born[child] = time.monotonic()
            return
        status = 1
        try:
            self._serve()
            status = 0
        except BaseException:
            logger.exception("a worker failed")
        finally:
            os._exit(status)  # without the exit handlers of the parent

    def _replace(self) -> None:
        for process in self._ended():
            lived = time.monotonic() - self._born.pop(process)
            self._quick_deaths = self._quick_deaths + 1 if lived < _QUICK else 0
            logger.error("worker %d ended; another takes its place", process)
            multiprocess.mark_process_dead(process)  # type: ignore[no-untyped-call]
            if self._quick_deaths < _MAX_QUICK_DEATHS:
                self._start()

    def _ended(self) -> list[int]:
        """Return the workers that have ended since the last call."""
        ended = []
        for process in list(self._born):
            found, _ = os.waitpid(process, os.WNOHANG)
            if found:
                ended.append(found)
        return ended

    def _send(self, number: signal.Signals) -> None:
        for process in self._born:
            os.kill(process, number)

    def _end(self) -> None:
        refuse_connections(self._listening)
        self._send(signal.SIGTERM)
        end = time.monotonic() + self._grace + 5
        while self._born and time.monotonic() < end:
            signal.sigtimedwait({signal.SIGCHLD}, 0.1)
            for process in self._ended():
                del self._born[process]
        self._send(signal.SIGKILL)
