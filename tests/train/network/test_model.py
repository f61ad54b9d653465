"""The network in PyTorch: size, initial weights, padding, outputs."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import nn

from textgate.bundle.architecture import CELLS, parameter_count
from textgate.train.network.model import RecurrentLayer, TextClassifier
from textgate.train.training.presets import PRESETS

DIRECTIONS = [False, True]
POOLINGS = [("last",), ("max",), ("mean",), ("attention",), ("mean", "last", "attention", "max")]


def ragged(lengths, vocabulary=30, seed=0):
    """Ids [batch, longest] whose padding is garbage, and lengths."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, vocabulary, (len(lengths), max(lengths)), generator=generator)
    return ids, torch.tensor(lengths)


def network(net, seed=0):
    torch.manual_seed(seed)
    model = TextClassifier(net)
    with torch.no_grad():  # larger than initial weights, so that every path has an effect
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.3)
    return model.eval()


# Size

SIZES = [
    dict(zip(("cell", "bidirectional", "pooling", "dense_sizes", "output"), values, strict=True))
    for values in itertools.product(
        CELLS, DIRECTIONS, POOLINGS, [(), (6,), (6, 4)], ["sigmoid", "softmax", "multi-label"]
    )
]


def test_the_layer_table_counts_what_is_trained(architecture):
    assert len(SIZES) == 270
    for changes in SIZES:
        labels = 2 if changes["output"] == "sigmoid" else 3
        net = architecture(**changes, hidden_sizes=(7, 5), label_count=labels)
        trained = [weight for weight in TextClassifier(net).parameters() if weight.requires_grad]
        assert parameter_count(net) == sum(weight.numel() for weight in trained), changes


@pytest.mark.parametrize(("output", "labels"), [("sigmoid", 2), ("softmax", 3), ("multi-label", 1)])
def test_the_layer_table_counts_a_linear_branch(architecture, output, labels):
    branch = {"linear_size": 4, "linear_tokens": 20, "linear_buckets": 32}
    net = architecture(output=output, label_count=labels, **branch)
    trained = [weight for weight in TextClassifier(net).parameters() if weight.requires_grad]
    assert parameter_count(net) == sum(weight.numel() for weight in trained)


@pytest.mark.parametrize(
    ("name", "total"), [("seed-lstm", 214_337), ("seed-gru", 177_857), ("seed-rnn", 103_169)]
)
def test_the_reference_networks_have_their_size(name, total):
    net = PRESETS[name].architecture(vocabulary_size=1000, label_count=2, task="single-label")
    model = TextClassifier(net)
    assert sum(weight.numel() for weight in model.parameters() if weight.requires_grad) == total


# Padding


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", DIRECTIONS)
@pytest.mark.parametrize("pooling", POOLINGS, ids="+".join)
def test_padding_changes_no_result(architecture, cell, bidirectional, pooling):
    net = architecture(cell=cell, bidirectional=bidirectional, pooling=pooling, hidden_sizes=(7, 5))
    model = network(net)
    ids, lengths = ragged([1, 9, 4, 12, 2])
    with torch.inference_mode():
        together = model(ids, lengths)
        for row, length in enumerate(lengths.tolist()):
            alone = model(ids[row : row + 1, :length], lengths[row : row + 1])
            torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=1e-5)
        padded = torch.cat([ids, torch.full((5, 3), 7)], dim=1)
        torch.testing.assert_close(model(padded, lengths), together, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("pooling", POOLINGS, ids="+".join)
def test_padding_gets_no_gradient(architecture, pooling):
    """Nor does it block one: masked values give no infinity or NaN."""
    model = network(architecture(pooling=pooling, bidirectional=True))
    ids, lengths = ragged([1, 9, 4], vocabulary=20)
    ids[torch.arange(9) >= lengths[:, None]] = 25  # a word that occurs as padding alone
    model(ids, lengths).square().sum().backward()
    gradient = model.embedding.weight.grad
    assert gradient is not None
    assert torch.isfinite(gradient).all()
    assert gradient[25].abs().max() == 0
    assert gradient[ids[1]].abs().min() > 0


REFERENCE = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", DIRECTIONS)
def test_a_layer_is_torchs_own_over_packed_sequences(cell, bidirectional):
    torch.manual_seed(0)
    layer = RecurrentLayer(cell, 5, 7, bidirectional=bidirectional)
    reference = REFERENCE[cell](5, 7, batch_first=True, bidirectional=bidirectional)
    weights = {name: value.detach() for name, value in layer.ahead.named_parameters()}
    if bidirectional:
        weights |= {f"{name}_reverse": value for name, value in layer.back.named_parameters()}
    reference.load_state_dict(weights)
    lengths = torch.tensor([3, 11, 1, 6])
    inputs = torch.randn(4, 11, 5)
    packed = nn.utils.rnn.pack_padded_sequence(
        inputs, lengths, batch_first=True, enforce_sorted=False
    )
    with torch.inference_mode():
        expected, state = reference(packed)
        expected, _ = nn.utils.rnn.pad_packed_sequence(expected, batch_first=True)
        states, last = layer(inputs, lengths)
    inside = (torch.arange(11) < lengths[:, None])[:, :, None]
    torch.testing.assert_close(states * inside, expected, atol=1e-6, rtol=1e-5)
    hidden = state[0] if cell == "lstm" else state
    torch.testing.assert_close(last, torch.cat(list(hidden), dim=1), atol=1e-6, rtol=1e-5)


# Initial weights


@pytest.mark.parametrize("cell", CELLS)
def test_initial_weights(architecture, cell):
    torch.manual_seed(0)
    net = architecture(cell=cell, hidden_sizes=(16, 9), dense_sizes=(8,), bidirectional=True)
    model = TextClassifier(net)
    assert 0.04 < model.embedding.weight.abs().max() <= 0.05
    gates = {"rnn": 1, "lstm": 4, "gru": 3}[cell]
    for layer, (inputs, hidden) in zip(model.layers, [(5, 16), (32, 9)], strict=True):
        for one in (layer.ahead, layer.back):
            weights = dict(one.named_parameters())
            bound = math.sqrt(6 / (inputs + gates * hidden))
            assert 0.8 * bound < weights["weight_ih_l0"].abs().max() <= bound
            for gate in weights["weight_hh_l0"].split(hidden):
                torch.testing.assert_close(gate @ gate.T, torch.eye(hidden), atol=1e-5, rtol=0)
            bias = weights["bias_ih_l0"].detach().clone()
            if cell == "lstm":
                assert (bias[hidden : 2 * hidden] == 1).all()  # forget
                bias[hidden : 2 * hidden] = 0
            assert (bias == 0).all()
            assert (weights["bias_hh_l0"] == 0).all()
            assert weights["bias_ih_l0"].requires_grad
            # One bias per gate, except for a GRU, whose second bias is inside its reset gate.
            assert weights["bias_hh_l0"].requires_grad == (cell == "gru")
    for dense in model.head:
        assert (dense.bias == 0).all()
        bound = math.sqrt(6 / sum(dense.weight.shape))
        assert 0.5 * bound < dense.weight.abs().max() <= bound


def test_the_seed_decides_initial_weights(architecture):
    net = architecture()
    states = [network(net, seed).state_dict() for seed in (1, 1, 2)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["embedding.weight"], states[2]["embedding.weight"])


# Outputs


def test_one_sigmoid_unit_is_a_softmax_over_0_and_z(architecture):
    model = network(architecture(output="sigmoid", label_count=2))
    ids, lengths = ragged([4, 2, 6])
    with torch.inference_mode():
        logits = model(ids, lengths)
        found = model.probabilities(logits)
    assert logits.shape == (3, 2)
    assert (logits[:, 0] == 0).all()
    assert (logits[:, 1] != 0).all()
    torch.testing.assert_close(found[:, 1], torch.sigmoid(logits[:, 1]))
    torch.testing.assert_close(found.sum(dim=1), torch.ones(3))


@pytest.mark.parametrize("output", ["softmax", "multi-label"])
def test_probabilities(architecture, output):
    model = network(architecture(output=output))
    logits = torch.tensor([[1.0, -2.0, 0.5]])
    cold = model.probabilities(logits, temperature=4.0)
    torch.testing.assert_close(cold, model.probabilities(logits / 4))
    expected = torch.sigmoid(logits) if output == "multi-label" else torch.softmax(logits, dim=1)
    torch.testing.assert_close(model.probabilities(logits), expected)


def test_dropout_is_only_for_training(architecture):
    net = architecture(
        embedding_dropout=0.5, layer_dropout=0.5, head_dropout=0.5, hidden_sizes=(7, 7)
    )
    model = network(net)
    ids, lengths = ragged([5, 5])
    assert torch.equal(model(ids, lengths), model(ids, lengths))
    model.train()
    assert not torch.equal(model(ids, lengths), model(ids, lengths))
