"""Solver of the linear branch: it finds the minimum of the penalized loss."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from textgate.rows import Row
from textgate.train import fit
from textgate.train.data.dataset import Dataset
from textgate.train.network.model import TextClassifier
from textgate.train.text.bigrams import find_features
from textgate.train.training import solver
from textgate.train.training.calibration import fit_temperature, log_loss
from textgate.train.training.initialization import Initialization
from textgate.train.training.objective import label_weights
from textgate.train.training.solver import PENALTIES, can_be_solved, solve, solve_all

TOKENS, LABELS = 40, 3


def rows(count, *, seed, multi_label=False):
    """Texts with a token that usually tells the label."""
    generator = np.random.default_rng(seed)
    sequences, targets = [], np.zeros((count, LABELS), dtype=np.float32)
    for number in range(count):
        label = generator.integers(LABELS)
        told = generator.random() < 0.8
        own = 2 + label if told else 2 + generator.integers(LABELS)
        rest = generator.integers(5, TOKENS, generator.integers(2, 9))
        sequences.append(generator.permutation(np.append(rest, own)))
        targets[number, label] = 1.0
        if multi_label and number % 3 == 0:
            targets[number, (label + 1) % LABELS] = 1.0
    return Dataset(tuple(sequences), targets)


@pytest.fixture(scope="module", params=["softmax", "multi-label"])
def solved(request):
    multi_label = request.param == "multi-label"
    train, dev = (rows(count, seed=count, multi_label=multi_label) for count in (300, 120))
    features = find_features(train.sequences, train.targets, max_buckets=64)
    return request.param, features, train, dev, *solve(features, train, dev, output=request.param)


def branch(architecture, features, solution, output):
    """A network with that branch."""
    net = architecture(
        vocabulary_size=TOKENS,
        output=output,
        label_count=LABELS,
        linear_size=LABELS,
        linear_tokens=len(features.token_weights),
        linear_buckets=len(features.fingerprints),
    )
    model = TextClassifier(net).eval()
    Initialization(features=features, solution=solution).apply(model)
    return model


def logits_of(model, data):
    batch = data.batch(range(len(data)))
    return model.linear_logits(batch.ids, batch.lengths)


def test_the_network_computes_what_was_solved(architecture, solved):
    output, features, _, dev, solution, dev_loss = solved
    model = branch(architecture, features, solution, output)
    logits = logits_of(model, dev).detach().numpy()
    multi_label = output == "multi-label"
    temperature = np.float32(fit_temperature(logits, dev.targets, multi_label=multi_label))
    found = log_loss(logits / temperature, dev.targets, multi_label=multi_label)
    assert found == pytest.approx(dev_loss, abs=1e-5)
    at_random = log_loss(np.zeros_like(logits), dev.targets, multi_label=multi_label)
    assert dev_loss < 0.8 * at_random


def test_no_step_makes_the_penalized_loss_smaller(architecture, solved):
    output, features, train, _, solution, _ = solved
    model = branch(architecture, features, solution, output)
    tables = [model.linear.tokens.weight, model.linear.pairs.weight]
    for table in tables:
        table.requires_grad_(True)
    logits, targets = logits_of(model, train), torch.from_numpy(train.targets)
    if output == "multi-label":
        value = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)
    else:
        value = -(torch.log_softmax(logits, dim=1) * targets).sum(1).mean()
    squares = sum(table.square().sum() for table in tables)
    (value + 0.5 * solution.penalty / len(train) * squares).backward()
    assert all(table.grad.abs().max() < 2e-4 for table in tables)
    assert value < 0.8 * (np.log(2) if output == "multi-label" else np.log(LABELS))


def test_dev_chooses_the_penalty(monkeypatch, solved):
    output, features, train, dev, solution, _ = solved
    losses = {}
    for penalty in PENALTIES:
        monkeypatch.setattr(solver, "PENALTIES", (penalty,))
        _, losses[penalty] = solve(features, train, dev, output=output)
    assert min(losses, key=losses.get) == solution.penalty
    assert max(losses.values()) > min(losses.values()) + 0.01


def test_label_weights_are_used():
    train, dev = rows(300, seed=1), rows(100, seed=2)
    rare = np.flatnonzero(train.targets[:, 0] > 0)[10:]
    kept = np.setdiff1d(np.arange(300), rare)
    train = Dataset(tuple(train.sequences[one] for one in kept), train.targets[kept])
    features = find_features(train.sequences, train.targets, max_buckets=64)
    means = []
    for weights in (None, label_weights(train.targets, 1.0)):
        found, _ = solve(features, train, dev, output="softmax", weights=weights)
        means.append(float(found.tokens[:, 0].sum() - found.tokens[:, 1:].sum() / 2))
    assert means[1] > means[0] + 0.5


@pytest.mark.parametrize("power", [0.0, 1.0])
@pytest.mark.parametrize("output", ["softmax", "multi-label"])
def test_a_weight_of_two_is_the_row_twice(output, power):
    train, dev = (rows(count, seed=count, multi_label=output != "softmax") for count in (60, 30))
    times = np.random.default_rng(0).integers(1, 4, 60)
    features = find_features(train.sequences, train.targets, max_buckets=64)
    weighted = dataclasses.replace(train, weights=times.astype(np.float32))
    again = train.subset(np.repeat(range(60), times))
    found, expected, plain = (
        solve_all(
            features,
            data,
            dev,
            output=output,
            weights=label_weights(data.targets, power, data.weights),
        )
        for data in (weighted, again, train)
    )
    for (one, of_one), (two, of_two), (three, _) in zip(found, expected, plain, strict=True):
        assert one.penalty == two.penalty
        torch.testing.assert_close(one.table, two.table, atol=2e-3, rtol=1e-3)
        np.testing.assert_allclose(of_one, of_two, atol=5e-3)
        assert (one.table - three.table).abs().max() > 0.02


def test_the_weights_of_dev_choose_the_penalty():
    train, dev = rows(200, seed=1), rows(100, seed=2)
    features = find_features(train.sequences, train.targets, max_buckets=64)
    found = solve_all(features, train, dev, output="softmax")
    sure = found[-1][1]  # of the weakest penalty
    wrong = sure.argmax(axis=1) != dev.targets.argmax(axis=1)
    penalties = {}
    for name, weights in (("wrong", wrong), ("right", ~wrong)):
        heavy = np.where(weights, 100, 1).astype(np.float32)
        data = dataclasses.replace(dev, weights=heavy)
        penalties[name] = solve(features, train, data, output="softmax")[0].penalty
    assert penalties["wrong"] > penalties["right"]


def test_soft_targets_give_smaller_weights():
    train = rows(300, seed=1)
    soft = Dataset(train.sequences, train.targets * np.float32(0.7) + np.float32(0.1))
    features = find_features(train.sequences, train.targets, max_buckets=64)
    sizes = [
        float(solve(features, data, train, output="softmax")[0].tokens.abs().max())
        for data in (train, soft)
    ]
    assert 0 < sizes[1] < sizes[0]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"output": "softmax"}, True),
        ({"output": "multi-label"}, True),
        ({"output": "softmax", "linear_size": 5}, False),
        ({"output": "softmax", "linear_size": 0, "linear_tokens": 0, "linear_buckets": 0}, False),
        ({"output": "sigmoid", "label_count": 2, "linear_size": 1}, False),
    ],
)
def test_what_can_be_solved(architecture, changes, expected):
    branch = {"label_count": 3, "linear_size": 3, "linear_tokens": 9, "linear_buckets": 8}
    assert can_be_solved(architecture(**{**branch, **changes})) is expected


def test_training_does_not_change_it(hearing, tmp_path):
    data = [
        Row(f"a {word} film number {number}", (label,), number)
        for number in range(60)
        for word, label in (("good", "positive"), ("bad", "negative"))
    ]
    heard = hearing()
    settings = {
        "epochs": 2,
        "folds": 0,
        "vocabulary_size": 600,
        "hidden_sizes": [4],
        "vectors": "none",
    }
    run = fit(data, tmp_path / "run", settings=settings, progress=heard)
    weights = run.model.weights
    tokens, projection = weights["linear.tokens.weight"], weights["linear.projection.weight"]
    assert tokens.abs().max() > 0
    assert projection[0, 1] == projection[1, 0] == 0  # the identity, times what dev chose
    assert projection[0, 0] == projection[1, 1]
    (told,) = (note for note in heard.notes if note.startswith("the linear branch alone: log loss"))
    assert float(told.rpartition(" ")[2]) in PENALTIES
    again = fit(data, tmp_path / "longer", settings={**settings, "epochs": 4})
    assert torch.equal(again.model.weights["linear.tokens.weight"], tokens)
    assert dataclasses.asdict(again.manifest.architecture)["linear_size"] == 2
