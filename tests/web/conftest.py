"""The browser package, run by Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "runtime" / "web"
NODE = shutil.which("node")


@pytest.fixture
def node(tmp_path):
    """Run a method of node.mjs and return its answer."""
    if NODE is None:
        pytest.skip("no node on the path: it runs the browser package here")
    version = subprocess.run([NODE, "--version"], capture_output=True, text=True, check=True).stdout
    older = int(version.removeprefix("v").partition(".")[0]) < 22  # has relaxed SIMD behind a flag
    flags = ["--experimental-wasm-relaxed-simd"] if older else []

    def run(method, **values):
        job, answer = tmp_path / "job.json", tmp_path / "answer.json"
        text = json.dumps(
            {"method": method, "package": str(PACKAGE), "answer": str(answer), **values},
            default=str,
        )
        job.write_text(text, encoding="ascii")
        subprocess.run(
            [NODE, *flags, str(Path(__file__).with_name("node.mjs")), str(job)],
            check=True,
            timeout=120,
        )
        return json.loads(answer.read_text(encoding="utf-8"))

    return run
