"""`textgate errors --run`: planted label errors are found in the training rows themselves."""

from __future__ import annotations

import json

import pytest
import torch

from textgate.export import export
from textgate.rows import load_labelled
from textgate.train import fit

PLANTED = (5, 30, 61)  # lines


@pytest.fixture(scope="module")
def made(separable, quick, write_jsonl, tmp_path_factory):
    """Rows with wrong labels, a run trained with folds on them, and its bundle."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("errors")
    rows = [{"text": row.text, "label": row.labels[0]} for row in separable(120)]
    for line in PLANTED:
        rows[line - 1]["label"] = "good" if rows[line - 1]["label"] == "bad" else "bad"
    data = write_jsonl(folder / "rows.jsonl", rows)
    settings = {**quick, "folds": 3, "linear_size": 2}
    fit(load_labelled(data), folder / "run", settings=settings, pretrained="none")
    export(folder / "run", folder / "bundle", max_accuracy_drop=1.0)
    return data, folder / "run", folder / "bundle"


def test_planted_errors_are_found_out_of_fold(command, made):
    data, run, bundle = made
    shown = command("errors", "-m", bundle, "--run", run, data, "--json")
    assert (shown.status, shown.err) == (0, "")
    found = json.loads(shown.out)
    assert found["out_of_fold"] == found["rows"] == 120
    assert {row["line"] for row in found["label_errors"]} == set(PLANTED)
    text = command("errors", "-m", bundle, "--run", run, data).out
    assert text.startswith(f"120 rows of {data}, predictions out of fold for 120 rows\n3 mistakes")
    assert "\nWords are explained by the bundle, which was trained on these rows: it is" in text


def test_the_bundle_itself_knows_these_rows(command, made):
    data, _, bundle = made
    shown = command("errors", "-m", bundle, data, "--json")
    assert shown.status == 0
    assert shown.err.startswith(
        "textgate: note: The bundle was trained on these rows, so it agrees"
    )
    assert json.loads(shown.out)["trained_on"]
    assert "Words are explained" not in command("errors", "-m", bundle, data).out


def test_other_rows_have_the_predictions_of_the_bundle(command, made, tmp_path):
    data, run, bundle = made
    path = tmp_path / "more.jsonl"
    more = '{"text": "so fine", "label": "good"}\n'
    path.write_text(data.read_text(encoding="utf-8") + more, encoding="utf-8")
    shown = command("errors", "-m", bundle, "--run", run, path)
    assert "121 rows" in shown.out
    assert "predictions out of fold for 120 rows, of the bundle for the others\n" in shown.out


def test_runs_that_are_refused(command, made, bundle, separable, quick, tmp_path):
    data, run, own = made
    shown = command("errors", "-m", bundle, "--run", run, data)
    assert shown.message.endswith("name the run that it was exported from")
    fit(separable(60), tmp_path / "run", settings={**quick, "epochs": 1}, pretrained="none")
    export(tmp_path / "run", tmp_path / "held", max_accuracy_drop=1.0, allow_useless=True)
    shown = command("errors", "-m", tmp_path / "held", "--run", tmp_path / "run", data)
    assert "no out-of-fold predictions, because the run held dev rows out" in shown.message
    (run / "dev.jsonl.gz").write_bytes((tmp_path / "run" / "dev.jsonl.gz").read_bytes())
    shown = command("errors", "-m", own, "--run", run, data)
    assert "dev.jsonl.gz: damaged, or training is not finished" in shown.message
