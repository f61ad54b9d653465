"""Accuracy against time and size: the fronts, and a whole run."""

from __future__ import annotations

import gzip
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import CliRunner


def test_fronts(script):
    pareto = script("pareto")

    def point(name, accuracy, size, p50):
        return pareto.Point(name, "a kind", accuracy, size, p50)

    points = pareto.with_fronts(
        [
            point("fast", 0.7, 100, 1.0),
            point("best", 0.9, 300, 3.0),
            point("beaten in both", 0.8, 300, 3.5),
            point("small", 0.8, 50, 3.2),
            point("as good as the fast one, but slower", 0.7, 40, 1.1),
            point("twin of the best", 0.9, 300, 3.0),
        ]
    )
    assert [one.name for one in points if one.fast] == ["fast", "best", "twin of the best"]
    assert [one.name for one in points if one.small] == [
        "best",
        "small",
        "as good as the fast one, but slower",
        "twin of the best",
    ]


@pytest.mark.filterwarnings("ignore")  # of the peers
def test_it_trains_exports_and_measures(tmp_path, script, monkeypatch):
    pareto = script("pareto")
    # A thread need not import torch again.
    monkeypatch.setattr(script("sets"), "ProcessPoolExecutor", ThreadPoolExecutor)
    folder = tmp_path / "data" / "films"
    folder.mkdir(parents=True)
    for name, count in (("train", 120), ("dev", 30), ("test", 30)):
        lines = "".join(
            json.dumps({"text": f"a {word} film, number {number}", "label": label}) + "\n"
            for number in range(count)
            for word, label in (("good", "positive"), ("bad", "negative"))
        )
        (folder / f"{name}.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    out = tmp_path / "pareto.json"
    options = [
        "--cells",
        "gru,lstm",
        "--widths",
        "4",
        "--epochs",
        "1",
        "--seconds",
        "0",
        "--jobs",
        "1",
    ]
    folders = ["--data", tmp_path / "data", "--cache", tmp_path / "cache", "-o", out]
    done = CliRunner().invoke(pareto.main, [*options, *map(str, folders)])
    assert done.exit_code == 0, done.output
    result = json.loads(out.read_text(encoding="utf-8"))
    ours = {one["name"]: one for one in result["points"] if one["kind"] != one["name"]}
    assert set(ours) == {
        f"{cell} 4, {precision}" for cell in ("GRU", "LSTM") for precision in ("float32", "int8")
    }
    for one in result["points"]:
        assert 0 <= one["accuracy"] <= 1
        assert one["p50"] > 0
        assert one["bytes"] > 0
    assert ours["LSTM 4, int8"]["bytes"] < ours["LSTM 4, float32"]["bytes"]
    assert any(one["fast"] for one in result["points"])
    shown = script("pages.blocks").BLOCKS["pareto"].text(result)
    assert all(one["name"] in shown for one in result["points"])
    picture = script("pages.pictures").pareto(result)
    assert "LSTM, int8" in picture
    assert "float32" not in picture
