"""The programs of docs/sklearn.md run unchanged, one after the other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from textgate import Classifier

PAGE = (Path(__file__).parents[2] / "docs" / "sklearn.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """The names that the programs define."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("page"))
        blocks = re.findall(r"<!-- (\w+) -->\n```python\n(.*?)```", PAGE, re.DOTALL)
        assert len(blocks) == PAGE.count("```python") == 4
        for name, block in blocks:
            exec(compile(block, name, "exec"), found)  # the page is part of the project
        with Classifier.load("phones") as classifier:
            found["phones"] = classifier.predict("what a lovely phone").label
    return found


def test_training(names):
    assert names["classifier"].predict(["what a lovely phone"]) == ["good"]
    assert names["phones"] == "good"


def test_a_search_over_a_pipeline(names):
    assert names["search"].best_score_ == 1.0
    assert names["search"].predict(["an_awful_phone"]) == ["bad"]


def test_several_labels(names):
    assert names["tagger"].classes_.tolist() == ["hardware", "billing"]
    texts = ["The screen is broken", "The invoice is wrong"]
    assert names["tagger"].predict(texts).tolist() == [[1, 0], [0, 1]]


def test_a_bundle(names):
    assert names["calibrated"].predict(["a great case"]) == ["good"]
