"""The loss of training, compared with formulas written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from textgate.train.data.dataset import Batch, Dataset
from textgate.train.network.model import TextClassifier
from textgate.train.training.calibration import log_loss
from textgate.train.training.objective import Objective, batch_loss, label_weights, loss
from textgate.train.training.presets import RECIPE, preset


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_single_label_is_the_cross_entropy_of_the_label(output):
    logits = torch.tensor([[0.0, 2.0], [0.0, -1.0]])
    targets = torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    expected = -torch.log(torch.sigmoid(logits[:, 1])).mean()
    torch.testing.assert_close(loss(logits, targets, output=output), expected)


def test_multi_label_is_a_binary_cross_entropy_a_label():
    logits = torch.tensor([[1.0, -1.0, 0.5]])
    targets = torch.tensor([[1.0, 0.0, 1.0]])
    p = torch.sigmoid(logits)
    expected = -(targets * torch.log(p) + (1 - targets) * torch.log(1 - p)).mean()
    torch.testing.assert_close(loss(logits, targets, output="multi-label"), expected)


@pytest.mark.parametrize("output", ["softmax", "multi-label"])
def test_dev_is_scored_by_the_same_loss(output):
    torch.manual_seed(0)
    logits = torch.randn(20, 4)
    if output == "multi-label":
        targets = torch.randint(2, (20, 4)).float()
    else:
        targets = torch.eye(4)[torch.randint(4, (20,))]
    found = log_loss(logits.numpy(), targets.numpy(), multi_label=output == "multi-label")
    assert found == pytest.approx(float(loss(logits, targets, output=output)), rel=1e-5)


# Of a batch, with what training adds

PLAIN = {
    "embedding_dropout": 0.0,
    "layer_dropout": 0.0,
    "head_dropout": 0.0,
    "linear_dropout": 0.0,
    "adversarial": 0.0,
    "sparse": False,
}
OUTPUTS = [("sigmoid", 2), ("softmax", 2), ("softmax", 3), ("multi-label", 3)]
BRANCH = {"linear_size": 3, "linear_tokens": 20, "linear_buckets": 16}


def config(**changes):
    return preset(RECIPE).replace(**{**PLAIN, **changes})


@pytest.fixture
def network(architecture):
    """Makes networks whose weights are wide enough for everything to show."""

    def network(**changes):
        torch.manual_seed(0)
        model = TextClassifier(architecture(**changes))
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(torch.randn_like(weight) * 0.3)
        return model

    return network


def some(labels, *, rows=6, lengths=None, seed=0, soft=False):
    """A batch of random texts, padded on the right."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor(lengths or [5] * rows)
    ids = torch.randint(2, 30, (len(lengths), int(lengths.max())), generator=generator)
    ids[torch.arange(ids.shape[1]) >= lengths[:, None]] = 0
    targets = torch.eye(labels)[torch.arange(len(lengths)) % labels]
    if soft:
        targets = torch.rand((len(lengths), labels), generator=generator)
        targets = targets / targets.sum(dim=1, keepdim=True)
    return Batch(ids, lengths, targets)


def objective(model, train=None, **changes):
    targets = np.eye(model.architecture.label_count, dtype=np.float32) if train is None else train
    rows = Dataset(tuple(np.ones(1, dtype=np.int64) for _ in targets), targets)
    return Objective(config(**changes), rows, model.architecture, device=torch.device("cpu"))


def logits(model, batch):
    """Of the recurrent layers alone."""
    return model.recurrent_logits(model.embedding(batch.ids), batch.lengths).detach()


def gradients(model):
    return {
        name: weight.grad.clone()
        for name, weight in model.named_parameters()
        if weight.grad is not None
    }


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, msg=name)


@pytest.mark.parametrize(("output", "labels"), OUTPUTS)
def test_plainly_it_is_the_mean_loss(network, output, labels):
    model, batch = network(output=output, label_count=labels), some(labels)
    found = objective(model).backward(model, batch)
    expected = loss(logits(model, batch), batch.targets, output=output)
    assert found == pytest.approx(float(expected), rel=1e-5)
    model_gradients = gradients(model)
    model.zero_grad()
    loss(model(batch.ids, batch.lengths), batch.targets, output=output).backward()
    assert_same(model_gradients, gradients(model))


# Class weights


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
@pytest.mark.parametrize("soft", [False, True])
def test_a_rare_label_counts_more(network, output, soft):
    """Of 12 rows, 9 and 3: the rare label counts 6 / 3, the other one 6 / 9."""
    model, batch = network(output=output, label_count=2), some(2, soft=soft)
    train = np.eye(2, dtype=np.float32)[[0] * 9 + [1] * 3]
    found = objective(model, train, class_weights=1.0).backward(model, batch)
    importance = batch.targets @ torch.tensor([6 / 9, 6 / 3])
    of_rows = -(batch.targets * torch.log_softmax(logits(model, batch), dim=1)).sum(dim=1)
    expected = (importance * of_rows).sum() / importance.sum()
    assert found == pytest.approx(float(expected), rel=1e-5)


def test_with_several_labels_the_rare_ones_presence_counts_more(network):
    model, batch = network(output="multi-label", label_count=3), some(3)
    train = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1]], dtype=np.float32)  # 3, 2 and 1 times
    found = objective(model, train, class_weights=1.0).backward(model, batch)
    p = torch.sigmoid(logits(model, batch))
    present = torch.tensor([2 / 3, 2 / 2, 2 / 1]) * batch.targets * torch.log(p)
    expected = -(present + (1 - batch.targets) * torch.log(1 - p)).mean()
    assert found == pytest.approx(float(expected), rel=1e-5)


def test_a_label_that_no_row_has_does_not_count_without_end(network):
    model, batch = network(output="softmax", label_count=3), some(3)
    train = np.eye(3, dtype=np.float32)[[0] * 5 + [1] * 4]
    assert math.isfinite(objective(model, train, class_weights=1.0).backward(model, batch))


# Weights of rows

TWICE = [0, 0, 1, 2, 2, 2, 5]  # rows 3 and 4 not at all
COUNTS = torch.tensor([2.0, 1.0, 3.0, 0.0, 0.0, 1.0])


@pytest.mark.parametrize("of_labels", [None, torch.tensor([0.5, 2.0, 1.5])])
@pytest.mark.parametrize("output", ["softmax", "multi-label"])
def test_a_weight_of_two_is_the_row_twice_and_of_zero_no_row(output, of_labels):
    torch.manual_seed(0)
    logits, targets = torch.randn(6, 3, requires_grad=True), some(3, soft=True).targets
    found = loss(logits, targets, output=output, weights=of_labels, row_weights=COUNTS)
    expected = loss(logits[TWICE], targets[TWICE], output=output, weights=of_labels)
    torch.testing.assert_close(found, expected)
    (one,) = torch.autograd.grad(found, logits, retain_graph=True)
    (other,) = torch.autograd.grad(expected, logits)
    torch.testing.assert_close(one, other)
    assert not one[3:5].any()


@pytest.mark.parametrize("output", ["softmax", "multi-label"])
def test_batches_of_one_size_together_are_the_weighted_mean(output):
    torch.manual_seed(0)
    logits, whole = torch.randn(6, 3), some(3)
    weights = np.array([0.5, 4, 1, 3, 10, 2], dtype=np.float32)
    rows = Dataset(
        tuple(np.ones(1, dtype=np.int64) for _ in weights), whole.targets.numpy(), weights
    )
    parts = [[0, 1], [2, 3], [4, 5]]
    found = [batch_loss(logits[part], rows.batch(part), output=output) for part in parts]
    expected = loss(logits, whole.targets, output=output, row_weights=torch.from_numpy(weights))
    torch.testing.assert_close(torch.stack(found).mean(), expected)


@pytest.mark.parametrize("scale", [1.0, 1e-9, 1e9])
def test_labels_are_balanced_by_the_weights_of_their_rows(scale):
    targets = np.eye(3, dtype=np.float32)[[0, 1, 1, 2]]
    weights = np.float32(scale) * np.array([3, 1, 2, 6], dtype=np.float32)
    twice = label_weights(targets[np.repeat(range(4), [3, 1, 2, 6])], 1.0)
    torch.testing.assert_close(label_weights(targets, 1.0, weights), twice)


# The linear branch


def test_the_branch_learns_by_itself(network):
    """Both parts get the gradient of their own loss, and the recurrent one is told."""
    model, batch = network(**BRANCH), some(3)
    found = objective(model).backward(model, batch)
    together = gradients(model)
    model.zero_grad()
    recurrent = loss(
        model.recurrent_logits(model.embedding(batch.ids), batch.lengths),
        batch.targets,
        output="softmax",
    )
    recurrent.backward()
    alone = gradients(model)
    assert found == pytest.approx(float(recurrent.detach()), rel=1e-5)
    assert not any(name.startswith("linear") for name in alone)
    assert_same({name: together[name] for name in alone}, alone)
    model.zero_grad()
    loss(model.linear_logits(batch.ids, batch.lengths), batch.targets, output="softmax").backward()
    alone = gradients(model)
    assert any(name.startswith("linear") for name in alone)
    assert_same({name: together[name] for name in alone}, alone)


# Adversarial steps


class Watched:
    """The embedded texts that a network was given, one after the other."""

    def __init__(self, model, monkeypatch):
        self.given = []
        genuine = model.recurrent_logits

        def recurrent_logits(embedded, lengths):
            self.given.append(embedded.detach().clone())
            return genuine(embedded, lengths)

        monkeypatch.setattr(model, "recurrent_logits", recurrent_logits)

    @property
    def step(self):
        plain, worse = self.given
        return worse - plain


@pytest.mark.parametrize("length", [0.1, 0.3, 2.0])
@pytest.mark.parametrize("output", ["softmax", "multi-label"])
def test_the_worst_step_has_its_length(network, monkeypatch, output, length):
    """In units of the root mean square of an embedded token, for each of the text's tokens."""
    model, batch = network(output=output), some(3, lengths=[7] * 5)
    watched = Watched(model, monkeypatch)
    objective(model, adversarial=length).backward(model, batch)
    unit = watched.given[0].pow(2).mean().sqrt()
    expected = length * unit * torch.full((5,), 7.0).sqrt()
    torch.testing.assert_close(watched.step.flatten(1).norm(dim=1), expected)


def test_a_longer_text_takes_a_longer_step_and_its_padding_none(network, monkeypatch):
    model, batch = network(pooling=("max", "mean", "last", "attention")), some(3, lengths=[1, 4, 9])
    watched = Watched(model, monkeypatch)
    objective(model, adversarial=0.3).backward(model, batch)
    norms = watched.step.flatten(1).norm(dim=1)
    torch.testing.assert_close(norms / norms[0], torch.tensor([1.0, 2.0, 3.0]))
    padding = torch.arange(9) >= batch.lengths[:, None]
    assert not watched.step[padding].any()


@pytest.mark.parametrize(("output", "labels"), OUTPUTS)
def test_the_worst_step_raises_every_texts_loss(network, monkeypatch, output, labels):
    model = network(output=output, label_count=labels)
    batch = some(labels, lengths=[3, 9, 1, 5, 5])
    watched = Watched(model, monkeypatch)
    objective(model, adversarial=0.05).backward(model, batch)
    plain, worse = watched.given
    better = plain - watched.step

    def losses(embedded):
        found = model.recurrent_logits(embedded, batch.lengths).detach()
        pairs = zip(found, batch.targets, strict=True)
        return torch.stack([loss(row[None], to[None], output=output) for row, to in pairs])

    before, after, other = losses(plain), losses(worse), losses(better)
    assert (after > before).all()
    assert (other < before).all()


def test_training_minimizes_the_loss_and_the_worse_one(network, monkeypatch):
    model, batch = network(**BRANCH), some(3, lengths=[3, 9, 4])
    watched = Watched(model, monkeypatch)
    found = objective(model, adversarial=0.3).backward(model, batch)
    together = gradients(model)
    model.zero_grad()
    total = 0.0
    for step in (0.0, watched.step):
        embedded = model.embedding(batch.ids) + step  # which is no function of the weights
        value = loss(
            model.recurrent_logits(embedded, batch.lengths), batch.targets, output="softmax"
        )
        if total == 0.0:
            assert found == pytest.approx(float(value.detach()), rel=1e-5)
        total = total + value
    linear = model.linear_logits(batch.ids, batch.lengths)
    (total + loss(linear, batch.targets, output="softmax")).backward()
    assert_same(together, gradients(model))


def test_a_gradient_of_zero_is_no_step(network, monkeypatch):
    model, batch = network(), some(3)
    with torch.no_grad():
        model.head[0].weight.zero_()  # no text changes anything
    watched = Watched(model, monkeypatch)
    assert math.isfinite(objective(model, adversarial=0.3).backward(model, batch))
    assert not watched.step.any()
