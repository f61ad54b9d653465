"""The server: a socket, uvicorn on it, and a shutdown that loses no request."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from textgate.serve.protocol import HttpProtocol, WebSocketProtocol
from textgate.serve.settings import ServiceError
from textgate.serve.sockets import BACKLOG, refuse_connections

if TYPE_CHECKING:
    import socket

    from textgate.serve.application import Service

_MAX_MESSAGE = 2**20  # bytes of a piece that comes over a WebSocket
_KEEP_ALIVE = 75  # seconds; longer than the minute that most proxies keep a connection
_LINGER = 1.0  # seconds that a silent connection is kept when the server ends
# By default a thread that computes in Python keeps the event loop waiting for 5 ms.
_TURN = 5e-4  # seconds


class Server(uvicorn.Server):
    """uvicorn's server, with an end that loses no request.

    On SIGTERM it is no longer ready, takes the connections that were made, answers what they send
    and closes each with its answer. Open streams have until the end of the grace period.
    """

    def __init__(
        self,
        service: Service,
        *,
        grace: float,
        certificate: Path | None = None,
        key: Path | None = None,
        parent: int | None = None,
        started: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare a server.

        Args:
            service: the application.
            grace: seconds that requests and streams have to end.
            certificate: PEM file, for TLS.
            key: PEM file of the certificate's key; None if it is in the same file.
            parent: process that shares the listening socket, and without which the server ends.
            started: called when requests are answered.

        Raises:
            ServiceError: the certificate or its key cannot be read.
        """
        self._service = service
        self._grace = grace
        self._parent = parent
        self._when_started = started
        config = uvicorn.Config(
            service,
            http=HttpProtocol,
            ws=WebSocketProtocol,
            ws_max_size=_MAX_MESSAGE,
            ws_per_message_deflate=False,  # pieces are short, and its memory is not
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE,
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
        try:
            config.load()
        except OSError as problem:
            raise ServiceError(f"{certificate}: TLS cannot be set up: {problem}") from None
        super().__init__(config)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()  # a collection of what was loaded would stop the event loop for 20 ms
        self._when_started()

    async def on_tick(self, counter: int) -> bool:
        """Return whether to end: after a signal, or without the parent."""
        orphaned = self._parent is not None and os.getppid() != self._parent
        return await super().on_tick(counter) or orphaned

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End: answer what was sent, and close."""
        self._service.draining = True
        if self._parent is None:
            for one in sockets or ():
                refuse_connections(one)
        await asyncio.sleep(0.05)  # connections that were made are accepted meanwhile
        for server in self.servers:
            server.close()
        for one in sockets or ():
            one.close()
        await self._answer_the_rest()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await asyncio.sleep(0.05 if self.server_state.connections else 0)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for task in list(self.server_state.tasks):
            task.cancel()
        await self.lifespan.shutdown()

    async def _answer_the_rest(self) -> None:
        """Wait for connections to close, and close those that stay silent."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._grace
        silent_until = min(end, loop.time() + _LINGER)
        state = self.server_state
        while (state.connections or state.tasks) and loop.time() < end and not self.force_exit:
            if loop.time() > silent_until:
                for connection in list(state.connections):
                    if isinstance(connection, HttpProtocol):
                        connection.shutdown()
            await asyncio.sleep(0.02)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End on SIGTERM and SIGINT, reload bundles on SIGHUP."""
        loop = asyncio.get_running_loop()
        reloads: set[asyncio.Task[None]] = set()

        def reload() -> None:
            task = loop.create_task(self._service.reload(forced=True))
            reloads.add(task)
            task.add_done_callback(reloads.discard)

        if sys.platform == "win32":
            with super().capture_signals():
                yield
            return
        from textgate.serve.workers import SIGNALS

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        loop.add_signal_handler(signal.SIGHUP, reload)
        # A worker starts with these signals blocked, so that none ends it before it can handle it.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        yield


def run_server(
    service: Service,
    listening: socket.socket,
    *,
    workers: int,
    grace: float,
    certificate: Path | None = None,
    key: Path | None = None,
    started: Callable[[], None] = lambda: None,
) -> int:
    """Serve until a signal ends it, and return the exit status.

    Args:
        service: the application.
        listening: the socket.
        workers: processes that serve; more than one need a system that can fork.
        grace: seconds that requests and streams have to end.
        certificate: PEM file, for TLS.
        key: PEM file of the certificate's key; None if it is in the same file.
        started: called when requests are answered, by each process.

    Raises:
        ServiceError: the certificate or its key cannot be read.
    """
    sys.setswitchinterval(_TURN)

    server = Server(
        service,
        grace=grace,
        certificate=certificate,
        key=key,
        parent=os.getpid() if workers > 1 else None,
        started=started,
    )
    if workers == 1:
        server.run([listening])
        return 0
    from textgate.serve.workers import Workers

    return Workers(workers, listening, lambda: server.run([listening]), grace=grace).run()
