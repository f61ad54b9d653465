"""Faults in production: processes that die, bundles replaced, clients that misbehave."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

SECONDS = 30  # before a test gives up
JSON = {"content-type": "application/json"}
BODY = json.dumps({"text": "a great, funny and moving film"})
POST = (
    b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY.encode())
)
CLOSING = POST.replace(b"Host: x", b"Host: x\r\nConnection: close")


class Load:
    """Clients that send one request after another until they are refused or told to stop."""

    def __init__(self, server, *, clients=4, keep_alive=True):
        self.server, self.keep_alive = server, keep_alive
        self.answers, self.lost, self.refused = [], [], 0
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self._send) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def wait_for(self, answers):
        end = time.monotonic() + SECONDS
        while len(self.answers) < answers:
            assert time.monotonic() < end, (len(self.answers), self.lost)
            time.sleep(0.01)

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(SECONDS)

    def _send(self):
        connection = None
        while not self.stop.is_set():
            if connection is None:
                connection = http.client.HTTPConnection(
                    self.server.host, self.server.port, timeout=SECONDS
                )
                try:
                    connection.connect()
                except ConnectionRefusedError:
                    self.refused += 1
                    return
            try:
                connection.request(
                    "POST", "/v1/classify", BODY, {"content-type": "application/json"}
                )
                answer = connection.getresponse()
                answer.read()
                self.answers.append(answer.status)
            except (OSError, http.client.HTTPException) as problem:
                self.lost.append(repr(problem))
                connection.close()
                connection = None
                continue
            if not self.keep_alive or answer.will_close:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("keep_alive", [True, False], ids=["keep-alive", "one-request"])
def test_sigterm_under_load_loses_nothing(serving, workers, keep_alive):
    with serving("--workers", workers) as server:
        load = Load(server, keep_alive=keep_alive)
        load.wait_for(100)
        assert server.end() == 0
        load.end()
    assert load.lost == []
    assert set(load.answers) == {200}
    assert load.refused == len(load.threads)


def test_sigterm_lets_a_slow_request_and_a_stream_end(serving):
    with serving("--grace", 10) as server:
        slow, stream = server.connect(), server.connect()
        slow.sendall(POST[:-5])
        stream.sendall(
            b"POST /v1/stream HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n"
        )
        stream.recv(65536)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        slow.sendall(POST[-5:])
        assert b"200 OK" in slow.recv(65536)
        stream.sendall(b"0\r\n\r\n")
        received = b""
        while b"0\r\n\r\n" not in received:
            received += stream.recv(65536)
        assert b'"final"' in received
        slow.close()
        stream.close()
        assert server.process.wait(SECONDS) == 0


def test_sigterm_answers_a_client_that_pauses_between_requests(serving):
    with serving() as server, server.connect() as connection:
        connection.sendall(POST)
        assert b"200 OK" in connection.recv(65536)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.4)
        connection.sendall(POST)
        answer = server.read_all(connection)
        assert b"200 OK" in answer
        assert b"connection: close" in answer
        assert server.process.wait(SECONDS) == 0


def test_a_stream_that_does_not_end_is_cut_off_after_the_grace_period(serving):
    with serving("--grace", 0.2) as server:
        stream = server.connect()
        stream.sendall(
            b"POST /v1/stream HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n"
        )
        stream.recv(65536)
        assert server.end() == 0
        stream.close()


def workers_of(server):
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(server.process.pid)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return [int(line) for line in found.stdout.split()]


def test_a_killed_worker_is_replaced_and_only_its_own_requests_fail(serving):
    with serving("--workers", 2) as server:
        load = Load(server, clients=8)
        load.wait_for(200)
        victim = workers_of(server)[0]
        os.kill(victim, signal.SIGKILL)
        server.wait_until_said(f"worker {victim} ended")
        load.wait_for(len(load.answers) + 200)
        load.end()
        assert len(workers_of(server)) == 2
        assert victim not in workers_of(server)
        assert server.end() == 0
    assert set(load.answers) == {200}
    assert len(load.lost) <= 8  # at most one of each client; each knows at once


def test_workers_end_when_their_parent_is_killed(serving):
    with serving("--workers", 2) as server:
        children = workers_of(server)
        server.process.kill()
        server.process.wait(SECONDS)
        end = time.monotonic() + SECONDS
        while any(is_alive(child) for child in children):
            assert time.monotonic() < end
            time.sleep(0.05)


def is_alive(process):
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_workers_count_together(serving):
    with serving("--workers", 2) as server:
        for _ in range(20):
            assert b"200 OK" in server.exchange(CLOSING)
        metrics = server.exchange(
            b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        ).decode()
    counted = re.search(r'^textgate_texts_total{model="sentiment"} (\S+)$', metrics, re.MULTILINE)
    assert float(counted[1]) == 20


def test_a_bundle_replaced_100_times_under_load(serving, bundles, tmp_path):
    copies = {name: tmp_path / name for name in ("lstm-int8", "gru-float32")}
    for name, copy in copies.items():
        shutil.copytree(bundles[name], copy)
    link = tmp_path / "model"
    link.symlink_to(copies["lstm-int8"])
    with serving("-m", f"movies={link}") as server:
        load = Load(server, clients=2)
        load.wait_for(50)
        for turn in range(100):
            new = tmp_path / "next"
            new.symlink_to(list(copies.values())[turn % 2])
            new.replace(link)
            if turn % 10 == 0:
                server.process.send_signal(signal.SIGHUP)
            time.sleep(0.005)
        server.process.send_signal(signal.SIGHUP)
        load.wait_for(len(load.answers) + 200)
        load.end()
        metrics = server.exchange(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert load.lost == []
    assert set(load.answers) == {200}
    assert b'result="loaded"' in metrics
    assert b'result="refused"' not in metrics


@pytest.mark.parametrize("workers", [1, 2])
def test_sighup_loads_the_bundles_anew(serving, bundles, tmp_path, workers):
    folder = tmp_path / "model"
    shutil.copytree(bundles["lstm-int8"], folder)
    with serving("-m", f"movies={folder}", "--workers", workers) as server:
        server.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + SECONDS
        while server.said.count("loaded ") < 1 + workers:
            assert time.monotonic() < end, server.said
            time.sleep(0.02)


# Clients that misbehave; each must leave the others answered


@pytest.fixture(autouse=True)
def others_are_answered(request):
    yield
    if "strict" in request.fixturenames:
        server = request.getfixturevalue("strict")
        assert b" 200 OK" in server.exchange(CLOSING)


def status_of(received: bytes) -> int | None:
    found = re.match(rb"HTTP/1\.1 (\d+)", received)
    return int(found[1]) if found else None


HEAD = b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        (b"", {None}),  # a half-open connection
        (b"POST /v1/cl", {408}),  # slow headers
        (HEAD, {408}),
        (HEAD + b"Content-Length: 100\r\n\r\n{", {408}),  # a slow body
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{", {408}),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200_000, {431, 400}),  # many headers
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 2**20, {431, 400}),  # one long header
        (b"GET /" + b"y" * 2**20, {431, 400, 414}),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", {400}),  # TLS to a plain port
        (b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", {400, 404}),
        (b"nonsense\r\n\r\n", {400}),
        (HEAD + b"Content-Length: -1\r\n\r\n", {400}),
        (HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", {400, 408}),
        (HEAD + b"Content-Length: 100000000\r\n\r\n", {413}),  # 100 MB that never come
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n", {400}),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 2_000, {408}),
        (HEAD + b"Content-Length: 9\r\n\r\n\xff\xfe\xfd\xff\xff\xff\xff\xff\xff", {400}),
        (HEAD + b"Content-Length: 100000\r\n\r\n" + b"[" * 100_000, {400, 422}),
    ],
    ids=lambda value: value[:40].decode("latin-1") if isinstance(value, bytes) else None,
)
def test_a_bad_request_gets_an_answer_or_an_end(strict, sent, statuses):
    with strict.connect() as connection:
        with suppress(BrokenPipeError, ConnectionResetError):  # it was answered meanwhile
            connection.sendall(sent)
        received = b""
        try:
            while not (received and received.endswith((b"}", b"\n"))):
                data = connection.recv(65536)
                if not data:
                    break
                received += data
        except ConnectionResetError:
            pass
    # A connection that is reset may lose the answer that was sent before.
    assert status_of(received) in statuses | ({None} if len(sent) > 2**16 else set())


def test_a_body_of_100_mb_is_refused_and_memory_stays(strict):
    before = memory(strict.process.pid)
    with strict.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 100000000\r\n\r\n")
        assert status_of(connection.recv(65536)) == 413
        with suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(100):
                connection.sendall(b"x" * 1_000_000)
    with strict.connect() as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        with suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(100):
                connection.sendall(b"f4240\r\n" + b"x" * 1_000_000 + b"\r\n")
    assert memory(strict.process.pid) < before + 20_000


def memory(process):
    """Resident memory in KiB."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1])


def test_a_client_that_does_not_read_is_cut_off(strict):
    texts = json.dumps({"texts": ["a"] * 300}).encode()
    request = HEAD + b"Content-Length: %d\r\n\r\n" % len(texts) + texts
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((strict.host, strict.port))
    with connection:
        connection.sendall(request * 100)  # of which each has an answer of some 60 KB
        end = time.monotonic() + SECONDS
        while established(strict.port, connection.getsockname()[1]):
            assert time.monotonic() < end
            time.sleep(0.05)
        assert strict.read_all(connection).count(b"200 OK") < 100


def established(port, client):
    """Whether the server's end of a connection is still there."""
    local, remote = f":{port:04X}", f":{client:04X}"
    lines = Path("/proc/net/tcp").read_text(encoding="utf-8").splitlines()
    fields = [line.split() for line in lines]
    return any(
        one[1].endswith(local) and one[2].endswith(remote) and one[3] == "01" for one in fields
    )


# What keeps the service from starting


def refused(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "textgate", "serve", *map(str, arguments)],
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.splitlines()[-1]


def test_a_port_in_use_is_named(server):
    status, said = refused("--port", server.port)
    assert (status, f"port {server.port}" in said, "in use" in said) == (1, True, True)


def test_an_address_of_another_machine_is_named():
    status, said = refused("--host", "192.0.2.1", "--port", 0)
    assert (status, "192.0.2.1" in said) == (1, True)


def test_a_port_without_permission_is_named(monkeypatch):
    from textgate.serve import sockets
    from textgate.serve.settings import ServiceError

    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(sockets.socket.socket, "bind", denied)
    with pytest.raises(ServiceError, match="port 80: Permission denied; choose another"):
        sockets.listen("127.0.0.1", 80)


def test_a_log_that_cannot_be_opened_is_named(tmp_path):
    status, said = refused("--port", 0, "--access-log", tmp_path)
    assert (status, str(tmp_path) in said) == (1, True)
