"""Weights of rows in a whole training: of two is the row twice, of zero is no row."""

from __future__ import annotations

import dataclasses
import gzip
import json
import math
import random

import numpy as np
import pytest
import torch

from textgate.errors import CheckpointError
from textgate.inference.tokenizer import TextTokenizer
from textgate.rows import Row
from textgate.train import fit
from textgate.train.data.dataset import Dataset
from textgate.train.data.encoding import encode_texts
from textgate.train.data.folds import Folds
from textgate.train.network.model import TextClassifier
from textgate.train.training.crossvalidation import CrossValidation
from textgate.train.training.initialization import Initialization
from textgate.train.training.presets import PRESETS, RECIPE
from textgate.train.training.progress import Progress
from textgate.train.training.recipe import recommend
from textgate.train.training.scoring import evaluate_logits, probabilities, score_of
from textgate.train.training.trainer import predict_logits

WAYS = {"dev": 0, "folds": 2}
WORDS = [f"word{number}" for number in range(12)]


@pytest.fixture
def train(quick, tmp_path):
    """Trains in a new folder."""

    def train(rows, name="run", *, folds=0, **options):
        settings = {**quick, "folds": folds, "linear_size": 2, "linear_buckets": 64, "epochs": 2}
        settings |= options.pop("settings", {})
        return fit(rows, tmp_path / name, settings=settings, pretrained="none", **options)

    return train


def same(one, other):
    """Whether two runs have the same weights, temperature and scores, bit for bit."""
    one, other = one.model, other.model
    return (
        one.weights.keys() == other.weights.keys()
        and all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)
        and (one.temperature, one.metrics) == (other.temperature, other.metrics)
    )


def weighted(rows, weights):
    return [
        dataclasses.replace(row, weight=float(weight))
        for row, weight in zip(rows, weights, strict=True)
    ]


@pytest.mark.parametrize("folds", WAYS.values(), ids=WAYS)
def test_a_column_of_ones_changes_nothing(train, separable, folds):
    rows = separable(60)
    ones = [dataclasses.replace(row, extras={"w": "1"}) for row in rows]
    plain, found = train(rows, folds=folds), train(ones, "ones", folds=folds, weight_field="w")
    assert same(plain, found)
    assert plain.manifest == found.manifest
    other = train(weighted(rows, [2, 1] * 30), "other", folds=folds)
    assert not same(plain, other)
    assert plain.manifest.train.sha256 != other.manifest.train.sha256


@pytest.mark.parametrize("folds", WAYS.values(), ids=WAYS)
def test_a_row_with_weight_zero_is_absent(train, separable, folds):
    rows, weights = separable(60), [1, 2, 0.5, 0, 3, 1] * 10
    kept = [row for row in weighted(rows, weights) if row.weight]
    assert same(train(weighted(rows, weights), folds=folds), train(kept, "without", folds=folds))


def certainty(run, texts):
    """The mean probability of the first label."""
    tokenizer = TextTokenizer((run.path / "tokenizer.json").read_text(), max_tokens=20)
    network = TextClassifier(run.manifest.architecture)
    network.load_state_dict(run.model.weights)
    sequences = tuple(encode_texts(texts, tokenizer))
    logits = predict_logits(network, Dataset(sequences, np.zeros((len(texts), 2), np.float32)))
    found = probabilities(logits, run.model.temperature, multi_label=False)
    return float(found[:, 0].mean())


@pytest.mark.parametrize("linear_size", [0, 2], ids=["network", "network and linear branch"])
@pytest.mark.parametrize("folds", WAYS.values(), ids=WAYS)
def test_a_label_is_as_probable_as_its_rows_are_heavy(train, folds, linear_size):
    """The texts say nothing, and the rows of one label weigh nine times as much."""
    generator = random.Random(0)
    texts = [" ".join(generator.choices(WORDS, k=6)) for _ in range(80)]
    rows = [Row(text, ("ab"[number % 2],), number) for number, text in enumerate(texts)]
    settings = {
        "class_weights": 0.0,
        "linear_size": linear_size,
        "epochs": 6,
        "linear_buckets": 64 if linear_size else 0,
    }
    for name, wanted in (("a", 0.9), ("b", 0.1)):
        weights = [9 if row.labels == (name,) else 1 for row in rows]
        run = train(weighted(rows, weights), name, folds=folds, settings=settings)
        assert certainty(run, texts) == pytest.approx(wanted, abs=0.2)


def test_a_run_with_other_weights_is_not_resumed(train, separable):
    rows = separable(60)
    train(weighted(rows, [2, 1] * 30))
    with pytest.raises(CheckpointError, match="begun with other"):
        train(weighted(rows, [3, 1] * 30), resume=True)
    train(weighted(rows, [2, 1] * 30), resume=True)


def test_texts_without_labels_have_weight_one(train, separable, tmp_path):
    rows = separable(60)
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(row.text for row in separable(30, seed=3)))
    teacher = train(rows, "teacher")
    run = train(weighted(rows, [2, 1] * 30), teachers=[teacher.path], unlabelled=[texts])
    assert all(math.isfinite(value) for value in run.model.metrics.values())


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        ([1] * 40, "a label with 30 rows against one with 10"),
        ([1] * 30 + [3] * 10, None),
        ([4] * 30 + [3] * 10, "a label with weight 120 against one with 30"),
        ([1e-6] * 30 + [3e-6] * 10, None),
    ],
)
def test_the_recipe_balances_weights(weights, reason):
    rows = [Row("text", ("a" if number < 30 else "b",), number) for number in range(40)]
    recipe = recommend(weighted(rows, weights), ["a", "b"], task="single-label", vectors=None)
    reasons = [one.reason for one in recipe.choices if "class_weights" in one.settings]
    assert reasons == ([] if reason is None else [reason])


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_score_of_an_epoch_counts_a_row_of_weight_two_twice(multi_label):
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(40, 4)).astype(np.float32)
    logits[:, 3] = -9  # a label that no row has and no row is given
    targets = np.eye(4, dtype=np.float32)[generator.integers(0, 3, 40)]
    times = generator.integers(1, 4, 40)
    again = np.repeat(range(40), times)
    weights = times.astype(np.float32)
    found = score_of(logits, targets, multi_label=multi_label, weights=weights)
    assert found == pytest.approx(score_of(logits[again], targets[again], multi_label=multi_label))
    plain = score_of(logits, targets, multi_label=multi_label)
    assert found != pytest.approx(plain, abs=1e-3)
    quality = evaluate_logits(logits, targets, multi_label=multi_label)
    assert plain == (quality.macro_f1 if multi_label else quality.accuracy)


def test_the_folds_choose_by_weights(architecture, tmp_path):
    """The temperature fits the heavy rows, which the frozen logits get wrong."""
    rows = CrossValidation(
        architecture(label_count=2),
        PRESETS[RECIPE],
        Dataset((), np.zeros((0, 2), np.float32)),
        targets=np.eye(2, dtype=np.float32)[[0] * 50 + [1] * 50],
        weights=np.array([1] * 50 + [1000] * 50, dtype=np.float32),
        folds=Folds((np.zeros(100, dtype=np.int64),)),
        initialization=Initialization(),
        device=torch.device("cpu"),
        kept=tmp_path / "kept",
        progress=Progress(),
    )
    right = np.tile(np.float32([2, 0]), (100, 1))  # of the first half
    assert rows._loss(right) > 0.9 * rows._losses(right)[-1]
    assert rows._preferred([right, -right, right]) == 1
    assert rows._temperature(right) > 1.5
    assert rows._temperature(-right) < 0.5
    assert rows._epoch(1, right, 0.0).dev_score == pytest.approx(1 / 1001)


@pytest.mark.parametrize("folds", WAYS.values(), ids=WAYS)
def test_the_solved_head_of_a_frozen_encoder_is_weighted(folds, tmp_path):
    generator = random.Random(0)
    words = ["the", "and", "a", "good", "film", "was", "of", "phone"]
    texts = [" ".join(generator.choices(words, k=6)) for _ in range(60)]
    rows = [Row(text, ("ab"[number % 2],), number) for number, text in enumerate(texts)]
    settings = {"frozen": True, "linear_size": 0, "class_weights": 0.0, "folds": folds}
    weights = [9 if row.labels == ("a",) else 1 for row in rows]
    run = fit(weighted(rows, weights), tmp_path / "run", settings=settings)
    assert certainty(run, texts) == pytest.approx(0.85, abs=0.12)
    with gzip.open(run.path / "dev.jsonl.gz", "rt") as lines:
        found = [json.loads(line).get("out_of_fold", [1])[0] for line in lines]
    assert np.mean(found) > 0.7  # in each fold, too
