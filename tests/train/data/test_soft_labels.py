"""Soft labels: a network learns from probabilities as it does from labels."""

from __future__ import annotations

import json

import pytest

from textgate.errors import CheckpointError, DataError
from textgate.rows import Row
from textgate.train import fit


def softened(rows, *, confidence=0.9, labels=("good", "bad")):
    """The rows with probabilities in place of labels."""
    return [
        {
            "text": row.text,
            "probs": {
                label: confidence if label in row.labels else 1 - confidence for label in labels
            },
        }
        for row in rows
    ]


def labelled(rows):
    return [{"text": row.text, "label": list(row.labels)} for row in rows]


def test_soft_labels_alone_teach(separable, quick, tmp_path, write_jsonl):
    train = write_jsonl(tmp_path / "train.jsonl", softened(separable(240)))
    dev = write_jsonl(tmp_path / "dev.jsonl", labelled(separable(60, seed=1)))
    run = fit(train, tmp_path / "run", dev=dev, settings=quick)
    assert run.manifest.labels == ("bad", "good")
    assert run.manifest.architecture.task == "single-label"
    assert run.model.metrics["accuracy"] >= 0.95


def test_soft_labels_alone_teach_several_labels(separable, quick, tmp_path, write_jsonl):
    rows = separable(200, ("good", "bad", "odd"), multi_label=True)
    train = softened(rows, labels=("good", "bad", "odd"))
    path = write_jsonl(tmp_path / "train.jsonl", train)
    dev = labelled(separable(60, ("good", "bad", "odd"), multi_label=True, seed=1))
    run = fit(
        path,
        tmp_path / "run",
        dev=write_jsonl(tmp_path / "dev.jsonl", dev),
        settings={**quick, "epochs": 15},
    )
    assert run.manifest.architecture.task == "multi-label"
    assert run.model.metrics["macro_f1"] >= 0.9


def test_soft_labels_count_more_than_the_label_beside_them(separable, quick, tmp_path, write_jsonl):
    """Every training label is the opposite of its probabilities; the dev labels are right."""
    opposite = {"good": "bad", "bad": "good"}
    rows = [
        {**soft, "label": opposite[row.labels[0]]}
        for row, soft in zip(separable(240), softened(separable(240)), strict=True)
    ]
    train = write_jsonl(tmp_path / "train.jsonl", rows)
    dev = separable(60, seed=1)
    run = fit(train, tmp_path / "run", dev=dev, settings=quick)
    assert run.model.metrics["accuracy"] >= 0.95


def test_dev_is_held_out_of_what_has_labels(separable, quick, tmp_path, write_jsonl):
    rows = labelled(separable(100)) + softened(separable(100, seed=1))
    path = write_jsonl(tmp_path / "train.jsonl", rows)
    run = fit(path, tmp_path / "run", settings={**quick, "epochs": 1, "dev_fraction": 0.2})
    assert run.manifest.dev.rows == 20
    assert run.manifest.train.rows == 180


def test_no_dev_row_has_a_label(separable, quick, tmp_path, write_jsonl):
    path = write_jsonl(tmp_path / "train.jsonl", softened(separable(20)))
    with pytest.raises(DataError, match="0 rows with labels are too few to hold some out for dev"):
        fit(path, tmp_path / "run", settings=quick)
    rows = [Row("a", (), 1, {}, (("good", 1.0),))]
    with pytest.raises(DataError, match="rows, line 1: a dev row needs a label"):
        fit(path, tmp_path / "run", dev=rows, settings=quick)
    with pytest.raises(DataError, match=r"train\.jsonl, line 1: no field 'label'"):
        fit(path, tmp_path / "run", dev=path, settings=quick)


def test_a_sum_that_is_not_one_is_refused_on_the_command_line(
    command, separable, tmp_path, write_jsonl
):
    rows = [*labelled(separable(20)), {"text": "a", "probs": {"good": 0.9, "bad": 0.2}}]
    path = write_jsonl(tmp_path / "train.jsonl", rows)
    outcome = command("train", path, "-o", tmp_path / "run")
    assert outcome.status == 1
    assert outcome.message.startswith(
        "textgate: train.jsonl, line 21: the soft labels add up to 1.1; in a single-label task"
    )


def test_other_probabilities_are_another_run(separable, quick, tmp_path, write_jsonl):
    settings = {**quick, "epochs": 1}
    dev = separable(20, seed=1)
    path = tmp_path / "train.jsonl"
    fit(write_jsonl(path, softened(separable(40))), tmp_path / "run", dev=dev, settings=settings)
    changed = softened(separable(40))
    changed[7]["probs"] = {"good": 0.5, "bad": 0.5}
    write_jsonl(path, changed)
    with pytest.raises(CheckpointError, match="begun with other train rows"):
        fit(path, tmp_path / "run", dev=dev, settings=settings, resume=True)


def test_evaluate_needs_labels(command, bundle, tmp_path, write_jsonl):
    both = {"text": "fine", "label": "positive", "probs": {"negative": 1.0}}
    path = write_jsonl(tmp_path / "both.jsonl", [both])
    outcome = command("evaluate", "-m", bundle, path, "--json")
    assert json.loads(outcome.out)["rows"] == 1
    path = write_jsonl(tmp_path / "soft.jsonl", [{"text": "fine", "probs": {"negative": 1.0}}])
    assert "line 1: no field 'label'" in command("evaluate", "-m", bundle, path).message
