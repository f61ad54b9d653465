"""The programs of docs/errors.md run unchanged, one after the other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def names():
    """The names that the programs define."""
    import matplotlib as mpl

    mpl.use("Agg")
    found = {}
    blocks = re.findall(r"<!-- (\w+) -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == PAGE.count("```python") == 2
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        for name, block in blocks:
            exec(compile(block, name, "exec"), found)  # the page is part of the project
    from matplotlib import pyplot

    pyplot.close("all")
    return found


def test_a_report(names):
    report = names["report"]
    assert report.rows == 200
    assert {one.column for one in report.slices} == {"source"}


def test_an_evaluation(names):
    assert len(names["answers"]) == 200
    assert names["evaluation"].metrics.rows == 200
