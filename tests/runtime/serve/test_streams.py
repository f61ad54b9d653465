"""Streams: decisions while a text arrives."""

from __future__ import annotations

import dataclasses
import json
import time
from contextlib import suppress
from socket import SHUT_RDWR

import pytest
from starlette.websockets import WebSocketDisconnect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from textgate import Classifier

WORDS = ["the worst ", "movie i ", "have seen , ", "but a great , ", "funny and moving film"]


@pytest.fixture(scope="module")
def classifier(bundle):
    return Classifier.load(bundle)


def plain(prediction):
    return {**dataclasses.asdict(prediction), "labels": list(prediction.labels)}


def decisions(classifier, pieces):
    stream = classifier.stream()
    return [plain(stream.feed(piece)) for piece in pieces]


@pytest.mark.parametrize("as_bytes", [False, True])
def test_a_socket_answers_every_piece_and_the_end(server, classifier, as_bytes):
    with connect(f"ws://{server.address}/v1/stream") as socket:
        answers = []
        for piece in [*WORDS, ""]:
            socket.send(piece.encode() if as_bytes else piece)
            answers.append(json.loads(socket.recv()))
        closed = list(socket)
    assert closed == []
    assert [one["prediction"] for one in answers] == decisions(classifier, [*WORDS, ""])
    assert [one["state"] for one in answers] == ["open"] * len(WORDS) + ["final"]
    assert (socket.close_code, socket.close_reason) == (1000, "final")


def test_a_socket_stops_when_a_label_is_sure(server, classifier):
    scores = [one["scores"]["negative"] for one in decisions(classifier, WORDS)]
    with connect(f"ws://{server.address}/v1/stream?stop_at=0.5&label=negative") as socket:
        for piece in WORDS:
            socket.send(piece)
            answer = json.loads(socket.recv())
            if answer["state"] == "stopped":
                break
        assert list(socket) == []
    assert answer["prediction"]["scores"]["negative"] == next(one for one in scores if one >= 0.5)
    assert socket.close_reason == "stopped"


def event_of(connection, buffer):
    while b"\n\n" not in buffer[0]:
        data = connection.recv(65536)
        assert data, buffer
        buffer[0] += data
    event, _, buffer[0] = buffer[0].partition(b"\n\n")
    return json.loads(event.rpartition(b"data: ")[2])


HEAD = (
    b"POST /v1/stream%b HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


def chunk(piece: str) -> bytes:
    data = piece.encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


def test_a_chunked_request_is_answered_while_it_arrives(server, classifier):
    answers, buffer = [], [b""]
    with server.connect() as connection:
        connection.sendall(HEAD % b"")
        for piece in WORDS:
            connection.sendall(chunk(piece))
            answers.append(event_of(connection, buffer))  # before the next piece is sent
        connection.sendall(chunk(""))
        answers.append(event_of(connection, buffer))
    assert [one["prediction"] for one in answers] == decisions(classifier, [*WORDS, ""])
    assert [one["state"] for one in answers] == ["open"] * len(WORDS) + ["final"]


def test_a_chunked_request_stops_when_a_label_is_sure(server):
    buffer = [b""]
    with server.connect() as connection:
        connection.sendall(HEAD % b"?stop_at=0.01" + chunk(WORDS[0] * 3))
        assert event_of(connection, buffer)["state"] == "stopped"
        while b"0\r\n\r\n" not in buffer[0]:  # the end of the response; more of the text may come
            buffer[0] += connection.recv(65536)
        connection.sendall(chunk("more") + chunk(""))


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("model=none", 404, "no model 'none'"),
        ("model=topics", 422, "cannot stream"),
        ("stop_at=2", 422, "stop_at"),
        ("stop_at=x", 422, "stop_at"),
        ("stop_at=nan", 422, "stop_at"),
        ("label=nice", 422, "'nice' is not a label"),
        ("stopat=0.5", 422, "'stopat'"),
    ],
)
def test_what_cannot_be_streamed_is_refused(client, bundles, query, status, words):
    made = client({"movies": bundles["lstm-int8"], "topics": bundles["rnn-multi-label"]})
    headers = {"content-type": "text/plain"}
    answer = made.post(f"/v1/stream?{query}", content=b"text", headers=headers)
    if query == "model=topics" and answer.status_code == 200:
        pytest.fail("the bundle was expected to be bidirectional")
    assert (answer.status_code, words in answer.json()["detail"]) == (status, True)
    with pytest.raises(WebSocketDisconnect), made.websocket_connect(f"/v1/stream?{query}"):
        pass


def test_a_silent_stream_is_closed(client):
    with client(idle=0.05).websocket_connect("/v1/stream") as socket:
        socket.send_text("a")
        socket.receive_text()
        assert socket.receive()["code"] == 1001


def test_a_client_that_vanishes_leaves_nothing_behind(server):
    for _ in range(20):
        with server.connect() as connection:
            connection.sendall(HEAD % b"" + chunk(WORDS[0]))
        with connect(f"ws://{server.address}/v1/stream") as socket:
            socket.send(WORDS[0])
            socket.socket.shutdown(SHUT_RDWR)  # without a word
    end = time.monotonic() + 10
    while b"\ntextgate_open_streams 0.0\n" not in metrics(server):
        assert time.monotonic() < end, metrics(server)
        time.sleep(0.05)


def metrics(server) -> bytes:
    return server.exchange(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")


@pytest.mark.parametrize(
    ("message", "code"), [(b"\xff\xfe", 1007), (b"x" * (2**20 + 1), 1009)], ids=["utf-8", "size"]
)
def test_a_socket_with_what_is_no_piece_is_closed(server, message, code):
    with connect(f"ws://{server.address}/v1/stream") as socket:
        with suppress(ConnectionClosed):
            socket.send(message, text=True)
        with pytest.raises(ConnectionClosed):
            socket.recv()
        assert socket.close_code == code


def test_text_after_half_a_character_closes_the_socket(server):
    with connect(f"ws://{server.address}/v1/stream") as socket:
        socket.send("ü".encode()[:1])
        socket.recv()
        socket.send("text")
        with pytest.raises(ConnectionClosed):
            socket.recv()
        assert socket.close_code == 1007
