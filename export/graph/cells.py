"""Recurrent layers as ONNX operators, in float32 and in integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from textgate.export.graph.anchors import (
    Source,
    Wiring,
    anchor_states,
    with_anchor_columns,
    with_anchor_units,
)
from textgate.export.graph.nodes import MICROSOFT, GraphBuilder
from textgate.export.quantize.plan import Storage
from textgate.export.quantize.quantization import MAX_COMPUTED_WEIGHT, Quantized, quantize
from textgate.export.quantize.rounding import round_together
from textgate.export.quantize.weights import CellWeights
from textgate.native.expected import ANCHORS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from textgate.bundle.architecture import Cell
    from textgate.export.quantize.hessian import CellHessian


@dataclass(frozen=True)
class LayerValues:
    """Names of the results of a recurrent layer.

    Attributes:
        states: float32 [tokens, batch, width].
        last: float32 [batch, width].
        wiring: positions of the meaningful columns of both.
        next_states: the operator's last states, float32 [directions, batch, hidden]: h, and c for
            an LSTM.
    """

    states: str
    last: str
    wiring: Wiring
    next_states: tuple[str, ...]


def recurrent_layer(
    builder: GraphBuilder,
    name: str,
    cell: Cell,
    cells: tuple[CellWeights, ...],
    *,
    source: Source,
    storage: Storage,
    per_channel: bool,
    carried: bool,
    hessians: tuple[CellHessian, ...] | None = None,
) -> LayerValues:
    """Add one recurrent layer.

    Needs the values ``lengths_int32`` [batch], ``batch_shape`` [1, batch, 1] and ``step_shape``
    [tokens, batch] in the graph.

    Args:
        builder: the graph.
        name: the layer's name, for instance ``lstm_1``.
        cell: ``rnn``, ``lstm`` or ``gru``.
        cells: the weights: forward, then backward if the layer is bidirectional.
        source: input of the layer.
        storage: storage of its weights; COMPUTED is for LSTMs.
        per_channel: one scale per row of the weights instead of one per matrix.
        carried: whether callers can pass the layer's initial states.
        hessians: Hessians of each cell's inputs, for rounding integer weights with GPTQ.
    """
    directions = len(cells)
    hidden = cells[0].hidden_size
    anchored = storage is Storage.COMPUTED
    if anchored and not source.wiring.holds_anchors:
        source = with_anchor_columns(builder, name, source)
    spread = [_rewired(item, source.wiring) for item in cells]
    if anchored:
        spread = [with_anchor_units(item) for item in spread]
    outputs = [f"{name}.Y", f"{name}.Y_h", *([f"{name}.Y_c"] if cell == "lstm" else [])]
    initial = _initial_states(
        builder, name, cell, directions, hidden, anchored=anchored, carried=carried
    )
    attributes: dict[str, Any] = {
        "hidden_size": hidden + (ANCHORS if anchored else 0),
        "direction": "bidirectional" if directions == 2 else "forward",
    }
    bias = builder.constant(
        f"{name}.B",
        np.stack([np.concatenate([item.input_bias, item.recurrent_bias]) for item in spread]),
    )
    if anchored:
        inputs, scales = _integer_weights(
            builder,
            name,
            spread,
            per_channel=per_channel,
            hessians=_by_matrix(hessians, source.wiring, hidden) if hessians else None,
        )
        operands = [source.value, *inputs, bias, "lengths_int32", *initial, "", *scales]
        builder.node("DynamicQuantizeLSTM", operands, outputs, domain=MICROSOFT, **attributes)
    else:
        weights = _weights(
            builder, name, spread, stored=storage is Storage.STORED, per_channel=per_channel
        )
        if cell == "gru":
            attributes["linear_before_reset"] = 1
        operands = [source.value, *weights, bias, "lengths_int32", *initial]
        builder.node(cell.upper(), operands, outputs, **attributes)
    result = Wiring.anchored(hidden, directions) if anchored else Wiring.plain(directions * hidden)
    states, last = _joined_directions(builder, name, directions)
    return LayerValues(states, last, result, tuple(outputs[1:]))


def _rewired(cell: CellWeights, wiring: Wiring) -> CellWeights:
    return CellWeights(
        wiring.spread(cell.inputs), cell.recurrent, cell.input_bias, cell.recurrent_bias
    )


def _initial_states(
    builder: GraphBuilder,
    name: str,
    cell: Cell,
    directions: int,
    hidden: int,
    *,
    anchored: bool,
    carried: bool,
) -> list[str]:
    """Return the names of the initial states, expanded to the batch."""
    if not anchored and not carried:
        return ["", ""] if cell == "lstm" else [""]
    values = []
    for state in ("h", "c")[: 2 if cell == "lstm" else 1]:
        value = np.zeros((directions, 1, hidden + (ANCHORS if anchored else 0)), dtype=np.float32)
        if anchored:
            value[:, :, -ANCHORS:] = anchor_states(state)
        constant = builder.constant(f"state.{name}.{state}", value)
        if carried:
            builder.input(constant, [directions, "state_batch", value.shape[2]])
        values.append(builder.node("Expand", [constant, "batch_shape"], f"{name}.initial_{state}"))
    return values


def _weights(
    builder: GraphBuilder, name: str, cells: list[CellWeights], *, stored: bool, per_channel: bool
) -> list[str]:
    """Return the names of W and R as float32 values."""
    names = []
    for key, matrices in _matrices(cells):
        if stored:
            quantized = quantize(matrices, axes=(2,) if per_channel else (1, 2))
            names.append(stored_value(builder, f"{name}.{key}", quantized))
        else:
            names.append(builder.constant(f"{name}.{key}", matrices))
    return names


def _matrices(cells: list[CellWeights]) -> list[tuple[str, NDArray[np.float32]]]:
    """Return W and R, float32 [directions, gates * hidden, columns]."""
    return [
        ("W", np.stack([cell.inputs for cell in cells])),
        ("R", np.stack([cell.recurrent for cell in cells])),
    ]


def _by_matrix(
    hessians: tuple[CellHessian, ...], wiring: Wiring, hidden: int
) -> dict[str, list[NDArray[np.float64]]]:
    """Return the Hessians of W's and R's columns for each direction, zero at anchors."""
    inputs, recurrent = [], []
    for hessian in hessians:
        wide = np.zeros((wiring.width, wiring.width))
        wide[np.ix_(wiring.columns, wiring.columns)] = hessian.inputs
        inputs.append(wide)
        wide = np.zeros((hidden + ANCHORS, hidden + ANCHORS))
        wide[:hidden, :hidden] = hessian.recurrent
        recurrent.append(wide)
    return {"W": inputs, "R": recurrent}


def _integer_weights(
    builder: GraphBuilder,
    name: str,
    cells: list[CellWeights],
    *,
    per_channel: bool,
    hessians: dict[str, list[NDArray[np.float64]]] | None,
) -> tuple[list[str], list[str]]:
    """Return the names of W and R in the layout of DynamicQuantizeLSTM, and of their scales.

    W and R are transposed compared with LSTM, [directions, columns, gates * hidden]; the scales are
    [directions] or [directions, gates * hidden].
    """
    weights, scales = [], []
    for key, matrices in _matrices(cells):
        if hessians is None:
            axes = (2,) if per_channel else (1, 2)
            quantized = quantize(matrices, axes=axes, limit=MAX_COMPUTED_WEIGHT)
        else:
            parts = [
                round_together(matrix, hessian, per_channel=per_channel, limit=MAX_COMPUTED_WEIGHT)
                for matrix, hessian in zip(matrices, hessians[key], strict=True)
            ]
            quantized = Quantized(
                np.stack([part.values for part in parts]), np.stack([part.scale for part in parts])
            )
        weights.append(builder.constant(f"{name}.{key}", quantized.values.transpose(0, 2, 1)))
        scale = quantized.scale[:, :, 0] if per_channel else quantized.scale[:, 0, 0]
        zero = np.zeros(scale.shape, dtype=np.int8)
        scales.append(builder.constant(f"{name}.{key}.scale", scale))
        scales.append(builder.constant(f"{name}.{key}.zero_point", zero))
    return weights, scales


def stored_value(builder: GraphBuilder, name: str, quantized: Quantized) -> str:
    """Add a tensor stored as int8 and return its name as a float32 value.

    ONNX Runtime folds Cast and Mul of constants when it loads a graph. It does not fold
    DequantizeLinear, which would run in every call.
    """
    values = builder.constant(f"{name}.int8", quantized.values)
    scale = builder.constant(f"{name}.scale", quantized.scale)
    wide = builder.node("Cast", [values], f"{name}.wide", to=1)
    return builder.node("Mul", [wide, scale], name)


def _joined_directions(builder: GraphBuilder, name: str, directions: int) -> tuple[str, str]:
    """Return all states [tokens, batch, width] and the last ones [batch, width]."""
    if directions == 1:
        states = builder.node(
            "Squeeze", [f"{name}.Y", builder.integers("axis_1", 1)], f"{name}.states"
        )
        last = builder.node(
            "Squeeze", [f"{name}.Y_h", builder.integers("axis_0", 0)], f"{name}.last"
        )
        return states, last
    states = builder.node("Transpose", [f"{name}.Y"], f"{name}.by_row", perm=[0, 2, 1, 3])
    states = builder.node(
        "Reshape", [states, builder.integers("join_3d", 0, 0, -1)], f"{name}.states"
    )
    last = builder.node("Transpose", [f"{name}.Y_h"], f"{name}.last_by_row", perm=[1, 0, 2])
    last = builder.node("Reshape", [last, builder.integers("join_2d", 0, -1)], f"{name}.last")
    return states, last
