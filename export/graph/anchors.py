"""Range anchors, which make an integer LSTM independent of the batch.

An int8 LSTM is ONNX Runtime's DynamicQuantizeLSTM. That operator chooses one scale for the whole
input tensor of a call and one for all hidden states of a step, so a text's result would depend on
the other texts of the batch, on padding and on chunking. **Range anchors** keep both ranges fixed:
two input columns that are always +M and -M (M bounds the input) and two hidden units that are
always +1 and -1 (the bounds of every LSTM state), all with zero weights to the other units. The
units keep their values because their input gate is closed, their forget and output gates are open,
and their cells start at +30 and -30, where tanh is exactly 1 in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from textgate.export.quantize.weights import CellWeights
from textgate.native.expected import ANCHORS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from textgate.export.graph.nodes import GraphBuilder

_SATURATING_BIAS = 30.0
_LSTM_GATES = 4  # in ONNX's order: input, output, forget, cell


@dataclass(frozen=True)
class Wiring:
    """Positions of the meaningful columns of a value; the other columns are anchors or padding.

    Attributes:
        width: number of columns of the value.
        columns: indices of the meaningful columns, int64.
        holds_anchors: whether two columns always hold the value's bounds.
    """

    width: int
    columns: NDArray[np.int64]
    holds_anchors: bool = False

    @classmethod
    def plain(cls, width: int) -> Wiring:
        """Return the wiring of a value without anchors."""
        return cls(width, np.arange(width))

    @classmethod
    def anchored(cls, size: int, groups: int = 1) -> Wiring:
        """Return the wiring of `groups` times `size` columns, each group followed by anchors."""
        starts = np.arange(groups)[:, None] * (size + ANCHORS)
        columns = (starts + np.arange(size)).reshape(-1)
        return cls(groups * (size + ANCHORS), columns, holds_anchors=True)

    def spread(self, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return weights [outputs, meaningful columns] as [outputs, width], zero at anchors."""
        result = np.zeros((weights.shape[0], self.width), dtype=np.float32)
        result[:, self.columns] = weights
        return result


@dataclass(frozen=True)
class Source:
    """Input of a recurrent layer.

    Attributes:
        value: its name; float32 [tokens, batch, wiring.width].
        wiring: positions of its meaningful columns.
        bound: its largest possible absolute value.
    """

    value: str
    wiring: Wiring
    bound: float


def with_anchor_columns(builder: GraphBuilder, name: str, source: Source) -> Source:
    """Return the source with two further columns that always hold its bounds."""
    bounds = np.array([[[source.bound, -source.bound]]], dtype=np.float32)
    shape = builder.node(
        "Concat",
        ["step_shape", builder.integers("anchors", ANCHORS)],
        f"{name}.bounds_shape",
        axis=0,
    )
    columns = builder.node(
        "Expand", [builder.constant(f"{name}.bounds", bounds), shape], f"{name}.bounds_columns"
    )
    value = builder.node("Concat", [source.value, columns], f"{name}.source", axis=2)
    wiring = Wiring(source.wiring.width + ANCHORS, source.wiring.columns, holds_anchors=True)
    return Source(value, wiring, source.bound)


def anchor_states(state: str) -> tuple[float, float]:
    """Return the values of both anchor units in a state, ``h`` or ``c``."""
    held = 1.0 if state == "h" else _SATURATING_BIAS
    return held, -held


def with_anchor_units(cell: CellWeights) -> CellWeights:
    """Return an LSTM cell with two further units that always keep their state."""
    hidden = cell.hidden_size
    size = hidden + ANCHORS
    inputs = np.zeros((_LSTM_GATES, size, cell.inputs.shape[1]), dtype=np.float32)
    inputs[:, :hidden] = cell.inputs.reshape(_LSTM_GATES, hidden, -1)
    recurrent = np.zeros((_LSTM_GATES, size, size), dtype=np.float32)
    recurrent[:, :hidden, :hidden] = cell.recurrent.reshape(_LSTM_GATES, hidden, hidden)
    input_bias = np.zeros((_LSTM_GATES, size), dtype=np.float32)
    input_bias[:, :hidden] = cell.input_bias.reshape(_LSTM_GATES, hidden)
    input_bias[:, hidden:] = np.array(
        [[-_SATURATING_BIAS], [_SATURATING_BIAS], [_SATURATING_BIAS], [0.0]]
    )
    recurrent_bias = np.zeros((_LSTM_GATES, size), dtype=np.float32)
    recurrent_bias[:, :hidden] = cell.recurrent_bias.reshape(_LSTM_GATES, hidden)
    rows = _LSTM_GATES * size
    return CellWeights(
        inputs.reshape(rows, -1),
        recurrent.reshape(rows, size),
        input_bias.reshape(rows),
        recurrent_bias.reshape(rows),
    )
