"""The recipes of the documentation run unchanged."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from textgate import Classifier, DataError

PAGE = (Path(__file__).parents[1] / "docs" / "recipes.md").read_text(encoding="utf-8")


def blocks(heading: str) -> list[str]:
    """Return the Python blocks under a heading."""
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


def run(heading: str) -> dict[str, object]:
    """Return the names that the Python blocks under a heading define."""
    names: dict[str, object] = {}
    for block in blocks(heading):
        exec(compile(block, heading, "exec"), names)  # the page is part of the project
    return names


def test_a_web_service(tmp_path, monkeypatch):
    (tmp_path / "service.py").write_text(blocks("A web service with FastAPI")[0], encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with TestClient(import_module("service").app) as client:
        answer = client.post("/classify", json={"texts": ["A tedious mess.", "Lovely!"]})
    assert answer.status_code == 200
    assert [one["label"] for one in answer.json()] == ["negative", "positive"]


def test_a_column_of_a_data_frame():
    names = run("A column of a pandas DataFrame")
    reviews, probabilities = names["reviews"], names["probabilities"]
    assert reviews["label"].tolist()[:2] == ["positive", "negative"]
    assert list(probabilities.columns) == ["negative", "neutral", "positive"]
    assert len(probabilities) == 3


def test_training_in_python(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("Train and export in Python")
    with Classifier.load(tmp_path / "phones") as classifier:
        assert classifier.labels == ("bad", "good")


@pytest.mark.parametrize("wrong", [None, float("nan")])
def test_a_missing_text_is_an_error(wrong):
    with Classifier.load("sentiment") as classifier, pytest.raises(DataError):
        list(classifier.predict_many([wrong]))
