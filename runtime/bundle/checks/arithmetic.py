"""What a graph may compute with whole numbers: nothing that ends a process or asks for much memory.

Processors trap a division by 0 and that of the least number by -1, and not every release of ONNX
Runtime looks. And a single constant can ask for a result of terabytes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from textgate.errors import BundleError

if TYPE_CHECKING:
    from textgate.bundle.checks.graph import Graph, Node, Tensor

MOST_ELEMENTS = 2**24  # that constants may ask for, for each element a call brings

_TOO_MANY = MOST_ELEMENTS + 1  # or more: products are cut there, or they could have many digits
_FLOAT = 1
# Operators whose outputs are of floats, of their first input's type, and of the type of all their
# inputs; of `Where` the first input is something else. What is not listed is not known to be any.
_OF_FLOATS = frozenset(
    "DequantizeLinear DynamicQuantizeLSTM Exp GRU Gemm LSTM RNN Sigmoid Softmax Sqrt Tanh".split()  # noqa: SIM905
)
_OF_FIRST_TYPE = frozenset(
    "Clip CumSum Expand Gather Identity Neg Pow ReduceMax ReduceSum Relu Reshape "  # noqa: SIM905
    "ReverseSequence Slice Split Squeeze Transpose Unsqueeze".split()
)
_OF_SAME_TYPE = frozenset("Add Concat Div MatMul Max Min Mod Mul Sub Where".split())  # noqa: SIM905

# Where operators have the sizes of their results from, by the places of their inputs.
_SIZES = {"ConstantOfShape": (0,), "Expand": (1,), "Range": (0, 1, 2)}
# What sizes may come from: of these the first input counts, and of these every one.
_PASSED_ON = frozenset("Cast Identity ReduceMax Reshape Slice Squeeze Unsqueeze".split())  # noqa: SIM905
_JOINED = frozenset({"Concat", "Max", "Min"})


def check_arithmetic(graph: Graph) -> None:
    """Refuse whole numbers that are divided by what may be 0 or -1, and sizes out of bounds.

    What a graph makes of the sizes it is given, by joining and multiplying, is not bounded by this.

    Raises:
        BundleError: naming the node.
    """
    constants = {tensor.name: tensor for tensor in graph.initializers}
    floats = {tensor.name for tensor in graph.initializers if tensor.data_type == _FLOAT}
    sizes = {value.name: 1 for value in graph.inputs if value.name not in constants}
    sizes |= {name: _product(tensor) for name, tensor in constants.items() if tensor.values}
    for node in graph.nodes:
        if _is_of_floats(node, floats):
            floats.update(node.outputs)
        elif node.op_type == "Div":
            raise BundleError(
                f"node {shown(node.name)} divides numbers that are not known to be floats"
            )
        elif node.op_type == "Mod" and not _divides_by_positive(node, constants):
            raise BundleError(
                f"node {shown(node.name)} (Mod) should have a constant divisor above 0, of at most"
                " 16 elements in raw_data"
            )
        _check_sizes(node, sizes)
        if (size := _size(node, sizes, constants)) is not None:
            sizes.update(dict.fromkeys(node.outputs, size))


def shown(value: object) -> str:
    """Return how a message shows what a stranger's graph holds: on one line, and not too long."""
    text = repr(value)
    return text if len(text) <= 100 else text[:97] + "..."


def _is_of_floats(node: Node, floats: set[str]) -> bool:
    kind, inputs = node.op_type, node.inputs
    if kind in _OF_FIRST_TYPE:
        return not floats.isdisjoint(inputs[:1])
    operands = inputs[1:] if kind == "Where" else inputs
    return kind in _OF_FLOATS or (kind in _OF_SAME_TYPE and not floats.isdisjoint(operands))


def _divides_by_positive(node: Node, constants: dict[str, Tensor]) -> bool:
    divisors = [constants[name].values for name in node.inputs[1:] if name in constants]
    return len(divisors) == 1 and min(divisors[0] or (0,)) > 0


def _check_sizes(node: Node, sizes: dict[str, int]) -> None:
    places = _SIZES.get(node.op_type, ())
    for name in (node.inputs[place] for place in places if place < len(node.inputs)):
        if sizes.get(name, _TOO_MANY) > MOST_ELEMENTS:
            raise BundleError(
                f"node {shown(node.name)} ({node.op_type}) has sizes from {shown(name)}, which are"
                f" not known to be small: at most {MOST_ELEMENTS:,} out of constants are accepted"
            )


def _size(node: Node, sizes: dict[str, int], constants: dict[str, Tensor]) -> int | None:
    """Return how much constants add to a node's result, if sizes are made of it; None if unknown.

    That is a bound on the product of its elements, in which what a call brings counts as 1.
    """
    kind, inputs = node.op_type, node.inputs
    if kind == "Shape":
        return 1
    if kind in _PASSED_ON or (kind == "Gather" and _picks_one(node, constants)):
        return sizes.get(inputs[0]) if inputs else None
    if kind in _JOINED:
        found = [sizes.get(name) for name in inputs]
        known = [size for size in found if size is not None]
        return min(math.prod(known), _TOO_MANY) if len(known) == len(found) else None
    return None


def _picks_one(node: Node, constants: dict[str, Tensor]) -> bool:
    index = constants.get(node.inputs[1]) if len(node.inputs) > 1 else None
    return index is not None and math.prod(index.dims) == 1


def _product(tensor: Tensor) -> int:
    return math.prod(max(1, abs(value)) for value in tensor.values or ())
