"""What the package leaves alone: the network and the environment."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

# The number of the system call `socket`, by architecture and audit number.
SOCKET = {"x86_64": (41, 0xC000003E), "aarch64": (198, 0xC00000B7)}


def run(code, *arguments, **options):
    environment = {**os.environ}
    environment.pop("TOKENIZERS_PARALLELISM", None)
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        **options,
    )


# The network

# The system ends the process at its first socket, whoever asks for it, native code included.
BLOCKED = """
import ctypes, struct, sys
number, architecture = map(int, sys.argv[1:3])
del sys.argv[1:3]
LOAD, EQUAL, RETURN, KILL, ALLOW = 0x20, 0x15, 0x06, 0x80000000, 0x7FFF0000
steps = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, architecture), (RETURN, 0, 0, ALLOW), (LOAD, 0, 0, 0),
         (EQUAL, 0, 1, number), (RETURN, 0, 0, KILL), (RETURN, 0, 0, ALLOW)]
code = b"".join(struct.pack("HBBI", *step) for step in steps)
buffer = ctypes.create_string_buffer(code)
program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program, 0, 0):
    sys.exit(77)
"""
USED = """
from textgate import Classifier
bundle, data = sys.argv[1:3]
one = Classifier.load(bundle, threads=2)
one.predict("a good film")
list(one.predict_many(["good", "bad"] * 100))
stream = one.stream()
stream.feed("a good ")
stream.finish()
from textgate.cli import _status
for arguments in (
    ["classify", "-m", bundle, "--jobs", "2", "-i", data],
    ["evaluate", "-m", bundle, data],
    ["inspect", bundle],
    ["--help"],
):
    sys.argv[1:] = arguments
    assert _status() == 0, arguments
"""


def blocked_call():
    if sys.platform != "linux" or platform.machine() not in SOCKET:
        pytest.skip("needs Linux on a processor whose system calls are known here")
    return SOCKET[platform.machine()]


def test_a_socket_is_the_end():
    """Otherwise the next test would say nothing."""
    done = run(BLOCKED + "import socket; socket.socket()", *blocked_call())
    if done.returncode == 77:
        pytest.skip("this system does not let a process give up calls")
    assert done.returncode < 0


def test_no_socket_is_ever_opened(bundle, tmp_path, write_jsonl):
    data = write_jsonl(tmp_path / "a.jsonl", [{"text": "good", "label": "positive"}] * 40)
    done = run(BLOCKED + USED, *blocked_call(), bundle, data)
    if done.returncode == 77:
        pytest.skip("this system does not let a process give up calls")
    assert (done.returncode, done.stderr) == (0, "")


# The environment

IMPORTED = """
import importlib, os, pkgutil, sys
before = dict(os.environ)
import textgate
for found in pkgutil.walk_packages(textgate.__path__, "textgate.", onerror=lambda _: None):
    try:
        importlib.import_module(found.name)
    except ModuleNotFoundError as problem:
        assert problem.name.partition(".")[0] in {"torch", "onnx", "safetensors", "tqdm"}, problem
assert {"textgate.session", "textgate.cli.classify", "textgate.rows.parquet"} <= set(sys.modules)
assert dict(os.environ) == before
"""
USED_ALONE = """
import os, sys
before = dict(os.environ)
from textgate import Classifier
one = Classifier.load(sys.argv[1])
threads = len(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else 0
one.predict("good")
one.predict("\\ud800 bad")
if threads:
    assert len(os.listdir("/proc/self/task")) == threads, "a thread pool for one text"
list(one.predict_many(["good", "bad"]))
assert dict(os.environ) == before
"""


def test_importing_changes_no_variable():
    done = run(IMPORTED)
    assert (done.returncode, done.stderr) == (0, "")


def test_using_changes_none_and_one_text_needs_no_threads(bundle):
    done = run(USED_ALONE, bundle)
    assert (done.returncode, done.stderr) == (0, "")
