"""A checked bundle as the bytes that the engine opens; see ``textgate_engine.h`` for their form.

Weights are only moved and compared, by the methods of bytes and arrays: importing numpy would take
longer than everything else that loads a bundle.
"""

from __future__ import annotations

import struct
from array import array
from typing import TYPE_CHECKING

from textgate.bundle.architecture import CELLS, GATES, POOLINGS
from textgate.native.expected import (
    ANCHORS,
    COMPUTED,
    FLOAT32,
    STORED,
    BundleStorage,
    ExpectedGraph,
    expected_graph,
    operator_of,
)
from textgate.native.library import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TypeAlias, TypeVar

    from textgate.bundle.checks.graph import Graph, TensorInfo
    from textgate.bundle.manifest import Manifest

    Tensor: TypeAlias = memoryview | bytes | bytearray | array[float]
    _T = TypeVar("_T", memoryview, array[float])

MAGIC, ALIGNMENT = 0x31454754, 64
_LAYERS, _WORDS_BEFORE_UNITS = 4, 24  # indices into the header
_OPSET = 18
_FLOAT, _UINT8, _INT8 = 1, 2, 3  # ONNX's numbers of types
_CODES = {
    _FLOAT: "f",
    _UINT8: "B",
    _INT8: "b",
    6: "i",
    7: "q",
}  # ONNX's number -> struct's code
_EMBEDDING_BITS = {_FLOAT: 32, _INT8: 8, _UINT8: 4}
_EMBEDDINGS = {32: 0, 8: 1, 4: 2}
_UNUSED_WEIGHT = b"\x80"  # -128, which export does not write
_LSTM_WEIGHTS = bytes(range(65)) + bytes(range(192, 256))  # from -64 to 64
_SATURATING_BIASES = (-30.0, 30.0, 30.0, 0.0)  # the biases of the units that hold an LSTM's range
_MAX_NIBBLE = 8
_NIBBLE_SIZES = bytes(max(abs((byte & 15) - 8), abs((byte >> 4) - 8)) for byte in range(256))


# An entry of a manifest's ``training``, which export writes: whether the engine's integers were
# compared with float32 on real rows and kept its decisions.
INTEGERS, VERIFIED = "native_integers", "verified"


class UnknownPartError(Exception):
    """The engine does not know a part of the bundle; the message names it."""


def model_bytes(graph: Graph, manifest: Manifest) -> bytes:
    """Return the engine's form of a bundle's graph.

    Args:
        graph: the graph, as `textgate.bundle.checks.reader.read_graph` returns it.
        manifest: the bundle's manifest.

    Raises:
        UnknownPartError: the graph is not one that this release of textgate would export.
    """
    return _Converter(graph, manifest).convert()


def integer_layers(content: bytes) -> list[bool]:
    """Return of each recurrent layer whether the engine computes it in integers."""
    (layers,) = struct.unpack_from("<i", content, 4 * _LAYERS)
    return list(struct.unpack_from(f"<{layers}i", content, 4 * (_WORDS_BEFORE_UNITS + layers)))


class _Converter:
    """Takes constants by name and shape, and checks those whose values are known."""

    def __init__(self, graph: Graph, manifest: Manifest) -> None:
        self._tensors = {tensor.name: tensor for tensor in graph.initializers}
        self._net = manifest.architecture
        self._verified = manifest.training.get(INTEGERS) == VERIFIED
        self._storage = self._found_storage()
        self._check(graph, manifest)

    def convert(self) -> bytes:
        net, storage = self._net, self._storage
        tensors = [*self._embedding()]
        for index in range(len(net.hidden_sizes)):
            for direction in range(net.directions):
                tensors.extend(self._cell(index, direction))
        if "attention" in net.pooling:
            weight = self._floats("attention.weight", self._state_width(), 1)
            tensors.append(self._without_anchors(weight))
        tensors.extend(self._dense())
        tensors.extend(self._linear())
        poolings = [POOLINGS.index(name) for name in net.pooling]
        words = [
            *(MAGIC, VERSION, 0, CELLS.index(net.cell), len(net.hidden_sizes), net.directions),
            *(net.vocabulary_size, net.embedding_size, _EMBEDDINGS[storage.embedding_bits]),
            *(len(poolings), *(poolings + [0] * 4)[:4]),
            *(len(net.dense_sizes) + 1, int(storage.output == STORED)),
            int(net.output == "multi-label"),
            *_as_words(self._floats("inverse_temperature", 1)),
            *(net.linear_size, net.linear_tokens, net.linear_buckets),
            int(storage.integer_linear),
            *_as_words(self._bounds()),
            *net.hidden_sizes,
            *(int(self._is_integer(index)) for index in range(len(net.hidden_sizes))),
            *(*net.dense_sizes, net.label_count),
        ]
        words[2] = len(words)
        parts: list[Tensor] = [struct.pack(f"<{len(words)}i", *words)]
        for tensor in tensors:
            padding = -memoryview(parts[-1]).nbytes % ALIGNMENT
            parts.extend((bytes(padding), tensor))
        return b"".join(parts)

    def _found_storage(self) -> BundleStorage:
        """Return how the constants' types say that the weights are stored."""
        net = self._net
        table = self._tensors.get("embedding.table")
        bits = None if table is None else _EMBEDDING_BITS.get(table.data_type)
        if table is None or table.data is None or bits is None or len(table.dims) != 2:
            raise UnknownPartError("an embedding without a table of a known type")
        layers = []
        for index in range(len(net.hidden_sizes)):
            name = f"{net.cell}_{index + 1}"
            if f"{name}.W.int8" in self._tensors:
                layers.append(STORED)
            else:
                layers.append(COMPUTED if self._is_int8(f"{name}.W") else FLOAT32)
        return BundleStorage(
            embedding_bits=bits,
            anchored_table=bits == 8 and table.dims[1] == net.embedding_size + ANCHORS,
            layers=tuple(layers),
            output=STORED if "output.weight.int8" in self._tensors else FLOAT32,
            integer_linear=self._is_int8("linear.tokens"),
        )

    def _is_int8(self, name: str) -> bool:
        tensor = self._tensors.get(name)
        return tensor is not None and tensor.data_type == _INT8

    def _check(self, graph: Graph, manifest: Manifest) -> None:
        """Refuse a graph that is anything but what textgate exports for its manifest."""
        expected = expected_graph(self._net, self._storage)
        if manifest.opset != _OPSET:
            raise UnknownPartError(f"operator set {manifest.opset}")
        given: list[str] = []
        for node in graph.nodes:
            outputs = [name for name in node.outputs if name]
            if operator_of(node) not in expected.nodes:
                raise UnknownPartError(f"what computes {next(iter(outputs), '')!r}")
            given.extend(outputs)
        if len(set(given)) != len(given) or not self._tensors.keys().isdisjoint(given):
            raise UnknownPartError("a value that is computed twice")
        for name, tensor in sorted(self._tensors.items()):
            if name in expected.constants:
                if not _holds(tensor, expected.constants[name]):
                    raise UnknownPartError(f"constant {name!r}")
            elif name not in expected.weights:
                raise UnknownPartError(f"constant {name!r}")
        self._check_states(expected, manifest)

    def _check_states(self, expected: ExpectedGraph, manifest: Manifest) -> None:
        carried = not self._net.bidirectional
        found = [(item.input, item.output, item.shape) for item in manifest.state]
        if found != [item[:3] for item in expected.states if carried]:
            raise UnknownPartError("the states of a stream")
        for name, _, shape, start, held in expected.states:
            if name not in self._tensors:
                continue  # nothing reads it
            sizes = [1 if size == -1 else size for size in shape]
            value = self._floats(name, *sizes)
            row = array("f", [start]) * sizes[-1]
            if held not in (0.0, start):
                row[-ANCHORS:] = array("f", (held, -held))
            if value != row * (len(value) // len(row)):
                raise UnknownPartError(f"where {name!r} begins")

    def _take(self, name: str, kind: int, *shape: int) -> memoryview:
        """Return the bytes of a constant that must have this type and shape."""
        tensor = self._tensors.get(name)
        if (
            tensor is None
            or tensor.data is None
            or tensor.data_type != kind
            or tensor.dims != shape
        ):
            raise UnknownPartError(f"constant {name!r} of another type or shape")
        return tensor.data

    def _floats(self, name: str, *shape: int) -> array[float]:
        """Return a copy of the numbers of a constant of float32 that must have this shape."""
        return array("f", self._take(name, _FLOAT, *shape).tobytes())

    def _dims(self, name: str) -> tuple[int, ...]:
        tensor = self._tensors.get(name)
        return () if tensor is None else tensor.dims

    def _is_integer(self, layer: int) -> bool:
        """Return whether the engine computes a layer in integers.

        An LSTM layer that is only stored as int8 was given more precision on purpose. A GRU or RNN
        layer has no integer operator in ONNX, so that stored is all it can be: it is computed in
        integers where export found that this keeps the decisions.
        """
        storage = self._storage
        if self._net.cell == "lstm" or storage.layers[layer] != STORED:
            return storage.layers[layer] == COMPUTED
        return self._verified and (layer > 0 or storage.embedding_bits != 32)

    def _embedding(self) -> list[Tensor]:
        net, storage = self._net, self._storage
        rows, columns = net.vocabulary_size, net.embedding_size
        if storage.embedding_bits == 32:
            table = self._take("embedding.table", _FLOAT, rows, columns)
            if self._is_integer(0):
                self._check_bounds([max(map(abs, table.cast("f")))])
            return [table]
        if storage.embedding_bits == 4:
            width = (columns + 1) // 2
            table = self._take("embedding.table", _UINT8, rows, width)
            scale = self._take("embedding.scale", _FLOAT, rows, 1)
            if self._is_integer(0) and net.cell == "lstm":
                self._check_nibbles(table, scale, width)
            return [table, scale]
        width = columns + (ANCHORS if storage.anchored_table else 0)
        whole = self._take("embedding.table", _INT8, rows, width)
        table8 = bytearray(whole)
        if storage.anchored_table:
            for byte in (b"\x80", b"\x7f"):  # of the last column, and of the one before it
                width -= 1
                if table8[width :: width + 1] != byte * rows:
                    raise UnknownPartError("the anchors of the embedding")
                del table8[width :: width + 1]
        if _UNUSED_WEIGHT in table8:
            raise UnknownPartError("an embedding that uses -128")
        return [table8]

    def _check_nibbles(self, table: memoryview, scales: memoryview, width: int) -> None:
        """Refuse nibbles that, multiplied with the scale of their row, are out of bounds.

        Few rows have a scale with which the largest nibble would be: only these are read.
        """
        numbers, small = scales.cast("f").tolist(), self._limit() / _MAX_NIBBLE
        rows = [row for row, scale in enumerate(numbers) if not -small <= scale <= small]
        largest = [
            max(bytes(table[row * width : (row + 1) * width]).translate(_NIBBLE_SIZES))
            for row in rows
        ]
        self._check_bounds(
            array("f", [size * abs(numbers[row]) for size, row in zip(largest, rows, strict=True)])
        )

    def _check_bounds(self, sizes: Iterable[float]) -> None:
        """Refuse absolute values that are out of the bounds of the first layer, NaN included."""
        limit = self._limit()
        if not all(size <= limit for size in sizes):
            raise UnknownPartError("an embedding beyond the bounds of the first layer")

    def _limit(self) -> float:
        low, high = self._bounds()
        return min(-low, high)

    def _bounds(self) -> array[float]:
        """Return the least and the largest that the first layer of an int8 LSTM reads."""
        if self._storage.layers[0] != COMPUTED:
            return array("f", (0.0, 0.0))
        if self._storage.anchored_table:
            return array("f", (-128.0, 127.0))
        high, low = self._floats(f"{self._net.cell}_1.bounds", 1, 1, ANCHORS)
        if not float("inf") > high > 0 > low > float("-inf"):
            raise UnknownPartError("the bounds of the first layer")
        return array("f", (low, high))

    def _state_width(self, layer: int = -1) -> int:
        anchors = ANCHORS if self._storage.anchored(layer) else 0
        return self._net.directions * (self._net.hidden_sizes[layer] + anchors)

    def _without_anchors(
        self, weights: bytearray | array[float], layer: int = -1
    ) -> bytearray | array[float]:
        """Return weights of a layer's states without the columns of anchors, which must be 0."""
        if self._storage.anchored(layer):
            units = self._net.hidden_sizes[layer]
            _drop_columns(weights, width=units + ANCHORS, kept=units)
        return weights

    def _input_columns(
        self, layer: int, weights: bytearray | array[float]
    ) -> bytearray | array[float]:
        """Return weights [rows, width of what the layer reads] without what means nothing."""
        kept = self._state_width(layer - 1) if layer else self._net.embedding_size
        _drop_columns(weights, width=self._input_width(layer), kept=kept)
        return self._without_anchors(weights, layer - 1) if layer else weights

    def _input_width(self, layer: int) -> int:
        net, storage = self._net, self._storage
        if layer:
            added = storage.anchored(layer) and not storage.anchored(layer - 1)
            return self._state_width(layer - 1) + (ANCHORS if added else 0)
        width = net.embedding_size
        if storage.embedding_bits == 4:
            width += width % 2
        return width + (ANCHORS if storage.anchored_table or storage.anchored(0) else 0)

    def _cell(self, layer: int, direction: int) -> list[Tensor]:
        """Return what a layer has in one direction, in the order of the engine."""
        net = self._net
        name, directions = f"{net.cell}_{layer + 1}", net.directions
        storage, units = self._storage.layers[layer], net.hidden_sizes[layer]
        width = self._input_width(layer)
        if storage == COMPUTED:
            return self._anchored_cell(name, direction, units, width, layer)
        rows = GATES[net.cell] * units
        bias = self._floats(f"{name}.B", directions, 2 * rows)
        bias = _part(bias, direction, directions)
        weights: list[bytearray | array[float]] = []
        scales: list[Tensor] = []
        for key, columns in (("W", width), ("R", units)):
            if storage == FLOAT32:
                numbers = self._floats(f"{name}.{key}", directions, rows, columns)
                weights.append(_part(numbers, direction, directions))
                continue
            values = self._take(f"{name}.{key}.int8", _INT8, directions, rows, columns)
            values = _part(values, direction, directions)
            shared = self._dims(f"{name}.{key}.scale") == (directions, 1, 1)
            scale = self._floats(f"{name}.{key}.scale", directions, 1 if shared else rows, 1)
            scale = _part(scale, direction, directions) * (rows if shared else 1)
            if self._is_integer(layer):
                weights.append(bytearray(values))
                scales.append(scale)
            else:
                weights.append(_widened(values, scale, columns))
        weights[0] = self._input_columns(layer, weights[0])
        if scales and any(_UNUSED_WEIGHT in bytes(item) for item in weights):
            raise UnknownPartError("weights that use -128")
        return [*weights, *scales, bias[:rows], bias[rows:]]

    def _anchored_cell(
        self, name: str, direction: int, units: int, width: int, layer: int
    ) -> list[Tensor]:
        if layer and not self._storage.anchored(layer - 1):
            bounds = self._floats(f"{name}.bounds", 1, 1, ANCHORS)
            if bounds.tolist() != [1.0, -1.0]:
                raise UnknownPartError(f"the bounds of {name}")
        bias = self._anchored_bias(f"{name}.B", direction, units)
        inputs, input_scale = self._anchored_weights(f"{name}.W", direction, units, width)
        states, state_scale = self._anchored_weights(f"{name}.R", direction, units, units + ANCHORS)
        return [
            *(self._input_columns(layer, inputs), self._without_anchors(states, layer)),
            *(input_scale, state_scale, bias[: 4 * units], bias[4 * units :]),
        ]

    def _anchored_bias(self, name: str, direction: int, units: int) -> array[float]:
        """Return the biases of both products, float32 [2 * 4 * units], without those of anchors."""
        size = units + ANCHORS
        bias = self._floats(name, self._net.directions, 8 * size)
        bias = _part(bias, direction, self._net.directions)
        held = (*_SATURATING_BIASES, 0.0, 0.0, 0.0, 0.0)
        for gate in range(len(held) - 1, -1, -1):
            anchors = slice(gate * size + units, (gate + 1) * size)
            if bias[anchors].tolist() != [held[gate]] * ANCHORS:
                raise UnknownPartError("biases of anchors")
            del bias[anchors]
        return bias

    def _anchored_weights(
        self, name: str, direction: int, units: int, columns: int
    ) -> tuple[bytearray, array[float]]:
        """Return int8 weights [4 * units, columns] and their scales, without the rows of anchors.

        The graph has them as [columns, 4 * (units + anchors)].
        """
        directions, size = self._net.directions, units + ANCHORS
        rows = 4 * size
        values = self._take(name, _INT8, directions, columns, rows)
        values = _part(values, direction, directions)
        shared = self._dims(f"{name}.scale") == (directions,)
        shape = (directions,) if shared else (directions, rows)
        scale = _part(self._floats(f"{name}.scale", *shape), direction, directions)
        scale *= rows if shared else 1
        if any(self._take(f"{name}.zero_point", _INT8, *shape)):
            raise UnknownPartError(f"zero points of {name[:-2]}")
        content = values.tobytes()
        if content.translate(None, _LSTM_WEIGHTS):
            raise UnknownPartError("weights of more than 7 bits in an LSTM")
        weights = bytearray()
        for gate in range(4):
            begin = gate * size
            weights += b"".join([content[row::rows] for row in range(begin, begin + units)])
            if any(any(content[row::rows]) for row in range(begin + units, begin + size)):
                raise UnknownPartError("weights of anchors")
        for gate in range(3, -1, -1):
            del scale[gate * size + units : (gate + 1) * size]
        return weights, scale

    def _dense(self) -> list[Tensor]:
        net = self._net
        tensors: list[Tensor] = []
        width = self._state_width() * len(net.pooling)
        for index, units in enumerate((*net.dense_sizes, net.label_count)):
            last = index == len(net.dense_sizes)
            name = "output" if last else f"dense_{index + 1}"
            stored = last and self._storage.output == STORED
            weight: bytearray | array[float]
            if stored:
                weight = bytearray(self._take(f"{name}.weight.int8", _INT8, units, width))
                if _UNUSED_WEIGHT in weight:
                    raise UnknownPartError("weights that use -128")
            else:
                weight = self._floats(f"{name}.weight", units, width)
            tensors.append(weight if index else self._without_anchors(weight))
            if stored:
                tensors.append(self._take(f"{name}.weight.scale", _FLOAT, units, 1))
            tensors.append(self._take(f"{name}.bias", _FLOAT, units))
            width = units
        return tensors

    def _linear(self) -> list[Tensor]:
        net = self._net
        if not net.linear_size:
            return []
        kind = _INT8 if self._storage.integer_linear else _FLOAT
        size, tokens, bigrams = net.linear_size, net.linear_tokens, net.linear_buckets
        return [
            self._take("linear.fingerprints", _UINT8, bigrams),
            self._take("linear.tokens", kind, tokens, size),
            self._take("linear.tokens_weights", _UINT8, tokens),
            self._take("linear.pairs", kind, bigrams, size),
            self._take("linear.pairs_weights", _UINT8, bigrams),
            self._take("linear.projection", _FLOAT, 2 * size, net.label_count),
        ]


def _holds(tensor: TensorInfo, wanted: Sequence[float]) -> bool:
    """Return whether a constant is a list of these numbers, whatever its type."""
    code = _CODES.get(tensor.data_type)
    if tensor.data is None or code is None or tensor.dims != (len(wanted),):
        return False
    rounded = array("f", wanted) if code == "f" else wanted
    return struct.unpack(f"<{len(wanted)}{code}", tensor.data) == tuple(rounded)


def _part(values: _T, index: int, count: int) -> _T:
    """Return one of `count` parts of the same size."""
    size = len(values) // count
    return values[index * size : (index + 1) * size]


def _drop_columns(weights: bytearray | array[float], *, width: int, kept: int) -> None:
    """Delete all columns but the first `kept` ones of rows of `width`; they must be 0."""
    for left in range(width, kept, -1):
        column = slice(left - 1, None, left)
        if any(weights[column]):
            raise UnknownPartError("weights of anchors")
        del weights[column]


def _widened(values: memoryview, scales: array[float], columns: int) -> array[float]:
    """Return int8 [rows, columns] times the scale of each row, rounded once to float32."""
    numbers = values.cast("b").tolist()
    wide = array("f")
    for row, scale in enumerate(scales):
        wide.extend([value * scale for value in numbers[row * columns : (row + 1) * columns]])
    return wide


def _as_words(numbers: array[float]) -> array[int]:
    """Return float32 as the int32 that have the same bytes."""
    return array("i", numbers.tobytes())
