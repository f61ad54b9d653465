"""The recall task, its networks, and what is read off their gradients."""

from __future__ import annotations

import itertools

import pytest
import torch


@pytest.fixture
def recall(script):
    return script("memory_of_cells")


@pytest.mark.parametrize("gap", [1, 7, 500])
def test_only_the_first_token_tells_the_symbol(recall, gap):
    ids, lengths, symbols = recall.sequences(300, gap, torch.Generator().manual_seed(0))
    assert ids.shape == (300, gap + 1)
    assert lengths.tolist() == [gap + 1] * 300
    assert (ids[:, 0] - recall.FIRST).tolist() == symbols.tolist()
    assert set(symbols.tolist()) == set(range(recall.SYMBOLS))
    assert ids[:, 1:].min() >= recall.FIRST + recall.SYMBOLS
    assert ids.max() < recall.FIRST + recall.SYMBOLS + recall.NOISE


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_long_gates_keep_a_state(recall, cell):
    """Without input, what the first step left is still there after the gap, or it is not."""

    def kept(init):
        layer = recall.network(cell, init, 100, seed=0).layers[0].ahead
        for weight in (layer.weight_hh_l0, layer.weight_ih_l0):
            torch.nn.init.zeros_(weight)
        ends = []
        for begun in (torch.ones(1, 1, layer.hidden_size), -torch.ones(1, 1, layer.hidden_size)):
            state = (begun, begun) if cell == "lstm" else begun
            _, state = layer(torch.zeros(1, 100, layer.input_size), state)
            ends.append(state[1] if cell == "lstm" else state)
        return float((ends[0] - ends[1]).mean()) / 2  # whatever it is drawn to cancels out

    with torch.no_grad():
        assert kept("long gates") > 0.1
        assert kept("reference") < 0.001


def test_an_rnn_has_no_gates_to_set(recall):
    assert recall.beginnings("rnn") == ["reference", "torch"]
    assert recall.beginnings("gru") == ["reference", "torch", "long gates"]


def test_the_ways_to_begin_differ_and_are_repeatable(recall):
    for cell in recall.CELLS:
        weights = {
            init: recall.network(cell, init, 9, seed=1).state_dict()["layers.0.ahead.bias_ih_l0"]
            for init in recall.beginnings(cell)
        }
        again = recall.network(cell, "torch", 9, seed=1).state_dict()["layers.0.ahead.bias_ih_l0"]
        assert torch.equal(weights["torch"], again)
        assert len({tuple(each.tolist()) for each in weights.values()}) == len(weights)


def test_a_short_gap_is_learned_and_training_stops(recall):
    found = recall.recall("lstm", "reference", 3, seed=0, updates=400)
    assert found.accuracy == 1
    assert found.updates < 400


def test_training_ends_with_the_updates(recall):
    found = recall.recall("gru", "torch", 30, seed=0, updates=3)
    assert found.updates == 3
    assert found.accuracy < 0.5


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0])
def test_a_gradient_shrinks_as_the_recurrent_weights_do(recall, scale):
    """An RNN of tiny states multiplies its gradient by the recurrent matrix at every step."""
    model = recall.network("rnn", "reference", 5, seed=0)
    layer = model.layers[0].ahead
    with torch.no_grad():
        layer.weight_ih_l0.mul_(1e-4)
        layer.weight_hh_l0.copy_(scale * torch.eye(layer.hidden_size))
    norms = recall.gradient_norms(model, 5, seed=0)
    assert norms == pytest.approx([scale**step for step in range(6)], abs=1e-5)


def test_an_lstm_keeps_what_its_forget_gate_keeps(recall):
    model = recall.network("lstm", "reference", 5, seed=0)
    layer = model.layers[0].ahead
    with torch.no_grad():
        layer.weight_hh_l0.zero_()
        layer.weight_ih_l0.mul_(1e-4)
    norms = recall.gradient_norms(model, 4, seed=0)
    assert norms[0] == 1
    forget = torch.sigmoid(torch.tensor(1.0)).item()
    for before, after in itertools.pairwise(norms[1:]):
        assert after / before == pytest.approx(forget, abs=1e-3)
