"""`textgate bench`: the command, its options, its formats and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from textgate.bench import measure as measuring
from textgate.inference.classifier import Classifier


@pytest.fixture(autouse=True)
def one_fresh_process(monkeypatch):
    monkeypatch.setattr(measuring, "_PROCESSES", 1)


def test_json(command, bundle):
    arguments = ("bench", "-m", bundle, "--duration", "0", "--lengths", "5,10,500")
    shown = command(*arguments, "--batch-sizes", "1,3", "--json")
    assert (shown.status, shown.err) == (0, "")
    value = json.loads(shown.out)
    assert [(line["tokens"], line["batch_size"]) for line in value["lines"]] == [
        (5, 1),
        (5, 3),
        (10, 1),
        (10, 3),
    ]
    for line in value["lines"]:
        for stage in ("tokenize", "run", "both"):
            assert 0 < line[stage]["p50"] <= line[stage]["p90"] <= line[stage]["p99"]
    assert value["bundles"][0]["cold_start"]["total_ms"] > 0
    assert value["machine"]["versions"]["onnxruntime"]
    assert value["quiet"] is (not value["noise"]["reasons"])
    assert value["threads"] == 1


def test_a_table_for_people(command, bundle):
    shown = command(
        "bench", "-m", bundle, "--duration", "0", "--lengths", "5,10", "--batch-sizes", "2"
    )
    assert (shown.status, shown.err) == (0, "")
    blocks = [block.splitlines() for block in shown.out.split("\n\n")]
    assert "onnxruntime" in blocks[0][1]
    assert blocks[0][2].startswith(("The machine was quiet:", "The machine was noisy:"))
    assert [line.split()[:2] for line in blocks[1][1:]] == [["5", "2"], ["10", "2"]]
    assert blocks[0][1].endswith("; 1 thread per call")
    assert blocks[2][0].split("  ")[-1] == "after predictions"
    assert "  next prediction  " in blocks[2][0]
    assert blocks[2][1].startswith("lstm-int8")
    assert blocks[3][0].endswith("  total")
    assert "model.onnx" in blocks[3][0]


def test_several_bundles_beside_their_evaluations(command, bundles, reviews, tmp_path):
    names = ["lstm-int8", "gru-float32"]
    models = [option for name in names for option in ("-m", bundles[name])]
    scored = command("evaluate", "-m", bundles[names[0]], reviews / "test.jsonl.gz", "--json")
    evaluation = tmp_path / "evaluation.json"
    evaluation.write_text(scored.out, encoding="utf-8")
    page = tmp_path / "page.html"
    shown = command(
        "bench", *models, "--duration", "0", "--lengths", "5,9", "--batch-sizes", "1",
        "--evaluation", evaluation, "--evaluation", evaluation, "--html", page, "--json",
    )  # fmt: skip
    assert (shown.status, shown.err) == (0, "")
    value = json.loads(shown.out)
    accuracy = json.loads(scored.out)["accuracy"]
    assert [(each["bundle"], each["accuracy"]) for each in value["accuracies"]] == [
        (name, accuracy) for name in names
    ]
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    for title in ("Latency by length", "Latency distribution", "Accuracy against latency"):
        assert f"<figcaption>{title}" in text


@pytest.mark.parametrize("name", ["texts.txt", "texts.csv"])
def test_own_texts(command, bundle, tmp_path, name):
    file = tmp_path / name
    header = "review\n" if name.endswith("csv") else ""
    file.write_text(header + "a fine film\ndull\nfar too long\n", encoding="utf-8")
    shown = command(
        "bench", "-m", bundle, "--text-file", file, "--text-field", "review", "--duration", "0",
        "--batch-sizes", "1", "--json",
    )  # fmt: skip
    assert (shown.status, shown.err) == (0, "")
    assert [(line["texts"], line["tokens"]) for line in json.loads(shown.out)["lines"]] == [
        ("file", 3)
    ]


def test_it_fails_if_what_was_timed_is_wrong(command, bundle, monkeypatch):
    many = Classifier.predict_many
    monkeypatch.setattr(
        Classifier, "predict_many", lambda self, texts: reversed(list(many(self, texts)))
    )
    shown = command("bench", "-m", bundle, "--duration", "0", "--batch-sizes", "2")
    assert (shown.status, shown.out) == (1, "")
    assert "is not what predict computes" in shown.message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--duration", "-1"], "-1.0 is not in the range 0<=x<=3600"),
        (["--duration", "nan"], "measuring needs seconds"),
        (["--duration", "fast"], "'fast' is not a valid float"),
        (["--lengths", "0"], "'0' is not a list of numbers from 1 on"),
        (["--lengths", "5,,6"], "'5,,6' is not a list of numbers from 1 on"),
        (["--lengths", "1" * 50], "is not a list of numbers from 1 on"),
        (["--lengths", "400,500"], "every length is over the bundle's 40 tokens"),
        (["--lengths", "none"], "'none' is not a list of numbers from 1 on"),
        (["--batch-sizes", "none"], "'none' is not a list of numbers from 1 on"),
        (["--threads", "0"], "'0' is neither a number from 1 on nor auto"),
        (["--text-file", "texts"], "the name tells no format"),
    ],
)
def test_wrong_usage(command, bundle, options, message):
    shown = command("bench", "-m", bundle, *options)
    assert (shown.status, shown.out) == (2, "")
    assert message in shown.message


def test_a_bundle_given_twice(command, bundle):
    shown = command("bench", "-m", bundle, "-m", bundle)
    assert (shown.status, shown.out) == (2, "")
    assert "is given twice" in shown.message


INTERVAL = '"accuracy_interval": [0.4, 0.6]'
WRONG_EVALUATIONS = [
    (None, "cannot be read: No such file"),
    ("[]", "expected a JSON object"),
    (f'{{"accuracy": 0.5, {INTERVAL}}}', "field 'rows' is missing"),
    (f'{{"rows": 0, "accuracy": 0.5, {INTERVAL}}}', "whole number from 1"),
    (f'{{"rows": 9, "accuracy": 50, {INTERVAL}}}', "a number from 0 to 1"),
    ('{"rows": 9, "accuracy": 0.5, "accuracy_interval": [0.4]}', "a list of 2, found"),
    (
        '{"rows": 9, "accuracy": 0.5, "accuracy_interval": ["a", 1]}',
        "interval[0]' should be a number",
    ),
]


@pytest.mark.parametrize(("text", "message"), WRONG_EVALUATIONS)
def test_evaluations_that_are_none(command, bundle, tmp_path, text, message):
    file = tmp_path / "evaluation.json"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    shown = command("bench", "-m", bundle, "--evaluation", file)
    assert (shown.status, shown.out) == (1, "")
    assert str(file) in shown.message
    assert message in shown.message


def test_a_page_that_cannot_be_written_is_refused_before_the_measurement(command, tmp_path):
    shown = command("bench", "-m", tmp_path / "nothing", "--html", tmp_path)
    assert (shown.status, shown.out) == (1, "")
    assert shown.message == f"textgate: {tmp_path}: not a regular file; choose another path"


def test_an_evaluation_for_each_bundle_or_none(command, bundle, tmp_path):
    shown = command("bench", "-m", bundle, "--evaluation", "a", "--evaluation", "b")
    assert (shown.status, shown.out) == (2, "")
    assert "2 evaluations for 1 bundles" in shown.message


@pytest.mark.parametrize(
    ("page", "complaint"),
    [
        ("texts.txt", "texts.txt: is an input of this command; write to another file"),
        ("linked.txt", "linked.txt: is an input of this command"),
        ("evaluation.json", "evaluation.json: is an input of this command"),
        ("missing/page.html", "page.html: there is no folder missing; make it first"),
    ],
)
def test_a_page_that_cannot_be_written(command, bundle, tmp_path, monkeypatch, page, complaint):
    monkeypatch.chdir(tmp_path)
    for name in ("texts.txt", "evaluation.json"):
        Path(name).write_text("a fine film", encoding="utf-8")
    Path("linked.txt").symlink_to("texts.txt")
    options = ["--text-file", "texts.txt", "--evaluation", "evaluation.json", "--html", page]
    shown = command("bench", "-m", bundle, *options)
    assert (shown.status, shown.out) == (1, "")
    assert complaint in shown.message
    assert Path("texts.txt").read_text(encoding="utf-8") == "a fine film"


def test_a_file_without_texts(command, bundle, tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("", encoding="utf-8")
    shown = command("bench", "-m", bundle, "--text-file", file)
    assert (shown.status, shown.out) == (1, "")
    assert "there are no texts to measure with" in shown.message
