"""The whole network as an ONNX graph, node by node, from trained weights.

Inputs ``input_ids`` int64 [batch, sequence] and ``lengths`` int64 [batch]; outputs ``logits`` and
``probabilities`` float32 [batch, labels]. A one-directional network also has states for streaming:
constants listed as inputs, which callers may leave out, and outputs that replace them in the next
call.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from textgate.bundle.manifest import StateTensor
from textgate.export.graph.anchors import Source, Wiring
from textgate.export.graph.carry import Carry
from textgate.export.graph.cells import LayerValues, recurrent_layer, stored_value
from textgate.export.graph.linear import add_linear_branch
from textgate.export.graph.nodes import GraphBuilder
from textgate.export.graph.pooling import Pool
from textgate.export.quantize.equalization import BOUND, equalized
from textgate.export.quantize.plan import Storage
from textgate.export.quantize.quantization import MAX_STORED_WEIGHT, pack_nibbles, quantize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from textgate.bundle.architecture import Architecture
    from textgate.export.quantize.hessian import Hessians
    from textgate.export.quantize.plan import Plan
    from textgate.export.quantize.weights import NetworkWeights


_MAX_NIBBLE = 7


@dataclass(frozen=True)
class NetworkGraph:
    """A network as an ONNX model, with its streaming states.

    Attributes:
        model: the ONNX bytes.
        states: the states, in order; () if the network cannot stream.
    """

    model: bytes
    states: tuple[StateTensor, ...] = field(default=())


def build_graph(
    architecture: Architecture,
    weights: NetworkWeights,
    plan: Plan,
    *,
    temperature: float = 1.0,
    hessians: Hessians | None = None,
) -> NetworkGraph:
    """Return the graph of a network.

    Args:
        architecture: the logical network.
        weights: its weights.
        plan: storage and computation of the weights.
        temperature: divides the logits before they become probabilities.
        hessians: Hessians of the cells' inputs, for rounding an integer LSTM's weights with GPTQ;
            None rounds each weight independently.
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
    anchored = plan.storage(0, net.cell) is Storage.COMPUTED
    if plan.embedding_bits != 32 or anchored:
        weights, hessians = equalized(weights, hessians)
        source = _equalized_embedding(builder, weights, plan.embedding_bits, anchored=anchored)
    else:
        source = _embedding(builder, weights, plan.embedding_bits)
    layer: LayerValues | None = None
    for index, cells in enumerate(weights.layers):
        name = f"{net.cell}_{index + 1}"
        layer = recurrent_layer(
            builder,
            name,
            net.cell,
            cells,
            source=source,
            storage=plan.storage(index, net.cell),
            per_channel=plan.per_channel,
            carried=carried,
            hessians=hessians[index] if hessians is not None else None,
        )
        source = Source(layer.states, layer.wiring, bound=1.0)  # outputs are a tanh's
        if carried:
            states.extend(_carried_states(builder, name, layer))
    if layer is None:
        raise ValueError("a network has at least one recurrent layer")
    pool = Pool(builder, layer, Carry(builder, states, carried, "pool"))
    pooled = [pool.add(name, weights.attention) for name in net.pooling]
    vector = pooled[0] if len(pooled) == 1 else builder.node("Concat", pooled, "pooled", axis=1)
    linear = None
    if weights.linear is not None:
        stored = plan.embedding_bits != 32
        linear = add_linear_branch(
            builder, weights.linear, stored=stored, carried=carried, states=states
        )
    _head(builder, net, weights, vector, wiring=layer.wiring, output=plan.output, linear=linear)
    _probabilities(builder, net, temperature)
    return NetworkGraph(builder.model("textgate"), tuple(states))


def _shared_values(builder: GraphBuilder) -> None:
    """Add values that several parts use: lengths in other types, shapes, the mask of tokens."""
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


def _embedding(builder: GraphBuilder, weights: NetworkWeights, bits: int) -> Source:
    """Add the embedding.

    Integer rows are gathered before they are scaled, so that no call scales the whole table.
    """
    table = weights.embedding
    size = table.shape[1]
    bound = float(np.abs(table).max())  # rounding does not exceed it
    if bits == 32:
        name = builder.constant("embedding.table", table)
        value = builder.node("Gather", [name, "ids_by_step"], "embedded")
        return Source(value, Wiring.plain(size), bound)
    quantized = quantize(table, axes=(1,), limit=MAX_STORED_WEIGHT if bits == 8 else _MAX_NIBBLE)
    scale = builder.constant("embedding.scale", quantized.scale)
    scales = builder.node("Gather", [scale, "ids_by_step"], "embedding.scales")
    if bits == 8:
        rows, wiring = _whole_rows(builder, quantized.values), Wiring.plain(size)
    else:
        packed = pack_nibbles(quantized.values)
        rows = _unpacked_rows(builder, builder.constant("embedding.table", packed))
        wiring = Wiring(2 * packed.shape[1], np.arange(size))
    return Source(builder.node("Mul", [rows, scales], "embedded"), wiring, bound)


def _equalized_embedding(
    builder: GraphBuilder, weights: NetworkWeights, bits: int, *, anchored: bool
) -> Source:
    """Add an embedding whose columns all reach +-127; 8-bit rows then need no scale.

    With `anchored`, two further columns of the table hold the bounds of int8 in every row.
    """
    if bits != 8:
        return dataclasses.replace(_embedding(builder, weights, bits), bound=BOUND)
    table = np.rint(weights.embedding).astype(np.int8)
    wiring = Wiring.plain(table.shape[1])
    if anchored:
        wiring = Wiring.anchored(table.shape[1])
        bounds = np.tile(np.array([127, -128], dtype=np.int8), (len(table), 1))
        table = np.concatenate([table, bounds], axis=1)
    return Source(_whole_rows(builder, table), wiring, BOUND)


def _whole_rows(builder: GraphBuilder, table: NDArray[np.int8]) -> str:
    """Return the gathered rows of a table of int8 as float32."""
    name = builder.constant("embedding.table", table)
    rows = builder.node("Gather", [name, "ids_by_step"], "embedding.rows")
    return builder.node("Cast", [rows], "embedding.wide", to=TensorProto.FLOAT)


def _unpacked_rows(builder: GraphBuilder, table: str) -> str:
    """Return the gathered rows of a table of nibbles as float32 from -8 to 7.

    The first half of the columns is in the low nibbles, the second half in the high nibbles.
    """
    rows = builder.node("Gather", [table, "ids_by_step"], "embedding.packed")
    mask = builder.constant("embedding.mask", np.array(15, dtype=np.uint8))
    shift = builder.constant("embedding.shift", np.array(4, dtype=np.uint8))
    low = builder.node("BitwiseAnd", [rows, mask], "embedding.low")
    high = builder.node("BitShift", [rows, shift], "embedding.high", direction="RIGHT")
    both = builder.node("Concat", [low, high], "embedding.nibbles", axis=2)
    wide = builder.node("Cast", [both], "embedding.unsigned", to=TensorProto.FLOAT)
    offset = builder.constant("embedding.offset", np.float32(8.0))
    return builder.node("Sub", [wide, offset], "embedding.wide")


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
    output: Storage,
    linear: str | None,
) -> None:
    """Add the dense layers; the last one and the linear branch sum to the logits."""
    logits = "logits" if linear is None else "output.logits"
    pooled_columns = np.concatenate(
        [wiring.columns + wiring.width * index for index in range(len(architecture.pooling))]
    )
    inputs = Wiring(wiring.width * len(architecture.pooling), pooled_columns)
    for index, dense in enumerate(weights.dense):
        last = index + 1 == len(weights.dense)
        name = "output" if last else f"dense_{index + 1}"
        kernel = dense.weight if index else inputs.spread(dense.weight)
        if last and output is Storage.STORED:
            weight = stored_value(builder, f"{name}.weight", quantize(kernel, axes=(1,)))
        else:
            weight = builder.constant(f"{name}.weight", kernel)
        operands = [vector, weight, builder.constant(f"{name}.bias", dense.bias)]
        vector = builder.node("Gemm", operands, logits if last else f"{name}.linear", transB=1)
        if not last:
            vector = builder.node("Relu", [vector], f"{name}.relu")
    if linear is not None:
        builder.node("Add", [vector, linear], "logits")


def _probabilities(builder: GraphBuilder, architecture: Architecture, temperature: float) -> None:
    """Add the calibrated probabilities."""
    scale = builder.constant("inverse_temperature", np.float32(1.0 / temperature))
    scaled = builder.node("Mul", ["logits", scale], "calibrated")
    if architecture.output == "multi-label":
        builder.node("Sigmoid", [scaled], "probabilities")
    else:
        builder.node("Softmax", [scaled], "probabilities", axis=1)
