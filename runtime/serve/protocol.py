"""HTTP connections with bounds: on headers, on their time, on clients that do not read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from textgate.serve.problems import PROBLEM_JSON, Problem, problem_body

if TYPE_CHECKING:
    from textgate.serve.application import Service

MAX_HEAD = 2**16  # bytes of a request's first line and headers
MAX_CONNECTIONS = 20_000


class _Reader(asyncio.Protocol):
    """Closes the connection of a client that does not read what it is sent."""

    transport: asyncio.Transport
    config: Any
    loop: asyncio.AbstractEventLoop
    _unread: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """Begin to wait for the client to read."""
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(self._seconds(), self.transport.abort)

    def resume_writing(self) -> None:
        """End the wait: the client has read."""
        super().resume_writing()
        self._end_wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._end_wait()
        super().connection_lost(exc)

    def _end_wait(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _seconds(self) -> float:
        service: Service = self.config.app
        return service.settings.timeout


class HttpProtocol(_Reader, HttpToolsProtocol):
    """uvicorn's HTTP/1.1, with the bounds that it leaves to a proxy in front.

    A request's headers have a size and a time; what follows a response that was given early is
    read and thrown away for a time; connections have a number.
    """

    _timer: asyncio.TimerHandle | None = None
    _in_head = True
    _head = 0  # bytes

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            self._refuse(
                Problem(503, "there are too many connections; try again", {b"retry-after": b"1"})
            )
        else:
            self._limit_time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._end_limit()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes of a request."""
        if self._in_head:
            self._head += len(data)
            if self._timer is None:
                self._limit_time()
        super().data_received(data)
        if self._in_head and self._head > MAX_HEAD:
            self._refuse_head()

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        self._in_head = False
        self._head = 0
        self._end_limit()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End a request; the next one may follow."""
        self._in_head = True
        self._end_limit()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """End a response; if the request is still arriving, throw the rest of it away."""
        super().on_response_complete()
        if not self._in_head and self._timer is None:
            self._limit_time()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection to the WebSocket protocol."""
        self._end_limit()
        super().handle_websocket_upgrade()
        # It refers to this object, and would keep it until the garbage collector finds both.
        self.parser = None  # type: ignore[assignment]

    def _limit_time(self) -> None:
        self._timer = self.loop.call_later(self._seconds(), self._time_is_over)

    def _end_limit(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_is_over(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        if self._in_head and self._head:
            self._refuse(Problem(408, f"the headers did not arrive within {self._seconds():g} s"))
        else:
            self.transport.close()

    def _refuse_head(self) -> None:
        if not self.transport.is_closing():
            self._refuse(Problem(431, f"the headers are longer than {MAX_HEAD} bytes"))

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        self._refuse(Problem(400, msg))

    def _refuse(self, problem: Problem) -> None:
        body = problem_body(problem)
        headers = {
            b"content-type": PROBLEM_JSON,
            b"content-length": str(len(body)).encode(),
            b"connection": b"close",
            **problem.headers,
        }
        lines = b"".join(b"%b: %b\r\n" % item for item in headers.items())
        self.transport.write(b"HTTP/1.1 %d \r\n%b\r\n%b" % (problem.status, lines, body))
        self.transport.close()


_WRITABLE = asyncio.Event()  # of all sockets whose clients read
_WRITABLE.set()


class WebSocketProtocol(_Reader, WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, for clients that read, in less memory."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.queue = _Messages()  # type: ignore[assignment]
        self.writable = _WRITABLE

    def pause_writing(self) -> None:
        """Begin to wait for the client to read."""
        self.writable = asyncio.Event()
        super().pause_writing()

    async def send(self, message: Any) -> None:
        """Send a message; the headers of the handshake are not kept behind it."""
        await super().send(message)
        if message["type"] == "websocket.accept":
            vars(self).pop("request", None)
            vars(self).pop("response", None)


class _Messages:
    """What has come over a socket, for one reader; `asyncio.Queue` takes 3 KB more."""

    __slots__ = ("_messages", "_waiter")

    def __init__(self) -> None:
        self._messages: list[Any] = []
        self._waiter: asyncio.Future[None] | None = None

    def empty(self) -> bool:
        return not self._messages

    def put_nowait(self, message: Any) -> None:
        self._messages.append(message)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def get(self) -> Any:
        while not self._messages:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
            self._waiter = None
        return self._messages.pop(0)
