"""`textgate serve`: its options, and what it says without its extra. What it serves is tested in
tests/runtime/serve."""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys

import pytest

WRONG = [
    # options -> words of the message
    (["-m", "nothing"], "should be NAME=PATH"),
    (["-m", "sentimnt"], "such as spam=./spam (did you mean 'sentiment'?)"),
    (["-m", "=path"], "should be NAME=PATH"),
    (["-m", "name="], "should be NAME=PATH"),
    (["-m", "a=x", "-m", "a=y"], "given twice; versions of it are a:1, a:2"),
    (["--port", "65536"], "65536"),
    (["--workers", "0"], "0 is not in the range"),
    (["--timeout", "0"], "0"),
    (["--max-body", "much"], "not a size such as"),
    (["--ssl-keyfile", "key.pem"], "--ssl-keyfile goes with --ssl-certfile"),
]


@pytest.mark.parametrize(("options", "words"), WRONG, ids=str)
def test_wrong_options_are_wrong_usage(command, options, words):
    outcome = command("serve", *options)
    assert outcome.status == 2
    assert words in outcome.message


WITHOUT = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocked())
sys.argv = ["textgate", "serve", "--port", "0", "--cors-origin", "https://example.org"]
from textgate.cli import main
main()
"""


@pytest.mark.parametrize("package", ["starlette", "uvicorn", "msgspec", "prometheus_client"])
def test_a_missing_extra_is_named(package):
    for needed in ("prometheus_client", "msgspec", "starlette", "uvicorn"):
        if needed != package:
            pytest.importorskip(needed, reason="pip install 'textgate[serve]'")
    code = WITHOUT.format(package=package)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith(
        f"textgate: textgate serve needs {package}, which the extra brings: "
        "pip install 'textgate[serve]'\n"
    )


def test_sighup_waits_until_the_service_can_reload(command, monkeypatch):
    server = pytest.importorskip("textgate.serve.server", reason="pip install 'textgate[serve]'")
    module = importlib.import_module("textgate.cli.serve")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, set())
    blocked = []

    def run_server(*_, **__):
        blocked.extend(signal.pthread_sigmask(signal.SIG_SETMASK, before))
        return 0

    monkeypatch.setattr(server, "run_server", run_server)
    monkeypatch.setattr(module, "_log_to_standard_error", lambda: None)
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    assert command("serve", "--port", 0).status == 0
    assert signal.SIGHUP in blocked


def test_help_needs_nothing_of_the_extra(command):
    outcome = command("serve", "--help")
    assert outcome.status == 0
    assert "--workers" in outcome.out
