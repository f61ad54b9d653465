"""Few rows on the command line: folds, groups, the floor and the encoder."""

from __future__ import annotations

import csv
import dataclasses
import json
import random
import shutil

import pytest
import torch

from textgate.bundle.run import MODEL, read_run
from textgate.bundle.storage import read_bundle
from textgate.train import fit
from textgate.train.cli import result_line
from textgate.train.training.checkpoint import load_model, save_model
from textgate.train.training.trainer import scale_parts

SMALL = ("--hidden", "6", "--embedding-size", "4", "--batch-size", "16")
SMALL += ("--encoder", "none", "--vectors", "none")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


def objects(rows):
    return [{"text": row.text, "label": row.labels[0], "by": f"a{row.line // 4}"} for row in rows]


@pytest.fixture(scope="module")
def data(separable, write_jsonl, tmp_path_factory):
    return write_jsonl(tmp_path_factory.mktemp("data") / "rows.jsonl", objects(separable(60)))


@pytest.fixture(scope="module")
def run(command, data, tmp_path_factory):
    """A run of one epoch that folds chose."""
    path = tmp_path_factory.mktemp("runs") / "run"
    assert command("train", data, "-o", path, *SMALL, "--epochs", "1").status == 0
    return path


@pytest.fixture(scope="module")
def noise(tmp_path_factory, write_jsonl):
    """Rows whose texts say nothing about their labels, most of which are the same."""
    generator = random.Random(0)
    words = [f"word{number}" for number in range(300)]
    labels = ["a", "b", "c"] * 20 + ["a"] * 30
    generator.shuffle(labels)
    rows = [{"text": " ".join(generator.sample(words, 8)), "label": label} for label in labels]
    return write_jsonl(tmp_path_factory.mktemp("noise") / "noise.jsonl", rows)


def test_folds_choose_and_the_result_says_so(command, data, tmp_path):
    shown = command("train", data, "-o", tmp_path / "run", *SMALL, "--epochs", "2")
    assert shown.status == 0, shown.err
    assert ", out of fold accuracy " in shown.out
    assert " (expect 0." in shown.out
    assert (
        "on new texts like these; the most frequent label alone has 0.5000), macro-F1" in shown.out
    )
    assert "\n60 training rows, 5 folds, 2 labels, " in shown.err
    assert "\nlog loss out of fold, 5 folds: linear branch alone 0." in shown.err
    assert "60 rows, too few to hold some out" in shown.err
    assert read_run(tmp_path / "run").settings["folds"] == 5


def test_the_result_names_what_is_used(separable, quick, tmp_path):
    run = fit(separable(40), tmp_path / "run", settings={**quick, "epochs": 1, "folds": 2})
    model = run.model
    assert model.history[0].measures("accuracy").startswith("out of fold: loss ")

    def told(**changes):
        changed = dataclasses.replace(run, model=dataclasses.replace(model, **changes))
        return result_line(changed).partition(",")[0]

    assert told() == "1 epoch"
    assert told(history=model.history * 2) == "2 epochs"
    assert told(history=[], best_epoch=0) == "frozen encoder"
    alone = scale_parts(model.weights, 0.0, 1.0)
    assert told(history=[], best_epoch=0, weights=alone) == "linear branch alone"


def test_a_bundle_in_one_step_has_scores_out_of_fold(command, data, tmp_path):
    settings = tmp_path / "settings.toml"
    settings.write_text(
        'hidden_sizes = [6]\nembedding_size = 4\nepochs = 2\nvectors = "none"\n', encoding="utf-8"
    )
    shown = command("fit", data, "-o", tmp_path / "bundle", "--config", settings)
    assert shown.status == 0, shown.err
    assert "; out of fold on 60 rows accuracy " in shown.out
    assert read_bundle(tmp_path / "bundle").manifest.out_of_fold


WRONG = [
    (["--folds", "1"], "--folds must be 2 or more, or 0 to hold out dev rows, not 1"),
    (["--folds", "-1"], "--folds must be a whole number from 0 to 100, not -1"),
    (
        ["--folds", "3", "--dev", "DATA"],
        "textgate: --folds does not go with --dev, because folds choose with the",
    ),
    (
        ["--frozen"],
        "--frozen needs a pretrained encoder and one dense layer after it; leave out --",
    ),
    (
        ["--encoder", "english"],
        "--embedding-size 4 does not go with the encoder english, which was pretrained with",
    ),
    (["--encoder", "french"], "french is not pretrained: it has no pretrained.json; make one with"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=[" ".join(case[0]) for case in WRONG])
def test_options_that_do_not_go_together(command, data, tmp_path, options, message):
    given = [data if option == "DATA" else option for option in options]
    shown = command("train", data, "-o", tmp_path / "run", *SMALL, *given)
    assert (shown.status, shown.out) == (2 if "french" not in options else 1, "")
    assert message in shown.message
    assert list(tmp_path.iterdir()) == []


def test_folds_do_not_go_with_teachers(command, data, run, tmp_path):
    taught = ("--teacher", run, "--epochs", "1")
    refused = command("train", data, "-o", tmp_path / "two", *SMALL, *taught, "--folds", "3")
    assert (refused.status, refused.out) == (2, "")
    assert (
        "--folds does not go with --teacher, because folds choose with the training rows al"
        in refused.message
    )
    shown = command("train", data, "-o", tmp_path / "two", *SMALL, *taught)
    assert " dev rows accuracy " in shown.out
    refused = command("train", data, "-o", run, *SMALL, "--dev", data, "--resume")
    assert refused.status == 1
    assert f"{run}: begun with cross-validation and no dev rows; leave --dev out" in refused.message


def test_without_folds_dev_rows_are_held_out(command, data, tmp_path):
    shown = command("train", data, "-o", tmp_path / "run", *SMALL, "--epochs", "1", "--folds", "0")
    assert ": epoch 1 of 1, on 6 dev rows accuracy " in shown.out


def test_groups_stay_together(command, data, write_jsonl, separable, tmp_path):
    options = (*SMALL, "--epochs", "1", "--group-field", "by")
    shown = command("train", data, "-o", tmp_path / "run", *options)
    assert shown.status == 0, shown.err
    rows = objects(separable(60))
    rows[8]["by"] = ""
    refused = command(
        "train", write_jsonl(tmp_path / "r.jsonl", rows), "-o", tmp_path / "two", *options
    )
    assert refused.status == 1
    assert refused.message == (
        "textgate: r.jsonl, line 9: no group in the column 'by'; fill it in, or leave "
        "--group-field out"
    )


def test_labels_that_do_not_follow_from_the_texts(command, noise, tmp_path):
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    shown = command("train", noise, "-o", run, *SMALL, "--epochs", "2")
    assert shown.status == 0
    assert shown.err.splitlines()[-1] == (
        "this classifier is not better than always giving the most frequent label: it has learned "
        "nothing that can be measured on these rows. Label more rows, or check that the labels "
        "follow from the texts. textgate export refuses it without --allow-useless."
    )
    refused = command("export", run, "-o", bundle)
    assert (refused.status, refused.out) == (1, "")
    assert f"{run}: not better than always giving the most frequent label: acc" in refused.message
    assert not bundle.exists()
    assert command("export", run, "-o", bundle, "--allow-useless").status == 0
    assert "quality, out of fold" in command("inspect", bundle).out


def test_fit_refuses_to_export_a_useless_network(command, noise, tmp_path):
    settings = tmp_path / "settings.toml"
    settings.write_text(
        'hidden_sizes = [6]\nembedding_size = 4\nepochs = 2\nvectors = "none"\n', encoding="utf-8"
    )
    shown = command("fit", noise, "-o", tmp_path / "bundle", "--config", settings)
    assert (shown.status, shown.out) == (1, "")
    assert "not better than always giving the most frequent label" in shown.message
    assert (tmp_path / "bundle.run").is_dir()
    assert not (tmp_path / "bundle").exists()


def test_coverage_is_that_out_of_fold(command, separable, write_jsonl, tmp_path):
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    rows = objects(separable(80))
    for row in rows[::8]:  # no classifier is certain
        row["label"] = "good" if row["label"] == "bad" else "bad"
    data = write_jsonl(tmp_path / "rows.jsonl", rows)
    assert command("train", data, "-o", run, *SMALL, "--epochs", "2").status == 0
    shown = command("export", run, "-o", bundle, "--coverage", "0.8")
    assert shown.status == 0, shown.err
    assert "; out of fold accuracy " in shown.err
    manifest = read_bundle(bundle).manifest
    assert any(threshold is not None for threshold in manifest.thresholds)


def test_a_spreadsheet_of_few_rows(command, tmp_path):
    """Odd cells, repeated and empty texts, and labels written in different ways."""
    kinds = {"Billing": "invoice payment charge", "shipping": "parcel delivery courier"}
    generator = random.Random(0)
    lines = []
    for number in range(40):
        label, words = list(kinds.items())[number % 2]
        text = f"{generator.choice(words.split())} number {number} {generator.choice('abcdef')}"
        lines.append([f'  {text.upper()}\n"now" \U0001f600 <br> ', f" {label} ", number])
    lines[3][0] = ""
    lines[5] = lines[7]
    lines[9][1] = "SHIPPING"
    path = tmp_path / "rows.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerows([["text", "label", "id"], *lines])
    shown = command("train", path, "-o", tmp_path / "run", *SMALL, "--epochs", "2")
    assert shown.status == 0, shown.err
    assert "labels look alike: 'SHIPPING' (1 row) and 'shipping'" in shown.err
    assert read_run(tmp_path / "run").labels == ("Billing", "SHIPPING", "shipping")
    bundle = tmp_path / "bundle"
    assert command("export", tmp_path / "run", "-o", bundle, "--allow-useless").status == 0
    assert json.loads(command("inspect", bundle, "--json").out)["labels"][0] == "Billing"


@pytest.mark.parametrize(
    ("accuracy", "macro_f1", "certain"),
    [
        (0.9, 0.9, True),  # the whole interval is above the most frequent label
        (0.6, 0.6, False),
        (0.45, 0.62, True),  # useful for the rare label alone, which the interval does not show
    ],
)
def test_an_uncertain_gain_is_reported(tmp_path, command, data, run, accuracy, macro_f1, certain):
    run = shutil.copytree(run, tmp_path / "run")
    model = load_model(run / MODEL)
    floor = {"majority_accuracy": 0.5, "floor_macro_f1": 0.5}
    metrics = {**model.metrics, "accuracy": accuracy, "macro_f1": macro_f1, **floor}
    save_model(run / MODEL, dataclasses.replace(model, metrics=metrics))
    shown = command("train", data, "-o", run, *SMALL, "--epochs", "1", "--resume")
    assert ("too few to be sure" in shown.err) is not certain


def test_weights_of_rows_are_in_a_column(command, write_jsonl, separable, tmp_path):
    rows = [{**row, "w": 1 + number % 3} for number, row in enumerate(objects(separable(60)))]
    options = (*SMALL, "--epochs", "1", "--weight-field", "w")
    rows[3]["w"] = 0
    data = write_jsonl(tmp_path / "rows.jsonl", rows)
    shown = command("train", data, "-o", tmp_path / "run", *options)
    assert shown.status == 0, shown.err
    assert "rows.jsonl: 1 row has weight 0, as if absent" in shown.err
    assert read_run(tmp_path / "run").train.rows == 59
    rows[8]["w"] = -2
    data = write_jsonl(tmp_path / "rows.jsonl", rows)
    refused = command("train", data, "-o", tmp_path / "two", *options)
    assert refused.status == 1
    assert refused.message == (
        "textgate: rows.jsonl, line 9: the weight (field 'w') should be 0 or a number from 1e-18 "
        "to 1e+18, found -2; correct it, or leave --weight-field out"
    )
    assert not (tmp_path / "two").exists()
