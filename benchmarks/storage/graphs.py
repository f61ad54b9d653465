"""The graphs that `compare.py` compares: the exporter's own, and what else could be written."""

from __future__ import annotations

import dataclasses
import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from textgate.export.graph import FLOAT32, INT8, Plan, Storage, build_graph
from textgate.export.nodes import MICROSOFT
from textgate.export.quantization import COMPUTED_LIMIT, STORED_LIMIT, quantize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from textgate.architecture import Architecture
    from textgate.export.weights import NetworkWeights

GRAINS = {"per tensor": False, "per channel": True}


def ways_to_store(
    architecture: Architecture, weights: NetworkWeights, *, temperature: float
) -> dict[str, bytes]:
    """Return the graphs by what they are; the first is plain float32.

    All others but those of `quantize_dynamic` have the exporter's int8 embedding, so that the line
    "float32, int8 embedding" tells its part.

    Args:
        architecture: a network with recurrent layers in one direction.
        weights: its weights.
        temperature: divides its logits.
    """

    def built(plan: Plan) -> bytes:
        return build_graph(architecture, weights, plan, temperature=temperature).model

    float32 = built(FLOAT32)
    rows_only = built(dataclasses.replace(FLOAT32, embedding_bits=8))
    graphs = {"float32": float32, "float32, int8 embedding": rows_only}
    for grain, per_channel in GRAINS.items():
        plan = dataclasses.replace(INT8, cells=Storage.STORED, per_channel=per_channel)
        stored = built(plan)
        graphs[f"Cast and Mul, {grain}"] = stored
        graphs[f"DequantizeLinear, {grain}"] = with_dequantize_linear(stored)
    if architecture.cell == "lstm":
        for grain, per_channel in GRAINS.items():
            anchored = dataclasses.replace(INT8, per_channel=per_channel)
            graphs[f"integer, anchored, 7 bits, {grain}"] = built(anchored)
        for grain, per_channel in GRAINS.items():
            for bits, limit in ((7, COMPUTED_LIMIT), (8, STORED_LIMIT)):
                graphs[f"integer, not anchored, {bits} bits, {grain}"] = with_integer_lstm(
                    rows_only, per_channel=per_channel, limit=limit
                )
    for grain, per_channel in GRAINS.items():
        graphs[f"quantize_dynamic, {grain}"] = by_quantize_dynamic(float32, per_channel=per_channel)
    return graphs


def with_dequantize_linear(graph: bytes) -> bytes:
    """Return the graph with DequantizeLinear where it widens stored weights by Cast and Mul."""
    model = onnx.load_model_from_string(graph)
    tensors = _tensors(model)
    casts = {
        node.output[0]: node
        for node in model.graph.node
        if node.op_type == "Cast" and node.input[0] in tensors
    }
    for node in list(model.graph.node):
        cast = casts.get(node.input[0]) if node.op_type == "Mul" else None
        if cast is None:
            continue
        scale = tensors[node.input[1]]
        per_channel = scale.size > 1
        _replace_tensor(model, node.input[1], scale.reshape(-1) if per_channel else scale.squeeze())
        new = helper.make_node(
            "DequantizeLinear", [cast.input[0], node.input[1]], node.output, axis=1
        )
        node.CopyFrom(new)
        model.graph.node.remove(cast)
    return bytes(model.SerializeToString())


def with_integer_lstm(graph: bytes, *, per_channel: bool, limit: int) -> bytes:
    """Return the graph with the integer operator for its float32 LSTMs, ranges left to it.

    Args:
        graph: a graph with LSTMs in one direction.
        per_channel: a scale for every row of the weights, instead of one for a matrix.
        limit: the largest weight.
    """
    model = onnx.load_model_from_string(graph)
    tensors = _tensors(model)
    for node in model.graph.node:
        if node.op_type != "LSTM":
            continue
        scales = []
        for name in node.input[1:3]:
            axes = (2,) if per_channel else (1, 2)
            quantized = quantize(tensors[name], axes=axes, limit=limit)
            _replace_tensor(model, name, quantized.values.transpose(0, 2, 1))
            scale = quantized.scale[:, :, 0] if per_channel else quantized.scale[:, 0, 0]
            for suffix, value in (("scale", scale), ("zero", np.zeros(scale.shape, np.int8))):
                scales.append(f"{name}.{suffix}")
                tensor = numpy_helper.from_array(np.ascontiguousarray(value), scales[-1])
                model.graph.initializer.append(tensor)
        missing = [""] * (8 - len(node.input))
        node.input.extend([*missing, *scales])
        node.op_type, node.domain = "DynamicQuantizeLSTM", MICROSOFT
    model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
    return bytes(model.SerializeToString())


def by_quantize_dynamic(graph: bytes, *, per_channel: bool) -> bytes:
    """Return what ONNX Runtime's own dynamic quantization makes of the float32 graph."""
    # After textgate.export, which imports ONNX Runtime without its telemetry.
    from onnxruntime.quantization import quantize_dynamic

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it advises a step for convolutions
    try:
        with tempfile.TemporaryDirectory() as scratch:
            source, target = Path(scratch) / "float32.onnx", Path(scratch) / "int8.onnx"
            source.write_bytes(graph)
            quantize_dynamic(source, target, per_channel=per_channel)
            return target.read_bytes()
    finally:
        root.setLevel(level)


def _tensors(model: Any) -> dict[str, NDArray[Any]]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def _replace_tensor(model: Any, name: str, value: NDArray[Any]) -> None:
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value), name))
