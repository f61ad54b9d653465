"""Limits of a connection on work per turn of the event loop, with a transport in memory."""

from __future__ import annotations

import asyncio

import pytest

from textgate.serve import app
from textgate.serve.protocol import HttpProtocol, WebSocketProtocol
from textgate.serve.server import Server

SHAKE = (
    b"GET /v1/stream HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
GET = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self):
        super().__init__()
        self.written = []
        self.reading, self.closed = True, False
        self.protocol = None

    def get_extra_info(self, name, default=None):
        return {"peername": ("127.0.0.1", 5000), "sockname": ("127.0.0.1", 80)}.get(name, default)

    def get_protocol(self):
        return self.protocol

    def set_protocol(self, protocol):
        self.protocol = protocol

    def write(self, data):
        self.written.append(bytes(data))

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True

    abort = close

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True

    @property
    def sent(self):
        return b"".join(self.written)


@pytest.fixture(scope="module")
def server(bundles):
    service = app({"movies": bundles["lstm-int8"]})
    service.models.warm_up()
    return Server(service, grace=1)


def connected(server):
    """Return the transport of a new connection, in a running loop."""
    transport = Transport()
    transport.protocol = HttpProtocol(server.config, server.server_state, {})
    transport.protocol.connection_made(transport)
    return transport


def run(server, steps):
    """Run steps on a new connection, as a client takes them."""

    async def go():
        transport = connected(server)
        await steps(transport)
        if not transport.closed:
            transport.close()
        transport.protocol.connection_lost(None)
        return transport

    return asyncio.run(go())


async def shake(transport):
    transport.protocol.data_received(SHAKE)
    while b" 101 " not in transport.sent:
        await asyncio.sleep(0)
    assert isinstance(transport.protocol, WebSocketProtocol)


async def turns(transport, until):
    """Wait until something holds, and return the most that was written in one turn."""
    most = 0
    while not until():
        before = len(transport.written)
        await asyncio.sleep(0)
        most = max(most, len(transport.written) - before)
    return most


def frame(opcode, data):
    return bytes((0x80 | opcode, 0x80 | len(data), 0, 0, 0, 0)) + data


@pytest.mark.parametrize(
    ("data", "most"),
    [(frame(9, b""), 2**12 // 6 + 1), (frame(1, b"a"), 1)],
    ids=["pings", "messages"],
)
def test_a_flood_over_a_socket_is_answered_a_part_in_each_turn(server, data, most):
    count = 1500

    async def steps(transport):
        await shake(transport)
        transport.written.clear()
        transport.protocol.data_received(data * count)
        assert not transport.reading
        assert await turns(transport, lambda: len(transport.written) == count) <= most
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert transport.reading

    run(server, steps)


def test_a_socket_whose_client_does_not_read_is_not_read_from(server):
    async def steps(transport):
        await shake(transport)
        transport.protocol.pause_writing()
        transport.written.clear()
        transport.protocol.data_received(frame(9, b"") * 1000)
        for _ in range(5):
            await asyncio.sleep(0)
        assert (transport.reading, transport.written) == (False, [])
        transport.protocol.resume_writing()
        await turns(transport, lambda: len(transport.written) == 1000)

    run(server, steps)


def test_requests_that_are_sent_ahead_wait_for_the_answers_before_them(server):
    count = 1000

    async def steps(transport):
        protocol = transport.protocol
        protocol.data_received(GET * count)
        longest = 0
        while transport.sent.count(b"200 OK") < count:
            longest = max(longest, len(protocol.pipeline))
            await asyncio.sleep(0)
        assert longest <= protocol.max_part // len(GET) + 1
        await turns(transport, lambda: transport.reading)

    run(server, steps)


CHUNKED = (
    b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


@pytest.mark.parametrize(
    "sent",
    [
        CHUNKED + b"1\r\n{\r\n0\r\n" + b"X: y\r\n" * 20_000,
        CHUNKED + b"1\r\n{\r\n0\r\nX: " + b"y" * 100_000,
        CHUNKED + b"1;" + b"y" * 100_000,
    ],
    ids=["trailers", "a long trailer", "a long chunk extension"],
)
def test_what_is_sent_around_chunks_is_limited(server, sent):
    async def steps(transport):
        transport.protocol.data_received(sent)
        await turns(transport, lambda: transport.closed)
        assert transport.sent.startswith(b"HTTP/1.1 431")

    run(server, steps)


def test_a_trailer_is_not_a_header(server):
    body = b'f\r\n{"text":"good"}\r\n0\r\nContent-Type: application/json\r\n\r\n'

    async def steps(transport):
        without = CHUNKED.replace(b"Content-Type: application/json\r\n", b"")
        transport.protocol.data_received(without + body)
        await turns(transport, lambda: transport.written)
        assert transport.sent.startswith(b"HTTP/1.1 415")

    run(server, steps)


@pytest.mark.parametrize(
    "sent",
    [
        SHAKE.replace(b"GET", b"POST"),
        SHAKE.replace(b"GET", b"POST").replace(b"Host", b"Content-Length: 9\r\nHost"),
        SHAKE.replace(b"\r\n\r\n", b"\r\nX: " + b"y" * 10_000 + b"\r\n\r\n"),
        SHAKE.replace(b"\r\n\r\n", b"\r\nX: y" * 200 + b"\r\n\r\n"),
    ],
    ids=["POST", "POST with a body", "a long header", "many headers"],
)
def test_a_wrong_handshake_is_refused_and_its_connection_closed(server, sent):
    async def steps(transport):
        transport.protocol.data_received(sent)
        assert transport.sent.startswith((b"HTTP/1.1 400", b"HTTP/1.1 405"))
        assert transport.closed

    run(server, steps)


@pytest.mark.parametrize(
    ("path", "said"),
    [("/nothing", b"404 Not Found"), ("/v1/stream?stop_at=nan", b"422 Unprocessable")],
)
def test_a_socket_that_is_refused_is_told_why_and_is_no_error(server, caplog, path, said):
    async def steps(transport):
        transport.protocol.data_received(SHAKE.replace(b"/v1/stream", path.encode()))
        await turns(transport, lambda: transport.closed)
        assert said in transport.sent
        assert b"application/problem+json" in transport.sent

    run(server, steps)
    assert not [record for record in caplog.records if record.name == "uvicorn.error"]


def test_a_path_in_braces_is_not_taken_for_a_pattern(server):
    async def steps(transport):
        transport.protocol.data_received(GET.replace(b"health/live", b"models/{model}"))
        await turns(transport, lambda: transport.written)
        assert transport.sent.startswith(b"HTTP/1.1 404")

    run(server, steps)


def test_a_wrong_frame_after_a_message_is_no_error(server, caplog):
    async def steps(transport):
        await shake(transport)
        transport.protocol.data_received(frame(1, b"good ") * 3 + frame(1, b"\xff"))
        await turns(transport, lambda: transport.closed)
        for _ in range(10):
            await asyncio.sleep(0)

    run(server, steps)
    assert "Unexpected ASGI message" not in caplog.text


def test_a_client_that_leaves_during_requests_sent_ahead_is_no_error(server, caplog):
    async def steps(transport):
        def write(_):
            raise RuntimeError("the handler is closed")

        transport.protocol.data_received(GET * 5)
        transport.close()
        transport.write = write
        transport.protocol.connection_lost(None)
        for _ in range(10):
            await asyncio.sleep(0)
        transport.protocol.connection_lost = lambda _: None

    run(server, steps)
    assert "failed" not in caplog.text
