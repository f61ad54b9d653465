"""A checked bundle as the bytes that the engine opens; see ``textgate_engine.h`` for their form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from textgate.bundle.architecture import CELLS, GATES, POOLINGS
from textgate.native.expected import (
    ANCHORS,
    COMPUTED,
    FLOAT32,
    STORED,
    BundleStorage,
    ExpectedGraph,
    expected_graph,
)
from textgate.native.graph_parts import GraphParts, read_parts
from textgate.native.library import VERSION

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from textgate.bundle.manifest import Manifest

MAGIC, ALIGNMENT = 0x31454754, 64
_LAYERS, _WORDS_BEFORE_UNITS = 4, 24  # indices into the header
_OPSET = 18
_EMBEDDINGS = {32: 0, 8: 1, 4: 2}
_MAX_LSTM_WEIGHT, _MAX_STORED_WEIGHT = 64, 127
_SATURATING_BIASES = (-30.0, 30.0, 30.0, 0.0)  # the biases of the units that hold an LSTM's range


# An entry of a manifest's ``training``, which export writes: whether the engine's integers were
# compared with float32 on real rows and kept its decisions.
INTEGERS, VERIFIED = "native_integers", "verified"


class UnknownPartError(Exception):
    """The engine does not know a part of the bundle; the message names it."""


def model_bytes(graph: bytes, manifest: Manifest) -> bytes:
    """Return the engine's form of a bundle's graph.

    Args:
        graph: the content of ``model.onnx``, as `textgate.bundle.storage.read_bundle` checked it.
        manifest: the bundle's manifest.

    Raises:
        UnknownPartError: the graph is not one that this release of textgate would export.
    """
    return _Converter(read_parts(graph), manifest).convert()


def integer_layers(content: bytes) -> list[bool]:
    """Return of each recurrent layer whether the engine computes it in integers."""
    layers, before = np.frombuffer(content, "<i4", 1, 4 * _LAYERS)[0], _WORDS_BEFORE_UNITS
    kinds = np.frombuffer(content, "<i4", layers, 4 * (before + layers))
    return [bool(kind) for kind in kinds]


class _Converter:
    """Takes constants by name and shape, and checks those whose values are known."""

    def __init__(self, parts: GraphParts, manifest: Manifest) -> None:
        self._parts = parts
        self._net = manifest.architecture
        self._verified = manifest.training.get(INTEGERS) == VERIFIED
        self._storage = self._found_storage()
        self._check(manifest)

    def convert(self) -> bytes:
        net, storage = self._net, self._storage
        tensors = [*self._embedding()]
        for index in range(len(net.hidden_sizes)):
            for direction in range(net.directions):
                tensors.extend(self._cell(index, direction))
        if "attention" in net.pooling:
            weight = self._take("attention.weight", "f4", self._state_width(), 1)
            tensors.append(self._meaningful(weight[:, 0], 1))
        tensors.extend(self._dense())
        tensors.extend(self._linear())
        temperature = self._take("inverse_temperature", "f4", 1)
        poolings = [POOLINGS.index(name) for name in net.pooling]
        words = [
            *(MAGIC, VERSION, 0, CELLS.index(net.cell), len(net.hidden_sizes), net.directions),
            *(net.vocabulary_size, net.embedding_size, _EMBEDDINGS[storage.embedding_bits]),
            *(len(poolings), *(poolings + [0] * 4)[:4]),
            *(len(net.dense_sizes) + 1, int(storage.output == STORED)),
            int(net.output == "multi-label"),
            *temperature.view("<i4").tolist(),
            *(net.linear_size, net.linear_tokens, net.linear_buckets),
            int(storage.integer_linear),
            *self._bounds().view("<i4").tolist(),
            *net.hidden_sizes,
            *(int(self._is_integer(index)) for index in range(len(net.hidden_sizes))),
            *(*net.dense_sizes, net.label_count),
        ]
        words[2] = len(words)
        parts: list[bytes | memoryview] = [np.array(words, dtype="<i4").tobytes()]
        for tensor in tensors:
            content = np.ascontiguousarray(tensor).reshape(-1).view(np.uint8).data
            parts.extend((bytes(-len(parts[-1]) % ALIGNMENT), content))
        return b"".join(parts)

    def _found_storage(self) -> BundleStorage:
        """Return how the constants' types say that the weights are stored."""
        net = self._net
        table = self._parts.tensors.get("embedding.table")
        bits = {"<f4": 32, "|i1": 8, "|u1": 4}.get("" if table is None else table.dtype.str)
        if table is None or bits is None or table.ndim != 2:
            raise UnknownPartError("an embedding without a table of a known type")
        layers = []
        for index in range(len(net.hidden_sizes)):
            name = f"{net.cell}_{index + 1}"
            integer = self._parts.tensors.get(f"{name}.W")
            if f"{name}.W.int8" in self._parts.tensors:
                layers.append(STORED)
            else:
                computed = integer is not None and integer.dtype == np.int8
                layers.append(COMPUTED if computed else FLOAT32)
        tokens = self._parts.tensors.get("linear.tokens")
        return BundleStorage(
            embedding_bits=bits,
            anchored_table=bits == 8 and table.shape[1] == net.embedding_size + ANCHORS,
            layers=tuple(layers),
            output=STORED if "output.weight.int8" in self._parts.tensors else FLOAT32,
            integer_linear=tokens is not None and tokens.dtype == np.int8,
        )

    def _check(self, manifest: Manifest) -> None:
        """Refuse a graph that is anything but what textgate exports for its manifest."""
        expected = expected_graph(self._net, self._storage)
        parts = self._parts
        if manifest.opset != _OPSET:
            raise UnknownPartError(f"operator set {manifest.opset}")
        for output, text in parts.nodes.items():
            if text not in expected.nodes:
                raise UnknownPartError(f"what computes {output!r}")
        if len(set(parts.given)) != len(parts.given) or not parts.names.isdisjoint(parts.given):
            raise UnknownPartError("a value that is computed twice")
        for name in sorted(parts.names):
            if name in expected.constants:
                value = parts.tensors.get(name)
                wanted = expected.constants[name]
                if (
                    value is None
                    or value.ndim != 1
                    or not np.array_equal(value, np.array(wanted).astype(value.dtype))
                ):
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
            if name not in self._parts.names:
                continue  # nothing reads it
            value = self._take(name, "f4", *(1 if size == -1 else size for size in shape))
            wanted = np.full(value.shape, start, np.float32)
            if held not in (0.0, start):
                wanted[..., -ANCHORS:] = (held, -held)
            if not np.array_equal(value, wanted):
                raise UnknownPartError(f"where {name!r} begins")

    def _take(self, name: str, kind: str, *shape: int) -> NDArray[Any]:
        tensor = self._parts.tensors.get(name)
        if tensor is None or tensor.dtype != np.dtype(kind) or tensor.shape != shape:
            raise UnknownPartError(f"constant {name!r} of another type or shape")
        return tensor

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

    def _embedding(self) -> list[NDArray[Any]]:
        net, storage = self._net, self._storage
        rows, columns = net.vocabulary_size, net.embedding_size
        if storage.embedding_bits == 32:
            table = self._take("embedding.table", "f4", rows, columns)
            if self._is_integer(0) and not self._in_bounds(np.abs(table).max()):
                raise UnknownPartError("an embedding beyond the bounds of the first layer")
            return [table]
        if storage.embedding_bits == 4:
            table = self._take("embedding.table", "u1", rows, (columns + 1) // 2)
            scale = self._take("embedding.scale", "f4", rows, 1)
            if (
                self._is_integer(0)
                and net.cell == "lstm"
                and not self._in_bounds(_largest_nibble(table, scale))
            ):
                raise UnknownPartError("an embedding beyond the bounds of the first layer")
            return [table, scale]
        width = columns + (ANCHORS if storage.anchored_table else 0)
        table = self._take("embedding.table", "i1", rows, width)
        if storage.anchored_table:
            if not np.array_equal(np.unique(table[:, columns:], axis=0), [[127, -128]]):
                raise UnknownPartError("the anchors of the embedding")
            table = table[:, :columns]
        if table.min() < -_MAX_STORED_WEIGHT:
            raise UnknownPartError("an embedding that uses -128")
        return [table]

    def _in_bounds(self, largest: float) -> bool:
        low, high = self._bounds()
        return bool(largest <= min(-low, high))

    def _bounds(self) -> NDArray[np.float32]:
        """Return the least and the largest that the first layer of an int8 LSTM reads."""
        if self._storage.layers[0] != COMPUTED:
            return np.zeros(2, np.float32)
        if self._storage.anchored_table:
            return np.array([-128, 127], np.float32)
        bounds = self._take(f"{self._net.cell}_1.bounds", "f4", 1, 1, ANCHORS)[0, 0]
        if not (np.isfinite(bounds).all() and bounds[0] > 0 > bounds[1]):
            raise UnknownPartError("the bounds of the first layer")
        return np.array([bounds[1], bounds[0]], np.float32)

    def _state_width(self, layer: int = -1) -> int:
        anchors = ANCHORS if self._storage.anchored(layer) else 0
        return self._net.directions * (self._net.hidden_sizes[layer] + anchors)

    def _meaningful(self, weights: NDArray[Any], repeats: int = 1, layer: int = -1) -> NDArray[Any]:
        """Return the columns that are no anchors of a layer's states; the others must be 0."""
        if not self._storage.anchored(layer):
            return weights
        units = self._net.hidden_sizes[layer]
        groups = weights.reshape(
            *weights.shape[:-1], repeats * self._net.directions, units + ANCHORS
        )
        if groups[..., units:].any():
            raise UnknownPartError("weights of anchors")
        return groups[..., :units].reshape(*weights.shape[:-1], -1)

    def _input_columns(self, layer: int, weights: NDArray[Any]) -> NDArray[Any]:
        """Return weights [rows, width of what the layer reads] without what means nothing."""
        net = self._net
        if layer:
            width = self._state_width(layer - 1)
            if weights[:, width:].any():
                raise UnknownPartError("weights of anchors")
            return self._meaningful(weights[:, :width], layer=layer - 1)
        if weights[:, net.embedding_size :].any():
            raise UnknownPartError("weights of anchors")
        return weights[:, : net.embedding_size]

    def _input_width(self, layer: int) -> int:
        net, storage = self._net, self._storage
        if layer:
            added = storage.anchored(layer) and not storage.anchored(layer - 1)
            return self._state_width(layer - 1) + (ANCHORS if added else 0)
        width = net.embedding_size
        if storage.embedding_bits == 4:
            width += width % 2
        return width + (ANCHORS if storage.anchored_table or storage.anchored(0) else 0)

    def _cell(self, layer: int, direction: int) -> list[NDArray[Any]]:
        """Return what a layer has in one direction, in the order of the engine."""
        net = self._net
        name, directions = f"{net.cell}_{layer + 1}", net.directions
        storage, gates, units = (
            self._storage.layers[layer],
            GATES[net.cell],
            net.hidden_sizes[layer],
        )
        width = self._input_width(layer)
        if storage == COMPUTED:
            return self._anchored_cell(name, direction, units, width, layer)
        rows = gates * units
        bias = self._take(f"{name}.B", "f4", directions, 2 * rows)[direction]
        weights, scales = [], []
        for key, columns in (("W", width), ("R", units)):
            if storage == FLOAT32:
                weights.append(
                    self._take(f"{name}.{key}", "f4", directions, rows, columns)[direction]
                )
                continue
            values = self._take(f"{name}.{key}.int8", "i1", directions, rows, columns)[direction]
            scale = self._parts.tensors.get(f"{name}.{key}.scale")
            shared = scale is not None and scale.shape == (directions, 1, 1)
            scale = self._take(f"{name}.{key}.scale", "f4", directions, 1 if shared else rows, 1)
            if self._is_integer(layer):
                weights.append(values)
                scales.append(np.broadcast_to(scale[direction, :, 0], rows))
            else:
                weights.append(values.astype(np.float32) * scale[direction])
        weights[0] = self._input_columns(layer, weights[0])
        if scales and min(item.min() for item in weights) < -_MAX_STORED_WEIGHT:
            raise UnknownPartError("weights that use -128")
        return [*weights, *scales, bias[:rows], bias[rows:]]

    def _anchored_cell(
        self, name: str, direction: int, units: int, width: int, layer: int
    ) -> list[NDArray[Any]]:
        directions, size = self._net.directions, units + ANCHORS
        rows = 4 * size
        bias = self._take(f"{name}.B", "f4", directions, 2 * rows)[direction].reshape(2, 4, size)
        held = np.zeros((2, 4, ANCHORS), np.float32)
        held[0] = np.array(_SATURATING_BIASES)[:, None]
        if not np.array_equal(bias[:, :, units:], held):
            raise UnknownPartError("biases of anchors")
        if layer and not self._storage.anchored(layer - 1):
            bounds = self._take(f"{name}.bounds", "f4", 1, 1, ANCHORS)
            if bounds.tolist() != [[[1.0, -1.0]]]:
                raise UnknownPartError(f"the bounds of {name}")
        weights, scales = [], []
        for key, columns in (("W", width), ("R", size)):
            values = self._take(f"{name}.{key}", "i1", directions, columns, rows)[direction]
            scale = self._parts.tensors.get(f"{name}.{key}.scale")
            shared = scale is not None and scale.shape == (directions,)
            shape = (directions,) if shared else (directions, rows)
            scale = self._take(f"{name}.{key}.scale", "f4", *shape)[direction]
            if self._take(f"{name}.{key}.zero_point", "i1", *shape).any():
                raise UnknownPartError(f"zero points of {name}")
            by_gate = values.T.reshape(4, size, columns)
            if by_gate[:, units:].any() or (key == "R" and by_gate[:, :, units:].any()):
                raise UnknownPartError("weights of anchors")
            if abs(values.astype(np.int16)).max() > _MAX_LSTM_WEIGHT:
                raise UnknownPartError("weights of more than 7 bits in an LSTM")
            kept = by_gate[:, :units].reshape(4 * units, columns)
            weights.append(kept[:, :units] if key == "R" else self._input_columns(layer, kept))
            by_row = np.broadcast_to(scale, rows).reshape(4, size)
            scales.append(by_row[:, :units].reshape(-1))
        flat = bias[:, :, :units].reshape(2, -1)
        return [*weights, *scales, flat[0], flat[1]]

    def _dense(self) -> list[NDArray[Any]]:
        net, tensors = self._net, []
        width = self._state_width() * len(net.pooling)
        for index, units in enumerate((*net.dense_sizes, net.label_count)):
            last = index == len(net.dense_sizes)
            name = "output" if last else f"dense_{index + 1}"
            stored = last and self._storage.output == STORED
            if stored:
                weight = self._take(f"{name}.weight.int8", "i1", units, width)
                if weight.min() < -_MAX_STORED_WEIGHT:
                    raise UnknownPartError("weights that use -128")
            else:
                weight = self._take(f"{name}.weight", "f4", units, width)
            tensors.append(weight if index else self._meaningful(weight, len(net.pooling)))
            if stored:
                tensors.append(self._take(f"{name}.weight.scale", "f4", units, 1))
            tensors.append(self._take(f"{name}.bias", "f4", units))
            width = units
        return tensors

    def _linear(self) -> list[NDArray[Any]]:
        net = self._net
        if not net.linear_size:
            return []
        kind = "i1" if self._storage.integer_linear else "f4"
        size, tokens, bigrams = net.linear_size, net.linear_tokens, net.linear_buckets
        return [
            self._take("linear.fingerprints", "u1", bigrams),
            self._take("linear.tokens", kind, tokens, size),
            self._take("linear.tokens_weights", "u1", tokens),
            self._take("linear.pairs", kind, bigrams, size),
            self._take("linear.pairs_weights", "u1", bigrams),
            self._take("linear.projection", "f4", 2 * size, net.label_count),
        ]


def _largest_nibble(table: NDArray[np.uint8], scale: NDArray[np.float32]) -> float:
    """Return the largest absolute value of a table of nibbles with a scale a row."""
    by_byte = bytes(max(abs((byte & 15) - 8), abs((byte >> 4) - 8)) for byte in range(256))
    sizes = np.frombuffer(table.tobytes().translate(by_byte), np.uint8).reshape(table.shape)
    return float((sizes.max(axis=1, keepdims=True) * np.abs(scale)).max())
