"""Tables and pictures come from the results, and differ from them in no way."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner

ROOT = Path(__file__).parents[2]
GAPS = (5, 50)


def memory_result(*, rnn_gradient: float = 0.3, int8_gru: float = 1.1) -> dict:
    """Figures as they could be, without measuring any."""
    networks = [
        (cell, init)
        for cell in ("rnn", "lstm", "gru")
        for init in ("reference", "torch", "long gates")
        if (cell, init) != ("rnn", "long gates")
    ]
    left = {"rnn": rnn_gradient, "lstm": 0.01, "gru": 1e-14}
    return {
        "machine": {
            "processor": "a processor",
            "features": ["avx2"],
            "cpus": 2,
            "versions": {"onnxruntime": "1.0"},
        },
        "noise": {"reasons": []},
        "updates": 100,
        "parameters": {"rnn": 100, "lstm": 400, "gru": 300},
        "recalled": [
            {"cell": cell, "init": init, "gap": gap, "seed": seed, "updates": 50,
             "accuracy": 1.0 if gap == 5 or cell == "lstm" else 0.25}
            for cell, init in networks for gap in GAPS for seed in (0, 1)
        ],
        "gradients": [
            {"cell": cell, "init": init, "trained": trained,
             "norms": [left[cell] ** (step / 100) for step in range(201)]}
            for cell, init in networks for trained in (False, True)
        ],
        "costs": [
            {"cell": cell, "what": what, "tokens": 100, "ms": 0.1, "low": 0.9, "high": 1.2,
             "ratio": int8_gru if (cell, what) == ("gru", "int8") else 1.0}
            for what in ("update", "float32", "int8") for cell in ("rnn", "lstm", "gru")
        ],
    }  # fmt: skip


@pytest.fixture
def readme(script, tmp_path, monkeypatch):
    """The script over a copy of the pages, with the memory's result alone to change."""
    module = script("readme")
    results = tmp_path / "benchmarks" / "results"
    shutil.copytree(ROOT / "benchmarks" / "results", results)
    for page in module.PAGES:
        (tmp_path / page).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / page, tmp_path / page)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module.blocks, "RESULTS", results)
    for name in ("memory_of_cells.json", *(f"{name}.svg" for name in module.PICTURES)):
        (results / name).unlink(missing_ok=True)

    def run(*arguments):
        return CliRunner().invoke(module.main, arguments)

    run()
    run.folder, run.result = tmp_path / "benchmarks", results / "memory_of_cells.json"
    return run


def test_what_was_not_measured_says_so(readme):
    page = (readme.folder / "tables.md").read_text(encoding="utf-8")
    assert "Not measured yet: `python benchmarks/memory_of_cells.py`." in page
    assert not list(readme.folder.glob("results/memory*.svg"))
    assert readme("--check").exit_code == 0


def test_a_result_becomes_tables_text_and_pictures(readme):
    readme.result.write_text(json.dumps(memory_result()), encoding="utf-8")
    assert readme("--check").exit_code == 1
    assert readme().exit_code == 0
    assert readme("--check").exit_code == 0
    page = (readme.folder / "tables.md").read_text(encoding="utf-8")
    assert "| 50 | 1.00 | 0.25 | 0.25 | 1.00 | 0.25 | 0.25 | 1.00 | 0.25 |" in page
    assert "gates begin open for the gap: LSTM 50, GRU 5." in page
    for name in ("accuracy", "gradient", "gradient-trained"):
        file = readme.folder / "results" / f"memory_of_cells-{name}.svg"
        picture = ET.parse(file).getroot()
        panels = [each for each in picture if each.attrib.get("class") == "plot"]
        assert len(panels) == 3
        assert f"results/{file.name}" in page


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "tables.md").write_text(
            (folder / "tables.md").read_text().replace("LSTM 50, GRU 5", "LSTM 50, GRU 50")
        ),
        lambda folder: (folder / "results" / "memory_of_cells-accuracy.svg").write_text("<svg/>"),
        lambda folder: (folder / "results" / "memory_of_cells-gradient.svg").unlink(),
        lambda folder: (folder / "results" / "memory_of_cells.json").unlink(),
    ],
)
def test_a_difference_is_found(readme, change):
    readme.result.write_text(json.dumps(memory_result()), encoding="utf-8")
    readme()
    change(readme.folder)
    found = readme("--check")
    assert found.exit_code == 1
    assert "not what the results say" in found.output


@pytest.mark.parametrize(
    ("rnn_gradient", "int8_gru", "words"),
    [
        (0.3, 1.1, ["does not hold for the LSTM and the GRU", "it is slower than the LSTM"]),
        (1e-3, 1.0, ["does not hold for the GRU:", "it is as fast as the LSTM"]),
        (1e-20, 0.5, ["is kept holds:", "it is faster than the LSTM"]),
    ],
)
def test_the_claims_follow_the_figures(script, rnn_gradient, int8_gru, words):
    blocks = script("blocks")
    result = memory_result(rnn_gradient=rnn_gradient, int8_gru=int8_gru)
    said = blocks.memory_claims(result) + blocks.cost_claims(result)
    assert all(word in said for word in words), said


def test_a_noisy_machine_is_told_of(script):
    block = script("blocks").BLOCKS["memory"]
    result = memory_result()
    assert "noisy" not in block.text(result)
    assert "**Measured on a noisy machine**" in block.text(
        {**result, "noise": {"reasons": ["39% of the time went to something else"]}}
    )


def test_what_a_student_was_given_several_times_is_named_once(script):
    given = {"rows": ["a.gz", "b.gz", "a.gz"], "teachers": [], "epochs": ["5"]}
    assert script("blocks").extras(given) == "rows: a.gz (2 times), b.gz; epochs: 5"
