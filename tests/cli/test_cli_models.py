"""`textgate models`, and the default model in the other commands."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from textgate.bundle.builtin import DEFAULT_MODEL, bundled_path
from textgate.bundle.manifest import Manifest
from textgate.bundle.storage import bundle_bytes

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.delenv("TEXTGATE_MODEL", raising=False)
    monkeypatch.chdir(tmp_path)


def manifest():
    path = bundled_path(DEFAULT_MODEL) / "textgate.json"
    return Manifest.parse(path.read_bytes(), where=str(path))


def test_the_list(command):
    shown = command("models")
    assert (shown.status, shown.err) == (0, "")
    header, line, other = shown.out.splitlines()
    assert other.startswith("toxicity ")
    assert header.split() == ["model", "size", "labels", "accuracy", "streams", "for"]
    assert line.startswith("sentiment (default)")
    accuracy = manifest().quality["exported"].accuracy
    for told in ("MB", "negative, neutral, positive", f"{accuracy:.4f}", "yes", "English"):
        assert told in line


def test_the_list_as_json(command):
    one, other = json.loads(command("models", "--json").out)
    assert one["path"] == str(bundled_path(DEFAULT_MODEL))
    assert (one["name"], one["default"], one["streaming"]) == ("sentiment", True, True)
    assert one["labels"] == ["negative", "neutral", "positive"]
    assert one["bytes"] == bundle_bytes(bundled_path(DEFAULT_MODEL)) < 2_500_000
    assert one["rows"] == manifest().quality["exported"].rows > 1000
    assert (other["name"], other["default"], other["streaming"]) == ("toxicity", False, True)
    assert other["labels"] == ["clean", "toxic"]


def test_the_list_is_of_the_package(command, bundle, tmp_path):
    shutil.copytree(bundle, tmp_path / DEFAULT_MODEL)  # which is what the name means here
    assert command("classify", "x").out == command("classify", "-m", bundle, "x").out
    one, _ = json.loads(command("models", "--json").out)
    assert one["path"] == str(bundled_path(DEFAULT_MODEL))


def test_no_model_need_be_named(command, tmp_path, write_jsonl):
    text = "What a wonderful evening, I loved it!"
    shown = command("classify", text)
    assert (shown.status, shown.err) == (0, "")
    assert shown.out.startswith("positive\t")
    assert shown.out == command("classify", "-m", DEFAULT_MODEL, text).out
    assert command("inspect").out == command("inspect", DEFAULT_MODEL).out
    rows = write_jsonl(tmp_path / "rows.jsonl", [{"text": text, "label": "positive"}])
    assert "accuracy           1.0000" in command("evaluate", rows).out


def test_bench_needs_none_either(command):
    shown = command("bench", "--duration", "0.1", "--lengths", "5", "--json")
    assert (shown.status, shown.err) == (0, "")
    assert [one["name"] for one in json.loads(shown.out)["bundles"]] == [DEFAULT_MODEL]


@pytest.mark.parametrize("arguments", [["classify", "x", "-m"], ["bench", "-m"], ["inspect"]])
def test_a_name_that_is_none(command, arguments):
    shown = command(*arguments, "sentimental")
    assert shown.status == 1
    assert shown.message == (
        "textgate: sentimental: no folder of that name, and no model that comes with textgate (did "
        "you mean 'sentiment'?); those are: sentiment, toxicity"
    )


def test_what_the_readme_shows_first(command):
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    typed = re.search(r"textgate (classify [^`]*)```", page)[1].replace("\\\n", "")
    shown = re.search(r"<!-- begin first -->\n```text\n(.*?)```", page, re.DOTALL)[1]
    answered = command(*shlex.split(typed)).out
    pairs = list(zip(shown.splitlines(), answered.splitlines(), strict=True))
    assert len(pairs) >= 3
    for line, found in pairs:
        label, score, text = line.split("\t")
        same_label, other_score, same_text = found.split("\t")
        assert (label, text) == (same_label, same_text)
        assert abs(float(score) - float(other_score)) <= 0.02  # processors round differently
    assert {line.split("\t")[0] for line in shown.splitlines()} >= {"positive", "neutral"}
