"""The engine as WebAssembly gives the bits of plain C, with and without relaxed SIMD."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("file", ["engine.wasm", "engine_fused.wasm"])
def test_random_models_give_the_bits_of_c(node, random_cases, file):
    if not node("exact", file=file):
        pytest.skip("relaxed SIMD of this Node is not exact: before 22 it loses sums")
    cases, expected = random_cases
    assert node("models", file=file, cases=cases) == expected
