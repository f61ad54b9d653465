"""The gates that a graph must pass: each one shut by the defect it is there for."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import textgate.export.cells
import textgate.export.weights
from textgate.architecture import CELLS
from textgate.errors import VerificationError
from textgate.export.graph import FLOAT32, INT8
from textgate.export.verification import (
    Comparison,
    check_against_torch,
    check_independence,
    check_same,
    compare,
)
from textgate.manifest import Quality
from textgate.session import make_session
from textgate.train.dataset import Dataset


def session(tools, model, plan, temperature=1.0):
    return make_session(tools.graph(model, plan, temperature).model)


def against_torch(tools, model, plan=FLOAT32, *, temperature=1.0, max_tokens=30):
    return check_against_torch(
        session(tools, model, plan), model, temperature=temperature, max_tokens=max_tokens
    )


# Against torch


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("max_tokens", [1, 2, 30, 300])
def test_a_right_graph_passes(tools, cell, max_tokens):
    model = tools.network(cell=cell, bidirectional=True, pooling=("mean", "attention"))
    assert 0 <= against_torch(tools, model, max_tokens=max_tokens) <= 1e-5


@pytest.mark.parametrize(("cell", "gates"), [("lstm", (0, 1, 2, 3)), ("gru", (0, 1, 2))])
def test_swapped_gates_are_found(tools, monkeypatch, cell, gates):
    monkeypatch.setitem(textgate.export.weights._GATES, cell, gates)
    with pytest.raises(VerificationError, match=r"differs from torch by \d\.\d\de-0\d in a prob"):
        against_torch(tools, tools.network(cell=cell))


def test_another_temperature_is_found(tools):
    with pytest.raises(VerificationError, match="differs from torch"):
        against_torch(tools, tools.network(), temperature=2.0)


def test_a_gru_that_resets_before_the_product_is_found(tools, monkeypatch):
    genuine = textgate.export.cells.GraphBuilder.node

    def node(self, operator, *args, **attributes):
        if operator == "GRU":
            attributes["linear_before_reset"] = 0
        return genuine(self, operator, *args, **attributes)

    monkeypatch.setattr(textgate.export.cells.GraphBuilder, "node", node)
    with pytest.raises(VerificationError, match="differs from torch"):
        against_torch(tools, tools.network(cell="gru"))


def test_a_quantized_graph_is_not_the_float32_one(tools):
    with pytest.raises(VerificationError, match="differs from torch"):
        against_torch(tools, tools.network(), INT8)


class Fixed:
    """Stands in for a session: the same probabilities whatever it is given."""

    def __init__(self, value):
        self.value = value

    def run(self, names, feed):
        rows = len(feed["lengths"])
        return [np.full((rows, 3), self.value, dtype=np.float32) for _ in names]


def test_nan_is_no_agreement(tools):
    """No comparison with NaN is true: a gate that asks "is it too large?" lets it through."""
    nan = Fixed(np.nan)
    with pytest.raises(VerificationError, match="differs from torch by nan"):
        check_against_torch(nan, tools.network(), temperature=1.0, max_tokens=9)
    texts = [np.array([1, 2, 3])] * 3
    with pytest.raises(VerificationError, match="changes by nan"):
        check_independence(nan, (), texts, integers=True)
    with pytest.raises(VerificationError, match="changes a probability by nan"):
        check_same(nan, nan, texts, what="nothing")


# Against itself


def texts(count=20):
    generator = np.random.default_rng(0)
    return [generator.integers(1, 30, length) for length in generator.integers(1, 40, count)]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_an_independent_graph_passes(tools, cell, bidirectional):
    graph = tools.graph(tools.network(cell=cell, bidirectional=bidirectional), INT8)
    found = check_independence(
        make_session(graph.model), graph.states, texts(), integers=cell == "lstm"
    )
    assert 0 <= found <= 1e-5


@pytest.mark.parametrize("carried", [False, True])
def test_without_anchors_a_text_depends_on_its_neighbours(tools, monkeypatch, carried):
    """Units that do not hold their state leave the range of a step to the texts of the batch."""
    monkeypatch.setattr(textgate.export.cells, "_SATURATED", 0.0)
    graph = tools.graph(tools.network(hidden_sizes=(8,), bidirectional=not carried), INT8)
    with pytest.raises(VerificationError, match=r"changes by \d\.\d\de-0\d with its batch or its"):
        check_independence(make_session(graph.model), graph.states, texts(), integers=True)


def test_a_state_that_is_not_carried_is_found(tools):
    graph = tools.graph(tools.network(), FLOAT32)
    crossed = [
        dataclasses.replace(first, output=second.output)
        for first, second in zip(graph.states, reversed(graph.states), strict=True)
    ]
    with pytest.raises(VerificationError, match="with its batch or its chunking"):
        check_independence(make_session(graph.model), crossed, texts(), integers=False)


def test_the_same_graph_twice_is_the_same(tools):
    model = tools.network()
    one, two = session(tools, model, INT8), session(tools, model, FLOAT32)
    check_same(one, one, texts(), what="nothing")
    with pytest.raises(VerificationError, match=r"^rounding changes a probability by \d"):
        check_same(one, two, texts(), what="rounding")


# Against the float32 graph, on rows with labels


def rows(count=50, labels=3):
    generator = np.random.default_rng(1)
    targets = np.eye(labels, dtype=np.float32)[generator.integers(0, labels, count)]
    return Dataset(tuple(texts(count)), targets)


@pytest.mark.parametrize("cell", CELLS)
def test_a_comparison(tools, cell):
    model = tools.network(cell=cell)
    before, after = session(tools, model, FLOAT32), session(tools, model, INT8)
    found = compare(before, after, rows(), multi_label=False)
    assert found.rows == 50
    assert 0 < found.mean < found.largest < 0.1
    assert 0.8 < found.agreement <= 1
    same = compare(before, before, rows(), multi_label=False)
    assert (same.largest, same.mean, same.agreement, same.rows_lost) == (0, 0, 1, 0)
    assert same.before == same.after == found.before


def test_rows_keep_their_places(tools):
    """Rows are computed by length; every probability must come back to its row."""
    model = tools.network()
    graph = session(tools, model, FLOAT32)
    data = rows()
    decided = [
        tools.by_graph(graph, ids[None], np.array([len(ids)]))[0].argmax() for ids in data.sequences
    ]
    truth = Dataset(data.sequences, np.eye(3, dtype=np.float32)[decided])
    assert compare(graph, graph, truth, multi_label=False).before.accuracy == 1.0


def test_a_label_that_is_never_predicted_is_told():
    found = compare(Fixed(0.4), Fixed(0.4), rows(), multi_label=True)
    assert found.never_predicted == (0, 1, 2)
    assert compare(Fixed(0.5), Fixed(0.5), rows(), multi_label=True).never_predicted == ()
    assert compare(Fixed(0.4), Fixed(0.4), rows(), multi_label=False).never_predicted == (1, 2)


def lost(count, of):
    """A comparison in which so many of so many right rows are wrong now."""
    before, after = Quality(0.9, 0.9, 0.1, of), Quality(0.9 - count / of, 0.9, 0.1, of)
    return Comparison(of, 0.25, 0.01, 0.9, before, after, ())


@pytest.mark.parametrize(
    ("count", "of", "limit", "allowed"),
    [
        (0, 100, 0.0, True),
        (-5, 100, 0.0, True),  # it gained
        (3, 100, 0.0, True),  # chance
        (4, 100, 0.0, False),
        (4, 100, 0.04, True),
        (5, 100, 0.04, False),
        (3, 4, 0.0, True),  # of so few rows nothing can be said
        (31, 10_000, 0.003, False),
        (30, 10_000, 0.003, True),
    ],
)
def test_the_loss_that_is_allowed(count, of, limit, allowed):
    comparison = lost(count, of)
    assert comparison.rows_lost == count
    assert comparison.allows(limit) == allowed
    if allowed:
        comparison.require(limit)
        return
    with pytest.raises(VerificationError) as caught:
        comparison.require(limit)
    message = str(caught.value)
    assert f"quantization loses {count / of:.2%} accuracy on {of} rows" in message
    assert f"0.9000 to {0.9 - count / of:.4f}, {count} rows" in message
    assert f"at most {limit:.2%} is allowed" in message
