"""Ablation of the recipe: its table, and its variants."""

from __future__ import annotations

import json

import click
import pytest

from textgate.train import PRESETS


def run(variant, data, seed, accuracy, loss):
    return {
        "variant": variant,
        "data": data,
        "seed": seed,
        "accuracy": accuracy,
        "log_loss": loss,
    }


RUNS = [
    run("the recipe", "trec", 0, 0.9, 0.3),
    run("the recipe", "trec", 1, 0.92, 0.28),
    run("the recipe", "mr", 0, 0.8, 0.45),
    run("less of it", "trec", 0, 0.88, 0.34),
    run("less of it", "trec", 1, 0.9, 0.32),
    run("less of it", "mr", 0, 0.81, 0.43),
]


def test_no_set_of_that_name(script, tmp_path):
    (tmp_path / "trec").mkdir()
    with pytest.raises(click.BadParameter, match=r"no set 'trecc' in .+ \(did you mean 'trec'\?\)"):
        script("sets").find_sets(tmp_path, ("trecc",))


def test_one_line_per_variant(script):
    lines = [
        [one["variant"], one["each"]] for one in script("pages.blocks").variants({"runs": RUNS})
    ]
    assert lines == [
        ["the recipe", {"trec": "0.9100, 0.2900", "mr": "0.8000, 0.4500"}],
        ["less of it", {"trec": "0.8900, 0.3300 (+0.0400)", "mr": "0.8100, 0.4300 (-0.0200)"}],
    ]


def test_every_variant_changes_known_settings(script):
    """For two labels and for more, whose recipes differ in direction."""
    recipes = [PRESETS["default"].replace(bidirectional=both) for both in (False, True)]
    for name, settings in script("ablation").VARIANTS.items():
        same = all(recipe.replace(**settings) == recipe for recipe in recipes)
        assert same == (name == "the recipe"), name


@pytest.mark.parametrize(("seeds", "words"), [((0,), "one seed"), ((0, 1), "the mean of 2 seeds")])
def test_the_page(script, tmp_path, monkeypatch, seeds, words):
    monkeypatch.setattr(script("pages.templates"), "RESULTS", tmp_path)
    ablation = script("pages.blocks").BLOCKS["ablation"]
    assert ablation.on_page() == "Not measured yet: `python benchmarks/ablation.py`."
    machine = {
        "processor": "a processor",
        "features": ["avx2"],
        "cpus": 2,
        "versions": {"onnxruntime": "1.0"},
    }
    runs = [one for one in RUNS if one["seed"] in seeds and one["data"] == "trec"]
    content = json.dumps({"machine": machine, "runs": runs})
    (tmp_path / "ablation.json").write_text(content, encoding="utf-8")
    text = ablation.on_page()
    assert f"Accuracy on dev, {words}," in text
    assert "| less of it |" in text
