"""Cross-validation: every row is predicted by networks that did not see it."""

from __future__ import annotations

import dataclasses
import gzip
import json
import random

import numpy as np
import pytest
import safetensors.torch

from textgate.errors import CheckpointError, ConfigError, DataError
from textgate.rows import Row
from textgate.train import fit
from textgate.train.training.calibration import bounded_temperature
from textgate.train.training.fold_trainers import FoldTrainer
from textgate.train.training.scoring import out_of_fold_interval

# No pretrained encoder: the tests do not depend on the one in the package.
QUICK = {
    "embedding_size": 8,
    "hidden_sizes": (8,),
    "vocabulary_size": 600,
    "vectors": "none",
    "learning_rate": 0.02,
    "batch_size": 8,
    "epochs": 4,
}
WORDS = [f"word{number}" for number in range(400)]


def noise(labels, *, words=8, seed=0):
    """Rows whose texts say nothing about their labels."""
    generator = random.Random(seed)
    return [
        Row(" ".join(generator.sample(WORDS, words)), (label,), line)
        for line, label in enumerate(labels, start=1)
    ]


def train(rows, folder, **options):
    settings = {**QUICK, **options.pop("settings", {})}
    return fit(rows, folder, settings=settings, pretrained="none", **options)


def out_of_fold(run):
    lines = gzip.decompress((run.path / "dev.jsonl.gz").read_bytes()).decode().splitlines()
    return np.array([json.loads(line)["out_of_fold"] for line in lines])


@pytest.mark.parametrize("linear_size", [0, 2], ids=["network", "network and linear branch"])
def test_memorized_labels_are_at_chance_out_of_fold(linear_size, tmp_path):
    labels = ["a", "b"] * 40
    random.Random(1).shuffle(labels)
    run = train(noise(labels), tmp_path / "run", settings={"linear_size": linear_size, "epochs": 6})
    assert run.manifest.dev.rows == run.manifest.train.rows == 80
    assert 0.3 < run.model.metrics["accuracy"] < 0.7
    found = out_of_fold(run)
    assert found.shape == (80, 2)
    assert np.allclose(found.sum(axis=1), 1, atol=1e-5)
    right = [("a", "b")[row.argmax()] == label for row, label in zip(found, labels, strict=True)]
    assert np.mean(right) == pytest.approx(run.model.metrics["accuracy"])


def test_the_loss_of_the_last_epoch_is_that_of_the_probabilities_out_of_fold(separable, tmp_path):
    rows = separable(60)
    run = train(rows, tmp_path / "run", settings={"linear_size": 0})
    labels = run.manifest.labels
    right = [
        found[labels.index(row.labels[0])]
        for found, row in zip(out_of_fold(run), rows, strict=True)
    ]
    assert run.model.history[-1].dev_loss == pytest.approx(-np.log(right).mean(), abs=1e-4)


def test_separable_rows_are_learned(separable, tmp_path):
    run = train(separable(60), tmp_path / "run")
    metrics = run.model.metrics
    assert metrics["accuracy"] > 0.9
    assert metrics["majority_accuracy"] == 0.5
    assert run.is_useful
    assert run.is_certain
    low, high = run.accuracy_interval
    assert 0.8 < low < metrics["accuracy"] <= high <= 1.0
    assert run.manifest.settings["folds"] == 5


@pytest.mark.parametrize(
    ("count", "folds", "recorded"),
    [(40, None, 5), (40, 2, 2), (4, 5, 4), (6, 100, 6), (40, 0, 0)],
)
def test_the_number_of_folds_is_recorded(count, folds, recorded, separable, tmp_path):
    settings = {"epochs": 1, **({} if folds is None else {"folds": folds})}
    run = train(separable(count), tmp_path / "run", settings=settings)
    assert run.manifest.settings["folds"] == recorded
    assert (run.manifest.dev.rows == count) is bool(recorded)


def test_the_recipe_has_fewer_folds_for_more_rows(separable, hearing, tmp_path):
    from textgate.train.training.recipe import fold_count

    assert [fold_count(rows) for rows in (2, 500, 501, 3000, 3001)] == [5, 5, 3, 3, 0]
    heard = hearing()
    train(separable(501), tmp_path / "run", settings={"epochs": 1}, progress=heard)
    assert any("3 folds" in note for note in heard.notes)


@pytest.mark.parametrize(
    ("folds", "message"), [(1, "folds must be 2 or more"), (-1, "folds"), (101, "folds")]
)
def test_impossible_numbers_of_folds(folds, message, separable, tmp_path):
    with pytest.raises(ConfigError, match=message):
        train(separable(40), tmp_path / "run", settings={"folds": folds})
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def teacher(separable, tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher") / "run"
    return train(separable(40), folder, settings={"epochs": 1, "folds": 0})


@pytest.mark.parametrize("options", ["dev", "teachers", "unlabelled"])
def test_other_sources_exclude_folds(options, separable, teacher, write_jsonl, tmp_path):
    texts = write_jsonl(tmp_path / "texts.jsonl", [{"text": row.text} for row in separable(20)])
    given = {"dev": {"dev": separable(10, seed=1)}}
    given["teachers"] = {"teachers": [teacher.path]}
    given["unlabelled"] = {**given["teachers"], "unlabelled": [texts]}
    with pytest.raises(ConfigError, match=r"folds does not go with --.* leave one of them out"):
        train(separable(40), tmp_path / "run", settings={"folds": 3}, **given[options])
    run = train(separable(40), tmp_path / "run", settings={"epochs": 1}, **given[options])
    assert run.manifest.settings["folds"] == 0


def test_a_given_fraction_holds_out_dev_rows(separable, tmp_path):
    run = train(separable(40), tmp_path / "run", settings={"dev_fraction": 0.25, "epochs": 1})
    assert (run.manifest.train.rows, run.manifest.dev.rows) == (30, 10)


def test_presets_without_the_recipe_hold_out_dev_rows(separable, tmp_path):
    settings = {"hidden_sizes": (8,), "embedding_size": 8, "epochs": 1}
    run = fit(separable(40), tmp_path / "run", preset="seed-gru", settings=settings)
    assert run.manifest.settings["folds"] == 0
    asked = fit(
        separable(40), tmp_path / "two", preset="seed-gru", settings={**settings, "folds": 2}
    )
    assert asked.manifest.settings["folds"] == 2
    assert asked.manifest.dev.rows == 40


# Temperature


@pytest.mark.parametrize("rows", [1, 3, 20, 199])
@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("spread", [0.001, 1.0, 1000.0])
def test_the_temperature_of_few_rows_is_bounded(rows, right, spread):
    targets = np.eye(2, dtype=np.float32)[np.arange(rows) % 2]
    logits = np.float32(spread) * (targets if right else 1 - targets)
    for multi_label in (False, True):
        assert 0.25 <= bounded_temperature(logits, targets, multi_label=multi_label) <= 4.0


def test_fewer_rows_are_nearer_to_a_temperature_of_1():
    found = []
    for rows in (4, 40, 400):
        targets = np.eye(2, dtype=np.float32)[np.arange(rows) % 2]
        found.append(bounded_temperature(targets, targets, multi_label=False))
    assert 1 > found[0] > found[1] > found[2] > 0.25


def test_the_temperature_with_three_dev_rows_is_bounded(separable, tmp_path):
    run = train(separable(60), tmp_path / "run", dev=separable(3, seed=1))
    assert 0.25 <= run.model.temperature <= 4.0


# Rows that are odd


def multi_label(count):
    names = ("film", "book", "song")
    return [
        Row(
            f"{WORDS[index]} {' '.join(chosen)} {WORDS[index + 100]}",
            chosen,
            index,
        )
        for index in range(count)
        for chosen in [tuple(name for bit, name in enumerate(names) if index >> bit & 1)]
    ]


def soft(count, labels=2):
    names = [f"l{number}" for number in range(labels)]
    return [
        Row(
            f"{WORDS[index]} topic{index % labels} {WORDS[index + 50]}",
            (),
            index,
            probabilities=tuple(
                (name, 0.9 if number == index % labels else 0.1 / (labels - 1))
                for number, name in enumerate(names)
            ),
        )
        for index in range(count)
    ]


def hard(count):
    return [Row(row.text, (f"l{index % 2}",), index) for index, row in enumerate(soft(count))]


def many_labels():
    return [
        Row(f"{WORDS[number]} {WORDS[-number - 1]} {side}", (f"l{number:03}",), number)
        for number in range(150)
        for side in ("left", "right")
    ]


LEARNABLE = {
    "four rows": (hard(4), 4),
    "one row of a label": ([*hard(20), Row("a question", ("l2",), 21)], 20),
    "empty texts": ([*hard(20), Row("", ("l0",), 21), Row(" ", ("l1",), 22)], 22),
    "several labels": (multi_label(32), 32),
    "a label for all or none": (
        [
            Row(f"{WORDS[index]} {'yes' if index % 2 else 'no'}", ("on",) * (index % 2), index)
            for index in range(20)
        ],
        20,
    ),
    "150 labels": (many_labels(), 300),
    "soft labels beside others": ([*hard(20), *soft(12)[4:]], 20),
    "contradicting labels": ([*hard(20), Row("what", ("l0",), 21), Row("what", ("l1",), 22)], 22),
}


@pytest.mark.parametrize("case", LEARNABLE)
def test_odd_rows_that_are_learned(case, tmp_path):
    rows, measured = LEARNABLE[case]
    run = train(rows, tmp_path / "run", settings={"epochs": 1})
    assert run.manifest.dev.rows == measured
    assert out_of_fold(run).shape == (measured, len(run.manifest.labels))
    assert np.isfinite(list(run.model.metrics.values())).all()
    assert 0.25 <= run.model.temperature <= 4.0


REFUSED = {
    "one row per label": (hard(2), "2 rows with labels cannot be divided into folds"),
    "one text": ([Row("same", (label,), 1) for label in "abab"], "every row has the same text"),
    "one label": ([Row(text, ("a",), 1) for text in WORDS[:9]], "every row has the label 'a'"),
    "one text per label": (
        [Row(f"{text} {number}", (text,), 1) for text in ("yes", "no") for number in range(9)],
        "18 rows with labels cannot be divided into folds: at least two labels need two texts each",
    ),
    "soft labels alone": (soft(20), "0 rows with labels cannot be divided into folds"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_odd_rows_that_are_refused(case, tmp_path):
    rows, message = REFUSED[case]
    with pytest.raises(DataError) as caught:
        train(rows, tmp_path / "run")
    assert str(caught.value).startswith(f"rows: {message}")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


INTERVALS = [
    (0.75, 40, 5, (0.518, 0.893)),  # Wilson's of 40 independent rows: 0.598 to 0.858
    (0.75, 40, 2, (0.482, 0.906)),
    (1.0, 40, 5, (0.822, 1.0)),
    (0.0, 40, 5, (0.0, 0.178)),
    (0.5, 2, 2, (0.055, 0.945)),
]


@pytest.mark.parametrize(("accuracy", "rows", "folds", "interval"), INTERVALS)
def test_the_interval_out_of_fold_is_wider_than_that_of_independent_rows(
    accuracy, rows, folds, interval
):
    assert out_of_fold_interval(accuracy, rows, folds) == pytest.approx(interval, abs=1e-3)


# Interruptions


def test_finished_folds_are_not_trained_again(separable, stop, hearing, tmp_path, monkeypatch):
    rows, settings = separable(40), {"folds": 4, "linear_size": 0}
    whole = train(rows, tmp_path / "whole", settings=settings)
    folder = tmp_path / "run"
    stop(train, rows, folder, settings=settings, epochs=0, steps=50)  # of about 16 per fold
    finished = len(safetensors.torch.load_file(folder / "folds.safetensors"))
    assert 0 < finished < 8
    trained = []
    original = FoldTrainer.__init__

    def counting(self, *arguments, **options):
        trained.append(1)
        original(self, *arguments, **options)

    monkeypatch.setattr(FoldTrainer, "__init__", counting)
    resumed = train(rows, folder, resume=True)
    assert len(trained) == 8 - finished  # 4 folds, twice
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        path.name for path in whole.path.iterdir()
    )
    for name in ("tokenizer.json", "dev.jsonl.gz", "run.json"):
        assert (folder / name).read_bytes() == (whole.path / name).read_bytes()
    assert resumed.model.metrics == whole.model.metrics
    for name, weight in whole.model.weights.items():
        assert weight.equal(resumed.model.weights[name]), name


def test_results_of_other_folds_are_refused(separable, stop, tmp_path):
    rows, folder = separable(40), tmp_path / "run"
    stop(train, rows, folder, settings={"folds": 2}, epochs=0, steps=25)
    grouped = [dataclasses.replace(row, extras={"by": row.line // 4}) for row in rows]
    with pytest.raises(CheckpointError) as caught:
        train(grouped, folder, resume=True, group_field="by")
    assert str(caught.value) == (
        f"{folder}: begun with other folds; give the same --group-field and groups, or start again "
        "in another folder"
    )


def test_damaged_results_of_folds_are_refused(separable, stop, tmp_path):
    rows, folder = separable(40), tmp_path / "run"
    stop(train, rows, folder, settings={"folds": 2}, epochs=0, steps=25)
    (folder / "folds.safetensors").write_bytes(b"no tensors")
    with pytest.raises(CheckpointError, match=r"folds\.safetensors: damaged"):
        train(rows, folder, resume=True)


def test_the_same_seed_gives_the_same_weights(separable, tmp_path):
    one, two = (train(separable(40), tmp_path / name) for name in ("one", "two"))
    assert all(weight.equal(two.model.weights[name]) for name, weight in one.model.weights.items())
    assert (one.path / "dev.jsonl.gz").read_bytes() == (two.path / "dev.jsonl.gz").read_bytes()
