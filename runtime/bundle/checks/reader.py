"""Reader of ONNX graphs: from bytes to a `Graph`, or a refusal if they are unsafe.

Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. The onnx package is not
needed, and weights are neither read nor copied, only their lengths are checked.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from textgate.bundle.checks.graph import Graph, Node, TensorInfo, ValueInfo
from textgate.bundle.checks.protobuf import Budget, Message
from textgate.bundle.checks.rules import OPERATORS
from textgate.bundle.manifest import GRAPH, MAX_FILE_BYTES
from textgate.errors import BundleError
from textgate.messages import quoted

MAX_GRAPH_BYTES = MAX_FILE_BYTES[GRAPH]
MAX_NODES = 4096
MAX_RANK = 8
MAX_TENSOR_ELEMENTS = 2**28  # of a dimension, and of a tensor

_INT32_DATA = 5
# Element type -> bytes per element, and the field for elements outside raw_data.
_STORAGE = {
    1: (4, 4),  # float32 in float_data
    2: (1, _INT32_DATA),  # uint8
    3: (1, _INT32_DATA),  # int8
    6: (4, _INT32_DATA),  # int32
    7: (8, 7),  # int64 in int64_data
    9: (1, _INT32_DATA),  # bool
    10: (2, _INT32_DATA),  # float16
    11: (8, 10),  # double in double_data
}
_TYPED_FIELDS = (4, _INT32_DATA, 7, 10, 11)
_FIXED_WIDTHS = {4: 4, 10: 8}
_INTEGER_CODES = {2: "B", 3: "b", 6: "i", 7: "q"}  # element type -> its code for struct
_MAX_VALUES = 16  # elements of a tensor whose values are kept
_INTEGER, _STRING, _TENSOR_ATTRIBUTE, _INTEGERS = 2, 3, 4, 7
# Attribute type -> the field that holds its value: float, int, string, tensor, and lists of them.
_ATTRIBUTE_FIELDS = {1: 2, _INTEGER: 3, _STRING: 4, _TENSOR_ATTRIBUTE: 5, 6: 7, _INTEGERS: 8, 8: 9}
_FORBIDDEN_VALUES = {
    6: "a subgraph",
    10: "several tensors",
    11: "subgraphs",
    14: "a type",
    15: "types",
    21: "a reference to a function's attribute",
    22: "a sparse tensor",
    23: "sparse tensors",
}


def read_graph(data: bytes) -> Graph:
    """Return the content of an ONNX model, after checking every part that could do harm.

    Args:
        data: the content of a ``.onnx`` file.

    Raises:
        BundleError: the bytes are malformed or too many; or the model has external data, subgraphs,
            functions, sparse or string tensors, an operator that textgate does not export, or a
            tensor whose shape does not match its data.
    """
    if len(data) > MAX_GRAPH_BYTES:
        raise BundleError(f"model: {len(data):,} bytes; at most {MAX_GRAPH_BYTES:,} are read")
    model = Message(memoryview(data), where="model", budget=Budget())
    _refuse(model, {20: "training information", 25: "local functions"})
    graph = model.message(7, "graph")
    ir_version = model.integer(1)
    if graph is None or ir_version is None:
        raise BundleError("model: not an ONNX model: no graph or no format version")
    _refuse(graph, {15: "sparse initializers"})
    opsets: dict[str, int] = {}
    for opset in model.messages(8, "operator set"):
        domain, version = opset.text(1), opset.integer(2)
        if domain in opsets or version is None:
            raise BundleError(f"{opset.where}: domain {quoted(domain)} twice or without a version")
        opsets[domain] = version
    nodes = tuple(_node(node) for node in graph.messages(1, "node"))
    if len(nodes) > MAX_NODES:
        raise BundleError(f"{graph.where}: {len(nodes):,} nodes; at most {MAX_NODES:,} are read")
    for value in graph.messages(13, "value"):
        _value_info(value)
    found = Graph(
        ir_version=ir_version,
        opsets=opsets,
        nodes=nodes,
        initializers=tuple(_tensor(tensor) for tensor in graph.messages(5, "initializer")),
        inputs=tuple(_value_info(value) for value in graph.messages(11, "input")),
        outputs=tuple(_value_info(value) for value in graph.messages(12, "output")),
    )
    _check_names("initializer", found.initializers)
    _check_names("input", found.inputs)
    _check_names("output", found.outputs)
    return found


def _node(message: Message) -> Node:
    attributes = [_attribute(item) for item in message.messages(5, "attribute")]
    node = Node(
        op_type=message.text(4),
        domain=message.text(7),
        name=message.text(3),
        inputs=message.texts(1),
        outputs=message.texts(2),
        attributes=dict(attributes),
    )
    operator = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
    if node.op_type not in OPERATORS.get(node.domain, ()) or message.text(8):
        raise BundleError(
            f"{message.where}: operator {quoted(operator)} is not one that textgate exports"
        )
    if len(node.attributes) != len(attributes):
        raise BundleError(f"{message.where}: an attribute is given twice")
    return node


def _attribute(message: Message) -> tuple[str, int | str | tuple[int, ...] | None]:
    """Return an attribute's name and value, after checking the type of its value."""
    name = message.text(1)
    _refuse(message, _FORBIDDEN_VALUES)
    kind = message.integer(20)
    field = None if kind is None else _ATTRIBUTE_FIELDS.get(kind)
    if field is None or message.has(*set(_ATTRIBUTE_FIELDS.values()) - {field}):
        raise BundleError(
            f"{message.where}: attribute {quoted(name)} has a value of another type than it says"
        )
    tensor = message.message(5, "tensor")
    if tensor is not None:
        _tensor(tensor)
    elif kind == _TENSOR_ATTRIBUTE or name == "value":  # of a ConstantOfShape
        raise BundleError(f"{message.where}: attribute {quoted(name)} should be a tensor")
    if kind == _INTEGER:
        return name, message.integer(field)
    if kind == _STRING:
        return name, message.text(field)
    return name, message.integers(field) if kind == _INTEGERS else None


def _tensor(message: Message) -> TensorInfo:
    _refuse(message, {3: "segments", 6: "strings", 13: "external data"})
    name = message.text(8)
    where = f"{message.where} ({quoted(name)})"
    if message.integer(14):
        raise BundleError(f"{where}: external data, which a bundle must not have")
    data_type = message.integer(2)
    if data_type not in _STORAGE:
        raise BundleError(f"{where}: element type {data_type} is not one that textgate exports")
    width, typed_field = _STORAGE[data_type]
    dims = message.integers(1)
    elements = _element_count(dims, where)
    raw = message.payload(9)
    if raw is not None:
        typed_field = 0
        found = len(raw)
    elif typed_field in _FIXED_WIDTHS:
        found = message.fixed_count(typed_field, _FIXED_WIDTHS[typed_field]) * width
    else:
        found = message.varint_count(typed_field) * width
    if message.has(*(field for field in _TYPED_FIELDS if field != typed_field)):
        raise BundleError(f"{where}: data in more than one form, or of another type")
    if found != elements * width:
        raise BundleError(
            f"{where}: shape {list(dims)} needs {elements * width} bytes of data, found {found}"
        )
    values = None
    if raw is not None and data_type in _INTEGER_CODES and elements <= _MAX_VALUES:
        values = struct.unpack(f"<{elements}{_INTEGER_CODES[data_type]}", raw)
    return TensorInfo(name, dims, data_type, byte_size=found, values=values, data=raw)


def _element_count(dims: tuple[int, ...], where: str) -> int:
    if len(dims) > MAX_RANK or not all(0 <= size <= MAX_TENSOR_ELEMENTS for size in dims):
        raise BundleError(f"{where}: shape {quoted(list(dims))} has a size or rank out of bounds")
    count = 1
    for size in dims:
        count *= size
    if count > MAX_TENSOR_ELEMENTS:
        raise BundleError(
            f"{where}: shape {list(dims)} has more than {MAX_TENSOR_ELEMENTS:,} elements"
        )
    return count


def _value_info(message: Message) -> ValueInfo:
    name = message.text(1)
    kind = message.message(2, "type")
    tensor = None if kind is None else kind.message(1, "tensor")
    if kind is None or tensor is None or kind.has(4, 5, 7, 8, 9):
        raise BundleError(f"{message.where}: {quoted(name)} is not declared as a tensor")
    shape = tensor.message(2, "shape")
    dims: list[int | str | None] = []
    for size in () if shape is None else shape.messages(1, "dimension"):
        if size.has(1) and size.has(2):
            raise BundleError(f"{size.where}: both a size and a name")
        dims.append(size.integer(1) if size.has(1) else size.text(2) or None)
    return ValueInfo(name=name, elem_type=tensor.integer(1) or 0, dims=tuple(dims))


def _check_names(kind: str, items: Sequence[TensorInfo | ValueInfo]) -> None:
    seen = {""}
    for item in items:
        if item.name in seen:
            raise BundleError(f"model: graph: {kind} {quoted(item.name)} has no name of its own")
        seen.add(item.name)


def _refuse(message: Message, forbidden: dict[int, str]) -> None:
    """Refuse a message in which a forbidden field occurs, even if it is empty."""
    for number, name in forbidden.items():
        if message.has(number):
            raise BundleError(f"{message.where}: {name}, which a bundle must not have")
