"""Check what deploys the service: build the image and ask it, and read the other files.

    python deploy/check.py

Where no container engine runs, the Dockerfile's steps are carried out in a plain folder instead.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
HERE = Path(__file__).parent
IMAGE = "textgate-check"
SECONDS = 60


def main() -> None:
    """Check all files; raises what is wrong."""
    check_manifests()
    check_unit()
    engine = container_engine()
    if engine is None:
        say("no container engine runs here: the Dockerfile's steps run in a plain folder")
        check_steps()
    else:
        say(f"building the image with {engine}")
        check_image(engine)
    say("done")


def say(words: str) -> None:
    """Print a line."""
    sys.stdout.write(f"deploy: {words}\n")
    sys.stdout.flush()


def check_manifests() -> None:
    """Read the manifests, and compare the port, the probes and the user with the Dockerfile."""
    dockerfile = (HERE / "Dockerfile").read_text(encoding="utf-8")
    user = int(re.findall(r"^USER (\d+)", dockerfile, re.MULTILINE)[0])
    for name in ("kubernetes.yaml", "kserve.yaml"):
        text = (HERE / name).read_text(encoding="utf-8")
        documents = list(yaml.safe_load_all(text))
        require(all(one["apiVersion"] and one["kind"] for one in documents), name)
        require(f"runAsUser: {user}" in text, f"{name}: another user than the Dockerfile's")
        for probe in ("/v2/health/ready", "/v2/health/live"):
            require(probe in text, f"{name}: no probe at {probe}")
    say("the manifests can be read")


def check_unit() -> None:
    """Have systemd read the unit, where it is installed."""
    if shutil.which("systemd-analyze") is None:
        say("systemd is not installed here: the unit was not read")
        return
    with tempfile.TemporaryDirectory() as folder:
        unit = Path(folder) / "textgate.service"
        text = (HERE / "textgate.service").read_text(encoding="utf-8")
        unit.write_text(text.replace("/opt/textgate/bin/textgate", sys.executable), "utf-8")
        done = subprocess.run(
            ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
        )
    wrong = [line for line in done.stderr.splitlines() if "textgate.service" in line]
    require(not wrong, "\n".join(wrong))
    say("systemd can read the unit")


def container_engine() -> str | None:
    """Return the container engine that runs here, None if none does."""
    for engine in ("docker", "podman"):
        if shutil.which(engine) is None:
            continue
        if subprocess.run([engine, "info"], capture_output=True, check=False).returncode == 0:
            return engine
    return None


def check_image(engine: str) -> None:
    """Build the image, run it without rights, and ask it."""
    subprocess.run(
        [engine, "build", "-q", "-t", IMAGE, "-f", str(HERE / "Dockerfile"), str(ROOT)], check=True
    )
    port = free_port()
    running = subprocess.Popen(
        [engine, "run", "--rm", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--name",
         IMAGE, "-p", f"127.0.0.1:{port}:8080", IMAGE]
    )  # fmt: skip
    try:
        require_decision(port)
    finally:
        subprocess.run([engine, "stop", IMAGE], check=False)
        require(running.wait(SECONDS) == 0, "the container did not end well")


def check_steps() -> None:
    """Carry out the Dockerfile's steps in a plain folder, and ask what it starts."""
    dockerfile = (HERE / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    steps = [line.split(" ", 1) for line in dockerfile.splitlines() if line[:1].isalpha()]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        source, installed = folder / "source", folder / "opt"
        source.mkdir()

        def placed(words: str) -> str:
            return words.replace("/opt/textgate", str(installed))

        for instruction, words in steps:
            if instruction == "COPY" and "--from" not in words:
                copy(words.split(), source)
            elif instruction == "RUN" and "pip install" in words:
                say(f"RUN {' '.join(words.split())}")
                subprocess.run(["bash", "-euc", placed(words)], cwd=source, check=True)
            elif instruction == "RUN":
                say(f"left out, it changes the system: RUN {' '.join(words.split())}")
        shutil.rmtree(source)  # the second stage has the installation alone
        found = dict(steps)
        entry = json.loads(found["ENTRYPOINT"])
        health = json.loads(found["HEALTHCHECK"].partition("CMD ")[2])
        run_entry(folder, installed / "bin", entry, health)


def copy(words: list[str], source: Path) -> None:
    """Carry out a COPY."""
    *names, target = words
    for name in names:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.so")
            shutil.copytree(ROOT / name, source / target, ignore=ignored)
        else:
            shutil.copy(ROOT / name, source / target)


def run_entry(folder: Path, programs: Path, entry: list[str], health: list[str]) -> None:
    """Start the entry point in a folder that cannot be written to, and ask it."""
    empty = folder / "empty"
    empty.mkdir(mode=0o555)
    port = free_port()
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(programs / entry[0]), *entry[1:], "--host", "127.0.0.1", "--port", str(port)]
    say(shlex.join(command))
    with subprocess.Popen(command, cwd=empty, env=environment) as running:
        try:
            require_decision(port)
            asked = [one.replace(":8080/", f":{port}/") for one in health]
            asked[0] = str(programs / asked[0])
            require(subprocess.run(asked, check=False).returncode == 0, "the health check failed")
        finally:
            running.send_signal(signal.SIGTERM)
        require(running.wait(SECONDS) == 0, "the service did not end well")


def free_port() -> int:
    """Return a port that is free."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def require_decision(port: int) -> None:
    """Ask for a decision until there is one."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/classify",
        data=b'{"text": "What a lovely evening we had!"}',
        headers={"content-type": "application/json"},
    )
    answer = within(lambda: urllib.request.urlopen(request, timeout=SECONDS).read())
    require(json.loads(answer)["prediction"]["label"] == "positive", str(answer))
    say("it answers")


def within(function: Callable[[], bytes]) -> bytes:
    """Return what a function returns once it raises no more."""
    end = time.monotonic() + SECONDS
    while True:
        try:
            return function()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def require(holds: bool, otherwise: str) -> None:
    """Exit with a message where something does not hold."""
    if not holds:
        sys.exit(f"deploy: {otherwise}")


if __name__ == "__main__":
    main()
