"""Tables and pictures of the pages match the results."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner

from textgate.cli import commands

ROOT = Path(__file__).parents[2]


def pareto_result(*, reasons: tuple[str, ...] = ()) -> dict:
    """Plausible figures of two networks and a linear model."""
    names = ("GRU 4, int8", "GRU, int8"), ("GRU 6, int8", "GRU, int8"), ("TF-IDF", "TF-IDF")
    machine = {"processor": "a", "features": ["avx2"], "cpus": 2, "versions": {"onnxruntime": "1"}}
    return {
        "machine": machine,
        "data": "films",
        "test_rows": 1000,
        "seed": 0,
        "noise": {"reasons": list(reasons)},
        "points": [
            {"name": name, "kind": kind, "accuracy": 0.8 + index / 100, "bytes": 10**6 + index,
             "p50": 0.1 + index, "fast": index == 0, "small": False}
            for index, (name, kind) in enumerate(names)
        ],
    }  # fmt: skip


@pytest.fixture
def readme(script, tmp_path, monkeypatch):
    """The script on a copy of the pages; the result of `pareto` alone is missing."""
    module = script("readme")
    results = tmp_path / "benchmarks" / "results"
    shutil.copytree(ROOT / "benchmarks" / "results", results)
    for page in module.PAGES:
        (tmp_path / page).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / page, tmp_path / page)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "RESULTS", results)
    monkeypatch.setattr(script("pages.templates"), "RESULTS", results)
    for name in ("pareto.json", "pareto.svg"):
        (results / name).unlink()

    def run(*arguments):
        return CliRunner().invoke(module.main, arguments)

    run()
    run.folder, run.result = tmp_path / "benchmarks", results / "pareto.json"
    return run


def test_the_pages_are_up_to_date(script):
    assert CliRunner().invoke(script("readme").main, ["--check"]).exit_code == 0


def test_a_missing_result_is_named(readme):
    page = (readme.folder / "tables.md").read_text(encoding="utf-8")
    assert "Not measured yet: `python benchmarks/pareto.py`." in page
    assert not (readme.folder / "results" / "pareto.svg").exists()
    assert readme("--check").exit_code == 0


def test_a_result_becomes_a_table_and_a_picture(readme):
    readme.result.write_text(json.dumps(pareto_result()), encoding="utf-8")
    assert readme("--check").exit_code == 1
    assert readme().exit_code == 0
    assert readme("--check").exit_code == 0
    page = (readme.folder / "tables.md").read_text(encoding="utf-8")
    assert "| **GRU 4, int8** | 0.8000 | 0.1 ms * | 1 MB |" in page
    assert "results/pareto.svg" in page
    picture = ET.parse(readme.folder / "results" / "pareto.svg").getroot()
    assert len([each for each in picture if each.attrib.get("class") == "plot"]) == 2


def spoil_page(folder):
    page = folder / "tables.md"
    page.write_text(page.read_text().replace("1,000 test rows", "1,001 test rows"))


@pytest.mark.parametrize(
    "change",
    [
        spoil_page,
        lambda folder: (folder / "results" / "pareto.svg").write_text("<svg/>"),
        lambda folder: (folder / "results" / "pareto.svg").unlink(),
        lambda folder: (folder / "results" / "pareto.json").unlink(),
    ],
)
def test_a_difference_is_found(readme, change):
    readme.result.write_text(json.dumps(pareto_result()), encoding="utf-8")
    readme()
    change(readme.folder)
    found = readme("--check")
    assert found.exit_code == 1
    assert "not what the results say" in found.output


@pytest.mark.parametrize("reasons", [(), ("39% of the time went to something else",)])
def test_a_noisy_machine_is_named(script, reasons):
    text = script("pages.blocks").BLOCKS["pareto"].text(pareto_result(reasons=reasons))
    assert ("**Measured on a noisy machine**" in text) is bool(reasons)


def test_the_card_shows_the_size_that_textgate_models_shows(script):
    blocks = script("pages.blocks")
    size = blocks.BLOCKS["sentiment"].on_page().rpartition("; on one core")[0].splitlines()[-1]
    assert size in CliRunner().invoke(commands, ["models"]).output
