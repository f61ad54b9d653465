"""Verification of a graph: each check refuses the defect it is made for."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch

import textgate.export.graph.anchors
import textgate.export.graph.cells
import textgate.export.quantize.weights
from textgate.bundle.architecture import CELLS
from textgate.bundle.manifest import Quality
from textgate.errors import VerificationError
from textgate.export.quality import Comparison, LabelChange, compare_graphs
from textgate.export.quantize.plan import FLOAT32, INT8
from textgate.export.verification import (
    Readout,
    check_against_torch,
    check_batch_invariance,
    check_same,
)
from textgate.inference.session import make_session
from textgate.train.data.dataset import Dataset
from textgate.train.network.model import TextClassifier


def session(tools, model, plan, temperature=1.0):
    return make_session(tools.graph(model, plan, temperature).model)


def readout(model, temperature=1.0):
    return Readout(temperature, model.architecture.output == "multi-label")


PLAIN = Readout(1.0, multi_label=False)
LABELS = ("a", "b", "c")


def against_torch(tools, model, plan=FLOAT32, *, temperature=1.0, max_tokens=30):
    return check_against_torch(
        session(tools, model, plan),
        model,
        readout=readout(model, temperature),
        max_tokens=max_tokens,
    )


# Against torch


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("max_tokens", [1, 2, 30, 300])
def test_a_right_graph_passes(tools, cell, max_tokens):
    model = tools.network(cell=cell, bidirectional=True, pooling=("mean", "attention"))
    assert 0 <= against_torch(tools, model, max_tokens=max_tokens) <= 1e-5


@pytest.mark.parametrize(("cell", "gates"), [("lstm", (0, 1, 2, 3)), ("gru", (0, 1, 2))])
def test_swapped_gates_are_found(tools, monkeypatch, cell, gates):
    monkeypatch.setitem(textgate.export.quantize.weights.GATE_ORDER, cell, gates)
    with pytest.raises(VerificationError, match=r"differs from torch by \d\.\d\de-0\d in a prob"):
        against_torch(tools, tools.network(cell=cell))


@pytest.mark.parametrize("temperature", [0.1, 2.0, 1000.0])
def test_another_temperature_is_found(tools, temperature):
    with pytest.raises(VerificationError, match=r"differ by \d\.\d\de-0\d from what its logits"):
        against_torch(tools, tools.network(), temperature=temperature)


def test_a_gru_that_resets_before_the_product_is_found(tools, monkeypatch):
    genuine = textgate.export.graph.cells.GraphBuilder.node

    def node(self, operator, *args, **attributes):
        if operator == "GRU":
            attributes["linear_before_reset"] = 0
        return genuine(self, operator, *args, **attributes)

    monkeypatch.setattr(textgate.export.graph.cells.GraphBuilder, "node", node)
    with pytest.raises(VerificationError, match="differs from torch"):
        against_torch(tools, tools.network(cell="gru"))


def test_a_quantized_graph_is_not_the_float32_one(tools):
    with pytest.raises(VerificationError, match="differs from torch"):
        against_torch(tools, tools.network(), INT8)


# A right graph and a wrong one, whatever the temperature does to their differences


TEMPERATURES = (1e-3, 0.1, 1.0, 1000.0)


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("output", ["softmax", "multi-label"])
def test_rounding_is_no_defect_at_any_temperature(tools, temperature, output):
    """A small temperature amplifies it; 197 rows that are easy to separate lead to 0.1."""
    model = tools.network(cell="rnn", hidden_sizes=(24,), output=output, spread=0.2)
    graph = tools.graph(model, FLOAT32, temperature)
    run, how = make_session(graph.model), readout(model, temperature)
    batch = tools.batch(range(1, 40))
    difference = tools.by_graph(run, *batch) - tools.by_torch(model, *batch, temperature)
    assert np.abs(difference).max() > 1e-5 or temperature > 0.01
    check_against_torch(run, model, readout=how, max_tokens=100)
    check_batch_invariance(run, graph.states, texts(), integers=False, readout=how)
    plain = make_session(graph.model, optimized=False)
    check_same(run, plain, texts(), what="nothing", readout=how)


def one_weight(name):
    def change(model):
        model.state_dict()[name].view(-1)[3] += 0.01

    return change


def scale(name):
    def change(model):
        model.state_dict()[name].mul_(1.01)

    return change


def swap_gates(model):
    """Shift the rows of all gates by almost one gate."""
    with torch.no_grad():
        weight = model.layers[0].ahead.weight_hh_l0
        weight.copy_(weight.roll(model.architecture.hidden_sizes[0] - 1, dims=0))


def flip_labels(model):
    with torch.no_grad():
        model.head[-1].bias.copy_(model.head[-1].bias.flip(0) + 0.01)


WRONG = {
    "swapped gates": swap_gates,
    "another bias": flip_labels,
    "another scale of the recurrent weights": scale("layers.0.ahead.weight_hh_l0"),
    "another scale of the input weights": scale("layers.0.ahead.weight_ih_l0"),
    "one output weight": one_weight("head.0.weight"),
}


@pytest.mark.parametrize("temperature", [None, 1e-3, 1000.0])
def test_a_wrong_graph_is_found_at_any_temperature(tools, finished, temperature):
    """For trained networks, whose probabilities are close to 0 and 1."""
    temperature = temperature or finished.model.temperature
    model = TextClassifier(finished.manifest.architecture).eval()
    model.load_state_dict(finished.model.weights)
    right = make_session(tools.graph(model, FLOAT32, temperature).model)
    how = readout(model, temperature)
    check_against_torch(right, model, readout=how, max_tokens=20)
    for change in WRONG.values():
        wrong = copy.deepcopy(model)
        change(wrong)
        with pytest.raises(VerificationError, match="differs from torch by"):
            check_against_torch(right, wrong, readout=how, max_tokens=20)


class Fixed:
    """A session that returns the same probabilities for every input."""

    def __init__(self, value):
        self.value = value

    def run(self, names, feed):
        rows = len(feed["lengths"])
        return [np.full((rows, 3), self.value, dtype=np.float32) for _ in names]


def test_nan_is_no_agreement(tools):
    """Comparisons with NaN are false, so a check for "too large" would accept it."""
    nan = Fixed(np.nan)
    texts = [np.array([1, 2, 3])] * 3
    for check in (
        lambda: check_against_torch(nan, tools.network(), readout=PLAIN, max_tokens=9),
        lambda: check_batch_invariance(nan, (), texts, integers=True, readout=PLAIN),
        lambda: check_same(nan, nan, texts, what="nothing", readout=PLAIN),
    ):
        with pytest.raises(VerificationError, match="by nan"):
            check()
    assert np.isnan(
        PLAIN.differences(nan.run(["logits"], {"lengths": [1]})[0], np.ones((1, 3)), 1.0)
    ).all()


# Against itself


def texts(count=20):
    generator = np.random.default_rng(0)
    return [generator.integers(1, 30, length) for length in generator.integers(1, 40, count)]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_batch_invariant_graph_passes(tools, cell, bidirectional):
    graph = tools.graph(tools.network(cell=cell, bidirectional=bidirectional), INT8)
    found = check_batch_invariance(
        make_session(graph.model),
        graph.states,
        texts(),
        integers=cell == "lstm",
        readout=PLAIN,
    )
    assert 0 <= found <= 1e-5


@pytest.mark.parametrize("carried", [False, True])
def test_without_anchors_a_result_depends_on_the_batch(tools, monkeypatch, carried):
    """Without constant units the batch determines the range of a step."""
    monkeypatch.setattr(textgate.export.graph.anchors, "_SATURATING_BIAS", 0.0)
    graph = tools.graph(tools.network(hidden_sizes=(8,), bidirectional=not carried), INT8)
    with pytest.raises(VerificationError, match=r"changes by \d\.\d\de-0\d with its batch or its"):
        check_batch_invariance(
            make_session(graph.model), graph.states, texts(), integers=True, readout=PLAIN
        )


def test_a_state_that_is_not_carried_is_found(tools):
    graph = tools.graph(tools.network(), FLOAT32)
    crossed = [
        dataclasses.replace(first, output=second.output)
        for first, second in zip(graph.states, reversed(graph.states), strict=True)
    ]
    with pytest.raises(VerificationError, match="with its batch or its chunking"):
        check_batch_invariance(
            make_session(graph.model), crossed, texts(), integers=False, readout=PLAIN
        )


def test_the_same_graph_twice_is_the_same(tools):
    model = tools.network()
    one, two = session(tools, model, INT8), session(tools, model, FLOAT32)
    check_same(one, one, texts(), what="nothing", readout=PLAIN)
    with pytest.raises(VerificationError, match=r"^rounding changes a probability by \d"):
        check_same(one, two, texts(), what="rounding", readout=PLAIN)


# Against the float32 graph, on rows with labels


def rows(count=50, labels=3):
    generator = np.random.default_rng(1)
    targets = np.eye(labels, dtype=np.float32)[generator.integers(0, labels, count)]
    return Dataset(tuple(texts(count)), targets)


@pytest.mark.parametrize("cell", CELLS)
def test_a_comparison(tools, cell):
    model = tools.network(cell=cell)
    before, after = session(tools, model, FLOAT32), session(tools, model, INT8)
    found = compare_graphs(before, after, rows(), labels=LABELS, multi_label=False)
    assert found.rows == 50
    assert 0 < found.mean < found.largest < 0.1
    assert 0.8 < found.agreement <= 1
    same = compare_graphs(before, before, rows(), labels=LABELS, multi_label=False)
    assert (same.largest, same.mean, same.agreement, same.rows_lost) == (0, 0, 1, 0)
    assert same.before == same.after == found.before


def test_rows_keep_their_order(tools):
    """Rows are computed by length, and the results are returned in the rows' order."""
    model = tools.network()
    graph = session(tools, model, FLOAT32)
    data = rows()
    decided = [
        tools.by_graph(graph, ids[None], np.array([len(ids)]))[0].argmax() for ids in data.sequences
    ]
    truth = Dataset(data.sequences, np.eye(3, dtype=np.float32)[decided])
    assert (
        compare_graphs(graph, graph, truth, labels=LABELS, multi_label=False).before.accuracy == 1.0
    )


def test_a_label_that_is_never_predicted_is_reported():
    found = compare_graphs(Fixed(0.4), Fixed(0.4), rows(), labels=LABELS, multi_label=True)
    assert found.never_predicted == (0, 1, 2)
    assert (
        compare_graphs(
            Fixed(0.5), Fixed(0.5), rows(), labels=LABELS, multi_label=True
        ).never_predicted
        == ()
    )
    assert compare_graphs(
        Fixed(0.4), Fixed(0.4), rows(), labels=LABELS, multi_label=False
    ).never_predicted == (1, 2)


def lost(count, of):
    """A comparison with this many rows lost."""
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
    assert f"at most {100 * limit:g}% is allowed" in message


# Against the float32 graph, where a row has several labels


def changed(*labels, rows=1000, shifted=0):
    """A comparison whose accuracy is the same, of labels (given, changed, mean, largest)."""
    same = Quality(0.3, 0.3, 0.1, rows)
    changes = tuple(LabelChange(f"l{n}", *each) for n, each in enumerate(labels))
    return Comparison(rows, 0.2, 0.01, 0.9, same, same, (), changes, shifted)


SOME = (400, 4, 0.001, 0.05)
MULTI_LABEL = [
    (changed(SOME, (9, 3, 0.001, 0.05)), None),
    (changed(SOME, (40, 5, 0.01, 0.09)), "changes 5 of 40 decisions for the label 'l1' on 1000"),
    (changed(SOME, (20, 20, 0.001, 0.05)), "changes 20 of 20 decisions for the label 'l1'"),
    (
        changed((400, 24, 0.01, 0.09), (80, 2, 0.01, 0.05)),
        "changes 26 of 480 decisions on 1000 rows, most of them (24) for the label 'l0'",
    ),
    (changed(SOME, (80, 2, 0.002, 0.25), shifted=10), None),
    (
        changed(SOME, (80, 2, 0.002, 0.25), shifted=11),
        "by more than 0.1 in 11 of 1000 rows, that of the label 'l1' by up to 0.250",
    ),
    (changed((4, 0, 0.001, 0.2), rows=20, shifted=3), None),
    (changed((4, 0, 0.001, 0.2), rows=20, shifted=4), "by more than 0.1 in 4 of 20 rows"),
    (changed(SOME, (80, 0, 0.03, 0.09)), "the probability of the label 'l1' by 0.030 on average"),
]


@pytest.mark.parametrize(("comparison", "message"), MULTI_LABEL)
def test_several_labels_are_compared_label_by_label(comparison, message):
    assert comparison.allows(0.003) == (message is None)
    assert comparison.allows(1.0)
    if message is None:
        comparison.require(0.003)
        return
    with pytest.raises(VerificationError) as caught:
        comparison.require(0.0)
    assert str(caught.value).startswith("quantization ")
    assert message in str(caught.value)
    assert "use --fallback, --precision float32, or raise --max-accuracy-drop" in str(caught.value)


def test_the_changes_of_each_label():
    before, after = Fixed([0.2, 0.7, 0.5]), Fixed([0.4, 0.45, 0.5])
    found = compare_graphs(before, after, rows(4), labels=LABELS, multi_label=True)
    assert [(each.label, each.given, each.changed) for each in found.labels] == [
        ("a", 0, 0),
        ("b", 4, 4),
        ("c", 4, 0),
    ]
    assert [each.mean for each in found.labels] == pytest.approx([0.2, 0.25, 0.0])
    assert found.most_shifted.label == "b"
    assert found.shifted == 4
    assert compare_graphs(before, after, rows(4), labels=LABELS, multi_label=False).labels == ()
