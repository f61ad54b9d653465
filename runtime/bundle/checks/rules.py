"""Rules for graphs: the operators that textgate exports, and an interface as in the manifest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from textgate.bundle.checks.arithmetic import check_arithmetic
from textgate.bundle.manifest import Manifest, StateTensor
from textgate.errors import BundleError
from textgate.messages import quoted

if TYPE_CHECKING:
    from textgate.bundle.checks.graph import Graph, ValueInfo

EMBEDDING_TABLE = "embedding.table"
PROBABILITIES = "probabilities"

_ONNX_OPERATORS = """
Add And BitShift BitwiseAnd Cast Clip Concat ConstantOfShape CumSum DequantizeLinear Div Equal Exp
Expand GRU Gather Gemm Identity LSTM Less LessOrEqual MatMul Max Min Mod Mul Neg Not Or Pow RNN
Range ReduceMax ReduceSum Relu Reshape ReverseSequence Shape Sigmoid Slice Softmax Split Sqrt
Squeeze Sub Tanh Transpose Unsqueeze Where
"""
OPERATORS = {
    "": frozenset(_ONNX_OPERATORS.split()),
    "com.microsoft": frozenset({"DynamicQuantizeLSTM"}),
}

_WITH_OMISSIONS = frozenset({"DynamicQuantizeLSTM", "GRU", "LSTM", "RNN"})

_FLOAT, _INT64 = 1, 7
_TYPE_NAMES = {_FLOAT: "float32", _INT64: "int64"}


def check_graph(graph: Graph, manifest: Manifest) -> None:
    """Refuse a graph whose interface is not the one in its manifest.

    Raises:
        BundleError: versions, inputs, outputs, states or the embedding's rows differ.
    """
    labels = manifest.architecture.label_count
    inputs = [_Expected("input_ids", _INT64, (-1, -1)), _Expected("lengths", _INT64, (-1,))]
    outputs = [_Expected(name, _FLOAT, (-1, labels)) for name in ("logits", PROBABILITIES)]
    for state in manifest.state:
        # A stream is one text, so that a graph may have a fixed batch of 1.
        inputs.append(_Expected(state.input, _FLOAT, state.shape, fixed_batch=True))
        outputs.append(_Expected(state.output, _FLOAT, state.shape, fixed_batch=True))
    _check_versions(graph, manifest)
    _check_values("input", graph.inputs, inputs)
    _check_values("output", graph.outputs, outputs)
    _check_defaults(graph, manifest.state)
    _check_embedding(graph, manifest.architecture.vocabulary_size)
    _check_omissions(graph)
    check_arithmetic(graph)
    _check_last_operator(graph, "Sigmoid" if manifest.task == "multi-label" else "Softmax")


class _Expected(NamedTuple):
    name: str
    elem_type: int
    shape: tuple[int, ...]  # -1 for a free dimension
    fixed_batch: bool = False  # whether a free dimension may be 1


def _check_versions(graph: Graph, manifest: Manifest) -> None:
    if graph.ir_version != manifest.ir_version:
        raise BundleError(
            f"IR version {graph.ir_version}, but the manifest says {manifest.ir_version}"
        )
    if graph.opsets.get("") != manifest.opset:
        raise BundleError(
            f"operator set {graph.opsets.get('')}, but the manifest says {manifest.opset}"
        )
    unknown = sorted(set(graph.opsets) - set(OPERATORS))
    missing = sorted({node.domain for node in graph.nodes} - set(graph.opsets))
    if unknown:
        raise BundleError(f"operator set {quoted(unknown[0])} is not one that textgate exports")
    if missing:
        raise BundleError(f"operator set {quoted(missing[0])} is used but not listed")


def _check_values(kind: str, found: tuple[ValueInfo, ...], expected: Sequence[_Expected]) -> None:
    names = [value.name for value in found]
    wanted = [value.name for value in expected]
    if names != wanted:
        raise BundleError(f"{kind}s {quoted(names)}, expected {quoted(wanted)}")
    for value, promise in zip(found, expected, strict=True):
        if value.elem_type != promise.elem_type or not _fits(value.dims, promise):
            type_found = _TYPE_NAMES.get(value.elem_type, f"type {value.elem_type}")
            shape = [None if size == -1 else size for size in promise.shape]
            raise BundleError(
                f"{kind} {value.name!r} is {type_found} {quoted(list(value.dims))}, expected"
                f" {_TYPE_NAMES[promise.elem_type]} {shape}"
            )


def _fits(dims: tuple[int | str | None, ...], promise: _Expected) -> bool:
    return len(dims) == len(promise.shape) and all(
        not isinstance(size, int) or (promise.fixed_batch and size == 1)
        if wanted == -1
        else size == wanted
        for size, wanted in zip(dims, promise.shape, strict=True)
    )


def _check_defaults(graph: Graph, states: tuple[StateTensor, ...]) -> None:
    """Check that the states have initial values, and other inputs have none."""
    tensors = {tensor.name: tensor for tensor in graph.initializers}
    for value in graph.inputs[:2]:
        if value.name in tensors:
            raise BundleError(f"input {value.name!r} is also a constant")
    for state in states:
        tensor = tensors.get(state.input)
        shape = tuple(1 if size == -1 else size for size in state.shape)
        if tensor is None or tensor.data_type != _FLOAT or tensor.dims != shape:
            raise BundleError(
                f"state {state.input!r} needs a constant float32 {list(shape)} to start from"
            )


def _check_embedding(graph: Graph, rows: int) -> None:
    """Check that the tables of token ids have a row for every id."""
    gathers = [node.inputs for node in graph.nodes if node.op_type == "Gather"]
    ids = {inputs[1] for inputs in gathers if inputs[:1] == (EMBEDDING_TABLE,) and inputs[1:]}
    if not ids:
        raise BundleError(f"no Gather from {EMBEDDING_TABLE!r}, the embedding's table")
    tensors = {tensor.name: tensor for tensor in graph.initializers}
    for inputs in gathers:
        if ids.isdisjoint(inputs[1:]):
            continue
        tensor = tensors.get(inputs[0])
        if tensor is None or tensor.dims[:1] != (rows,):
            found = "none" if tensor is None else f"shape {list(tensor.dims)}"
            raise BundleError(
                f"{inputs[0]!r}, looked up by token ids, should be a constant of {rows} rows"
                f" (the vocabulary's size), found {found}"
            )


def _check_last_operator(graph: Graph, expected: str) -> None:
    """Check which operator computes the probabilities."""
    makers = [node.op_type for node in graph.nodes if PROBABILITIES in node.outputs]
    if makers != [expected]:
        found = quoted(makers[0]) if len(makers) == 1 else f"{len(makers)} operators"
        raise BundleError(f"{PROBABILITIES!r} comes from {found}, expected {expected}")


def _check_omissions(graph: Graph) -> None:
    """Refuse omitted inputs and outputs where kernels do not check: `Max` would read a null."""
    for node in graph.nodes:
        if "" in (*node.inputs, *node.outputs) and node.op_type not in _WITH_OMISSIONS:
            raise BundleError(
                f"node {quoted(node.name)} ({node.op_type}) leaves an input or output out"
            )
