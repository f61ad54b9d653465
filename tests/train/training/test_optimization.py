"""Optimizers: constant and falling rates, sparse steps, the moving average, and resuming."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from textgate.errors import CheckpointError
from textgate.train.network.model import TextClassifier
from textgate.train.text.bigrams import find_features
from textgate.train.training.optimization import Average, Optimizer
from textgate.train.training.presets import RECIPE, preset

RATES = {"learning_rate": 0.01, "embedding_rate": 0.5, "linear_rate": 0.07}
BRANCH = {"linear_size": 3, "linear_tokens": 20, "linear_buckets": 16}
KINDS = pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])


@pytest.fixture
def network(architecture):
    def network(*, sparse=False, **changes):
        torch.manual_seed(0)
        model = TextClassifier(architecture(**{**BRANCH, **changes}), sparse=sparse)
        if model.linear is not None:
            texts = [np.array(ids) for number in range(12) for ids in batch(number)]
            targets = np.eye(3, dtype=np.float32)[np.arange(2 * len(texts)) % 3]
            found = find_features(texts * 2, targets, max_buckets=BRANCH["linear_buckets"])
            model.linear.fingerprints.copy_(torch.from_numpy(found.fingerprints))
            model.linear.pair_weights.copy_(torch.from_numpy(found.bigram_weights))
        return model

    return network


def config(**changes):
    return preset(RECIPE).replace(**{**RATES, "sparse": False, **changes})


def learn(model, ids, *, labels=3, seed=0):
    """Put the gradient of a batch into the network."""
    targets = torch.randint(labels, (len(ids),), generator=torch.Generator().manual_seed(seed))
    ids = torch.tensor(ids)
    lengths = torch.full((len(ids),), ids.shape[1])
    torch.nn.functional.cross_entropy(model(ids, lengths), targets).backward()


def batch(number, *, rows=4, tokens=6):
    generator = torch.Generator().manual_seed(number)
    return torch.randint(1, 30, (rows, tokens), generator=generator).tolist()


def run(model, optimizer, numbers):
    for number in numbers:
        optimizer.clear()
        learn(model, batch(number), seed=number)
        optimizer.step(number)


def weights(model):
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def moved(before, model):
    return {name: (tensor - before[name]).abs() for name, tensor in model.state_dict().items()}


def largest_step(network, number, *, steps=None, name="head.0.bias", **changes):
    """How far a weight moves by the first step of Adam, which is its rate."""
    settings = config(**changes)
    model = network(sparse=settings.sparse)
    optimizer = Optimizer(model, settings, steps=steps)
    before = weights(model)
    learn(model, batch(0))
    optimizer.step(number)
    return moved(before, model)[name].max().item()


# Constant and falling rates


@pytest.mark.parametrize("number", [0, 1, 50, 99, 100, 1000])
def test_a_constant_rate(network, number):
    assert largest_step(network, number) == pytest.approx(0.01, rel=1e-3)


def falling(number, steps):
    return 0.5 * (1 + math.cos(math.pi * number / steps))


COSINE = [
    # step, of how many, fraction of the rate
    (0, 100, 1 / 5),
    (1, 100, 2 / 5 * falling(1, 100)),
    (3, 100, 4 / 5 * falling(3, 100)),
    (4, 100, falling(4, 100)),  # a twentieth of the steps is over
    (25, 100, falling(25, 100)),
    (50, 100, 0.5),
    (75, 100, 1 - falling(25, 100)),
    (99, 100, falling(99, 100)),
    (100, 100, 0.0),
    (150, 100, 0.0),
    (0, 1, 1.0),
    (0, 10, 1.0),  # too few to warm up
    (1, 2, 0.5),
]


@KINDS
@pytest.mark.parametrize(("number", "steps", "fraction"), COSINE)
def test_up_for_a_twentieth_then_down_along_a_cosine(network, sparse, number, steps, fraction):
    for name, rate in (
        ("head.0.bias", 0.01),
        ("embedding.weight", 0.005),
        ("linear.tokens.weight", 0.07),
    ):
        found = largest_step(network, number, steps=steps, name=name, sparse=sparse)
        assert found == pytest.approx(rate * fraction, rel=1e-2, abs=1e-8), name


# Rates


@KINDS
def test_tables_have_rates_of_their_own(network, sparse):
    expected = {
        "embedding.weight": 0.005,
        "linear.tokens.weight": 0.07,
        "linear.pairs.weight": 0.07,
        "head.0.weight": 0.01,
        "layers.0.ahead.weight_ih_l0": 0.01,
        "linear.projection.weight": 0.01,
    }
    model = network(sparse=sparse)
    with torch.no_grad():  # else the projection's gradient is 0
        model.linear.tokens.weight.normal_()
    optimizer = Optimizer(model, config(sparse=sparse))
    before = weights(model)
    learn(model, batch(0))
    optimizer.step(0)
    found = moved(before, model)
    for name, rate in expected.items():
        assert found[name].max().item() == pytest.approx(rate, rel=2e-3), name
    # An LSTM needs no second bias; bigrams are found before training.
    assert not found["layers.0.ahead.bias_hh_l0"].any()
    assert not found["linear.fingerprints"].any()


@KINDS
def test_without_a_branch(network, sparse):
    model = network(sparse=sparse, linear_size=0, linear_tokens=0, linear_buckets=0)
    optimizer = Optimizer(model, config(sparse=sparse))
    before = weights(model)
    run(model, optimizer, [0])
    assert moved(before, model)["embedding.weight"].max().item() == pytest.approx(0.005, rel=1e-3)


def test_a_long_gradient_is_shortened(network):
    model = network()
    optimizer = Optimizer(model, config(gradient_norm=0.001))
    learn(model, batch(0))
    before = model.head[0].bias.grad.clone()
    optimizer.step(0)
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm().item()
    assert norm == pytest.approx(0.001, rel=1e-3)
    after = model.head[0].bias.grad
    torch.testing.assert_close(after / after.norm(), before / before.norm())


def test_clear_forgets_gradients(network):
    model = network(sparse=True)
    optimizer = Optimizer(model, config(sparse=True))
    learn(model, batch(0))
    optimizer.clear()
    assert all(weight.grad is None for weight in model.parameters())


# Sparse steps


def rows_that_moved(before, model, name):
    return set(moved(before, model)[name].any(dim=1).nonzero().flatten().tolist())


def test_a_sparse_step_touches_the_rows_of_its_batch_alone(network):
    model = network(sparse=True)
    optimizer = Optimizer(model, config(sparse=True))
    for ids in ([[3, 4, 5, 3]], [[5, 6, 25, 7]], [[8, 8, 8, 8]]):
        before = weights(model)
        optimizer.clear()
        learn(model, ids)
        optimizer.step(0)
        assert rows_that_moved(before, model, "embedding.weight") == set(ids[0])
        # Without a row in the branch, 25 is looked up as its last one, with a weight of 0.
        found = rows_that_moved(before, model, "linear.tokens.weight")
        assert found == {token for token in ids[0] if token < 20}
        assert len(rows_that_moved(before, model, "linear.pairs.weight")) <= 4


def test_a_dense_step_moves_rows_of_earlier_batches_on(network):
    """What the sparse one saves, and the reason why it is another optimizer."""
    model = network()
    optimizer = Optimizer(model, config())
    for ids, expected in (([[3, 4, 5, 3]], {3, 4, 5}), ([[5, 6, 6, 7]], {3, 4, 5, 6, 7})):
        before = weights(model)
        optimizer.clear()
        learn(model, ids)
        optimizer.step(0)
        assert rows_that_moved(before, model, "embedding.weight") == expected


def test_the_first_steps_are_the_same_sparse_or_not(network):
    """Where every batch has the same rows, laziness changes nothing."""
    found = []
    for sparse in (False, True):
        model = network(sparse=sparse)
        optimizer = Optimizer(model, config(sparse=sparse, gradient_norm=1e9))
        for number in range(4):
            optimizer.clear()
            learn(model, batch(7), seed=number)
            optimizer.step(number)
        found.append(weights(model))
    dense, sparse = found
    for name, tensor in dense.items():
        torch.testing.assert_close(sparse[name], tensor, rtol=1e-3, atol=1e-4)


# Going on


@KINDS
def test_restored_moments_go_on_as_if_nothing_had_been(network, sparse):
    settings = config(sparse=sparse)
    model = network(sparse=sparse)
    optimizer = Optimizer(model, settings, steps=12)
    run(model, optimizer, range(6))
    kept, tensors = weights(model), optimizer.tensors()
    run(model, optimizer, range(6, 12))

    again = network(sparse=sparse)
    again.load_state_dict(kept)
    other = Optimizer(again, settings, steps=12)
    other.restore(tensors)
    run(again, other, range(6, 12))
    for name, tensor in weights(model).items():
        assert torch.equal(weights(again)[name], tensor), name
    for name, tensor in optimizer.tensors().items():
        assert torch.equal(other.tensors()[name], tensor), name


@KINDS
def test_moments_are_those_of_every_trained_weight(network, sparse):
    model = network(sparse=sparse)
    optimizer = Optimizer(model, config(sparse=sparse))
    assert optimizer.tensors() == {}
    run(model, optimizer, [0])
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    moments = ("exp_avg", "exp_avg_sq", "step")
    expected = {f"{name}/{moment}" for name in trained for moment in moments}
    assert set(optimizer.tensors()) == expected


def test_moments_are_kept_as_they_were(network):
    model = network(sparse=True)
    optimizer = Optimizer(model, config(sparse=True))
    run(model, optimizer, [0])
    tensors = optimizer.tensors()
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    run(model, optimizer, [1, 2])
    assert all(torch.equal(tensors[name], tensor) for name, tensor in before.items())


@KINDS
@pytest.mark.parametrize("weight", ["embedding.weight", "linear.pairs.weight", "head.0.bias"])
@pytest.mark.parametrize("moment", ["exp_avg", "exp_avg_sq", "step"])
def test_missing_moments(network, sparse, weight, moment):
    model = network(sparse=sparse)
    optimizer = Optimizer(model, config(sparse=sparse))
    run(model, optimizer, [0])
    tensors = optimizer.tensors()
    del tensors[f"{weight}/{moment}"]
    with pytest.raises(CheckpointError) as caught:
        optimizer.restore(tensors)
    assert str(caught.value) == (
        f"the checkpoint does not fit the network: Adam's moments of {weight} are missing"
    )


def test_moments_of_another_shape(network):
    model, other = network(), network(hidden_sizes=(5,))
    optimizer = Optimizer(model, config())
    run(model, optimizer, [0])
    with pytest.raises(CheckpointError, match="the checkpoint does not fit the network"):
        Optimizer(other, config()).restore(optimizer.tensors())


# The average


def drift(model):
    """Move all weights, as a step would."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight))


def by_hand(history, decay):
    """The average over weights after each step, of which every eighth counts."""
    value = history[0].double()
    for number, weight in enumerate(history[1:]):
        if number % 8 == 0:
            kept = min(decay, (1 + number) / (10 + number)) ** 8
            value = kept * value + (1 - kept) * weight.double()
    return value


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.995])
def test_the_average_is_the_one_made_by_hand(network, decay):
    model = network()
    average = Average(model, decay)
    histories = {name: [weight.detach().clone()] for name, weight in model.named_parameters()}
    for number in range(60):
        drift(model)
        average.update(number)
        for name, weight in model.named_parameters():
            histories[name].append(weight.detach().clone())
    for name, history in histories.items():
        found = average.weights[name].double()
        torch.testing.assert_close(found, by_hand(history, decay), rtol=1e-5, atol=1e-6)


def test_it_is_a_whole_network(network):
    model = network()
    average = Average(model, 0.9)
    before = weights(model)
    drift(model)
    for name, tensor in before.items():  # until the next update
        assert torch.equal(average.weights[name], tensor)
    average.update(0)
    model.load_state_dict(average.weights)
    assert torch.equal(model.linear.fingerprints, before["linear.fingerprints"])


def test_it_goes_on_from_what_was_kept(network):
    model = network()
    one = Average(model, 0.9)
    for number in range(9):
        drift(model)
        one.update(number)
    two = Average(model, 0.9, {name: tensor.clone() for name, tensor in one.weights.items()})
    for number in range(9, 30):
        drift(model)
        one.update(number)
        two.update(number)
    for name, tensor in one.weights.items():
        assert torch.equal(two.weights[name], tensor), name
