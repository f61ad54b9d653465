"""The engine as WebAssembly gives the bits of plain C, with and without relaxed SIMD."""

from __future__ import annotations

import base64
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from textgate.errors import BundleError
from textgate.native.session import NativeSession

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def random_model():
    path = TESTS / "runtime" / "native" / "test_native.py"
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


@pytest.mark.parametrize("file", ["engine.wasm", "engine_fused.wasm"])
def test_random_models_give_the_bits_of_c(node, random_model, file):
    """Models of all kinds, a third of them with weights far too large or not finite."""
    generator = np.random.default_rng(0)
    cases, expected = [], []
    for number in range(150):
        model = random_model(generator, wild=number % 3 == 0)
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
            expected.append(str(problem).partition(": ")[2])
    answers = node("models", file=file, cases=cases)
    found = [one["message"].partition(": ")[2] if "error" in one else one for one in answers]
    assert found == expected
    assert any(isinstance(one, str) for one in expected)
