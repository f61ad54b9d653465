"""`benchmarks/accuracy.py`."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="module")
def accuracy(script: Any) -> ModuleType:
    module: ModuleType = script("accuracy")
    return module


def section(name: str, value: float) -> dict[str, Any]:
    return {"data": name, "textgate": {"accuracy": {"mean": value}}}


def test_a_run_of_some_sets_keeps_the_others(accuracy: ModuleType, tmp_path: Path) -> None:
    output = tmp_path / "accuracy.json"
    output.write_text(json.dumps({"sets": [section("sst2", 0.8), section("trec", 0.9)]}))
    assert accuracy._with_earlier([section("imdb", 0.7), section("trec", 0.95)], output) == [
        section("imdb", 0.7),
        section("sst2", 0.8),
        section("trec", 0.95),
    ]


def test_the_first_run_of_some_sets_has_no_others(accuracy: ModuleType, tmp_path: Path) -> None:
    found = accuracy._with_earlier([section("imdb", 0.7)], tmp_path / "accuracy.json")
    assert found == [section("imdb", 0.7)]
