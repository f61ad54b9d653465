"""Moving the embedding's scales into the first layer, exactly.

An integer LSTM rounds its input to 256 steps between two fixed bounds. A column of the embedding
that stays far from the bounds would use few of them, so every column is stretched to the full range
and the layer's input weights are shrunk by the same factor: the product is the same. (Nagel et al.
2019, "Data-free quantization through weight equalization and bias correction".)

The range is that of the integers themselves: with bounds of +-127.5 a step is 1, and an embedding
of whole numbers from -127 to 127 goes through the operator without being rounded a second time.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from textgate.export.quantization import STORED_LIMIT, TINY

if TYPE_CHECKING:
    from textgate.export.weights import NetworkWeights

BOUND = 127.5


def equalized(weights: NetworkWeights) -> NetworkWeights:
    """Return the same network with every embedding column stretched to +-127."""
    largest = np.abs(weights.embedding).max(axis=0)
    scale = np.where(largest > TINY, largest / STORED_LIMIT, 1.0).astype(np.float32)
    first = tuple(
        dataclasses.replace(cell, inputs=cell.inputs * scale) for cell in weights.layers[0]
    )
    return dataclasses.replace(
        weights, embedding=weights.embedding / scale, layers=(first, *weights.layers[1:])
    )
