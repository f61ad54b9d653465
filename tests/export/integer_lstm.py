"""Reference of an int8 LSTM in exact integers, for comparison with kernels.

The rules are those of ONNX Runtime's DynamicQuantizeLSTM (uni_directional_lstm.cc, ComputeGemm in
rnn_helpers.cc, qmath.h): the input tensor of a call is rounded to uint8 as a whole, the hidden
states of all rows anew at every step, both with the smallest range that holds their values and 0;
their products with the int8 weights are summed in int32; scales, biases, gates and states are
float32. Forward direction only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from textgate.inference.session import make_session

OPERATOR = "DynamicQuantizeLSTM"

Product = Callable[[NDArray[np.uint8], NDArray[np.int8]], NDArray[np.int32]]
Activation = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True)
class Activations:
    """The two functions of an LSTM, float32 to float32, element by element."""

    sigmoid: Activation
    tanh: Activation


@dataclass(frozen=True)
class Rounded:
    """Values as uint8: ``(integers - zero_point) * scale`` are the values, rounded."""

    integers: NDArray[np.uint8]
    scale: np.float32
    zero_point: int


def exact_product(activations: NDArray[np.uint8], weights: NDArray[np.int8]) -> NDArray[np.int32]:
    """Return activations [rows, k] times weights [k, columns], summed in 32 bits."""
    result: NDArray[np.int32] = activations.astype(np.int32) @ weights.astype(np.int32)
    return result


def saturating_product(
    activations: NDArray[np.uint8], weights: NDArray[np.int8]
) -> NDArray[np.int32]:
    """Return the product that CPUs with AVX2 or AVX-512 but without VNNI compute.

    Their instruction vpmaddubsw adds two adjacent products in 16 bits with saturation; vpmaddwd and
    vpaddd then add in 32 bits.
    """
    left, right = activations.astype(np.int32), weights.astype(np.int32)
    if left.shape[1] % 2:
        left, right = np.pad(left, ((0, 0), (0, 1))), np.pad(right, ((0, 1), (0, 0)))
    limits = np.iinfo(np.int16)
    rows = [
        np.clip(
            row[0::2, None] * right[0::2] + row[1::2, None] * right[1::2], limits.min, limits.max
        ).sum(axis=0, dtype=np.int32)
        for row in left
    ]
    return np.stack(rows)


def rounded(values: NDArray[np.float32]) -> Rounded:
    """Return float32 values as uint8, with a scale and a zero point for all of them."""
    low = np.minimum(values.min(), np.float32(0))
    high = np.maximum(values.max(), np.float32(0))
    scale = (high - low) / np.float32(255) if high > low else np.float32(1)
    zero_point = np.rint(np.clip(-low / scale, 0, 255))
    integers = np.clip(np.rint(values / scale) + zero_point, 0, 255).astype(np.uint8)
    return Rounded(integers, scale, int(zero_point))


def exact_activations() -> Activations:
    """Return the functions computed in float64 and rounded to float32 once."""

    def sigmoid(values: NDArray[np.float32]) -> NDArray[np.float32]:
        result: NDArray[np.float64] = 1 / (1 + np.exp(-values.astype(np.float64)))
        return result.astype(np.float32)

    return Activations(
        sigmoid, lambda values: np.tanh(values.astype(np.float64)).astype(np.float32)
    )


def library_activations() -> Activations:
    """Return the functions as ONNX Runtime approximates them, by its operators Sigmoid and Tanh."""
    return Activations(_library_function("Sigmoid"), _library_function("Tanh"))


def reference(
    model: bytes, *, product: Product = exact_product, activations: Activations
) -> ReferenceEvaluator:
    """Return a whole model in numpy, its integer LSTMs by the rules above.

    Args:
        model: an ONNX model.
        product: how activations [rows, k] and weights [k, columns] are multiplied.
        activations: the functions of the LSTMs.
    """

    class DynamicQuantizeLSTM(OpRun):
        op_domain = "com.microsoft"

        def _run(self, *operands: Any, direction: str, **_attributes: Any) -> tuple[Any, ...]:
            if direction != "forward":
                raise NotImplementedError(direction)
            return _lstm(operands, product=product, activations=activations)

    return ReferenceEvaluator(onnx.load_model_from_string(model), new_ops=[DynamicQuantizeLSTM])


def with_states(model: bytes) -> bytes:
    """Return the model with the states of every integer LSTM as outputs named ``<layer>.Y``."""
    loaded = onnx.load_model_from_string(model)
    return with_outputs(model, [node.output[0] for node in _integer_lstms(loaded)])


def with_outputs(model: bytes, names: Iterable[str]) -> bytes:
    """Return the model with further float32 values as outputs."""
    changed = onnx.load_model_from_string(model)
    for name in names:
        value = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        changed.graph.output.append(value)
    return bytes(changed.SerializeToString())


def first_operands(model: bytes) -> tuple[str, NDArray[np.int8]]:
    """Return the first integer LSTM's input name and its W [columns, gates]."""
    loaded = onnx.load_model_from_string(model)
    node = _integer_lstms(loaded)[0]
    tensors = {tensor.name: tensor for tensor in loaded.graph.initializer}
    return node.input[0], numpy_helper.to_array(tensors[node.input[1]])[0]


def operator_graph(
    operator: str,
    inputs: Mapping[str, int],
    outputs: Mapping[str, int],
    constants: Mapping[str, NDArray[Any]] | None = None,
) -> bytes:
    """Return a model of one operator; inputs and outputs by name, with their ONNX types."""
    constants = constants or {}
    graph = helper.make_graph(
        [helper.make_node(operator, [*inputs, *constants], [*outputs])],
        operator,
        [helper.make_tensor_value_info(name, kind, None) for name, kind in inputs.items()],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()],
        initializer=[numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return bytes(model.SerializeToString())


def product_graph(weights: NDArray[np.int8]) -> bytes:
    """Return a graph that multiplies by constant weights in int32, like the LSTM."""
    return operator_graph(
        "MatMulInteger", {"x": TensorProto.UINT8}, {"y": TensorProto.INT32}, {"weights": weights}
    )


def _lstm(
    operands: tuple[Any, ...], *, product: Product, activations: Activations
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return all states [tokens, 1, batch, hidden] and the last ones [1, batch, hidden]."""
    inputs, weights, recurrent, bias, lengths, hidden, cell = operands[:7]
    weight_scale, _, recurrent_scale, _ = operands[8:]  # zero points are 0, there are no peepholes
    tokens, batch, columns = inputs.shape
    size = hidden.shape[2]
    sums = _scaled_product(
        inputs.reshape(-1, columns), weights[0], weight_scale[0], product
    ).reshape(tokens, batch, -1)
    offset = bias[0, : 4 * size] + bias[0, 4 * size :]
    state, memory = hidden[0].copy(), cell[0].copy()
    states = np.zeros((tokens, 1, batch, size), dtype=np.float32)
    last, last_memory = np.zeros_like(hidden), np.zeros_like(cell)
    for step in range(tokens):
        gates = sums[step] + _scaled_product(state, recurrent[0], recurrent_scale[0], product)
        enter, out, keep, fresh = np.split(gates + offset, 4, axis=1)
        kept = memory * activations.sigmoid(keep)
        memory = kept + activations.sigmoid(enter) * activations.tanh(fresh)
        inside = (step < lengths)[:, None]
        state = np.where(inside, activations.tanh(memory) * activations.sigmoid(out), np.float32(0))
        states[step, 0] = state
        ends = step + 1 == lengths
        last[0, ends], last_memory[0, ends] = state[ends], memory[ends]
    return states, last, last_memory


def _scaled_product(
    values: NDArray[np.float32],
    weights: NDArray[np.int8],
    scale: NDArray[np.float32],
    product: Product,
) -> NDArray[np.float32]:
    """Return values [rows, k], rounded, times weights [k, columns] as float32."""
    left = rounded(values)
    sums = product(left.integers, weights) - left.zero_point * weights.sum(axis=0, dtype=np.int32)
    result: NDArray[np.float32] = sums.astype(np.float32) * (left.scale * scale)
    return result


def _integer_lstms(model: Any) -> list[Any]:
    return [node for node in model.graph.node if node.op_type == OPERATOR]


def _library_function(operator: str) -> Activation:
    graph = operator_graph(operator, {"x": TensorProto.FLOAT}, {"y": TensorProto.FLOAT})
    session = make_session(graph)

    def call(values: NDArray[np.float32]) -> NDArray[np.float32]:
        result: NDArray[np.float32] = session.run(None, {"x": values})[0]
        return result

    return call
