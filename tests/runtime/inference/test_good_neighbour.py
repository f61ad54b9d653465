"""The package does not touch the network, the user's files or the environment."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
SECONDS = 30  # in which a library that reports home has opened its connection


def run(code, *arguments):
    environment = {**os.environ}
    environment.pop("TOKENIZERS_PARALLELISM", None)
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
    )


# The network, and files nobody asked for

USED = """
import time
from textgate import Classifier
end = time.monotonic() + float(sys.argv[2])
one = Classifier.load(sys.argv[1], threads=2)
while time.monotonic() < end:
    one.predict("a good film")
    list(one.predict_many(["good", "bad"] * 100))
    stream = one.stream()
    stream.feed("a good ")
    stream.finish()
    time.sleep(0.1)
"""
COMMANDS = """
from textgate.cli import _status
bundle, data = sys.argv[1:3]
for arguments in (
    ["classify", "-m", bundle, "a good film"],
    ["classify", "-m", bundle, "--jobs", "2", "-i", data],
    ["evaluate", "-m", bundle, data],
    ["bench", "-m", bundle, "--lengths", "10", "--batch-sizes", "1", "--duration", "0.05"],
    ["inspect", bundle],
    ["models"],
    ["--help"],
):
    sys.argv[1:] = arguments
    assert _status() == 0, arguments
"""
COMMAND = """
from textgate.cli import main
main()
"""


@pytest.fixture(scope="session")
def watched(watch, bundle, write_jsonl, tmp_path_factory):
    """Processes that work at the same time, while the other tests run."""
    data = tmp_path_factory.mktemp("data") / "a.jsonl"
    write_jsonl(data, [{"text": "good", "label": "positive"}] * 40)
    processes = {
        "Python": watch(USED, bundle, SECONDS),
        "a stream": watch(COMMAND, "classify", "--stream", "-m", bundle),
        "commands": watch(COMMANDS, bundle, data),
    }
    processes["a stream"].process.stdin.write(b"a good ")
    processes["a stream"].process.stdin.flush()
    yield processes
    for one in processes.values():
        one.process.kill()
        one.process.communicate()


@pytest.mark.parametrize(
    "opened", ["socket.socket()", "threading.Thread(target=socket.socket).start(); time.sleep(60)"]
)
def test_a_socket_is_the_end(watch, opened):
    """Otherwise the next tests would say nothing."""
    process = watch("import socket, threading, time; " + opened).process
    process.communicate()
    if process.returncode == 77:
        pytest.skip("this system does not let a process give up calls")
    assert process.returncode < 0


def test_they_begin_first(watched):
    """`tests/conftest.py` puts the other tests of them last."""
    for name, one in watched.items():
        assert one.process.poll() in (None, 0, 77), name


def test_commands_open_no_socket_and_write_no_file(watched):
    watched["commands"].finish()


def test_nor_does_python_while_it_predicts(watched):
    """As long as it takes: ONNX Runtime's telemetry opens its first socket after ten seconds."""
    watched["Python"].finish()


def test_nor_does_a_stream_that_stays_open(watched):
    assert b"positive" in watched["a stream"].finish(b"film", seconds=SECONDS)


def imports_that_run(tree):
    """Yield the names of modules that code imports, but for those that only types need."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        yield from imports_that_run(node)


def test_one_module_imports_onnx_runtime():
    """The others would start its telemetry."""
    found = {
        path.relative_to(REPOSITORY).as_posix()
        for folder in ("runtime", "train", "export", "estimator", "tests")
        for path in (REPOSITORY / folder).rglob("*.py")
        if "onnxruntime" in (code := path.read_text(encoding="utf-8"))
        for name in imports_that_run(ast.parse(code))
        if name.partition(".")[0] == "onnxruntime"
    }
    assert found == {"runtime/inference/onnx_runtime.py"}


STAND_IN = """
import os
seen, disabled = os.environ.get("ORT_DISABLE_TELEMETRY"), []
def disable_telemetry_events():
    disabled.append(True)
"""
BEHIND = """
import os, sys
sys.path.insert(0, sys.argv[1])
before = dict(os.environ)
import textgate.inference.onnx_runtime
import onnxruntime
assert onnxruntime.seen == "1", onnxruntime.seen
assert onnxruntime.disabled
assert dict(os.environ) == before
"""


@pytest.mark.parametrize("value", [None, "", "0", "1"])
def test_onnx_runtime_is_imported_without_telemetry(tmp_path, monkeypatch, value):
    """Whatever the variable says, which keeps its value."""
    (tmp_path / "onnxruntime.py").write_text(STAND_IN, encoding="utf-8")
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    if value is not None:
        monkeypatch.setenv("ORT_DISABLE_TELEMETRY", value)
    done = run(BEHIND, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


# The environment

IMPORTED = """
import importlib, os, pkgutil, sys
EXTRAS = {"torch", "onnx", "safetensors", "tqdm"}
EXTRAS |= {"starlette", "uvicorn", "prometheus_client", "msgspec", "httptools", "websockets"}
EXTRAS |= {"opentelemetry", "uvloop", "pyarrow", "ray", "pyspark", "sklearn"}
try:
    import sklearn  # which sets variables of its own
except ModuleNotFoundError:
    pass
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # textgate.scale.ray sets it, as its page says
before = dict(os.environ)
import textgate
for found in pkgutil.walk_packages(textgate.__path__, "textgate.", onerror=lambda _: None):
    try:
        importlib.import_module(found.name)
    except ModuleNotFoundError as problem:
        assert problem.name.partition(".")[0] in EXTRAS, problem
wanted = {"textgate.inference.session", "textgate.cli.classify", "textgate.rows.parquet"}
assert wanted <= set(sys.modules)
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
