"""Services to test: in this process, and as the command runs them."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

NEEDED = (
    "httptools", "huggingface_hub", "msgspec", "playwright", "prometheus_client", "schemathesis",
    "starlette", "tritonclient", "uvicorn", "websockets",
)  # fmt: skip
SECONDS = 30  # before a test gives up


class SkippedModule(pytest.Module):
    """A test module that is not even imported."""

    def collect(self):
        missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
        pytest.skip(
            f"{', '.join(missing)} not installed: pip install '.[dev]'", allow_module_level=True
        )


def pytest_pycollect_makemodule(module_path, parent):
    """Skip the tests where the extra or the clients are not installed, saying so."""
    if any(importlib.util.find_spec(name) is None for name in NEEDED):
        return SkippedModule.from_parent(parent, path=module_path)
    return None


class Running:
    """`textgate serve`, running."""

    def __init__(self, arguments, environment=None):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "textgate", "serve", "--port", "0", *map(str, arguments)],
            stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {})},
        )
        self.said = ""
        self._told = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._told.wait(SECONDS), self.said
        assert self.address, self.said

    def _read(self):
        self.address = None
        for line in self.process.stderr:
            self.said += line.decode()
            found = re.search(r"at (https?)://(\S+):(\d+)$", self.said, re.MULTILINE)
            if found and not self._told.is_set():
                self.scheme, self.host, self.port = found[1], found[2], int(found[3])
                self.address = f"{found[2]}:{found[3]}"
                self.url = f"{found[1]}://{self.address}"
                self._told.set()
        self._told.set()

    def connect(self):
        return socket.create_connection((self.host, self.port), timeout=SECONDS)

    def exchange(self, data):
        """Send bytes and return what comes until the connection is closed."""
        with self.connect() as connection:
            connection.sendall(data)
            return self.read_all(connection)

    @staticmethod
    def read_all(connection):
        received = b""
        with suppress(ConnectionResetError):
            while data := connection.recv(65536):
                received += data
        return received

    def wait_until_said(self, words):
        end = time.monotonic() + SECONDS
        while words not in self.said:
            assert time.monotonic() < end, self.said
            time.sleep(0.02)

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        status = self.process.wait(SECONDS)
        self._reader.join(SECONDS)
        return status


@pytest.fixture
def serving() -> Iterator:
    """Runs the command: ``with serving("--workers", 2) as server``."""

    @contextmanager
    def run(*arguments, **environment):
        server = Running(arguments, environment)
        try:
            yield server
        finally:
            if server.process.poll() is None:
                server.process.terminate()
                try:
                    server.process.wait(SECONDS)
                except subprocess.TimeoutExpired:
                    server.process.kill()
            server.process.wait(SECONDS)
            server._reader.join(SECONDS)
            server.process.stderr.close()

    return run


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[Running]:
    """One server for all tests that leave it as it is: two models, an access log."""
    data = Path(__file__).parents[2] / "data"
    log = tmp_path_factory.mktemp("log") / "access.jsonl"
    models = [f"movies={data / 'lstm-int8'}", f"topics={data / 'rnn-multi-label'}"]
    running = Running(["-m", models[0], "-m", models[1], "--access-log", log])
    running.log = log
    yield running
    running.end()
    running.process.stderr.close()


@pytest.fixture(scope="session")
def strict() -> Iterator[Running]:
    """A server with short limits."""
    running = Running(["--timeout", "0.5", "--max-body", "1MB"])
    yield running
    running.end()
    running.process.stderr.close()


@pytest.fixture
def client(bundle):
    """Makes clients of services in this process: ``client(queue=1)``."""
    from starlette.testclient import TestClient

    from textgate.serve import app
    from textgate.serve.settings import Settings

    made = []

    def make(models=None, **settings):
        service = app(models or {"movies": bundle}, settings=Settings(**settings))
        test_client = TestClient(service, raise_server_exceptions=False)
        test_client.service = service
        made.append(test_client.__enter__())
        return test_client

    yield make
    for one in made:
        one.__exit__(None, None, None)
