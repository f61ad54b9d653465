"""The quantized graph is batch invariant and stores integers where planned."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from textgate.bundle.architecture import CELLS
from textgate.export.quantize.plan import INT8, Plan, Storage
from textgate.export.quantize.quantization import MAX_COMPUTED_WEIGHT
from textgate.inference.onnx_runtime import onnxruntime
from textgate.inference.session import make_session

SAME = 1e-6  # by integers; where floats are added, order may show
ALMOST = 1e-5
POOLINGS = [("last",), ("max",), ("mean",), ("attention",), ("mean", "last", "attention", "max")]
PLANS = {
    "int8": INT8,
    "a scale a matrix": Plan(8, Storage.COMPUTED, per_channel=False),
    "4-bit embedding": Plan(4, Storage.COMPUTED),
    "float32 embedding": Plan(32, Storage.COMPUTED),
    "stored": Plan(8, Storage.STORED),
    "stored, 4-bit": Plan(4, Storage.STORED, output=Storage.STORED),
    "mixed": Plan(8, Storage.COMPUTED).with_layer(0, Storage.FLOAT32),
    "mixed the other way": Plan(8, Storage.COMPUTED).with_layer(1, Storage.STORED),
}


def tolerance_of(graph):
    floats = any(node.op_type in ("RNN", "LSTM", "GRU") for node in parsed(graph).graph.node)
    return ALMOST if floats else SAME


def assert_independent(graph, tools, *, batches=2):
    """A text alone, among others, with more padding, in random chunks: the same result."""
    tolerance = tolerance_of(graph)
    session = make_session(graph.model)
    generator = np.random.default_rng(0)
    for seed in range(batches):
        lengths = generator.integers(1, 40, 7).tolist()
        ids, counts = tools.batch(lengths, seed=seed)
        together = tools.by_graph(session, ids, counts)
        padded = np.concatenate([ids, ids], axis=1)
        np.testing.assert_allclose(
            tools.by_graph(session, padded, counts), together, atol=tolerance
        )
        for row, length in enumerate(lengths):
            text = ids[row, :length]
            alone = tools.by_graph(session, text[None], counts[row : row + 1])[0]
            np.testing.assert_allclose(alone, together[row], atol=tolerance)
            if graph.states and length > 1:
                cuts = np.flatnonzero(generator.random(length - 1) < 0.3) + 1
                found = tools.in_chunks(session, graph.states, text, cuts)
                np.testing.assert_allclose(found, alone, atol=tolerance)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", POOLINGS, ids="+".join)
def test_a_result_depends_only_on_its_text(tools, cell, bidirectional, pooling):
    model = tools.network(
        cell=cell, bidirectional=bidirectional, pooling=pooling, hidden_sizes=(6, 5)
    )
    graph = tools.graph(model, INT8)
    assert bool(graph.states) != bidirectional
    assert_independent(graph, tools)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", PLANS)
def test_every_plan_is_batch_invariant(tools, cell, name):
    model = tools.network(cell=cell, hidden_sizes=(6, 5), pooling=("max", "mean"), seed=1)
    graph = tools.graph(model, PLANS[name], 2.0)
    assert_independent(graph, tools, batches=1)
    ids, lengths = tools.batch([9, 30, 1, 4], seed=3)
    difference = np.abs(
        tools.by_graph(graph, ids, lengths) - tools.by_torch(model, ids, lengths, 2.0)
    )
    assert difference.max() < (0.15 if "4-bit" in name else 0.05)


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=8),
    seed=st.integers(0, 10_000),
    data=st.data(),
)
def test_any_batch_and_any_chunks(sessions, tools, lengths, seed, data):
    graph, session = sessions
    ids, counts = tools.batch(lengths, seed=seed)
    together = tools.by_graph(session, ids, counts)
    row = data.draw(st.integers(0, len(lengths) - 1))
    cuts = sorted(data.draw(st.sets(st.integers(1, lengths[row]), max_size=6)) - {lengths[row]})
    found = tools.in_chunks(session, graph.states, ids[row, : lengths[row]], cuts)
    np.testing.assert_allclose(found, together[row], atol=tolerance_of(graph))


@pytest.fixture(scope="module", params=CELLS)
def sessions(request, tools):
    model = tools.network(cell=request.param, hidden_sizes=(6, 5), pooling=POOLINGS[-1], spread=0.8)
    graph = tools.graph(model, INT8)
    return graph, make_session(graph.model)


# What is inside


def parsed(graph):
    return onnx.load_model_from_string(graph.model)


def tensors(model):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_operators_and_types(tools, cell, bidirectional):
    model = parsed(
        tools.graph(
            tools.network(cell=cell, bidirectional=bidirectional, hidden_sizes=(6, 5)), INT8
        )
    )
    onnx.checker.check_model(model)
    assert model.ir_version == 8
    expected = {"": 18, "com.microsoft": 1} if cell == "lstm" else {"": 18}
    assert {item.domain: item.version for item in model.opset_import} == expected
    recurrent = [
        node.op_type
        for node in model.graph.node
        if node.op_type in ("RNN", "LSTM", "GRU", "DynamicQuantizeLSTM")
    ]
    assert recurrent == [{"lstm": "DynamicQuantizeLSTM"}.get(cell, cell.upper())] * 2
    values = tensors(model)
    assert values["embedding.table"].dtype == np.int8
    for layer in (1, 2):
        for matrix in "WR":
            name = f"{cell}_{layer}.{matrix}"
            stored = values[name if cell == "lstm" else f"{name}.int8"]
            assert stored.dtype == np.int8
            assert np.abs(stored).max() == (MAX_COMPUTED_WEIGHT if cell == "lstm" else 127)
    assert {values[f"{cell}_{layer}.B"].dtype for layer in (1, 2)} == {np.dtype(np.float32)}


def test_the_reference_lstm_shrinks_to_less_than_a_third(tools):
    net = {"vocabulary_size": 1000, "embedding_size": 64, "hidden_sizes": (128, 64)}
    model = tools.network(**net, dense_sizes=(32,))
    assert len(tools.graph(model, INT8).model) < 4 * 214_337 / 3


@pytest.mark.parametrize("cell", ["rnn", "gru"])
def test_stored_weights_are_cast_once_when_the_graph_is_loaded(tools, tmp_path, cell):
    """Cast and Mul of constants are folded; no call computes them."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    graph = tools.graph(tools.network(cell=cell, hidden_sizes=(6, 5)), INT8)
    onnxruntime.InferenceSession(graph.model, options, providers=["CPUExecutionProvider"])
    optimized = onnx.load(tmp_path / "optimized.onnx")
    values = tensors(optimized)
    for node in optimized.graph.node:
        if node.op_type in ("Cast", "DequantizeLinear", "Mul"):
            assert not all(name in values for name in node.input), node
        if node.op_type == cell.upper():
            assert {"W", "R"} <= {name.partition(".")[2] for name in node.input if name in values}


def test_rows_are_gathered_before_they_are_cast(tools):
    """Otherwise every call would cast the whole table."""
    for plan in (INT8, PLANS["4-bit embedding"]):
        model = parsed(tools.graph(tools.network(), plan))
        readers = [node.op_type for node in model.graph.node if "embedding.table" in node.input]
        assert readers == ["Gather"]


def test_extreme_weights_stay_finite(tools):
    for spread in (0.0, 1e-20, 30.0):
        model = tools.network(spread=spread, hidden_sizes=(6, 5), pooling=POOLINGS[-1])
        for plan in PLANS.values():
            found = tools.by_graph(tools.graph(model, plan), *tools.batch([5, 12, 1]))
            assert np.isfinite(found).all()
            np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
