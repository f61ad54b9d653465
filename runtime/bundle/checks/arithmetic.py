"""Checks of integer arithmetic in a graph, which could crash the process or exhaust memory.

Processors trap an integer division by 0, and of the lowest number by -1; not every release of ONNX
Runtime checks the divisor. A single constant can also request a result of terabytes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from textgate.errors import BundleError
from textgate.messages import quoted

if TYPE_CHECKING:
    from textgate.bundle.checks.graph import Graph, Node, TensorInfo

MAX_ELEMENTS = 2**24  # of a result, by constants alone, per element that a call brings

_TOO_MANY = MAX_ELEMENTS + 1  # larger products are cut to this, because they could have many digits
_FLOAT = 1
# Operators whose outputs are floats, have their first input's type, or have the type of all their
# inputs except the condition of `Where`. Outputs of other operators are not known to be floats.
_OF_FLOATS = frozenset(
    "DequantizeLinear DynamicQuantizeLSTM Exp GRU Gemm LSTM RNN Sigmoid Softmax Sqrt Tanh".split()  # noqa: SIM905
)
_OF_FIRST_TYPE = frozenset(
    "Clip CumSum Expand Gather Identity Neg Pow ReduceMax ReduceSum Relu Reshape "  # noqa: SIM905
    "ReverseSequence Slice Split Squeeze Transpose Unsqueeze".split()
)
_OF_SAME_TYPE = frozenset("Add Concat Div MatMul Max Min Mod Mul Sub Where".split())  # noqa: SIM905

# Operators with inputs that decide the sizes of their results, and the indices of these inputs.
_SIZES = {"ConstantOfShape": (0,), "Expand": (1,), "Range": (0, 1, 2)}
# Operators that pass sizes on: from their first input, and from all their inputs.
_PASSED_ON = frozenset("Cast Identity ReduceMax Reshape Slice Squeeze Unsqueeze".split())  # noqa: SIM905
_JOINED = frozenset({"Concat", "Max", "Min"})


def check_arithmetic(graph: Graph) -> None:
    """Refuse integer divisions by what may be 0 or -1, and sizes out of bounds.

    Sizes that a graph computes from its inputs, by joining and multiplying, are not bounded.

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
                f"node {quoted(node.name)} divides numbers that are not known to be floats"
            )
        elif node.op_type == "Mod" and not _divides_by_positive(node, constants):
            raise BundleError(
                f"node {quoted(node.name)} (Mod) should have a constant divisor above 0, of at most"
                " 16 elements in raw_data"
            )
        _check_sizes(node, sizes)
        if (size := _size(node, sizes, constants)) is not None:
            sizes.update(dict.fromkeys(node.outputs, size))


def _is_of_floats(node: Node, floats: set[str]) -> bool:
    kind, inputs = node.op_type, node.inputs
    if kind in _OF_FIRST_TYPE:
        return not floats.isdisjoint(inputs[:1])
    operands = inputs[1:] if kind == "Where" else inputs
    return kind in _OF_FLOATS or (kind in _OF_SAME_TYPE and not floats.isdisjoint(operands))


def _divides_by_positive(node: Node, constants: dict[str, TensorInfo]) -> bool:
    divisors = [constants[name].values for name in node.inputs[1:] if name in constants]
    return len(divisors) == 1 and min(divisors[0] or (0,)) > 0


def _check_sizes(node: Node, sizes: dict[str, int]) -> None:
    indices = _SIZES.get(node.op_type, ())
    for name in (node.inputs[index] for index in indices if index < len(node.inputs)):
        if sizes.get(name, _TOO_MANY) > MAX_ELEMENTS:
            raise BundleError(
                f"node {quoted(node.name)} ({node.op_type}) has sizes from {quoted(name)}, which"
                f" are not known to be small: at most {MAX_ELEMENTS:,} out of constants are"
                " accepted"
            )


def _size(node: Node, sizes: dict[str, int], constants: dict[str, TensorInfo]) -> int | None:
    """Return the factor by which constants may enlarge sizes from a node's result, or None.

    It bounds the product of the result's elements, where elements that a call brings count as 1.
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


def _picks_one(node: Node, constants: dict[str, TensorInfo]) -> bool:
    index = constants.get(node.inputs[1]) if len(node.inputs) > 1 else None
    return index is not None and math.prod(index.dims) == 1


def _product(tensor: TensorInfo) -> int:
    return math.prod(max(1, abs(value)) for value in tensor.values or ())
