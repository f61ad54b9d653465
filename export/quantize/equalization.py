"""Equalization of the embedding's columns: their scales move exactly into the first layer.

Every column of the embedding is stretched to +-127, and the layer's input weights for it are
divided by the same factor, which changes no product (Nagel et al. 2019, "Data-free quantization
through weight equalization and bias correction"). The rounded table then needs no scales: the graph
gathers a row and casts it to float32.

An integer LSTM rounds its input to 256 steps between two fixed bounds. With equalized columns and
bounds 255 apart, a step is 1: whole numbers from -127 to 127 pass the operator without a second
rounding.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from textgate.export.quantize.quantization import MAX_STORED_WEIGHT, scales

if TYPE_CHECKING:
    from textgate.export.quantize.hessian import Hessians
    from textgate.export.quantize.weights import NetworkWeights

BOUND = 127.5  # of the input, with both signs; an int8 table holds 127 and -128 instead


def equalized(
    weights: NetworkWeights, hessians: Hessians | None = None
) -> tuple[NetworkWeights, Hessians | None]:
    """Return an equivalent network whose embedding columns reach +-127, and its Hessians."""
    scale = scales(weights.embedding, axes=(0,), limit=MAX_STORED_WEIGHT).reshape(-1)
    first = tuple(
        dataclasses.replace(cell, inputs=cell.inputs * scale) for cell in weights.layers[0]
    )
    if hessians is not None:
        hessians = (tuple(cell.scaled(scale) for cell in hessians[0]), *hessians[1:])
    network = dataclasses.replace(
        weights, embedding=weights.embedding / scale, layers=(first, *weights.layers[1:])
    )
    return network, hessians
