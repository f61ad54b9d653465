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
from textgate.bundle.manifest import Manifest
from textgate.bundle.run import RUN, DataSummary, RunManifest
from textgate.rows import load_labelled

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
    right = [item.top_label == row.labels[0] for item, row in zip(found, rows, strict=True)]
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
    assert "true \\ predicted" in shown.out


def test_only_some_labels_can_be_right(command, data):
    sides = ("--among", "negative", "--among", "positive")
    result = json.loads(command("evaluate", "-m", "sentiment", data, *sides, "--json").out)
    assert [item["label"] for item in result["labels"]] == ["negative", "positive"]
    assert result["accuracy"] > json.loads(command("evaluate", data, "--json").out)["accuracy"]
    assert result["coverage"][-1]["threshold"] is None
    refused = command("evaluate", data, "--among", "negative")
    assert refused.message == "textgate: --among needs at least two labels"


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
        "bundle's",
        "own",
        f"{last['coverage']:.2%}",
        f"{last['accuracy']:.4f}",
    ]


UNREAD = [
    {"text": "good", "label": "positive"},
    {"text": "", "label": "negative"},
    {"text": " ", "label": "positive"},
    {"text": "qzxqzx", "label": "negative"},
]


def test_rows_without_a_known_token_are_not_answered(
    command, bundle, bundles, tmp_path, write_jsonl
):
    path = write_jsonl(tmp_path / "a.jsonl", UNREAD)
    result = json.loads(command("evaluate", "-m", bundle, path, "--json").out)
    assert (result["rows"], result["coverage"][0]["coverage"]) == (4, 0.25)
    # Of a model for several labels, no label is what they are given.
    rows = [{"text": "good", "label": ["positive"]}, *({**row, "label": []} for row in UNREAD[1:])]
    path = write_jsonl(tmp_path / "b.jsonl", rows)
    several = bundles["rnn-multi-label"]
    found = Classifier.load(several).predict("good")
    result = json.loads(command("evaluate", "-m", several, path, "--json").out)
    assert result["accuracy"] == (4 if found.labels == ("positive",) else 3) / 4


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


def test_labels_are_written_in_one_way(command, bundle):
    stdin = "text,label\ngood, positive\nbad,neg\u200bative\nfine,positive\u00a0\n".encode()
    shown = command("evaluate", "-m", bundle, "-", "--json", "--input-format", "csv", stdin=stdin)
    assert json.loads(shown.out)["rows"] == 3
    assert shown.err.startswith("textgate: note: standard input: white space, invisible characters")


def test_all_labels_that_the_model_does_not_have(command, bundle, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\na,x\nb,Positive\nc,x\nd,positive\n", encoding="utf-8")
    shown = command("evaluate", "-m", bundle, path)
    assert (shown.status, shown.out) == (1, "")
    assert shown.message.endswith(
        "line 2: 2 labels do not occur among the model's, which are 'negative', 'positive': 'x' "
        "(2 rows, line 2), 'Positive' (1 row, line 3, which looks like 'positive'); correct them, "
        "or leave such rows out"
    )


SEVERAL = {
    "a.csv": (
        "text,label\na fine film,positive;movie\nnothing here,\n",
        ("--label-separator", ";"),
    ),
    "b.csv": ("text,label\na fine film,movie\nnothing here,\n", ()),
    "a.tsv": (
        "positive\ttext\tmovie\n1\ta fine film\t1\n\tnothing here\t0\n",
        ("--label-fields", "positive,movie"),
    ),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_several_labels_out_of_tables(command, bundles, tmp_path, write_jsonl, name):
    content, options = SEVERAL[name]
    (tmp_path / name).write_text(content, encoding="utf-8")
    rows = [
        {"text": "a fine film", "label": ["movie"] if name == "b.csv" else ["positive", "movie"]},
        {"text": "nothing here", "label": []},
    ]
    plain = write_jsonl(tmp_path / "a.jsonl", rows)
    model = ["evaluate", "-m", bundles["rnn-multi-label"], "--json"]
    shown = command(*model, tmp_path / name, *options)
    assert (shown.status, shown.err) == (0, "")
    assert json.loads(shown.out) == json.loads(command(*model, plain).out)


@pytest.mark.parametrize("result_format", ["csv", "tsv", "jsonl"])
def test_what_classify_writes_can_be_scored(command, bundles, data, tmp_path, result_format):
    model = ["-m", bundles["rnn-multi-label"]]
    made = tmp_path / f"results.{result_format}"
    assert command("classify", *model, "-i", data, "-o", made).status == 0
    options = [] if result_format == "jsonl" else ["--label-separator", "|"]
    shown = command("evaluate", *model, "--json", made, *options)
    assert (shown.status, shown.err) == (0, "")
    assert json.loads(shown.out)["accuracy"] == 1


def test_bad_rows_are_left_out_if_that_is_asked_for(command, bundle, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\ngood,positive\nbad\nbad,negative\nfine,\n", encoding="utf-8")
    shown = command("evaluate", "-m", bundle, path)
    assert shown.status == 1
    assert "; 2 of 4 rows cannot be used: 1 for another number of cells" in shown.message
    shown = command("evaluate", "-m", bundle, path, "--json", "--skip-bad-rows")
    assert json.loads(shown.out)["rows"] == 2
    assert shown.err.startswith(f"textgate: note: {path}: left out 2 of 4 rows: 1 for another")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--label-field", "a", "--label-fields", "b"],
            "--label-field or --label-fields, not both",
        ),
        (["--label-fields", "a", "--label-separator", ";"], "nothing to separate"),
        (["--label-fields", "a,a"], "the label field 'a' is given twice"),
        (["--label-fields", '"a'], "is not a list of names such as a,b"),
        (["--text-field", "a", "--text-field", "a"], "the text field 'a' is given twice"),
        (["--delimiter", "ab"], "the delimiter must be one character"),
        (["--encoding", "klingon"], "'klingon' is not a known encoding"),
    ],
)
def test_options_that_do_not_go_together(command, bundle, options, message):
    shown = command("evaluate", "-m", bundle, "a.csv", *options)
    assert (shown.status, shown.out) == (2, "")
    assert message in shown.message


def test_names_with_commas_are_quoted(command, bundle, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('text,"a,b",c\nt,1,0\n', encoding="utf-8")
    shown = command("evaluate", "-m", bundle, path, "--label-fields", '"a,b",c')
    assert "the label 'a,b' does not occur among the model's" in shown.message


REFUSED = [
    ("a.jsonl", b"", 1, "a.jsonl has no rows"),
    ("a.jsonl", b'{"text": "a"}\n', 1, "line 1: no field 'label', found 'text'; name the right"),
    ("a.jsonl", b'{"text": "a", "label": []}\n', 1, "no row has a label"),
    (
        "a.jsonl",
        b'{"text": "a", "label": "positive"}\n\n{"text": "a", "label": "neutral"}\n',
        1,
        "line 3: the label 'neutral' does not occur among the model's, which are 'negative', 'pos",
    ),
    (
        "a.jsonl",
        b'{"text": "a", "label": ["positive", "negative"]}\n',
        1,
        "line 1: 2 labels, but the model gives one",
    ),
    (
        "a.csv",
        b"text,labels\na,b\n",
        1,
        "no field 'label' (did you mean 'labels'?), found 'text', 'labels'",
    ),
    ("a.jsonl", b'{"text": "a", "label": "positive"}\n{"text"\n', 1, "line 2: not valid JSON"),
    ("a.jsonl", b'{"text": "\xff", "label": "positive"}\n', 1, "byte 0xff is not UTF-8"),
    ("a.txt", b"good\n", 1, "line 1: no label; a line starts with __label__NAME"),
    ("a.rows", b"", 2, "the name tells no format"),
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
    assert "no: the network is bidirectional" in command("inspect", bundles["rnn-multi-label"]).out


def test_inspect_thresholds_of_an_older_bundle(command, bundles, tmp_path):
    """It does not say what they were chosen on."""
    older = shutil.copytree(bundles["lstm-int8"], tmp_path / "older")
    manifest = Manifest.parse((older / "textgate.json").read_bytes(), where="textgate.json")
    changed = dataclasses.replace(manifest, thresholds=(0.75, 0.8))
    (older / "textgate.json").write_text(changed.to_json(), encoding="utf-8")
    shown = command("inspect", older)
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


def test_a_run_cannot_control_the_terminal(command, run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "copy")
    manifest = json.loads((copy / "run.json").read_text(encoding="utf-8"))
    manifest["train"]["file"] = "\x07\u202etrain"
    (copy / "run.json").write_text(json.dumps(manifest), encoding="utf-8")
    shown = command("inspect", copy)
    assert "trained on  \\x07\\u202etrain" in shown.out


def test_a_run_is_no_bundle(command, run):
    for arguments in (["classify", "-m", run, "a"], ["bench", "-m", run]):
        shown = command(*arguments)
        assert shown.status == 1
        assert f"this is a training run; export it first: textgate export {run}" in shown.message


def test_inspect_refuses(command, run, tmp_path):
    (run / RUN).write_text('{"format": "textgate-run", "format_version": 3}', encoding="utf-8")
    shown = command("inspect", run)
    assert shown.status == 1
    assert "format version 3, but this release reads version 1; upgrade textgate" in shown.message
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
