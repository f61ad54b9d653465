"""The whole network as an ONNX graph, node by node, from trained weights.

Inputs ``input_ids`` int64 [batch, sequence] and ``lengths`` int64 [batch]; outputs ``logits`` and
``probabilities`` float32 [batch, labels]. A one-directional network also has what a stream carries:
constants that are listed as inputs, so that whoever does not know them need not give them, and the
outputs to give for them the next time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from textgate.export.cells import (
    ANCHORS,
    CellPlan,
    LayerValues,
    Wiring,
    recurrent_layer,
)
from textgate.export.nodes import GraphBuilder
from textgate.export.pooling import Pool
from textgate.export.quantization import quantize
from textgate.manifest import StateTensor

if TYPE_CHECKING:
    from textgate.architecture import Architecture
    from textgate.export.weights import NetworkWeights


@dataclass(frozen=True)
class Plan:
    """How a graph stores and computes its weights.

    Attributes:
        integer_embedding: int8 rows with a scale each.
        integer_cells: int8 recurrent layers; an LSTM computes in them, the others store them.
        per_channel: a scale for every row of a recurrent matrix, instead of one for the matrix.
    """

    integer_embedding: bool
    integer_cells: bool
    per_channel: bool = True


FLOAT32 = Plan(integer_embedding=False, integer_cells=False)
INT8 = Plan(integer_embedding=True, integer_cells=True)


@dataclass(frozen=True)
class Graph:
    """An ONNX model and what a stream carries through it.

    Attributes:
        model: the ONNX bytes.
        states: the states, in order; () if the network cannot stream.
    """

    model: bytes
    states: tuple[StateTensor, ...] = field(default=())


def build_graph(
    architecture: Architecture, weights: NetworkWeights, plan: Plan, *, temperature: float = 1.0
) -> Graph:
    """Return the graph of a network.

    Args:
        architecture: the logical network.
        weights: its weights.
        plan: how to store and compute them.
        temperature: divides the logits before they become probabilities.
    """
    net = architecture
    builder = GraphBuilder()
    builder.input("input_ids", ["batch", "sequence"], TensorProto.INT64)
    builder.input("lengths", ["batch"], TensorProto.INT64)
    builder.output("logits", ["batch", net.label_count])
    builder.output("probabilities", ["batch", net.label_count])
    carried = not net.bidirectional
    states: list[StateTensor] = []
    _shared_values(builder)
    source, wiring = _embedding(builder, weights, plan, anchored=net.cell == "lstm")
    layer: LayerValues | None = None
    cell_plan = CellPlan(integers=plan.integer_cells, per_channel=plan.per_channel, carried=carried)
    for index, cells in enumerate(weights.layers):
        name = f"{net.cell}_{index + 1}"
        layer = recurrent_layer(
            builder, name, net.cell, cells, source=source, wiring=wiring, plan=cell_plan
        )
        source, wiring = layer.states, layer.wiring
        if carried:
            states.extend(_carried_states(builder, name, layer))
    if layer is None:
        raise ValueError("a network has at least one recurrent layer")
    pool = Pool(builder, layer, carried=carried, states=states)
    pooled = [pool.add(name, weights.attention) for name in net.pooling]
    vector = pooled[0] if len(pooled) == 1 else builder.node("Concat", pooled, "pooled", axis=1)
    _head(builder, net, weights, vector, wiring=layer.wiring, temperature=temperature)
    return Graph(builder.model("textgate"), tuple(states))


def _shared_values(builder: GraphBuilder) -> None:
    """Add what several parts need: lengths in other types, shapes, the mask of real tokens."""
    node = builder.node
    node("Transpose", ["input_ids"], "ids_by_step", perm=[1, 0])
    node("Cast", ["lengths"], "lengths_int32", to=TensorProto.INT32)
    node("Shape", ["ids_by_step"], "step_shape")
    one = builder.integers("one", 1)
    node("Shape", ["lengths"], "batch_size")
    node("Concat", [one, "batch_size", one], "batch_shape", axis=0)
    node("Unsqueeze", ["lengths", one], "lengths_column")
    node("Cast", ["lengths_column"], "lengths_float", to=TensorProto.FLOAT)
    node("Gather", ["step_shape", builder.constant("first", np.array(0, np.int64))], "steps")
    start = builder.constant("range_start", np.array(0, np.int64))
    step = builder.constant("range_step", np.array(1, np.int64))
    node("Range", [start, "steps", step], "step_numbers")
    node("Unsqueeze", ["step_numbers", one], "step_column")
    node("Less", ["step_column", "lengths"], "inside_2d")
    node("Unsqueeze", ["inside_2d", builder.integers("axis_2", 2)], "inside")


def _embedding(
    builder: GraphBuilder, weights: NetworkWeights, plan: Plan, *, anchored: bool
) -> tuple[str, Wiring]:
    """Add the embedding and return its value, float32 [tokens, batch, width]."""
    size = weights.embedding.shape[1]
    largest = float(np.abs(weights.embedding).max())
    if plan.integer_embedding:
        # Gathered first and scaled after: the other way round, the whole table would be scaled at
        # every call.
        quantized = quantize(weights.embedding, axes=(1,))
        table = builder.constant("embedding.table", quantized.values)
        scale = builder.constant("embedding.scale", quantized.scale)
        rows = builder.node("Gather", [table, "ids_by_step"], "embedding.rows")
        wide = builder.node("Cast", [rows], "embedding.wide", to=TensorProto.FLOAT)
        scales = builder.node("Gather", [scale, "ids_by_step"], "embedding.scales")
        value = builder.node("Mul", [wide, scales], "embedded")
        largest = float(np.abs(quantized.restored()).max())
    else:
        table = builder.constant("embedding.table", weights.embedding)
        value = builder.node("Gather", [table, "ids_by_step"], "embedded")
    if not (anchored and plan.integer_cells):
        return value, Wiring.plain(size)
    bounds = np.array([[[largest, -largest]]], dtype=np.float32)
    columns = builder.node(
        "Concat", ["step_shape", builder.integers("anchors", ANCHORS)], "anchor_shape", axis=0
    )
    anchors = builder.node(
        "Expand", [builder.constant("embedding.bounds", bounds), columns], "anchor_columns"
    )
    value = builder.node("Concat", [value, anchors], "embedded_anchored", axis=2)
    return value, Wiring.anchored(size)


def _carried_states(builder: GraphBuilder, name: str, layer: LayerValues) -> list[StateTensor]:
    states = []
    for state, value in zip(("h", "c"), layer.next_states, strict=False):
        output = builder.node("Identity", [value], f"next.{name}.{state}")
        builder.output(output, [1, "batch", layer.wiring.width])
        states.append(StateTensor(f"state.{name}.{state}", output, (1, -1, layer.wiring.width)))
    return states


def _head(
    builder: GraphBuilder,
    architecture: Architecture,
    weights: NetworkWeights,
    vector: str,
    *,
    wiring: Wiring,
    temperature: float,
) -> None:
    """Add the dense layers, the logits and the probabilities."""
    pooled_columns = np.concatenate(
        [wiring.columns + wiring.width * place for place in range(len(architecture.pooling))]
    )
    inputs = Wiring(wiring.width * len(architecture.pooling), pooled_columns)
    for index, dense in enumerate(weights.dense):
        last = index + 1 == len(weights.dense)
        name = "output" if last else f"dense_{index + 1}"
        kernel = dense.weight if index else inputs.spread(dense.weight)
        operands = [
            vector,
            builder.constant(f"{name}.weight", kernel),
            builder.constant(f"{name}.bias", dense.bias),
        ]
        vector = builder.node("Gemm", operands, "logits" if last else f"{name}.linear", transB=1)
        if not last:
            vector = builder.node("Relu", [vector], f"{name}.relu")
    scale = builder.constant("inverse_temperature", np.float32(1.0 / temperature))
    scaled = builder.node("Mul", ["logits", scale], "calibrated")
    if architecture.output == "multi-label":
        builder.node("Sigmoid", [scaled], "probabilities")
    else:
        builder.node("Softmax", [scaled], "probabilities", axis=1)
