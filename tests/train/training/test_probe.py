"""Linear probe: a logistic regression in the projected space, folded into the head."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as nnf

from textgate.train.data.dataset import Dataset
from textgate.train.network.model import TextClassifier
from textgate.train.training.initialization import Initialization, can_be_probed
from textgate.train.training.objective import label_weights
from textgate.train.training.probe import (
    PROBE_PENALTIES,
    Head,
    Projection,
    find_space,
    head_logits,
    pooled_states,
    solve_heads,
)
from textgate.train.training.progress import Progress

ROWS, POOLED, COMPONENTS, LABELS = 60, 14, 6, 3
CONSTANT = 3.0  # the value of the bias's feature


@pytest.fixture(scope="module")
def pooled():
    generator = np.random.default_rng(0)
    return (generator.normal(size=(ROWS, POOLED)) * 2 + 1).astype(np.float32)


@pytest.fixture(scope="module", params=["projected", "standardized"])
def projection(request):
    if request.param == "standardized":
        return None
    generator = np.random.default_rng(1)
    return Projection(
        weight=generator.normal(size=(COMPONENTS, POOLED)).astype(np.float32),
        bias=generator.normal(size=COMPONENTS).astype(np.float32),
    )


def targets(*, several=False):
    generator = np.random.default_rng(2)
    found = np.eye(LABELS, dtype=np.float32)[generator.integers(LABELS, size=ROWS)]
    if several:
        found[::3] = 1.0 - found[::3]
    return found


def regression(space, pooled, targets, *, penalty, output, weights=None):
    """The same regression by gradient descent in float64: probabilities of the rows."""
    features = torch.from_numpy(space.features(pooled)).double()
    wanted = torch.from_numpy(targets).double()
    table = torch.zeros(features.shape[1], LABELS, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([table], max_iter=2000, tolerance_grad=1e-10, tolerance_change=0)

    def closure():
        optimizer.zero_grad()
        logits = features @ table
        if output == "multi-label":
            each = nnf.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
            value = each.mean(dim=1).sum()
        else:
            each = -(wanted * nnf.log_softmax(logits, dim=1))
            if weights is not None:
                each = each * weights.double()
            value = each.sum()
        value = value + 0.5 * penalty * table.square().sum()
        value.backward()
        return value

    optimizer.step(closure)
    return probabilities((features @ table).detach().numpy(), output)


def probabilities(logits, output):
    found = torch.from_numpy(np.asarray(logits)).double()
    return (torch.sigmoid(found) if output == "multi-label" else found.softmax(dim=1)).numpy()


@pytest.mark.parametrize("output", ["softmax", "multi-label"])
def test_it_is_the_regression_in_the_space(pooled, projection, output):
    wanted = targets(several=output == "multi-label")
    space = find_space(pooled, projection)
    heads = list(solve_heads(space, pooled, wanted, output=output, weights=None))
    assert len(heads) == len(PROBE_PENALTIES)
    for penalty, head in zip(PROBE_PENALTIES, heads, strict=True):
        expected = regression(space, pooled, wanted, penalty=penalty, output=output)
        found = probabilities(head_logits(head, pooled), output)
        assert np.abs(found - expected).max() < 1e-3, penalty


def test_it_weighs_the_labels(pooled, projection):
    wanted = targets()
    wanted[10:] = [1, 0, 0]
    space, weights = find_space(pooled, projection), label_weights(wanted, 1.0)
    (head,) = solve_heads(
        space, pooled, wanted, output="softmax", weights=weights, penalties=(1.0,)
    )
    plain = regression(space, pooled, wanted, penalty=1.0, output="softmax")
    found = probabilities(head_logits(head, pooled), "softmax")
    assert found[:, 0].mean() < plain[:, 0].mean() - 0.05


@pytest.mark.parametrize("output", ["softmax", "multi-label"])
def test_a_weight_of_two_is_the_row_twice(pooled, projection, output):
    wanted, times = targets(several=output != "softmax"), np.arange(ROWS) % 3 + 1
    space, again = find_space(pooled, projection), np.repeat(range(ROWS), times)
    options = {"output": output, "weights": None, "penalties": (1.0,)}
    (found,) = solve_heads(space, pooled, wanted, row_weights=times.astype(np.float32), **options)
    (expected,) = solve_heads(space, pooled[again], wanted[again], **options)
    (plain,) = solve_heads(space, pooled, wanted, **options)
    of_found, of_expected, of_plain = (
        probabilities(head_logits(head, pooled), output) for head in (found, expected, plain)
    )
    assert np.abs(of_found - of_expected).max() < 1e-3
    assert np.abs(of_found - of_plain).max() > 5e-3


def test_the_folded_head_computes_the_same(pooled, projection):
    space = find_space(pooled, projection)
    table = torch.from_numpy(
        np.random.default_rng(3).normal(size=(space.weight.shape[0] + 1, LABELS))
    ).float()
    folded = head_logits(space.head(table), pooled)
    assert np.allclose(folded, space.features(pooled) @ table.numpy(), atol=1e-4)


def test_the_features_have_length_one_on_average_and_a_constant_last(pooled, projection):
    features = find_space(pooled, projection).features(pooled)
    assert np.linalg.norm(features[:, :-1], axis=1).mean() == pytest.approx(1.0, abs=1e-4)
    assert (features[:, -1] == CONSTANT).all()


def test_the_scale_of_the_projection_does_not_matter(pooled):
    generator = np.random.default_rng(1)
    weight = generator.normal(size=(COMPONENTS, POOLED)).astype(np.float32)
    bias = np.zeros(COMPONENTS, np.float32)
    found = []
    for scale in (1.0, 50.0):
        space = find_space(pooled, Projection(weight * np.float32(scale), bias))
        (head,) = solve_heads(
            space, pooled, targets(), output="softmax", weights=None, penalties=(1.0,)
        )
        found.append(head_logits(head, pooled))
    assert np.allclose(*found, atol=1e-2)


def test_states_that_never_change_are_no_trouble():
    still = np.ones((ROWS, POOLED), np.float32)
    (head,) = solve_heads(
        find_space(still, None),
        still,
        targets(),
        output="softmax",
        weights=None,
        penalties=(1.0,),
    )
    assert np.isfinite(head_logits(head, still)).all()


@pytest.fixture
def network(architecture):
    return architecture(pooling=("max", "mean"), label_count=LABELS)


@pytest.fixture
def dataset():
    generator = np.random.default_rng(4)
    sequences = tuple(generator.integers(2, 30, size=1 + number % 9) for number in range(ROWS))
    return Dataset(sequences, targets())


def test_a_network_with_the_head_computes_its_logits(network, dataset):
    torch.manual_seed(0)
    model = TextClassifier(network)
    states = pooled_states(model, dataset)
    assert states.shape == (ROWS, network.pooled_size)
    (head,) = solve_heads(
        find_space(states, None),
        states,
        dataset.targets,
        output="softmax",
        weights=None,
        penalties=(1.0,),
    )
    Initialization(head=head).apply(model)
    batch = dataset.batch(range(ROWS))
    with torch.inference_mode():
        logits = model.eval()(batch.ids, batch.lengths).numpy()
    assert np.allclose(logits, head_logits(head, states), atol=1e-4)


def test_dev_chooses_the_penalty(network, dataset):
    torch.manual_seed(0)
    begun = Initialization(layers=dict(TextClassifier(network).layers.state_dict(prefix="layers.")))
    model = begun.network(network, seed=0)
    notes = []
    progress = Progress()
    progress.note = notes.append
    dev = dataset.subset(np.arange(0, ROWS, 3))
    probed = begun.probed(model, dataset, dev, class_weights=0.0, progress=progress)
    assert isinstance(probed.head, Head)
    assert len(notes) == 1
    assert notes[0].startswith("the frozen encoder alone: log loss ")


@pytest.mark.parametrize(
    ("changes", "initial", "probed"),
    [
        ({}, {}, True),
        ({"dense_sizes": (8,)}, {}, False),
        ({"hidden_sizes": (7, 7)}, {}, False),
        ({"output": "sigmoid", "label_count": 2}, {}, False),
        ({"output": "multi-label"}, {}, True),
        ({}, {"layers": {}}, False),
        ({"pooling": ("max",)}, {}, True),
        ({"pooling": ("max",)}, {"projection": True}, False),
        ({}, {"projection": True}, True),
    ],
)
def test_networks_that_can_be_probed(network, changes, initial, probed):
    net = dataclasses.replace(network, **changes)
    if initial.get("projection"):
        initial["projection"] = Projection(np.zeros((2, 14), np.float32), np.zeros(2, np.float32))
    start = Initialization(**{"layers": {"layers.0.x": torch.zeros(1)}, **initial})
    assert can_be_probed(start, net) is probed
