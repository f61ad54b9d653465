"""The native engine equals the exported graphs on every instruction set."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tests.export.graph.test_int8_graphs import PLANS, POOLINGS
from tests.export.graph.test_linear import OUTPUTS as BRANCHES
from tests.export.graph.test_linear import branched, pad, texts  # noqa: F401  # branched is a fixture
from textgate.bundle.architecture import CELLS
from textgate.bundle.checks.reader import read_graph
from textgate.export.quantize.plan import FLOAT32, INT8, Plan, Storage
from textgate.export.quantize.quantization import MAX_COMPUTED_WEIGHT
from textgate.inference.session import make_session
from textgate.native.library import LibraryError, instruction_sets
from textgate.native.model import INTEGERS, VERIFIED, UnknownPartError, model_bytes
from textgate.native.session import NativeSession

try:
    SETS = instruction_sets()
except LibraryError as problem:
    pytest.skip(str(problem), allow_module_level=True)

TOLERANCE = 1e-5
# GRU and RNN layers in integers round what they read: from -1 to 1, to 1/127. An RNN of random
# weights magnifies it without bounds.
ROUNDED = {"gru": 0.05, "rnn": 1.0}
ALL_PLANS = {**PLANS, "float32": FLOAT32, "8-bit embedding": Plan(8, Storage.FLOAT32)}
OUTPUTS = [("sigmoid", 2), ("softmax", 2), ("softmax", 37), ("multi-label", 1), ("multi-label", 20)]


def converted(graph, net, training=None):
    manifest = SimpleNamespace(
        architecture=net, opset=18, state=graph.states, training=training or {INTEGERS: VERIFIED}
    )
    return model_bytes(read_graph(graph.model), manifest)


def native(graph, net, instructions=None, **options):
    return NativeSession(converted(graph, net), instructions=instructions, **options)


def by_onnx(graph, ids, lengths):
    return make_session(graph.model).run(None, {"input_ids": ids, "lengths": lengths})[1]


def in_chunks(session, text, cuts):
    """Probabilities [labels] of one text [tokens], fed piece by piece through the states."""
    state = None
    for chunk in np.split(text, cuts):
        found, state = session.read(chunk, state, keep_state=True)
    return found


def check(tools, model, plan, *, tolerance=None, temperature=1.7, batch=None):
    """Close to ONNX Runtime, and bit-identical on every set, alone, in a batch and in chunks."""
    net = model.architecture
    graph = tools.graph(model, plan, temperature)
    ids, lengths = batch or tools.batch([9, 70, 1, 33], vocabulary=net.vocabulary_size)
    sessions = [native(graph, net, name) for name in SETS]
    first = sessions[0].run(ids, lengths)
    whole = any(plan.storage(i, net.cell) is Storage.STORED for i in range(len(net.hidden_sizes)))
    allowed = ROUNDED.get(net.cell, TOLERANCE) if whole else TOLERANCE
    expected = by_onnx(graph, ids, lengths)
    np.testing.assert_allclose(first, expected, atol=tolerance or allowed)
    if whole:
        unverified = converted(graph, net, {INTEGERS: "refused"})
        found = NativeSession(unverified).run(ids, lengths)
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)
    generator = np.random.default_rng(0)
    for session in sessions:
        np.testing.assert_array_equal(session.run(ids, lengths), first)
        for row, length in enumerate(lengths):
            text = ids[row : row + 1, :length]
            np.testing.assert_array_equal(session.run(text, lengths[row : row + 1])[0], first[row])
            if graph.states:
                cuts = np.flatnonzero(generator.random(length - 1) < 0.2) + 1
                found = in_chunks(session, text[0], cuts)
                np.testing.assert_array_equal(found, first[row])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", POOLINGS, ids="+".join)
def test_networks(tools, cell, bidirectional, pooling):
    for plan in (FLOAT32, INT8):
        model = tools.network(
            cell=cell, bidirectional=bidirectional, pooling=pooling, hidden_sizes=(6, 21)
        )
        check(tools, model, plan)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", ALL_PLANS)
def test_plans(tools, cell, bidirectional, name):
    model = tools.network(
        cell=cell,
        bidirectional=bidirectional,
        hidden_sizes=(6, 5),
        pooling=("max", "mean"),
        seed=1,
    )
    check(tools, model, ALL_PLANS[name])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("output", "labels"), OUTPUTS)
def test_heads(tools, cell, output, labels):
    for dense in ((), (4,), (19, 33)):
        model = tools.network(cell=cell, output=output, label_count=labels, dense_sizes=dense)
        for plan in (FLOAT32, Plan(8, Storage.COMPUTED, output=Storage.STORED)):
            check(tools, model, plan)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "sizes",
    [(1, (1,)), (16, (16,)), (17, (15, 17)), (64, (63, 65)), (100, (126,)), (3, (4, 5, 6, 7))],
    ids=str,
)
def test_sizes(tools, cell, sizes):
    embedding, hidden = sizes
    model = tools.network(
        cell=cell,
        embedding_size=embedding,
        hidden_sizes=hidden,
        pooling=("last", "max"),
        spread=0.1,
    )
    for plan in (FLOAT32, INT8, PLANS["4-bit embedding"]):
        check(tools, model, plan)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("output", "labels", "columns"), BRANCHES)
def test_linear_branches(tools, branched, cell, output, labels, columns):  # noqa: F811
    for bidirectional in (False, True):
        model = branched(
            cell=cell,
            output=output,
            label_count=labels,
            linear_size=columns,
            bidirectional=bidirectional,
        )
        for plan in (FLOAT32, INT8):
            check(tools, model, plan, batch=pad(texts(7)))


def test_an_integer_lstm_differs_by_no_more_than_the_heads_order_of_additions(tools):
    """Every state is the same, bit by bit; wide weights would show any other rounding."""
    model = tools.network(
        embedding_size=64, hidden_sizes=(128, 64), dense_sizes=(32,), spread=0.3, seed=3
    )
    ids, lengths = tools.batch([200] * 8)
    check(tools, model, INT8, tolerance=1e-6, batch=(ids, lengths))


def test_a_long_text(tools):
    for bidirectional in (False, True):
        model = tools.network(bidirectional=bidirectional, pooling=("mean", "attention"))
        check(tools, model, INT8, batch=tools.batch([5000, 1, 4999]))


@pytest.mark.parametrize("cell", CELLS)
def test_extreme_weights(tools, cell):
    for spread in (0.0, 1e-20, 30.0):
        model = tools.network(cell=cell, spread=spread, hidden_sizes=(6, 5), pooling=POOLINGS[-1])
        for plan in (FLOAT32, INT8):
            graph = tools.graph(model, plan)
            found = [
                native(graph, model.architecture, name).run(*tools.batch([5, 70, 1]))
                for name in SETS
            ]
            assert np.isfinite(found[0]).all()
            for other in found[1:]:
                np.testing.assert_array_equal(other, found[0])


def test_threads_divide_texts(tools):
    model = tools.network()
    graph = tools.graph(model, INT8)
    ids, lengths = tools.batch([9, 70, 1, 4, 33])
    together = native(graph, model.architecture).run(ids, lengths)
    divided = native(graph, model.architecture, threads=3).run(ids, lengths)
    np.testing.assert_array_equal(divided, together)


def test_states_are_those_of_the_graph(tools):
    """A stream can change engines in the middle of a text."""
    model = tools.network(pooling=POOLINGS[-1], hidden_sizes=(6, 5))
    for plan in (FLOAT32, INT8):
        graph = tools.graph(model, plan)
        ids, lengths = tools.batch([12])
        _, ours = native(graph, model.architecture).read(ids[0].tolist(), keep_state=True)
        theirs = make_session(graph.model).run(
            [item.output for item in graph.states], {"input_ids": ids, "lengths": lengths}
        )
        expected = np.concatenate([value.ravel() for value in theirs])
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=TOLERANCE)


def test_the_exporters_limit_is_within_the_kernels():
    assert MAX_COMPUTED_WEIGHT <= 64


def test_another_graph_is_not_known(tools):
    import onnx

    model = tools.network()
    graph = tools.graph(model, INT8)
    loaded = onnx.load_model_from_string(graph.model)
    softmax = next(node for node in loaded.graph.node if node.op_type == "Softmax")
    softmax.attribute[0].i = -1  # the same, but textgate writes 1
    changed = SimpleNamespace(model=loaded.SerializeToString(), states=graph.states)
    with pytest.raises(UnknownPartError, match="what computes 'probabilities'"):
        converted(changed, model.architecture)
