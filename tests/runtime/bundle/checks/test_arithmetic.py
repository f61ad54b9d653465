"""Whole numbers in a graph: what could end a process or ask for terabytes is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from textgate.bundle.checks.arithmetic import MAX_ELEMENTS, check_arithmetic
from textgate.bundle.checks.graph import Graph, Node, TensorInfo, ValueInfo
from textgate.bundle.checks.reader import read_graph
from textgate.bundle.checks.rules import OPERATORS
from textgate.errors import BundleError

FLOAT, INT64 = 1, 7
BUNDLES = sorted(Path(__file__).parents[3].glob("**/model.onnx"))


def number(name: str, *values: int) -> TensorInfo:
    return TensorInfo(name, (len(values),), INT64, 8 * len(values), values)


CONSTANTS = (
    TensorInfo("float", (1,), FLOAT, 4),
    TensorInfo("state", (1, 2), FLOAT, 8),
    TensorInfo("many", (20,), INT64, 160),
    TensorInfo("scalar", (), INT64, 8, (0,)),
    number("zero", 0),
    number("one", 1),
    number("buckets", 1000),
    number("least", -1),
    number("mixed", 5, 0),
    number("most", MAX_ELEMENTS),
    number("more", MAX_ELEMENTS + 1),
    number("negative", -MAX_ELEMENTS - 1),
    number("end", 2**63 - 1),
    number("square", 2**13, 2**13),
    number("picks", 0, 0),
)
INPUTS = (
    ValueInfo("input_ids", INT64, (None, None)),
    ValueInfo("lengths", INT64, (None,)),
    ValueInfo("state", FLOAT, (None, 2)),
)


def graph_of(*nodes: tuple[str, ...]) -> Graph:
    """A graph of nodes that are told by their operator and inputs and give a value so named."""
    made = tuple(Node(kind, "", f"n{kind}", tuple(names), (kind,), {}) for kind, *names in nodes)
    return Graph(8, {"": 18}, made, CONSTANTS, INPUTS, ())


@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: path.parent.name)
def test_what_is_exported_is_accepted(path: Path) -> None:
    check_arithmetic(read_graph(path.read_bytes()))


@pytest.mark.parametrize(
    "nodes",
    [
        [("Div", "a", "float")],
        [("Add", "a", "float"), ("Div", "Add", "b")],
        [("Where", "bool", "a", "float"), ("Div", "b", "Where")],
        [("Sigmoid", "a"), ("Div", "Sigmoid", "b")],
        [("Reshape", "float", "a"), ("Div", "b", "Reshape")],
        [("Sqrt", "a"), ("Div", "a", "Sqrt")],
        # The remainder of whole numbers, by what is known
        [("Mod", "input_ids", "buckets")],
        [("Mod", "input_ids", "one")],
        [("Mod", "a", "float")],
        # Sizes out of what a call brings, of small constants, and of both together
        [("Shape", "input_ids"), ("Gather", "Shape", "scalar"), ("Range", "zero", "Gather", "one")],
        [("Shape", "a"), ("Concat", "one", "Shape", "one"), ("Expand", "a", "Concat")],
        [("ReduceMax", "lengths"), ("Range", "zero", "ReduceMax", "one")],
        [("Expand", "a", "most")],
        [("ConstantOfShape", "most")],
        [("Cast", "most"), ("ConstantOfShape", "Cast")],
        [("Slice", "one", "end", "end"), ("ConstantOfShape", "Slice")],
        # Any number may be reckoned with, as long as it is no size
        [("Mul", "input_ids", "end"), ("Mod", "Mul", "buckets"), ("Gather", "a", "Mod")],
    ],
)
def test_what_is_accepted(nodes: list[tuple[str, ...]]) -> None:
    check_arithmetic(graph_of(*nodes))


@pytest.mark.parametrize(
    "nodes",
    [
        [("Div", "a", "one")],
        [("Div", "input_ids", "lengths")],
        [("Where", "float", "a", "b"), ("Div", "Where", "b")],
        [("Shape", "float"), ("Div", "Shape", "one")],
        [("Cast", "float"), ("Div", "Cast", "one")],
        [("Gather", "a", "float"), ("Div", "Gather", "b")],
        [("Equal", "float", "float"), ("Div", "Equal", "b")],
    ],
)
def test_only_floats_are_divided(nodes: list[tuple[str, ...]]) -> None:
    """The least whole number divided by -1 is beyond the greatest; processors trap it."""
    with pytest.raises(BundleError, match="node 'nDiv' divides numbers that are not known to be"):
        check_arithmetic(graph_of(*nodes))


@pytest.mark.parametrize("divisor", ["zero", "least", "mixed", "many", "lengths", "a", "state"])
def test_remainders_are_by_positive_constants(divisor: str) -> None:
    """Releases of ONNX Runtime end the process at a remainder by 0, and at that by -1."""
    nodes = [("Shape", "x"), ("Mod", "Shape", divisor)]
    if divisor == "state":  # floats are divided as floats
        check_arithmetic(graph_of(*nodes))
        return
    with pytest.raises(BundleError, match=r"'nMod' \(Mod\) should have a constant divisor above 0"):
        check_arithmetic(graph_of(*nodes))


@pytest.mark.parametrize(
    "nodes",
    [
        [("Expand", "a", "more")],
        [("Expand", "a", "negative")],
        [("ConstantOfShape", "end")],
        [("ConstantOfShape", "square")],
        [("Range", "zero", "more", "one")],
        [("Range", "negative", "zero", "one")],
        [("Concat", "most", "most"), ("Expand", "a", "Concat")],
        [("Identity", "more"), ("Cast", "Identity"), ("Range", "zero", "Cast", "one")],
        [("Max", "one", "more"), ("ConstantOfShape", "Max")],
        # Not known: out of weights, of a state, of products, or of one number taken often
        [("Expand", "a", "many")],
        [("Cast", "state"), ("ConstantOfShape", "Cast")],
        [("Cast", "float"), ("Range", "zero", "Cast", "one")],
        [("Shape", "a"), ("Mul", "Shape", "one"), ("ConstantOfShape", "Mul")],
        [("Gather", "most", "picks"), ("ConstantOfShape", "Gather")],
    ],
)
def test_sizes_are_small_or_of_what_a_call_brings(nodes: list[tuple[str, ...]]) -> None:
    kind = nodes[-1][0]
    with pytest.raises(
        BundleError, match=rf"'n{kind}' \({kind}\) has sizes from .* small"
    ) as caught:
        check_arithmetic(graph_of(*nodes))
    assert "\n" not in str(caught.value)


def test_sizes_that_grow_and_grow_are_no_work() -> None:
    """Counted exactly, this one has more digits than there is memory."""
    nodes = tuple(
        Node("Concat", "", "", (f"v{step}",) * 8, (f"v{step + 1}",), {}) for step in range(4000)
    )
    last = Node("ConstantOfShape", "", "n", ("v4000",), ("y",), {})
    graph = Graph(8, {"": 18}, (*nodes, last), (number("v0", 2),), (), ())
    with pytest.raises(BundleError, match="has sizes from 'v4000'"):
        check_arithmetic(graph)


def test_inputs_that_are_left_out_are_no_crash() -> None:
    for kind in sorted(OPERATORS[""] - {"Div", "Mod"}):
        check_arithmetic(graph_of((kind,)))
    for inputs in ((), ("buckets",), ("a",)):
        with pytest.raises(BundleError, match="should have a constant divisor"):
            check_arithmetic(graph_of(("Mod", *inputs)))
