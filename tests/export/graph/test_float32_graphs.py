"""The float32 graph equals torch for every network and batch."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgate.bundle.architecture import CELLS, Architecture
from textgate.export.quantize.plan import FLOAT32
from textgate.inference.session import make_session

TOLERANCE = 1e-5
POOLINGS = [("last",), ("max",), ("mean",), ("attention",), ("mean", "last", "attention", "max")]
OUTPUTS = [("sigmoid", 2), ("softmax", 2), ("softmax", 5), ("multi-label", 1), ("multi-label", 4)]
MAX_TOKENS = 25  # tokens

networks = pytest.mark.parametrize(
    ("cell", "bidirectional", "pooling"),
    [(cell, both, pooling) for cell in CELLS for both in (False, True) for pooling in POOLINGS],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else str(value),
)


@networks
def test_equals_torch(tools, cell, bidirectional, pooling):
    generator = np.random.default_rng(0)
    for index, (output, labels) in enumerate(OUTPUTS):
        model = tools.network(
            cell=cell,
            bidirectional=bidirectional,
            pooling=pooling,
            output=output,
            label_count=labels,
            hidden_sizes=(6, 5)[: 1 + index % 2],
            dense_sizes=(4, 3)[: index % 3],
            seed=index,
        )
        temperature = (1.0, 0.5, 3.0)[index % 3]
        session = make_session(tools.graph(model, FLOAT32, temperature).model)
        for batch in (1, 2, 7):
            lengths = generator.integers(1, MAX_TOKENS + 1, batch).tolist()
            ids, counts = tools.batch(lengths, seed=batch)
            np.testing.assert_allclose(
                tools.by_graph(session, ids, counts),
                tools.by_torch(model, ids, counts, temperature),
                atol=TOLERANCE,
            )


@pytest.fixture(scope="module", params=CELLS)
def pair(request, tools):
    model = tools.network(
        cell=request.param,
        bidirectional=True,
        pooling=POOLINGS[-1],
        hidden_sizes=(6, 5),
        dense_sizes=(4,),
    )
    return model, make_session(tools.graph(model, FLOAT32).model)


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(1, MAX_TOKENS), min_size=1, max_size=9), seed=st.integers(0, 99)
)
def test_equals_torch_for_any_lengths(pair, tools, lengths, seed):
    model, session = pair
    ids, counts = tools.batch(lengths, seed=seed)
    np.testing.assert_allclose(
        tools.by_graph(session, ids, counts), tools.by_torch(model, ids, counts), atol=TOLERANCE
    )


@networks
def test_batch_and_padding_change_nothing(tools, cell, bidirectional, pooling):
    model = tools.network(cell=cell, bidirectional=bidirectional, pooling=pooling)
    session = make_session(tools.graph(model, FLOAT32).model)
    ids, lengths = tools.batch([3, 20, 1, 9])
    together = tools.by_graph(session, ids, lengths)
    for row, length in enumerate(lengths):
        alone = tools.by_graph(session, ids[row : row + 1, :length], lengths[row : row + 1])
        np.testing.assert_allclose(together[row], alone[0], atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("pooling", POOLINGS, ids="+".join)
def test_a_text_may_come_in_chunks(tools, cell, pooling):
    graph = tools.graph(tools.network(cell=cell, pooling=pooling, hidden_sizes=(6, 5)), FLOAT32)
    session = make_session(graph.model)
    ids, lengths = tools.batch([20])
    whole = tools.by_graph(session, ids, lengths)[0]
    for cuts in ([], [1], [19], [3, 4, 11], list(range(1, 20))):
        found = tools.in_chunks(session, graph.states, ids[0], cuts)
        np.testing.assert_allclose(found, whole, atol=1e-6)


def test_bidirectional_networks_cannot_be_chunked(tools):
    assert tools.graph(tools.network(bidirectional=True), FLOAT32).states == ()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_models_metadata(tools, cell, bidirectional):
    model = tools.network(cell=cell, bidirectional=bidirectional, pooling=POOLINGS[-1])
    parsed = onnx.load_model_from_string(tools.graph(model, FLOAT32).model)
    onnx.checker.check_model(parsed, full_check=True)
    assert parsed.ir_version == 8
    assert [(item.domain, item.version) for item in parsed.opset_import] == [("", 18)]
    assert parsed.producer_name == "textgate"
    overridable = {tensor.name for tensor in parsed.graph.initializer}
    required = [item.name for item in parsed.graph.input if item.name not in overridable]
    assert required == ["input_ids", "lengths"]
    assert [item.name for item in parsed.graph.output][:2] == ["logits", "probabilities"]
    operators = {node.op_type for node in parsed.graph.node}
    assert {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}[cell] in operators
    assert "Scan" not in operators
    read = {name for node in parsed.graph.node for name in node.input}
    assert overridable <= read  # nothing lies there unused
    kinds = {tensor.data_type for tensor in parsed.graph.initializer}
    assert onnx.TensorProto.INT8 not in kinds


def test_the_reference_network_as_it_is(tools):
    net = Architecture(
        1000, 64, "gru", (128, 64), False, ("last",), (32,), "sigmoid", 2, layer_dropout=0.2
    )
    model = tools.network(net, spread=0.05)
    ids, lengths = tools.batch([100, 1, 57], vocabulary=1000)
    found = tools.by_graph(tools.graph(model, FLOAT32), ids, lengths)
    np.testing.assert_allclose(found, tools.by_torch(model, ids, lengths), atol=TOLERANCE)
    assert found.shape == (3, 2)
