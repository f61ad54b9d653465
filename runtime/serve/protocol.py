"""Connections with limits: on headers, on times, on work per turn, on answers that wait."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from textgate.serve.problems import PROBLEM_JSON, Problem, problem_body

if TYPE_CHECKING:
    from textgate.serve.application import Service

MAX_HEAD = 2**16  # bytes of a request's first line and headers
MAX_CONNECTIONS = 20_000


class _Limited(asyncio.Protocol):
    """Parses a limited part of what was received in each turn of the event loop.

    One read can bring 40,000 messages of a WebSocket, or 12,000 requests. The rest waits, and the
    client with it, until the part is dealt with. A client that does not read is cut off.
    """

    max_part: int  # bytes
    transport: asyncio.Transport
    config: Any
    loop: asyncio.AbstractEventLoop
    _unread: asyncio.TimerHandle | None = None
    _rest = b""  # received, and not parsed
    _is_planned = False  # the next part

    def data_received(self, data: bytes) -> None:
        """Parse what was received, or the first part of it."""
        if self._rest or len(data) > self.max_part:
            self._rest += data
            self._pause()
        else:
            self._parse(data)

    def _parse(self, data: bytes) -> None:
        super().data_received(data)

    def _must_wait(self) -> bool:
        """Return whether the part before has to be dealt with first."""
        raise NotImplementedError

    def _is_reading(self) -> bool:
        """Return whether uvicorn has not paused the connection itself."""
        raise NotImplementedError

    def _pause(self) -> None:
        """Stop reading, and plan to parse the next part."""
        if self.transport.is_closing():
            self._rest = b""
            return
        self.transport.pause_reading()
        if not self._is_planned:
            self._is_planned = True
            self.loop.call_soon(self._parse_part)

    def _parse_part(self) -> None:
        self._is_planned = False
        if self._must_wait():  # `_pause` is called again
            return
        part, self._rest = self._rest[: self.max_part], self._rest[self.max_part :]
        if part and not self.transport.is_closing():
            self._parse(part)
        if self._rest:
            self._pause()
        elif self._is_reading() and not self.transport.is_closing():
            self.transport.resume_reading()

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


class HttpProtocol(_Limited, HttpToolsProtocol):
    """uvicorn's HTTP/1.1, with the limits that it leaves to a proxy in front.

    The size and the time of headers are limited, and the number of connections. After an early
    response, the rest of the request is read and dropped for a limited time.
    """

    max_part = 2**14
    _answering: Any = None  # uvicorn's cycle of a request, which need not be the last one
    _timer: asyncio.TimerHandle | None = None
    _in_head = True
    _head = 0  # bytes of headers, of trailers, or around chunks, since the last byte of a body

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
        self._end_answer()
        super().connection_lost(exc)

    def _parse(self, data: bytes) -> None:
        self._head += len(data)
        if self._in_head and self._timer is None:
            self._limit_time()
        super()._parse(data)
        if self._head > MAX_HEAD and not self.transport.is_closing():
            self._refuse(Problem(431, f"the headers are longer than {MAX_HEAD} bytes"))

    def _must_wait(self) -> bool:
        return bool(self.pipeline)

    def _is_reading(self) -> bool:
        return not self.flow.read_paused

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        self._in_head = False
        self._head = 0
        self._end_limit()
        super().on_headers_complete()
        self.headers = self.headers.copy()  # to which trailers are added

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._head = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request; the next one may follow."""
        self._in_head = True
        self._end_limit()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """End a response; if the request is still arriving, drop the rest of it."""
        super().on_response_complete()
        if self._rest:
            self._pause()
        if not self._in_head and self._timer is None:
            self._limit_time()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def _end_answer(self) -> None:
        """Let what is still sent of an answer go nowhere: the connection is closed."""
        if self._answering is not None:
            self._answering.disconnected = True
            self._answering.message_event.set()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection to the WebSocket protocol."""
        self._end_limit()
        self._rest = b""  # a client waits for the answer to its handshake
        super().handle_websocket_upgrade()
        # It refers to this object, and would keep it until the garbage collector finds both.
        self.parser = None  # type: ignore[assignment]
        if not self.transport.get_protocol().handshake_initiated:  # type: ignore[attr-defined]
            self._refuse(Problem(400, "this is not the handshake of a WebSocket"))

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

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        self._refuse(Problem(400, msg))

    def _refuse(self, problem: Problem) -> None:
        cycle = self._answering
        if cycle is not None and cycle.response_started and not cycle.response_complete:
            self.transport.close()  # an error cannot be told inside a response
            return
        body = problem_body(problem)
        headers = {
            b"content-type": PROBLEM_JSON,
            b"content-length": str(len(body)).encode(),
            b"connection": b"close",
            **problem.headers,
        }
        lines = b"".join(b"%b: %b\r\n" % item for item in headers.items())
        self._end_answer()
        self.transport.write(b"HTTP/1.1 %d \r\n%b\r\n%b" % (problem.status, lines, body))
        self.transport.close()


_WRITABLE = asyncio.Event()  # of all sockets whose clients read
_WRITABLE.set()


class WebSocketProtocol(_Limited, WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, with limits and in less memory."""

    max_part = 2**12

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.queue = _Messages()  # type: ignore[assignment]
        self.writable = _WRITABLE

    def data_received(self, data: bytes) -> None:
        """Parse what was received, or the first part of it; of a handshake, all."""
        if self.handshake_initiated:
            super().data_received(data)
        else:
            self._parse(data)

    def _must_wait(self) -> bool:
        return not (self.writable.is_set() and (self.queue.empty() or self.close_sent))

    def _is_reading(self) -> bool:
        return not self.read_paused

    def pause_writing(self) -> None:
        """Begin to wait for the client to read: even its pings are answered."""
        self.writable = asyncio.Event()
        super().pause_writing()
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        """End the wait: the client has read."""
        super().resume_writing()
        self._pause()

    async def receive(self) -> Any:
        """Return the next message."""
        message = await super().receive()
        if self._rest:
            self._pause()
        return message

    async def send(self, message: Any) -> None:
        """Send a message; the headers of the handshake are not kept behind it.

        Raises:
            ClientDisconnected: the connection was closed, for a frame that is wrong, for example.
        """
        await self.writable.wait()
        if self.close_sent:
            raise ClientDisconnected
        await super().send(message)
        if message["type"] == "websocket.accept":
            vars(self).pop("request", None)
            vars(self).pop("response", None)
        elif message["type"] == "websocket.http.response.body":
            self.handshake_complete = True  # uvicorn reports an error otherwise


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
        if self._messages:
            await asyncio.sleep(0)  # a turn for the others
        while not self._messages:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
            self._waiter = None
        return self._messages.pop(0)
