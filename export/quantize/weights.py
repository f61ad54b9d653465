"""A trained network's tensors as numpy arrays, checked and in ONNX's order of gates."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from textgate.errors import ExportError
from textgate.train.network.model import LINEAR_GAIN

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from numpy.typing import NDArray

    from textgate.bundle.architecture import Architecture

# Indices of ONNX's gates in torch's order: LSTM i,f,g,o -> i,o,f,c; GRU r,z,n -> z,r,h.
GATE_ORDER = {"rnn": (0,), "lstm": (0, 3, 1, 2), "gru": (1, 0, 2)}


@dataclass(frozen=True)
class CellWeights:
    """One recurrent layer in one direction, gates in ONNX's order.

    Attributes:
        inputs: float32 [gates * hidden, inputs].
        recurrent: float32 [gates * hidden, hidden].
        input_bias: float32 [gates * hidden].
        recurrent_bias: float32 [gates * hidden].
    """

    inputs: NDArray[np.float32]
    recurrent: NDArray[np.float32]
    input_bias: NDArray[np.float32]
    recurrent_bias: NDArray[np.float32]

    @property
    def hidden_size(self) -> int:
        """Units of the layer."""
        return int(self.recurrent.shape[1])


@dataclass(frozen=True)
class DenseWeights:
    """A dense layer: weight float32 [outputs, inputs], bias float32 [outputs]."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]


@dataclass(frozen=True)
class LinearWeights:
    """The linear branch: a row per token, a row per bucket of bigrams, and the projection.

    Attributes:
        tokens: float32 [tokens, size], multiplied by the weights.
        bigrams: float32 [buckets, size], multiplied by the weights.
        token_weights: contribution of a token to a text's length, uint8 [tokens].
        bigram_weights: contribution of a bigram, uint8 [buckets].
        fingerprints: fingerprint of the bigram in each bucket, uint8 [buckets].
        projection: float32 [labels, size].
    """

    tokens: NDArray[np.float32]
    bigrams: NDArray[np.float32]
    token_weights: NDArray[np.uint8]
    bigram_weights: NDArray[np.uint8]
    fingerprints: NDArray[np.uint8]
    projection: NDArray[np.float32]


@dataclass(frozen=True)
class NetworkWeights:
    """All weights of a network.

    Attributes:
        embedding: float32 [vocabulary, embedding].
        layers: the cells of each recurrent layer: forward, then backward if there is one.
        attention: float32 [width], the weights that score the states, or None.
        dense: the layers of the head; the last one returns the logits of all labels.
        linear: the linear branch, or None.
    """

    embedding: NDArray[np.float32]
    layers: tuple[tuple[CellWeights, ...], ...]
    attention: NDArray[np.float32] | None
    dense: tuple[DenseWeights, ...]
    linear: LinearWeights | None = None


def network_weights(
    architecture: Architecture, tensors: Mapping[str, torch.Tensor]
) -> NetworkWeights:
    """Return the weights of a trained network.

    A head with one sigmoid unit z gets a second row of zeros, so that its logits are [0, z].

    Args:
        architecture: the expected network.
        tensors: the state of a `textgate.train.network.model.TextClassifier`.

    Raises:
        ExportError: a tensor is missing, has another shape, or holds NaN or infinite values.
    """
    net = architecture
    reader = _Reader(tensors)
    gates = GATE_ORDER[net.cell]
    layers = []
    for index, (inputs, hidden) in enumerate(zip(net.input_sizes, net.hidden_sizes, strict=True)):
        cells = []
        for direction in ("ahead", "back")[: net.directions]:
            prefix = f"layers.{index}.{direction}."
            order = np.concatenate(
                [np.arange(gate * hidden, (gate + 1) * hidden) for gate in gates]
            )
            rows = len(gates) * hidden
            cells.append(
                CellWeights(
                    inputs=reader.take(prefix + "weight_ih_l0", rows, inputs)[order],
                    recurrent=reader.take(prefix + "weight_hh_l0", rows, hidden)[order],
                    input_bias=reader.take(prefix + "bias_ih_l0", rows)[order],
                    recurrent_bias=reader.take(prefix + "bias_hh_l0", rows)[order],
                )
            )
        layers.append(tuple(cells))
    attention = None
    if "attention" in net.pooling:
        attention = reader.take("pooling.scores.weight", 1, net.state_size)[0]
    dense = []
    width = net.pooled_size
    for index, units in enumerate((*net.dense_sizes, net.output_units)):
        weight = reader.take(f"head.{index}.weight", units, width)
        dense.append(DenseWeights(weight, reader.take(f"head.{index}.bias", units)))
        width = units
    linear = None
    if net.linear_size:
        linear = _linear_weights(net, reader)
    if net.output == "sigmoid":
        if linear is not None:
            both = np.concatenate([np.zeros_like(linear.projection), linear.projection])
            linear = dataclasses.replace(linear, projection=both)
        last = dense[-1]
        dense[-1] = DenseWeights(
            np.concatenate([np.zeros_like(last.weight), last.weight]),
            np.concatenate([np.zeros_like(last.bias), last.bias]),
        )
    embedding = reader.take("embedding.weight", net.vocabulary_size, net.embedding_size)
    reader.finish()
    return NetworkWeights(embedding, tuple(layers), attention, tuple(dense), linear)


def _linear_weights(net: Architecture, reader: _Reader) -> LinearWeights:
    token_weights = reader.take("linear.token_weights", net.linear_tokens)
    bigram_weights = reader.take("linear.pair_weights", net.linear_buckets)
    tokens = reader.take("linear.tokens.weight", net.linear_tokens, net.linear_size)
    bigrams = reader.take("linear.pairs.weight", net.linear_buckets, net.linear_size)
    projection = reader.take("linear.projection.weight", net.output_units, net.linear_size)
    return LinearWeights(
        tokens * token_weights[:, None],
        bigrams * bigram_weights[:, None],
        token_weights.astype(np.uint8),
        bigram_weights.astype(np.uint8),
        reader.take("linear.fingerprints", net.linear_buckets).astype(np.uint8),
        projection * np.float32(LINEAR_GAIN),
    )


class _Reader:
    """Takes tensors by name, checks each one, and refuses leftover tensors."""

    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self._tensors = dict(tensors)

    def take(self, name: str, *shape: int) -> NDArray[np.float32]:
        tensor = self._tensors.pop(name, None)
        if tensor is None:
            raise ExportError(f"the run has no tensor {name!r}, which its architecture needs")
        if tuple(tensor.shape) != shape:
            raise ExportError(
                f"tensor {name!r} has the shape {list(tensor.shape)}, its architecture needs "
                f"{list(shape)}"
            )
        array: NDArray[np.float32] = tensor.detach().cpu().numpy().astype(np.float32)
        bad = int(np.count_nonzero(~np.isfinite(array)))
        if bad:
            raise ExportError(
                f"tensor {name!r} holds {bad} NaN or infinite values; training diverged: train "
                "again with a lower --learning-rate"
            )
        return array

    def finish(self) -> None:
        if self._tensors:
            raise ExportError(
                f"the run has a tensor {min(self._tensors)!r} that its architecture does not know"
            )
