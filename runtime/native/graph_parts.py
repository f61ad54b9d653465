"""A graph's nodes with their attributes, and its constants as arrays, for the native engine.

`textgate.bundle.checks.graph` has checked the bytes before; this module reads values that it does
not look at.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from textgate.bundle.checks.protobuf import Budget, Message

if TYPE_CHECKING:
    from numpy.typing import NDArray  # takes as long to import as a bundle to read

_TYPES = {1: "<f4", 2: "u1", 3: "i1", 6: "<i4", 7: "<i8"}  # ONNX's number -> numpy's name
_FLOAT, _INTEGER, _STRING, _INTEGERS = 1, 2, 3, 7


@dataclass(frozen=True)
class GraphParts:
    """What a graph is made of.

    Attributes:
        nodes: each operator as `node_text` gives it, by the name of its first output.
        given: all names that nodes give.
        tensors: the constants by name, views of the graph's bytes; those of odd forms are missing.
        names: the names of all constants.
    """

    nodes: dict[str, str]
    given: tuple[str, ...]
    tensors: dict[str, NDArray[Any]]
    names: frozenset[str]


def read_parts(graph: bytes) -> GraphParts:
    """Return the parts of an ONNX model that `textgate.bundle.checks.graph.read_graph` accepts."""
    model = Message(memoryview(graph), where="model", budget=Budget())
    body = model.message(7, "graph")
    if body is None:
        raise ValueError("no graph")
    nodes: dict[str, str] = {}
    given: list[str] = []
    for message in body.messages(1, "node"):
        outputs = message.texts(2)
        text = node_text(
            message.text(4),
            message.texts(1),
            outputs,
            message.text(7),
            **{item.text(1): _value(item) for item in message.messages(5, "attribute")},
        )
        nodes[next(filter(None, outputs), "")] = text
        given.extend(filter(None, outputs))
    tensors, names = {}, set()
    for message in body.messages(5, "initializer"):
        name, raw, kind = message.text(8), message.payload(9), message.integer(2)
        names.add(name)
        if raw is not None and kind in _TYPES:
            tensors[name] = np.frombuffer(raw, dtype=_TYPES[kind]).reshape(message.integers(1))
    return GraphParts(nodes, tuple(given), tensors, frozenset(names))


def node_text(
    operator: str,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    domain: str = "",
    **attributes: object,
) -> str:
    """Return one operator as a line of text, by which operators are compared."""
    return repr((domain, operator, inputs, outputs, sorted(attributes.items())))


def _value(attribute: Message) -> object:
    kind = attribute.integer(20)
    if kind == _INTEGER:
        return attribute.integer(3)
    if kind == _INTEGERS:
        return attribute.integers(8)
    if kind == _STRING:
        return attribute.text(4)
    if kind == _FLOAT:
        return struct.unpack("<f", attribute.payload(2) or b"\0\0\0\0")[0]
    return None  # equal to no value that textgate writes
