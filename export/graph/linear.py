"""The linear branch as ONNX operators, in a form that continues from an earlier chunk.

A text's rows of both tables are summed before they are scaled. In an int8 graph they are whole
numbers, whose sums are exact and therefore depend neither on the batch nor on the chunks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto

from textgate.export.graph.carry import Carry
from textgate.export.quantize.quantization import quantize
from textgate.train.text.bigrams import FINGERPRINTS, FIRST, SECOND

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from textgate.bundle.manifest import StateTensor
    from textgate.export.graph.nodes import GraphBuilder
    from textgate.export.quantize.weights import LinearWeights


def add_linear_branch(
    builder: GraphBuilder,
    weights: LinearWeights,
    *,
    stored: bool,
    carried: bool,
    states: list[StateTensor],
) -> str:
    """Add the branch and return its logits, float32 [batch, labels].

    Needs the values ``ids_by_step`` [tokens, batch], ``inside_2d`` [tokens, batch],
    ``step_column`` [tokens, 1], ``batch_size`` [1] and ``one`` in the graph.

    Args:
        builder: the graph.
        weights: the branch's tables and projection.
        stored: whether the tables are stored as int8, with one scale per column.
        carried: whether callers can pass earlier results.
        states: the states of a stream; the branch's states are appended.
    """
    carry = Carry(builder, states, carried, "linear")
    size = weights.tokens.shape[1]
    zero = builder.constant("zero", np.float32(0.0))
    rows, projections, squares = [], [], []
    for name, table, importance, (indices, found) in (
        (
            "tokens",
            weights.tokens,
            weights.token_weights,
            _token_rows(builder, len(weights.tokens)),
        ),
        (
            "pairs",  # bigrams, as stored graphs call them
            weights.bigrams,
            weights.bigram_weights,
            _bigram_rows(builder, carry, weights.fingerprints),
        ),
    ):
        values, scale = _stored(table) if stored else (table, np.ones((1, size), np.float32))
        kept = builder.node("And", [found, "inside_2d"], f"linear.{name}.kept")
        column = builder.node("Unsqueeze", [kept, builder.integers("axis_2", 2)], f"{kept}_column")
        looked_up = _gathered(builder, f"linear.{name}", values, indices)
        rows.append(builder.node("Where", [column, looked_up, zero], f"linear.{name}.visible"))
        projections.append(scale.T * weights.projection.T)
        weight = _gathered(builder, f"linear.{name}_weights", importance, indices)
        weight = builder.node("Where", [kept, weight, zero], f"linear.{name}_weights.visible")
        squares.append(builder.node("Mul", [weight, weight], f"linear.{name}_weights.squares"))
    axis = builder.integers("axis_0", 0)
    visible = builder.node("Concat", rows, "linear.rows", axis=2)
    chunk = builder.node("ReduceSum", [visible, axis], "linear.chunk", keepdims=0)
    total = builder.node("Add", [chunk, carry.before("sum", 2 * size)], "linear.sum")
    both = builder.node("Add", squares, "linear.squares")
    added = builder.node("ReduceSum", [both, axis], "linear.squares_of_chunk", keepdims=0)
    added = builder.node("Unsqueeze", [added, builder.integers("one", 1)], "linear.squares_column")
    length = builder.node("Add", [added, carry.before("squares", 1)], "linear.square_length")
    carry.after("sum", total)
    carry.after("squares", length)
    projection = builder.constant("linear.projection", np.concatenate(projections))
    linear = builder.node("MatMul", [total, projection], "linear.projected")
    least = builder.constant("linear.least", np.float32(1.0))  # a text may hold no known token
    root = builder.node(
        "Sqrt", [builder.node("Max", [length, least], "linear.some")], "linear.root"
    )
    return builder.node("Div", [linear, root], "linear.logits")


def _gathered(builder: GraphBuilder, name: str, table: NDArray[Any], indices: str) -> str:
    """Return rows of a table as float32."""
    rows = builder.node("Gather", [builder.constant(name, table), indices], f"{name}.rows")
    if table.dtype == np.float32:
        return rows
    return builder.node("Cast", [rows], f"{name}.wide", to=TensorProto.FLOAT)


def _stored(table: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    quantized = quantize(table, axes=(0,))
    return quantized.values, quantized.scale


def _token_rows(builder: GraphBuilder, count: int) -> tuple[str, str]:
    """Return each token's row, int64 [tokens, batch], and whether it has one, bool."""
    node = builder.node
    limit = builder.constant("linear.token_count", np.int64(count))
    last = builder.constant("linear.last_row_of_tokens", np.int64(count - 1))
    found = node("Less", ["ids_by_step", limit], "linear.tokens.found")
    return node("Min", ["ids_by_step", last], "linear.tokens.places"), found


def _bigram_rows(
    builder: GraphBuilder, carry: Carry, fingerprints: NDArray[np.uint8]
) -> tuple[str, str]:
    """Return the bucket of each token and its predecessor, and whether the bigram owns it."""
    node = builder.node
    one = builder.integers("one", 1)
    before = node("Cast", [carry.before("previous", 1)], "linear.previous", to=TensorProto.INT64)
    shape = node("Concat", ["batch_size", one], "linear.batch_shape", axis=0)
    before = node("Expand", [before, shape], "linear.previous_column")
    before = node("Transpose", [before], "linear.previous_row", perm=[1, 0])
    start, end = builder.integers("slice_start", 0), builder.integers("slice_end", -1)
    axis = builder.integers("axis_0", 0)
    others = node("Slice", ["ids_by_step", start, end, axis], "linear.others")
    shifted = node("Concat", [before, others], "linear.before", axis=0)
    first = node("Mul", [shifted, builder.constant("linear.first", np.int64(FIRST))], "linear.a")
    second = node(
        "Mul", ["ids_by_step", builder.constant("linear.second", np.int64(SECOND))], "linear.b"
    )
    mixed = node("Add", [first, second], "linear.mixed")
    carry.after("previous", _last_tokens(builder))
    buckets = builder.constant("linear.bucket_count", np.int64(len(fingerprints)))
    indices = node("Mod", [mixed, buckets], "linear.pairs.places")
    kinds = builder.constant("linear.fingerprint_count", np.int64(FINGERPRINTS))
    wanted = node("Mod", [mixed, kinds], "linear.pairs.fingerprints")
    table = builder.constant("linear.fingerprints", fingerprints)
    stored = node("Gather", [table, indices], "linear.pairs.owners")
    wide = node("Cast", [stored], "linear.pairs.owners_wide", to=TensorProto.INT64)
    return indices, node("Equal", [wide, wanted], "linear.pairs.found")


def _last_tokens(builder: GraphBuilder) -> str:
    """Return each text's last token id, float32 [batch, 1]."""
    node = builder.node
    one = builder.integers("one", 1)
    last_step = node("Sub", ["lengths", one], "linear.last_step")
    is_last = node("Equal", ["step_column", last_step], "linear.is_last")
    zero = builder.constant("zero_id", np.int64(0))
    ids = node("Where", [is_last, "ids_by_step", zero], "linear.last_only")
    axis = builder.integers("axis_0", 0)
    last = node("ReduceSum", [ids, axis], "linear.last_row", keepdims=0)
    column = node("Unsqueeze", [last, one], "linear.last_column")
    return node("Cast", [column], "linear.last", to=TensorProto.FLOAT)
