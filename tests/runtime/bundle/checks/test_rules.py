"""A graph against its manifest: each promise broken once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from textgate.bundle.checks.graph import Graph, Node, TensorInfo, ValueInfo
from textgate.bundle.checks.reader import read_graph
from textgate.bundle.checks.rules import check_graph
from textgate.bundle.manifest import GRAPH, MANIFEST, Manifest, StateTensor
from textgate.errors import BundleError

GOLDEN = Path(__file__).parents[2] / "golden" / "bundle"
MANIFEST_READ = Manifest.parse((GOLDEN / MANIFEST).read_bytes(), where="golden")
GRAPH_READ = read_graph((GOLDEN / GRAPH).read_bytes())
STATE = MANIFEST_READ.state[0]

FLOAT, INT64 = 1, 7


def with_input(index: int, value: ValueInfo) -> Graph:
    inputs = list(GRAPH_READ.inputs)
    inputs[index] = value
    return replace(GRAPH_READ, inputs=tuple(inputs))


def with_output(index: int, value: ValueInfo) -> Graph:
    outputs = list(GRAPH_READ.outputs)
    outputs[index] = value
    return replace(GRAPH_READ, outputs=tuple(outputs))


def with_tensor(name: str, *tensors: TensorInfo) -> Graph:
    kept = [tensor for tensor in GRAPH_READ.initializers if tensor.name != name]
    return replace(GRAPH_READ, initializers=(*kept, *tensors))


def with_nodes(change: Callable[[Node], Node]) -> Graph:
    return replace(GRAPH_READ, nodes=tuple(change(node) for node in GRAPH_READ.nodes))


def test_the_golden_graph_keeps_its_promises() -> None:
    check_graph(GRAPH_READ, MANIFEST_READ)


@pytest.mark.parametrize(
    "graph",
    [
        with_input(0, ValueInfo("input_ids", INT64, (None, None))),
        with_input(2, ValueInfo(STATE.input, FLOAT, (1, "streams", 2))),
        with_output(2, ValueInfo(STATE.output, FLOAT, (1, 1, 2))),
        replace(GRAPH_READ, opsets={"": 18, "com.microsoft": 1}),
        with_nodes(
            lambda node: replace(
                node, inputs=tuple(name.replace("ids_by_step", "input_ids") for name in node.inputs)
            )
        ),
    ],
    ids=["unnamed", "free batch", "batch of one", "unused set", "gathered directly"],
)
def test_what_may_differ(graph: Graph) -> None:
    check_graph(graph, MANIFEST_READ)


@pytest.mark.parametrize(
    ("graph", "complaint"),
    [
        (replace(GRAPH_READ, ir_version=9), "IR version 9, but the manifest says 8"),
        (replace(GRAPH_READ, opsets={"": 17}), "operator set 17, but the manifest says 18"),
        (replace(GRAPH_READ, opsets={}), "operator set None, but the manifest says 18"),
        (replace(GRAPH_READ, opsets={"": 18, "ai.x": 1}), "operator set 'ai.x' is not one"),
        (
            with_nodes(lambda node: replace(node, domain="com.microsoft")),
            "operator set 'com.microsoft' is used but not listed",
        ),
        (replace(GRAPH_READ, inputs=GRAPH_READ.inputs[:2]), "inputs .* expected .*state"),
        (replace(GRAPH_READ, inputs=GRAPH_READ.inputs[::-1]), "inputs .* expected"),
        (replace(GRAPH_READ, outputs=GRAPH_READ.outputs[:2]), "outputs .* expected .*next"),
        (replace(GRAPH_READ, outputs=()), r"outputs \[\], expected"),
        (with_input(0, ValueInfo("input_ids", FLOAT, ("b", "s"))), "'input_ids' is float32"),
        (with_input(0, ValueInfo("input_ids", INT64, ("b",))), "'input_ids' is int64"),
        (with_input(0, ValueInfo("input_ids", INT64, ("b", 5))), "expected int64 .None, None."),
        (with_input(0, ValueInfo("input_ids", INT64, (1, "s"))), "expected int64 .None, None."),
        (with_input(1, ValueInfo("lengths", 6, ("b",))), "'lengths' is type 6"),
        (with_input(1, ValueInfo("lengths", INT64, ())), "'lengths' is int64"),
        (with_input(2, ValueInfo(STATE.input, INT64, (1, 1, 2))), "expected float32"),
        (with_input(2, ValueInfo(STATE.input, FLOAT, (1, 2, 2))), r"expected float32 \[1, None"),
        (with_input(2, ValueInfo(STATE.input, FLOAT, (1, "b", 3))), r"expected float32 \[1, None"),
        (with_output(0, ValueInfo("logits", FLOAT, ("b", 3))), r"expected float32 \[None, 2\]"),
        (with_output(1, ValueInfo("probabilities", FLOAT, ("b", None))), r"float32 \[None, 2\]"),
        (with_output(1, ValueInfo("probabilities", 10, ("b", 2))), "is type 10"),
        (with_output(2, ValueInfo(STATE.output, FLOAT, (2, "b", 2))), "expected float32"),
        (
            with_tensor("", TensorInfo("input_ids", (1, 1), INT64, 8)),
            "input 'input_ids' is also a constant",
        ),
        (with_tensor("", TensorInfo("lengths", (1,), INT64, 8)), "'lengths' is also a constant"),
        (with_tensor(STATE.input), "needs a constant float32"),
        (
            with_tensor(STATE.input, TensorInfo(STATE.input, (1, 2, 2), FLOAT, 16)),
            r"needs a constant float32 \[1, 1, 2\]",
        ),
        (with_tensor(STATE.input, TensorInfo(STATE.input, (1, 1, 2), 3, 2)), "needs a constant"),
        (
            with_tensor("embedding.table", TensorInfo("embedding.table", (5, 2), FLOAT, 40)),
            r"constant of 4 rows \(the vocabulary's size\), found shape \[5, 2\]",
        ),
        (
            with_tensor("embedding.table", TensorInfo("embedding.table", (), FLOAT, 4)),
            r"found shape \[\]",
        ),
        (with_tensor("embedding.table"), "of 4 rows .* found none"),
        (
            with_nodes(lambda node: replace(node, inputs=("other", *node.inputs[1:]))),
            "no Gather from 'embedding.table'",
        ),
        (
            with_nodes(lambda node: replace(node, inputs=node.inputs[:1])),
            "no Gather from 'embedding.table'",
        ),
        (
            replace(
                GRAPH_READ,
                nodes=(
                    *GRAPH_READ.nodes,
                    Node("Gather", "", "", ("output.bias", "ids_by_step"), ("x",), {}),
                ),
            ),
            "'output.bias', looked up by token ids, should be a constant of 4 rows",
        ),
    ],
)
def test_a_broken_promise_is_refused(graph: Graph, complaint: str) -> None:
    with pytest.raises(BundleError, match=complaint) as caught:
        check_graph(graph, MANIFEST_READ)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("manifest", "complaint"),
    [
        (replace(MANIFEST_READ, state=()), "inputs .*state.* expected"),
        (replace(MANIFEST_READ, state=(STATE, STATE)), "inputs .* expected"),
        (
            replace(MANIFEST_READ, state=(StateTensor("input_ids", "x", (-1,)),)),
            "inputs .* expected",
        ),
        (
            replace(MANIFEST_READ, architecture=replace(MANIFEST_READ.architecture, label_count=3)),
            r"'logits' is float32 \['batch', 2\], expected float32 \[None, 3\]",
        ),
        (
            replace(
                MANIFEST_READ, architecture=replace(MANIFEST_READ.architecture, vocabulary_size=5)
            ),
            "should be a constant of 5 rows",
        ),
    ],
)
def test_a_manifest_that_promises_something_else(manifest: Manifest, complaint: str) -> None:
    with pytest.raises(BundleError, match=complaint):
        check_graph(GRAPH_READ, manifest)


def test_a_strangers_names_are_shown_short() -> None:
    graph = replace(GRAPH_READ, inputs=(ValueInfo("x\n" * 100_000, INT64, ()),))
    with pytest.raises(BundleError) as caught:
        check_graph(graph, MANIFEST_READ)
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)
