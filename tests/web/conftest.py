"""The browser package, run by Node."""

from __future__ import annotations

import base64
import importlib.util
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from textgate.errors import BundleError
from textgate.native.session import NativeSession

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


def random_model():
    """The maker of random models, from the tests of the native engine."""
    path = ROOT / "tests" / "runtime" / "native" / "test_native.py"
    spec = importlib.util.spec_from_file_location("test_native", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.random_model


def bits(numbers):
    return np.asarray(numbers, "<f4").view("<u4").tolist()


def in_c(model, texts, cut):
    """What plain C gives: probabilities, and those of the first text in two pieces."""
    session = NativeSession(model, instructions="portable")
    lengths = np.array([len(ids) for ids in texts])
    table = np.zeros((len(texts), lengths.max()), np.int64)
    for row, ids in enumerate(texts):
        table[row, : len(ids)] = ids
    run = [bits(row) for row in session.run(table, lengths)]
    if not cut:
        return {"run": run}
    _, state = session.read(texts[0][:cut], keep_state=True)
    probabilities, _ = session.read(texts[0][cut:], state, keep_state=True)
    return {"run": run, "state": bits(state), "stream": bits(probabilities)}


@pytest.fixture(scope="module")
def random_cases():
    """Models of all kinds, a third with weights too large or not finite, and what C gives."""
    make, generator = random_model(), np.random.default_rng(0)
    cases, expected = [], []
    for number in range(150):
        model = make(generator, wild=number % 3 == 0)
        directions, rows = np.frombuffer(model, "<i4", 2, offset=20)
        texts = [
            generator.integers(0, rows, generator.integers(2, 70)).tolist()
            for _ in range(generator.integers(1, 7))
        ]
        cut = len(texts[0]) // 2 if directions == 1 else 0
        cases.append({"model": base64.b64encode(model).decode(), "texts": texts, "cut": cut})
        try:
            expected.append(in_c(model, texts, cut))
        except BundleError as problem:
            expected.append({"error": str(problem).partition(": ")[2]})
    assert any("error" in one for one in expected)
    return cases, expected
