"""`textgate evaluate` and `inspect`: figures for people and for programs."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from textgate import Classifier
from textgate.manifest import Manifest
from textgate.rows import load_labelled
from textgate.run import RUN, DataSummary, RunManifest

# evaluate


@pytest.fixture(scope="module")
def data(reviews):
    return reviews / "dev.jsonl.gz"


def test_the_figures_are_those_of_the_predictions(command, bundle, data):
    shown = command("evaluate", "-m", bundle, data, "--json")
    assert (shown.status, shown.err) == (0, "")
    result = json.loads(shown.out)
    rows = load_labelled(data)
    found = list(Classifier.load(bundle).predict_many(row.text for row in rows))
    right = [item.label == row.labels[0] for item, row in zip(found, rows, strict=True)]
    assert result["rows"] == len(rows)
    assert result["accuracy"] == pytest.approx(np.mean(right))
    assert result["accuracy"] > 0.6  # it has learned something
    assert 0 < result["macro_f1"] < 1
    assert 0 < result["ece"] < 1
    low, high = result["accuracy_interval"]
    assert low < result["accuracy"] < high
    assert [item["label"] for item in result["labels"]] == ["negative", "positive"]
    assert sum(item["support"] for item in result["labels"]) == len(rows)
    assert sum(map(sum, result["confusion"])) == len(rows)


def test_the_report_says_the_same(command, bundle, data):
    result = json.loads(command("evaluate", "-m", bundle, data, "--json").out)
    shown = command("evaluate", "-m", bundle, data)
    assert (shown.status, shown.err) == (0, "")
    assert f"rows               {result['rows']:,}" in shown.out
    assert f"accuracy           {result['accuracy']:.4f}" in shown.out
    assert f"macro-F1           {result['macro_f1']:.4f}" in shown.out
    assert f"calibration error  {result['ece']:.4f}" in shown.out
    assert "true \\ given" in shown.out


def test_what_abstaining_buys(command, bundle, data, tmp_path):
    """For thresholds of all labels alike, and for the bundle's own."""
    own = shutil.copytree(bundle, tmp_path / "bundle")
    manifest = Manifest.parse((own / "textgate.json").read_bytes(), where="bundle")
    manifest = dataclasses.replace(manifest, thresholds=(0.6, 0.7))
    (own / "textgate.json").write_text(manifest.to_json(), encoding="utf-8")
    rows = load_labelled(data)
    *points, last = json.loads(command("evaluate", "-m", own, data, "--json").out)["coverage"]
    assert [point["threshold"] for point in points] == [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99]
    assert last["threshold"] is None
    for point in (*points, last):
        classifier = Classifier.load(own, thresholds=point["threshold"])
        found = classifier.predict_many(row.text for row in rows)
        right = [
            one.label == row.labels[0] for one, row in zip(found, rows, strict=True) if one.labels
        ]
        assert point["coverage"] == pytest.approx(len(right) / len(rows))
        assert point["accuracy"] == (pytest.approx(np.mean(right)) if right else None)
    *_, line = command("evaluate", "-m", own, data).out.splitlines()
    assert line.split() == [
        "as",
        "the",
        "bundle",
        f"{last['coverage']:.2%}",
        f"{last['accuracy']:.4f}",
    ]


def test_the_calibration_error_before_and_after(command, bundle, data):
    result = json.loads(command("evaluate", "-m", bundle, data, "--json").out)
    assert result["temperature"] == Classifier.load(bundle).manifest.temperature != 1
    assert result["ece_uncalibrated"] > result["ece"]
    line = (
        f"calibration error  {result['ece']:.4f}  ({result['ece_uncalibrated']:.4f} without the "
        f"temperature {result['temperature']:.2f})\n"
    )
    assert line in command("evaluate", "-m", bundle, data).out


def test_several_labels(command, bundles, tmp_path, write_jsonl):
    rows = [
        {"text": "a fine film", "label": ["positive", "movie"]},
        {"text": "nothing here", "label": []},
    ]
    path = write_jsonl(tmp_path / "a.jsonl", rows)
    result = json.loads(command("evaluate", "-m", bundles["rnn-multi-label"], path, "--json").out)
    assert result["rows"] == 2
    assert result["confusion"] == []
    assert len(result["labels"]) == 5
    assert command("evaluate", "-m", bundles["rnn-multi-label"], path).status == 0


def test_rows_from_standard_input_and_other_columns(command, bundle):
    stdin = b"said,kind\ngood,positive\nbad,negative\n"
    shown = command(
        *("evaluate", "-m", bundle, "-", "--json", "--input-format", "csv"),
        *("--text-field", "said", "--label-field", "kind"),
        stdin=stdin,
    )
    assert (shown.status, shown.err) == (0, "")
    assert json.loads(shown.out)["rows"] == 2


REFUSED = [
    ("a.jsonl", b"", 1, "a.jsonl has no rows"),
    ("a.jsonl", b'{"text": "a"}\n', 1, "line 1: no field 'label', found 'text'; name the right"),
    ("a.jsonl", b'{"text": "a", "label": []}\n', 1, "no row has a label"),
    (
        "a.jsonl",
        b'{"text": "a", "label": "positive"}\n\n{"text": "a", "label": "neutral"}\n',
        1,
        "line 3: the model does not know the label 'neutral'; it knows negative, positive",
    ),
    (
        "a.jsonl",
        b'{"text": "a", "label": ["positive", "negative"]}\n',
        1,
        "line 1: 2 labels, but the model gives one",
    ),
    ("a.csv", b"text,labels\na,b\n", 1, "no field 'label', found 'text', 'labels'"),
    ("a.jsonl", b'{"text": "a", "label": "positive"}\n{"text"\n', 1, "line 2: not valid JSON"),
    ("a.jsonl", b'{"text": "\xff", "label": "positive"}\n', 1, "byte 0xff is not UTF-8"),
    ("a.txt", b"good\n", 1, "line 1: no label; a line starts with __label__NAME"),
    ("a.rows", b"", 2, "the name does not say which format it is"),
]


@pytest.mark.parametrize("case", REFUSED, ids=[case[3] for case in REFUSED])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_rows_that_are_refused(command, bundle, tmp_path, case, options):
    name, content, status, message = case
    (tmp_path / name).write_bytes(content)
    shown = command("evaluate", "-m", bundle, tmp_path / name, *options)
    assert (shown.status, shown.out) == (status, "")
    assert message in shown.message


# inspect


def test_inspect_a_bundle(command, bundle):
    shown = command("inspect", bundle)
    assert (shown.status, shown.err) == (0, "")
    lines = shown.out.splitlines()
    assert lines[0].split() == ["layer", "type", "output", "shape", "parameters"]
    assert lines[1].split() == ["embedding", "Embedding", "(None,", "None,", "8)", "2,400"]
    assert any(
        line.split() == ["lstm_1", "LSTM", "(None,", "None,", "12)", "1,008"] for line in lines
    )
    assert "labels             negative, positive" in lines
    assert "kind               bundle, int8" in lines
    assert "streaming          yes" in lines
    assert any(line.startswith("quality, exported  accuracy 0.") for line in lines)


def test_inspect_a_bundle_that_cannot_stream(command, bundles):
    assert (
        "no: the network reads in both directions"
        in command("inspect", bundles["rnn-multi-label"]).out
    )


def test_inspect_thresholds_of_an_older_bundle(command, bundles):
    """It does not say what they were chosen on."""
    shown = command("inspect", "sentiment")
    assert (shown.status, shown.err) == (0, "")
    assert "thresholds for     not known, chosen on the rows of the quality below" in shown.out
    header, *lines = shown.out.rpartition("\n\n")[2].splitlines()
    assert header.split()[:2] == ["label", "threshold"]
    assert [line.split()[0] for line in lines] == ["negative", "positive"]
    assert all(line.split()[2:] == ["-", "-", "-"] for line in lines)
    assert "threshold" not in command("inspect", bundles["lstm-int8"]).out


def test_inspect_as_json(command, bundle):
    shown = command("inspect", bundle, "--json")
    assert (shown.status, shown.err) == (0, "")
    value = json.loads(shown.out)
    assert value["path"] == str(bundle)
    assert value["task"] == "single-label"
    assert value["parameters"] == sum(layer["parameters"] for layer in value["layers"]) == 3458
    assert value["architecture"]["cell"] == "lstm"


@pytest.fixture
def run(bundle, tmp_path):
    """A run that has just begun: inspecting one needs neither torch nor weights."""
    manifest = Classifier.load(bundle).manifest
    value = RunManifest(
        architecture=manifest.architecture,
        labels=manifest.labels,
        max_tokens=40,
        preset="default",
        settings={"seed": 0},
        train=DataSummary("train.csv", 1200, "0" * 64),
        dev=DataSummary("dev.csv", 100, "0" * 64),
        versions={},
    )
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / RUN).write_text(value.to_json(), encoding="utf-8")
    return tmp_path / "run"


def test_inspect_a_run(command, run, bundle):
    shown = command("inspect", run)
    assert (shown.status, shown.err) == (0, "")
    assert "kind        training run" in shown.out
    assert "trained on  train.csv, 1,200 rows" in shown.out
    table = shown.out.partition("\n\n")[0]
    assert table == command("inspect", bundle).out.partition("\n\n")[0]
    assert json.loads(command("inspect", run, "--json").out)["labels"] == ["negative", "positive"]


def test_a_run_is_no_bundle(command, run):
    for arguments in (["classify", "-m", run, "a"], ["bench", "-m", run]):
        shown = command(*arguments)
        assert shown.status == 1
        assert f"this is a training run; export it first: textgate export {run}" in shown.message


def test_inspect_refuses(command, run, tmp_path):
    (run / RUN).write_text('{"format": "textgate-run", "format_version": 3}', encoding="utf-8")
    shown = command("inspect", run)
    assert shown.status == 1
    assert "the run is of format version 3, this release reads 1" in shown.message
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert "a file, but a bundle is a folder" in command("inspect", tmp_path / "file").message
    assert "no such folder" in command("inspect", tmp_path / "nothing").message


def test_many_labels_are_cut_short(command, run):
    value = json.loads((run / RUN).read_text(encoding="utf-8"))
    value["labels"] = [f"label {number}" for number in range(30)]
    value["architecture"]["label_count"] = 30
    (run / RUN).write_text(json.dumps(value), encoding="utf-8")
    assert "label 19, ...\n" in command("inspect", run).out
    assert len(json.loads(command("inspect", run, "--json").out)["labels"]) == 30


# Labels and paths that the terminal's encoding does not have


@pytest.fixture
def foreign(bundle, tmp_path):
    """A bundle with other labels; weights and checksums are sound."""
    path = shutil.copytree(bundle, tmp_path / "foreign")
    manifest = Manifest.parse((path / "textgate.json").read_bytes(), where="it")
    manifest = dataclasses.replace(manifest, labels=("\u60aa\u3044", "caf\u00e9 \U0001f600"))
    (path / "textgate.json").write_text(manifest.to_json(), encoding="utf-8")
    return path


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "{}"],
        ["inspect", "{}", "--json"],
        ["evaluate", "-m", "{}", "a.jsonl"],
        ["evaluate", "-m", "{}", "b.jsonl"],
        ["classify", "-m", "{}", "caf\u00e9"],
    ],
)
def test_any_label_on_any_terminal(foreign, tmp_path, write_jsonl, encoding, arguments):
    write_jsonl(tmp_path / "a.jsonl", [{"text": "good", "label": "caf\u00e9 \U0001f600"}])
    write_jsonl(tmp_path / "b.jsonl", [{"text": "good", "label": "\u00e9"}])
    done = subprocess.run(
        [sys.executable, "-c", "from textgate.cli import main; main()"]
        + [argument.format(foreign) for argument in arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        check=False,
        capture_output=True,
        timeout=60,
    )
    assert b"Traceback" not in done.stderr
    assert done.returncode == (1 if "b.jsonl" in arguments else 0), done.stderr
