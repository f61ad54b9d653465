"""Cost of the service, compared with a constant answer, with Python alone and with other servers.

    python benchmarks/serve.py                       # all of it, some 25 minutes
    python benchmarks/serve.py --soak 0 --seconds 2  # a look, two minutes
    python benchmarks/serve.py --bentoml runs/bentoml/bin/python

Client and server share the machine. Servers that are compared run side by side and are loaded in
alternation, one at a time. Closed loop: `wrk`, from Debian's package of that name, which must be on
the path. Open loop: the generator below, which sends at fixed times and counts a request's time
from the moment it was due, not from when it could be sent, so that a server that stalls does not
hide the requests it kept from being sent (coordinated omission).

BentoML brings a hundred packages: it runs in the environment that `--bentoml` names, with textgate.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import gc
import http.client
import importlib.util
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import click
import numpy as np
from common import Goal, median_ratio, output_option, write_result

from textgate import Classifier
from textgate.inference.engines import ENGINES

# fmt: off
WORDS = (
    "it", "starts", "well", "enough", ",", "with", "a", "funny", "scene", "in", "the", "rain", ",",
    "but", "the", "rest", "of", "the", "film", "is", "a", "dull", "and", "tedious", "mess",
)
# fmt: on
TEXT = " ".join(WORDS)
BODY = json.dumps({"text": TEXT})
CONNECTIONS = 16
STREAMS = 1000
WORD_EVERY = 1.0  # seconds
WARM_UP = 1.0  # seconds of an open loop that do not count
HERE = Path(__file__).parent
LUA = """wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [==[{body}]==]
"""
BENTO = """
import bentoml
from textgate import Classifier

QUIET = {{"access": {{"enabled": False}}}}

@bentoml.service(workers=1, metrics={{"enabled": False}}, logging=QUIET)
class Service:
    def __init__(self):
        self.classifier = Classifier.load("sentiment", engine={engine!r})

    @bentoml.api(route="/v1/classify")
    def classify(self, text: str) -> dict:
        prediction = self.classifier.predict(text)
        return {{"label": prediction.label, "score": prediction.score,
                "scores": dict(prediction.scores), "reason": prediction.reason}}
"""


@click.command()
@click.option("--seconds", default=5.0, show_default=True, help="How long each load lasts.")
@click.option("--rounds", default=5, show_default=True, help="How often servers take turns.")
@click.option(
    "--soak", default=600.0, show_default=True, help="Seconds of the long load; 0: the output's."
)
@click.option("--engine", type=click.Choice(ENGINES), multiple=True, help="By default both.")
@click.option("--bentoml", help="Python of an environment with BentoML and textgate.")
@click.option("--run", "kind", hidden=True)
@click.option("--port", type=int, hidden=True)
@output_option("serve")
def main(
    seconds: float,
    rounds: int,
    soak: float,
    engine: tuple[str, ...],
    bentoml: str | None,
    kind: str | None,
    port: int | None,
    output: Path,
) -> None:
    """Measure the service."""
    engines = engine or ("native", "onnxruntime")
    if kind is not None and port is not None:
        run(kind, port, engines[0])
        return
    if shutil.which("wrk") is None:
        raise click.ClickException("wrk is not on the path: apt-get install wrk")
    earlier = json.loads(output.read_text(encoding="utf-8")) if output.exists() else {}
    found: dict[str, Any] = {}
    goals: list[Goal] = []
    for one in engines:
        kept = earlier.get("engines", {}).get(one, {}).get("soak")
        with tempfile.TemporaryDirectory() as folder:
            found[one], reached = measure(one, Path(folder), seconds, rounds, soak, bentoml, kept)
        goals += reached
    result = write_result(output, {"load": load_tools(), "engines": found}, goals)
    for goal in result.get("goals", ()):
        sign = "at least" if goal["at_least"] else "at most"
        verdict = "yes" if goal["reached"] else "NO"
        click.echo(f"{goal['what']}: {goal['value']:.3f}, {sign} {goal['bound']}: {verdict}")


def measure(
    engine: str,
    folder: Path,
    seconds: float,
    rounds: int,
    soak: float,
    bentoml: str | None,
    kept: dict[str, Any] | None,
) -> tuple[dict[str, Any], list[Goal]]:
    """Return what was found with an engine, and the goals."""
    kinds = ["service", "constant", "bare", "fastapi"]
    if importlib.util.find_spec("granian"):
        kinds.append("constant on granian")
    if bentoml:
        kinds.append("bentoml")
    with ExitStack() as stack:
        servers = {
            kind: stack.enter_context(server(kind, engine, folder, bentoml)) for kind in kinds
        }
        service = servers["service"]
        closed = in_turns(servers, folder, seconds, rounds)
        rate = closed["service"]["median"]
        click.echo(f"{engine}: " + json.dumps(closed, indent=1), err=True)
        many = texts_a_second(service, engine, rounds)
        open_loop = {
            kind: asyncio.run(at_rate(servers[kind].port, rate / 2 if kind == "service" else
                                      min(rate / 2, closed[kind]["median"] * 0.9), seconds * 2))
            for kind in kinds if kind != "constant on granian"
        }  # fmt: skip
        peers = [kind for kind in ("fastapi", "bentoml") if kind in servers]
        streams = asyncio.run(stream_load(service, seconds * 4))
        long = asyncio.run(soaked(service, rate * 0.8, soak)) if soak else kept
    found = {
        "requests_a_second": closed,
        "predict_many": many,
        "open_loop": open_loop,
        "streams": streams,
        "soak": long,
    }
    own = open_loop["service"]
    goals = [
        Goal(f"{engine}: service / constant answer, requests a second",
             closed["constant"]["ratio"][0], 0.8, at_least=True),
        Goal(f"{engine}: one request of 1,000 texts / predict_many, texts a second",
             many["ratio"][0], 0.85, at_least=True),
        Goal(f"{engine}: p99 / p50 at half of the most requests", own["p99"] / own["p50"], 5),
        Goal(f"{engine}: 1,000 streams, p99 of an answer, ms", streams["p99"], 10),
        Goal(f"{engine}: 1,000 streams, KB of memory each", streams["kilobytes"], 20),
    ]  # fmt: skip
    goals += [
        Goal(f"{engine}: service / {peer}, requests a second", closed[peer]["ratio"][0], 1,
             at_least=True)
        for peer in peers
    ]  # fmt: skip
    goals += [
        Goal(f"{engine}: service / {peer}, p99 under a closed loop",
             closed["service"]["p99"] / closed[peer]["p99"], 1)
        for peer in peers
    ]  # fmt: skip
    if long is not None:
        goals += [
            Goal(f"{engine}: errors in the long load", long["errors"], 0),
            Goal(f"{engine}: growth of memory in the long load, MB", long["megabytes"], 5),
        ]
    return found, goals


def load_tools() -> str:
    """Return what makes the load."""
    version = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout
    return f"{version.split('[')[0].strip()}; open loop: benchmarks/serve.py"


# Servers


@dataclasses.dataclass(frozen=True)
class Server:
    """A server that runs: its port, and the process that answers."""

    port: int
    process: int

    @property
    def memory(self) -> int:
        """Resident memory, KB."""
        status = Path(f"/proc/{self.process}/status").read_text(encoding="utf-8")
        return int(re.findall(r"VmRSS:\s+(\d+)", status)[0])


@contextmanager
def server(kind: str, engine: str, folder: Path, bentoml: str | None) -> Iterator[Server]:
    """Start a server of a kind, and end it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = [sys.executable, str(Path(__file__).resolve())]
    command = [*script, "--run", kind, "--port", str(port), "--engine", engine]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TEXTGATE_ENGINE": engine}
    if kind == "bentoml":
        (folder / "bento.py").write_text(BENTO.format(engine=engine), encoding="utf-8")
        command = [str(bentoml), "-m", "bentoml", "serve", "bento:Service", "--port", str(port)]
    elif kind == "constant on granian":
        command = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory"]
        command += ["--no-access-log", "--loop", "uvloop", "--port", str(port), "serve:constant"]
    where = folder if kind == "bentoml" else HERE
    with (
        (folder / f"{kind}.log").open("w") as log,
        subprocess.Popen(command, cwd=where, env=environment, stdout=log, stderr=log) as child,
    ):
        try:
            wait_for(port, child)
            yield Server(port, child.pid)
        finally:
            child.terminate()


def wait_for(port: int, child: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers a request."""
    for _ in range(300):
        if child.poll() is not None:
            raise click.ClickException("a server ended as it started")
        with suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("POST", "/v1/classify", BODY, {"content-type": "application/json"})
            if connection.getresponse().status == 200:
                return
        time.sleep(0.2)
    raise click.ClickException("a server does not answer")


def run(kind: str, port: int, engine: str) -> None:
    """Be a server."""
    from textgate.serve import app
    from textgate.serve.server import run_server
    from textgate.serve.sockets import listen, raise_file_limit

    raise_file_limit()
    if kind == "fastapi":
        import uvicorn

        uvicorn.run(plain_fastapi(engine), port=port, access_log=False, log_level="warning")
        return
    if kind == "bare":
        asyncio.run(bare(port))
        return
    service = constant() if kind == "constant" else app(engine=engine)
    run_server(service, listen("127.0.0.1", port), workers=1, grace=5)


def constant() -> Any:
    """Return the service with a `/v1/classify` that reads the request and classifies nothing."""
    from textgate.serve import app, classify
    from textgate.serve.exchange import read_body, send_answer

    answer = json.dumps({"answer": "x" * 240}).encode()

    async def handler(context: Any, scope: Any, receive: Any, send: Any) -> None:
        await read_body(scope, receive, context.settings)
        await send_answer(send, answer)

    classify.ENDPOINTS[0].__dict__["handler"] = handler
    return app(engine=os.environ.get("TEXTGATE_ENGINE"))


class Bare(asyncio.Protocol):
    """Answers whatever arrives with the same bytes, and reads none of it.

    What the open loop finds with it is the machine's and the generator's, not a server's.
    """

    ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 255\r\n\r\n" + b"x" * 255

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection."""
        self.transport: Any = transport

    def data_received(self, _: bytes) -> None:
        """Answer; a request of this benchmark arrives in one piece."""
        self.transport.write(self.ANSWER)


async def bare(port: int) -> None:
    """Serve `Bare` until the process ends."""
    server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", port)
    await server.serve_forever()


def plain_fastapi(engine: str) -> Any:
    """Return what a competent user would write around the classifier."""
    from fastapi import FastAPI
    from pydantic import BaseModel

    application = FastAPI()
    classifier = Classifier.load("sentiment", engine=engine)

    class Request(BaseModel):
        text: str

    class Answer(BaseModel):
        label: str | None
        score: float
        scores: dict[str, float]
        reason: str | None

    def classify(request: Request) -> Answer:
        one = classifier.predict(request.text)
        return Answer(label=one.label, score=one.score, scores=one.scores, reason=one.reason)

    classify.__annotations__ = {"request": Request, "return": Answer}
    application.post("/v1/classify")(classify)
    return application


# Closed loop


def in_turns(
    servers: dict[str, Server], folder: Path, seconds: float, rounds: int
) -> dict[str, Any]:
    """Return requests a second of servers that were loaded in turns, and ratios to the first."""
    script = folder / "post.lua"
    script.write_text(LUA.format(body=BODY), encoding="utf-8")
    rates: dict[str, list[float]] = {kind: [] for kind in servers}
    slow: dict[str, list[float]] = {kind: [] for kind in servers}
    for _ in range(rounds):
        for kind, one in servers.items():
            rate, p99 = closed_loop(one.port, script, seconds)
            rates[kind].append(rate)
            slow[kind].append(p99)
    base = rates["service"]
    return {
        kind: {
            "median": statistics.median(rates[kind]),
            "p99": statistics.median(slow[kind]),
            "ratio": median_ratio(base, rates[kind]),
        }
        for kind in servers
    }


def closed_loop(port: int, script: Path, seconds: float) -> tuple[float, float]:
    """Return requests a second, and the 99th percentile in milliseconds."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "--latency"]
    command += ["-s", str(script), f"http://127.0.0.1:{port}/v1/classify"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said:
        raise click.ClickException(f"not all requests were answered:\n{said}")
    value, unit = re.findall(r"99%\s+([\d.]+)(us|ms|s)", said)[0]
    milliseconds = float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]
    return float(re.findall(r"Requests/sec:\s+([\d.]+)", said)[0]), milliseconds


def texts_a_second(service: Server, engine: str, rounds: int) -> dict[str, Any]:
    """Compare one request of 1,000 texts with `predict_many` in this process, in turns."""
    texts = [" ".join([*WORDS[index % 25 :], *WORDS[: index % 25]]) for index in range(1000)]
    body = json.dumps({"texts": texts})
    connection = http.client.HTTPConnection("127.0.0.1", service.port)
    over_http, in_python = [], []
    with Classifier.load("sentiment", engine=engine) as classifier:
        for turn in range(4 * rounds + 1):
            begun = time.perf_counter()
            list(classifier.predict_many(texts))
            between = time.perf_counter()
            connection.request("POST", "/v1/classify", body, {"content-type": "application/json"})
            connection.getresponse().read()
            ended = time.perf_counter()
            if turn:  # the first is for warming up
                in_python.append(1000 / (between - begun))
                over_http.append(1000 / (ended - between))
    return {
        "predict_many": statistics.median(in_python),
        "service": statistics.median(over_http),
        "ratio": median_ratio(over_http, in_python),
    }


# Open loop


class Connection(asyncio.Protocol):
    """Sends requests, one after the other, and notes how late each answer is."""

    def __init__(self, latencies: list[float], idle: deque[Connection]) -> None:
        self.latencies, self.idle = latencies, idle
        self.due, self.errors, self.left = 0.0, 0, -1
        self.head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self.transport: Any = transport

    def send(self, request: bytes, due: float) -> None:
        """Send a request that was due at a time."""
        self.due = due
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer."""
        if self.left < 0:
            self.head += data
            head, found, rest = self.head.partition(b"\r\n\r\n")
            if not found:
                return
            self.errors += not head.startswith(b"HTTP/1.1 200")
            length = int(re.findall(rb"(?i)content-length: (\d+)", head)[0])
            self.left, self.head = length - len(rest), b""
        else:
            self.left -= len(data)
        if self.left == 0:
            self.left = -1
            self.latencies.append(1000 * (time.perf_counter() - self.due))
            self.idle.append(self)


async def at_rate(port: int, rate: float, seconds: float) -> dict[str, float]:
    """Return latencies, in milliseconds, of requests that are due at fixed times."""
    latencies: list[float] = []
    idle: deque[Connection] = deque()
    loop = asyncio.get_running_loop()
    connections = []
    for _ in range(4 * CONNECTIONS):
        _, made = await loop.create_connection(
            lambda: Connection(latencies, idle), "127.0.0.1", port
        )
        connections.append(made)
        idle.append(made)
    request = (
        b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY.encode())
    )

    async def send(total: int) -> int:
        """Send so many requests, and return how many were not answered."""
        begun, sent, before = time.perf_counter(), 0, len(latencies)
        while sent < total:
            now = time.perf_counter()
            while idle and sent < total and (due := begun + sent / rate) <= now:
                idle.popleft().send(request, due)
                sent += 1
            await asyncio.sleep(0 if idle and sent / rate + begun - now < 0.001 else 0.0005)
        end = time.perf_counter() + 30
        while len(latencies) - before < total and time.perf_counter() < end:
            await asyncio.sleep(0.01)
        return before + total - len(latencies)

    gc.disable()  # a collection here would count as the server's
    lost = await send(round(rate * WARM_UP))
    latencies.clear()
    lost += await send(round(rate * seconds))
    gc.enable()
    for made in connections:
        made.transport.close()
    return {**percentiles(latencies), "rate": rate,
            "errors": lost + sum(made.errors for made in connections)}  # fmt: skip


async def soaked(service: Server, rate: float, seconds: float) -> dict[str, float]:
    """Return errors, and how far memory grew after the first tenth of a long load."""
    await at_rate(service.port, rate, seconds / 10)
    before = service.memory
    found = await at_rate(service.port, rate, 0.9 * seconds)
    return {**found, "megabytes": (service.memory - before) / 1000}


# Streams


class Stream(asyncio.Protocol):
    """A WebSocket that sends a word now and then, and notes when its decision comes."""

    def __init__(self, latencies: list[float]) -> None:
        self.latencies = latencies
        self.buffer, self.open = b"", False
        self.sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Open the WebSocket."""
        self.transport: Any = transport
        key = base64.b64encode(os.urandom(16))
        transport.write(  # type: ignore[attr-defined]
            b"GET /v1/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n" % key
        )

    def say(self, word: str) -> None:
        """Send a word."""
        data = word.encode()
        self.sent = time.perf_counter()
        self.transport.write(bytes((0x81, 0x80 | len(data), 0, 0, 0, 0)) + data)  # masked with 0

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer."""
        self.buffer += data
        if not self.open:
            head, found, self.buffer = self.buffer.partition(b"\r\n\r\n")
            self.open = bool(found) and b" 101 " in head
            if not found:
                self.buffer = head
            return
        while len(self.buffer) >= 4:
            length = self.buffer[1]
            start = 2
            if length == 126:
                length, start = int.from_bytes(self.buffer[2:4], "big"), 4
            if len(self.buffer) < start + length:
                return
            if self.buffer[0] == 0x81:
                self.latencies.append(1000 * (time.perf_counter() - self.sent))
            else:  # a ping
                payload = self.buffer[start : start + length]
                self.transport.write(bytes((0x8A, 0x80 | length, 0, 0, 0, 0)) + payload)
            self.buffer = self.buffer[start + length :]


async def stream_load(service: Server, seconds: float) -> dict[str, float]:
    """Return latencies, in milliseconds, of open streams, and the memory of each."""
    latencies: list[float] = []
    loop = asyncio.get_running_loop()
    from textgate.serve.sockets import raise_file_limit

    raise_file_limit()
    before = service.memory
    streams = []
    for _ in range(STREAMS):
        _, stream = await loop.create_connection(
            lambda: Stream(latencies), "127.0.0.1", service.port
        )
        streams.append(stream)
    while not all(stream.open for stream in streams):
        await asyncio.sleep(0.05)

    async def speak(index: int, stream: Stream) -> None:
        await asyncio.sleep(WORD_EVERY * index / STREAMS)
        for turn in range(max(2, round(seconds / WORD_EVERY))):
            stream.say(WORDS[(index + turn) % len(WORDS)] + " ")
            await asyncio.sleep(WORD_EVERY)

    await asyncio.gather(*(speak(index, one) for index, one in enumerate(streams)))
    after = service.memory
    for stream in streams:
        stream.transport.close()
    kilobytes = (after - before) / STREAMS
    return {**percentiles(latencies), "kilobytes": kilobytes, "streams": STREAMS}


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return the median and the 99th percentile."""
    p50, p99 = np.percentile(values, (50, 99)).tolist()
    return {"p50": p50, "p99": p99, "answers": len(values)}


if __name__ == "__main__":
    main()
