"""Parts of an ONNX graph, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Node:
    """One operator of a graph.

    Attributes:
        op_type: the operator, as in ``LSTM``.
        domain: its operator set; empty for ONNX itself.
        name: its name, possibly empty.
        inputs: the values it reads, an empty name for an optional one left out.
        outputs: the values it computes.
        attributes: its attributes by name: numbers, lists of numbers and texts; None for a value of
            another kind.
    """

    op_type: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, int | str | tuple[int, ...] | None]


@dataclass(frozen=True)
class TensorInfo:
    """A constant of a graph, with its elements if they are few integers.

    Attributes:
        name: its name.
        dims: its shape; empty for a scalar.
        data_type: ONNX's number for the type of its elements.
        byte_size: bytes of its elements.
        values: the elements, if they are at most 16 integers in ``raw_data``.
        data: the content of ``raw_data``, a view of the graph's bytes; None without it.
    """

    name: str
    dims: tuple[int, ...]
    data_type: int
    byte_size: int
    values: tuple[int, ...] | None = None
    data: memoryview | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class ValueInfo:
    """A declared input or output.

    Attributes:
        name: the value's name.
        elem_type: ONNX's number for the type of its elements.
        dims: its shape: sizes, names of free dimensions, or None for unnamed ones.
    """

    name: str
    elem_type: int
    dims: tuple[int | str | None, ...]


@dataclass(frozen=True)
class Graph:
    """Content of a model.

    Attributes:
        ir_version: the version of the ONNX format.
        opsets: the version of each operator set, by domain.
        nodes: the operators in order.
        initializers: the constants.
        inputs: the declared inputs, overridable constants among them.
        outputs: the declared outputs.
    """

    ir_version: int
    opsets: dict[str, int]
    nodes: tuple[Node, ...]
    initializers: tuple[TensorInfo, ...]
    inputs: tuple[ValueInfo, ...]
    outputs: tuple[ValueInfo, ...]
