"""Reading of ONNX models: the values read, the files refused, and arbitrary bytes."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import textgate.bundle.checks.reader
from textgate.bundle.checks.graph import Graph, Node, TensorInfo, ValueInfo
from textgate.bundle.checks.reader import read_graph
from textgate.errors import BundleError

GOLDEN = (Path(__file__).parents[2] / "golden" / "bundle" / "model.onnx").read_bytes()

FLOAT, UINT8, INT8, INT32, INT64, STRING, BOOL, FLOAT16, DOUBLE = 1, 2, 3, 6, 7, 8, 9, 10, 11


def varint(value: int) -> bytes:
    digits = []
    while value >= 0x80:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])


def field(number: int, value: int | bytes | str) -> bytes:
    """Return a protobuf field: a varint for a number, length and content for anything else."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value % 2**64)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def tensor(
    *parts: bytes, name: str = "t", dims: tuple[int, ...] = (2,), data_type: int = FLOAT
) -> bytes:
    return (
        b"".join(field(1, d) for d in dims) + field(2, data_type) + field(8, name) + b"".join(parts)
    )


def node(*parts: bytes, op_type: str = "Relu") -> bytes:
    return field(1, "x") + field(2, "y") + field(4, op_type) + b"".join(parts)


def attribute(kind: int, *parts: bytes, name: str = "a") -> bytes:
    return field(1, name) + field(20, kind) + b"".join(parts)


def value(name: str, *sizes: bytes, elem_type: int = FLOAT) -> bytes:
    shape = b"".join(field(1, size) for size in sizes)
    return field(1, name) + field(2, field(1, field(1, elem_type) + field(2, shape)))


def model(*graph: bytes, more: bytes = b"") -> bytes:
    return field(1, 8) + field(8, field(1, "") + field(2, 18)) + field(7, b"".join(graph)) + more


# What is read


def test_the_golden_graph() -> None:
    graph = read_graph(GOLDEN)
    assert (graph.ir_version, graph.opsets) == (8, {"": 18})
    assert graph.inputs == (
        ValueInfo("input_ids", INT64, ("batch", "sequence")),
        ValueInfo("lengths", INT64, ("batch",)),
        ValueInfo("state.gru_1.h", FLOAT, (1, 1, 2)),
    )
    assert graph.outputs[0] == ValueInfo("logits", FLOAT, ("batch", 2))
    assert " ".join(item.op_type for item in graph.nodes) == (
        "Transpose Gather Cast Shape Concat Expand GRU Squeeze Gemm Softmax"
    )
    assert graph.nodes[6] == Node(
        op_type="GRU",
        domain="",
        name="gru_1",
        inputs=("embedded", "gru_1.W", "gru_1.R", "gru_1.B", "lengths_int32", "initial_h"),
        outputs=("", "next.gru_1.h"),
        attributes={"direction": "forward", "hidden_size": 2, "linear_before_reset": 1},
    )
    assert graph.initializers[0] == TensorInfo("embedding.table", (4, 2), FLOAT, 32)
    assert graph.initializers[-1] == TensorInfo("axis_0", (1,), INT64, 8, (0,))


def test_a_graph_built_by_hand() -> None:
    data = model(
        field(1, node(field(3, "n"), field(5, attribute(2, field(3, 0))))),
        field(5, tensor(field(9, bytes(8)))),
        field(11, value("x", field(1, 2), field(2, "b"), b"", elem_type=INT64)),
        field(12, field(1, "y") + field(2, field(1, field(1, FLOAT)))),
        field(13, value("z")),
    )
    assert read_graph(data) == Graph(
        ir_version=8,
        opsets={"": 18},
        nodes=(Node("Relu", "", "n", ("x",), ("y",), {"a": 0}),),
        initializers=(TensorInfo("t", (2,), FLOAT, 8),),
        inputs=(ValueInfo("x", INT64, (2, "b", None)),),
        outputs=(ValueInfo("y", FLOAT, ()),),
    )


@pytest.mark.parametrize(
    ("dims", "data_type", "data", "byte_size"),
    [
        ((), FLOAT, field(9, bytes(4)), 4),
        ((2,), FLOAT, field(4, bytes(8)), 8),
        ((2,), FLOAT, b"\x25" + bytes(4) + b"\x25" + bytes(4), 8),
        ((2, 0, 3), FLOAT, b"", 0),
        ((0,), FLOAT, field(9, b""), 0),
        ((3,), INT8, field(5, varint(2**64 - 1) + b"\x00\x7f"), 3),
        ((3,), INT8, field(5, -1) + field(5, 0) + field(5, 127), 3),
        ((3,), UINT8, field(9, b"abc"), 3),
        ((2,), INT32, field(5, b"\x01\x02"), 8),
        ((2,), INT64, field(7, b"\x01") + field(7, 2), 16),
        ((2,), BOOL, field(9, b"\x01\x00"), 2),
        ((2,), FLOAT16, field(9, bytes(4)), 4),
        ((2,), FLOAT16, field(5, b"\x01\x02"), 4),
        ((2,), DOUBLE, field(10, bytes(16)), 16),
    ],
)
def test_data_in_any_form(
    dims: tuple[int, ...], data_type: int, data: bytes, byte_size: int
) -> None:
    content = tensor(data, dims=dims, data_type=data_type)
    found = read_graph(model(field(5, content))).initializers[0]
    assert replace(found, values=None) == TensorInfo("t", dims, data_type, byte_size)


@pytest.mark.parametrize(
    ("data_type", "data", "values"),
    [
        (INT64, struct.pack("<3q", -(2**63), 0, 2**63 - 1), (-(2**63), 0, 2**63 - 1)),
        (INT32, struct.pack("<2i", -1, 2**31 - 1), (-1, 2**31 - 1)),
        (UINT8, b"\x00\xff", (0, 255)),
        (INT8, b"\x7f\xff", (127, -1)),
        (INT64, b"", ()),
        (UINT8, bytes(16), (0,) * 16),
        (UINT8, bytes(17), None),
        (BOOL, b"\x01", None),
        (FLOAT, bytes(4), None),
    ],
)
def test_few_whole_numbers_are_read(
    data_type: int, data: bytes, values: tuple[int, ...] | None
) -> None:
    width = {INT64: 8, INT32: 4, FLOAT: 4}.get(data_type, 1)
    content = tensor(field(9, data), dims=(len(data) // width,), data_type=data_type)
    assert read_graph(model(field(5, content))).initializers[0].values == values


def test_numbers_that_are_not_in_raw_data_are_not_read() -> None:
    content = tensor(field(7, b"\x01\x02"), data_type=INT64)
    assert read_graph(model(field(5, content))).initializers[0].values is None


def test_packed_dims() -> None:
    content = field(1, b"\x02\x03") + field(2, INT8) + field(8, "t") + field(9, bytes(6))
    assert read_graph(model(field(5, content))).initializers[0].dims == (2, 3)


# What is refused


RAW = field(9, bytes(8))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (tensor(RAW, dims=(3,)), r"shape \[3\] needs 12 bytes of data, found 8"),
        (tensor(RAW, dims=(1,)), r"shape \[1\] needs 4 bytes of data, found 8"),
        (tensor(RAW, dims=()), r"shape \[\] needs 4 bytes"),
        (tensor(dims=(2,)), "needs 8 bytes of data, found 0"),
        (tensor(field(4, bytes(12))), "needs 8 bytes of data, found 12"),
        (tensor(field(5, b"\x01"), data_type=INT8), "needs 2 bytes of data, found 1"),
        (tensor(RAW, dims=(-2,)), "out of bounds"),
        (tensor(RAW, dims=(2**62, 4)), "out of bounds"),
        (tensor(RAW, dims=(2**28, 2**28, 2**28)), "has more than 268,435,456 elements"),
        (tensor(RAW, dims=(1,) * 9), "out of bounds"),
        (tensor(RAW, field(4, bytes(8))), "data in more than one form"),
        (tensor(RAW, field(4, b"")), "data in more than one form"),
        (tensor(field(7, b"\x01\x02")), "data in more than one form, or of another type"),
        (tensor(RAW, RAW), "occurs twice"),
        (tensor(field(10, bytes(15)), data_type=DOUBLE), "ends inside a number"),
        (tensor(field(13, b"")), "external data"),
        (tensor(RAW, field(14, 1)), "external data"),
        (tensor(RAW, field(14, 2**32)), "external data"),
        (tensor(field(6, "x"), dims=(1,), data_type=STRING), "strings, which a bundle"),
        (tensor(data_type=STRING, dims=(0,)), "element type 8 is not one"),
        (tensor(field(3, b""), RAW), "segments, which a bundle"),
        (tensor(RAW, data_type=2**32 + 1), "element type 4294967297"),
        *(
            (tensor(field(9, bytes(64)), dims=(0,), data_type=kind), f"element type {kind} is not")
            for kind in (0, 4, 5, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24)
        ),
        (field(1, 2) + field(8, "t") + RAW, "element type None"),
    ],
)
@pytest.mark.parametrize("place", ["initializer", "attribute"])
def test_a_tensor_is_refused(content: bytes, complaint: str, place: str) -> None:
    filler = node(
        field(5, attribute(4, field(5, content), name="value")), op_type="ConstantOfShape"
    )
    with pytest.raises(BundleError, match=complaint) as caught:
        read_graph(model(field(5, content) if place == "initializer" else field(1, filler)))
    assert f"{place} 0" in str(caught.value)
    assert "\n" not in str(caught.value)


SUBGRAPH = field(6, field(1, node()))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (node(op_type="If"), "operator 'If' is not one that textgate exports"),
        (node(op_type=""), "operator '' is not one"),
        (node(op_type="relu"), "operator 'relu' is not one"),
        (node(op_type="Loop\n" * 1000), "operator 'Loop.*is not one"),
        (node(field(7, "com.microsoft")), "operator 'com.microsoft.Relu' is not one"),
        (node(field(7, "ai.onnx.ml")), "operator 'ai.onnx.ml.Relu' is not one"),
        (node(op_type="DynamicQuantizeLSTM"), "operator 'DynamicQuantizeLSTM' is not one"),
        (node(field(8, "overload")), "operator 'Relu' is not one"),
        (node(field(5, attribute(5, SUBGRAPH))), "a subgraph, which a bundle must not have"),
        (node(field(5, attribute(2, field(3, 1), SUBGRAPH))), "a subgraph"),
        (node(field(5, attribute(10, field(11, b"")))), "subgraphs"),
        (node(field(5, attribute(13, field(14, b"")))), "a type,"),
        (node(field(5, attribute(14, field(15, b"")))), "types"),
        (node(field(5, attribute(11, field(22, b"")))), "a sparse tensor"),
        (node(field(5, attribute(12, field(23, b"")))), "sparse tensors"),
        (node(field(5, attribute(9, field(10, b"")))), "several tensors"),
        (node(field(5, attribute(2, field(21, "outer")))), "a reference to a function"),
        (node(field(5, attribute(5))), "another type than it says"),
        (node(field(5, attribute(0))), "another type than it says"),
        (node(field(5, attribute(2**32 + 2, field(3, 1)))), "another type than it says"),
        (node(field(5, field(1, "a") + field(3, 1))), "another type than it says"),
        (node(field(5, attribute(2, field(4, "x")))), "another type than it says"),
        (node(field(5, attribute(2, field(3, 1), field(4, "x")))), "another type than it says"),
        (node(field(5, attribute(2)) * 2), "an attribute is given twice"),
        *(
            (node(op_type=name), f"operator '{name}' is not one that textgate exports")
            for name in ("Constant", "Loop", "QuantizeLinear", "MatMulInteger", "Log", "Tile")
        ),
        (
            node(field(5, attribute(2, field(3, 1), name="value")), op_type="ConstantOfShape"),
            "attribute 'value' should be a tensor",
        ),
        (
            node(field(5, attribute(4, name="value")), op_type="ConstantOfShape"),
            "attribute 'value' should be a tensor",
        ),
        (field(1, b"\xff") + field(4, "Relu"), "is not UTF-8"),
    ],
)
def test_a_node_is_refused(content: bytes, complaint: str) -> None:
    with pytest.raises(BundleError, match=complaint) as caught:
        read_graph(model(field(1, node()), field(1, content)))
    assert str(caught.value).startswith("model: graph: node 1")
    assert len(str(caught.value)) < 250
    assert "\n" not in str(caught.value)


GOOD = tensor(RAW)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "no graph or no format version"),
        (field(1, 8), "no graph or no format version"),
        (field(7, b""), "no graph or no format version"),
        (b"not an ONNX model", "malformed"),
        (model(more=field(7, b"")), "field 7 occurs twice"),
        (model(more=field(20, b"")), "training information, which a bundle must not have"),
        (model(more=field(25, b"")), "local functions, which a bundle must not have"),
        (model(field(15, b"")), "sparse initializers, which a bundle must not have"),
        (model(more=field(8, field(2, 18))), "domain '' twice or without a version"),
        (model(more=field(8, field(1, "x"))), "domain 'x' twice or without a version"),
        (model(field(5, GOOD) * 2), "initializer 't' has no name of its own"),
        (model(field(5, tensor(RAW, name=""))), "initializer '' has no name of its own"),
        (model(field(11, value("x")) * 2), "input 'x' has no name of its own"),
        (model(field(12, value(""))), "output '' has no name of its own"),
        (model(field(11, field(1, "x"))), "'x' is not declared as a tensor"),
        (model(field(11, field(1, "x") + field(2, b""))), "'x' is not declared as a tensor"),
        *(
            (model(field(place, field(2, both + field(kind, b"")))), "not declared as a tensor")
            for kind in (4, 5, 7, 8, 9)
            for place in (11, 12, 13)
            for both in (b"", field(1, field(1, FLOAT)))
        ),
        (model(field(11, value("x", field(1, 2) + field(2, "b")))), "both a size and a name"),
        (model(field(1, node()) * 4097), "4,097 nodes; at most 4,096 are read"),
        (model(field(2, "x") * 300_000), "more than 262,144 fields in the file"),
    ],
)
def test_a_model_is_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(BundleError, match=complaint) as caught:
        read_graph(data)
    assert str(caught.value).startswith("model: ")


def test_a_model_that_is_too_large_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(textgate.bundle.checks.reader, "MAX_GRAPH_BYTES", len(GOLDEN) - 1)
    with pytest.raises(BundleError, match="model: 1,280 bytes; at most 1,279 are read"):
        read_graph(GOLDEN)


# Any bytes


def flip(generator: random.Random, data: bytearray) -> None:
    for _ in range(generator.randint(1, 3)):
        data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)


def overwrite(generator: random.Random, data: bytearray) -> None:
    data[generator.randrange(len(data))] = generator.choice([0, 1, 0x7F, 0x80, 0xFF])


def truncate(generator: random.Random, data: bytearray) -> None:
    del data[generator.randrange(len(data)) :]


def cut(generator: random.Random, data: bytearray) -> None:
    start = generator.randrange(len(data))
    del data[start : start + generator.randint(1, 40)]


def splice(generator: random.Random, data: bytearray) -> None:
    start, to = generator.randrange(len(data)), generator.randrange(len(data))
    data[to:to] = data[start : start + generator.randint(1, 40)]


MUTATIONS: list[Callable[[random.Random, bytearray], None]]
MUTATIONS = [flip, overwrite, truncate, cut, splice]


def test_a_mutated_graph_is_read_or_refused() -> None:
    generator = random.Random(0)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(5000):
        data = bytearray(GOLDEN)
        generator.choice(MUTATIONS)(generator, data)
        try:
            read_graph(bytes(data))
            outcomes["read"] += 1
        except BundleError as problem:
            assert "\n" not in str(problem)  # noqa: PT017
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 500


def test_weights_are_not_looped_over() -> None:
    data = model(field(5, tensor(field(9, bytes(2**25)), dims=(2**23,))))
    started = time.process_time()
    read_graph(data)
    assert time.process_time() - started < 0.1
