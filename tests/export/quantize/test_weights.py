"""A trained network's tensors: complete, of the right shape, finite, in ONNX's order of gates."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from textgate.errors import ExportError
from textgate.export.quantize.weights import network_weights


@pytest.fixture
def model(tools):
    return tools.network(
        hidden_sizes=(4, 3),
        bidirectional=True,
        pooling=("attention", "max"),
        dense_sizes=(6,),
        output="sigmoid",
        label_count=2,
    )


def test_every_tensor_has_its_place(model):
    state = model.state_dict()
    found = network_weights(model.architecture, state)
    np.testing.assert_array_equal(found.embedding, state["embedding.weight"].numpy())
    assert [[cell.hidden_size for cell in cells] for cells in found.layers] == [[4, 4], [3, 3]]
    assert found.layers[1][0].inputs.shape == (12, 8)
    np.testing.assert_array_equal(
        found.attention, state["pooling.scores.weight"].numpy().reshape(-1)
    )
    np.testing.assert_array_equal(found.dense[0].weight, state["head.0.weight"].numpy())


def test_one_sigmoid_unit_becomes_two_logits(model):
    last = network_weights(model.architecture, model.state_dict()).dense[-1]
    assert last.weight.shape == (2, 6)
    assert (last.weight[0] == 0).all()
    assert last.bias[0] == 0
    np.testing.assert_array_equal(last.weight[1], model.head[-1].weight.detach().numpy()[0])


@pytest.mark.parametrize(
    ("cell", "order"),
    [("rnn", "h"), ("lstm", "iofc"), ("gru", "zrh")],
)
def test_gates_are_in_onnx_order(tools, cell, order):
    torchs = {"rnn": "h", "lstm": "ifco", "gru": "rzh"}[cell]
    model = tools.network(cell=cell)
    hidden = 7
    with torch.no_grad():
        for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
            tensor = getattr(model.layers[0].ahead, name)
            for index, _ in enumerate(torchs):
                tensor[index * hidden : (index + 1) * hidden] = index
    (found,) = network_weights(model.architecture, model.state_dict()).layers[0]
    for array in (found.inputs, found.recurrent, found.input_bias, found.recurrent_bias):
        values = [array[index * hidden : (index + 1) * hidden] for index in range(len(order))]
        assert all((value == value.flat[0]).all() for value in values)
        assert "".join(torchs[int(value.flat[0])] for value in values) == order


NAMES = ["embedding.weight", "layers.1.back.weight_hh_l0", "pooling.scores.weight", "head.1.bias"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_nan_and_infinity_are_refused(model, name, value):
    state = model.state_dict()
    state[name].view(-1)[-1] = value
    with pytest.raises(ExportError) as caught:
        network_weights(model.architecture, state)
    assert str(caught.value) == (
        f"tensor {name!r} holds 1 NaN or infinite values; training diverged: train again with a "
        "lower --learning-rate"
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_tensor(model, name):
    state = model.state_dict()
    del state[name]
    with pytest.raises(ExportError, match=f"^the run has no tensor '{name}', which its archit"):
        network_weights(model.architecture, state)


@pytest.mark.parametrize("name", NAMES)
def test_a_tensor_of_another_shape(model, name):
    state = model.state_dict()
    state[name] = torch.cat([state[name], state[name]])
    shape = list(model.state_dict()[name].shape)
    with pytest.raises(ExportError) as caught:
        network_weights(model.architecture, state)
    assert str(caught.value) == (
        f"tensor {name!r} has the shape {list(state[name].shape)}, its architecture needs {shape}"
    )


def test_a_tensor_too_many(model):
    state = model.state_dict()
    state["layers.2.ahead.weight_ih_l0"] = torch.zeros(3)
    with pytest.raises(ExportError, match=r"has a tensor 'layers\.2\.ahead\.weight_ih_l0' that"):
        network_weights(model.architecture, state)


def test_the_weights_of_another_network(model, tools):
    for other in (tools.network(), tools.network(cell="gru")):
        with pytest.raises(ExportError):
            network_weights(model.architecture, other.state_dict())
