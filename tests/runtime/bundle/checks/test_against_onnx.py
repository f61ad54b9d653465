"""The graph reader against the onnx package: the same models, read and refused."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textgate.bundle.checks.graph import Graph, Node, TensorInfo, ValueInfo
from textgate.bundle.checks.reader import read_graph
from textgate.errors import BundleError

onnx = pytest.importorskip("onnx", reason="the onnx package comes with the extra [train]")
DecodeError = pytest.importorskip("google.protobuf.message").DecodeError

GOLDEN = (Path(__file__).parents[2] / "golden" / "bundle" / "model.onnx").read_bytes()


def as_read_by_onnx(loaded: Any) -> Graph:
    def info(item: Any) -> ValueInfo:
        kind = item.type.tensor_type
        dims = tuple(
            size.dim_value if size.HasField("dim_value") else size.dim_param or None
            for size in kind.shape.dim
        )
        return ValueInfo(item.name, kind.elem_type, dims)

    def value(item: Any) -> Any:
        kind = onnx.AttributeProto.AttributeType.Name(item.type)
        if kind == "INTS":
            return tuple(item.ints)
        name = {"INT": "i", "STRING": "s"}.get(kind)
        if name is None:
            return None
        found = getattr(item, name) if item.HasField(name) else None
        return (found or b"").decode() if name == "s" else found

    def constant(item: Any) -> TensorInfo:
        array = onnx.numpy_helper.to_array(item)
        few = item.HasField("raw_data") and array.dtype.kind in "iu" and array.size <= 16
        values = tuple(array.ravel().tolist()) if few else None
        return TensorInfo(item.name, tuple(item.dims), item.data_type, array.nbytes, values)

    return Graph(
        ir_version=loaded.ir_version,
        opsets={opset.domain: opset.version for opset in loaded.opset_import},
        nodes=tuple(
            Node(
                item.op_type,
                item.domain,
                item.name,
                tuple(item.input),
                tuple(item.output),
                {attribute.name: value(attribute) for attribute in item.attribute},
            )
            for item in loaded.graph.node
        ),
        initializers=tuple(map(constant, loaded.graph.initializer)),
        inputs=tuple(map(info, loaded.graph.input)),
        outputs=tuple(map(info, loaded.graph.output)),
    )


def test_the_golden_graph_is_what_onnx_reads() -> None:
    loaded = onnx.load_model_from_string(GOLDEN)
    onnx.checker.check_model(loaded, full_check=True)
    assert read_graph(GOLDEN) == as_read_by_onnx(loaded)


def test_what_is_read_of_a_changed_graph_is_what_onnx_reads() -> None:
    generator = random.Random(0)
    compared = 0
    for _ in range(2000):
        data = bytearray(GOLDEN)
        data[generator.randrange(len(data))] = generator.randrange(256)
        try:
            graph = read_graph(bytes(data))
            loaded = onnx.load_model_from_string(bytes(data))
        except (BundleError, DecodeError):
            continue
        assert graph == as_read_by_onnx(loaded)
        compared += 1
    assert compared > 500


TYPED = {"float32": "FLOAT", "float16": "FLOAT16", "float64": "DOUBLE", "int8": "INT8"}
TYPED |= {"uint8": "UINT8", "int32": "INT32", "int64": "INT64", "bool": "BOOL"}


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("kind", sorted(TYPED))
def test_tensors_as_onnx_writes_them(kind: str, raw: bool) -> None:
    array = np.array([[0, 1, 2], [3, 100, 1]], dtype=kind)
    written = onnx.helper.make_tensor(
        "t",
        getattr(onnx.TensorProto, TYPED[kind]),
        array.shape,
        array.tobytes() if raw else array.ravel().tolist(),
        raw=raw,
    )
    graph = onnx.helper.make_graph([], "g", [], [], initializer=[written])
    found = read_graph(onnx.helper.make_model(graph).SerializeToString()).initializers
    values = (0, 1, 2, 3, 100, 1) if raw and array.dtype.kind in "iu" else None
    assert found == (TensorInfo("t", (2, 3), written.data_type, array.nbytes, values),)


def external(loaded: Any) -> None:
    onnx.external_data_helper.set_external_data(loaded.graph.initializer[0], "/etc/passwd")


def branch(loaded: Any) -> None:
    body = onnx.helper.make_graph([], "body", [], [])
    loaded.graph.node.append(
        onnx.helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=body)
    )


def hidden_branch(loaded: Any) -> None:
    body = onnx.helper.make_graph([], "body", [], [])
    loaded.graph.node[0].attribute.append(onnx.helper.make_attribute("body", body))


def function(loaded: Any) -> None:
    opsets = [onnx.helper.make_opsetid("", 18)]
    loaded.functions.append(onnx.helper.make_function("d", "f", ["x"], ["y"], [], opsets))


def unknown(loaded: Any) -> None:
    loaded.graph.node.append(onnx.helper.make_node("Loop", ["x"], ["y"]))


def custom(loaded: Any) -> None:
    loaded.graph.node.append(onnx.helper.make_node("Relu", ["x"], ["y"], domain="my.own"))


def sparse(loaded: Any) -> None:
    loaded.graph.sparse_initializer.add()


def resized(loaded: Any) -> None:
    loaded.graph.initializer[0].dims[0] += 1


def repeated(loaded: Any) -> None:
    loaded.graph.initializer.append(loaded.graph.initializer[0])


def strings(loaded: Any) -> None:
    loaded.graph.initializer.append(
        onnx.helper.make_tensor("s", onnx.TensorProto.STRING, [1], [b"x"])
    )


def four_bits(loaded: Any) -> None:
    loaded.graph.initializer.append(
        onnx.helper.make_tensor("s", onnx.TensorProto.INT4, [2], [1, 2])
    )


def sequence(loaded: Any) -> None:
    loaded.graph.input.append(
        onnx.helper.make_tensor_sequence_value_info("s", onnx.TensorProto.FLOAT, None)
    )


def training(loaded: Any) -> None:
    loaded.training_info.add()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (external, "external data"),
        (branch, "subgraph"),
        (hidden_branch, "subgraph"),
        (function, "local functions"),
        (unknown, "operator 'Loop'"),
        (custom, "operator 'my.own.Relu'"),
        (sparse, "sparse initializers"),
        (resized, r"shape \[5, 2\] needs 40 bytes of data, found 32"),
        (repeated, "initializer 'embedding.table' has no name of its own"),
        (strings, "strings"),
        (four_bits, "element type 22"),
        (sequence, "not declared as a tensor"),
        (training, "training information"),
    ],
)
def test_what_onnx_can_write_and_a_bundle_must_not_hold(
    change: Callable[[Any], None], complaint: str
) -> None:
    loaded = onnx.load_model_from_string(GOLDEN)
    change(loaded)
    with pytest.raises(BundleError, match=complaint):
        read_graph(loaded.SerializeToString())
