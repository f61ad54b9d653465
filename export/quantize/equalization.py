"""Moving the embedding's scales into the first layer, exactly.

Every column of the embedding is stretched to +-127 and the layer's input weights for it are
shrunk by the same factor, which changes no product (Nagel et al. 2019, "Data-free quantization
through weight equalization and bias correction"). Rounded, the table then needs no scales: a row is
gathered and widened, and that is all.

An integer LSTM rounds its input to 256 steps between two fixed bounds. Here every column uses all
of them, and with bounds 255 apart a step is 1: whole numbers from -127 to 127 go through the
operator without being rounded a second time.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from textgate.export.quantize.quantization import STORED_LIMIT, TINY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from textgate.export.quantize.weights import NetworkWeights

BOUND = 127.5  # of both signs, where the bounds are no part of an int8 table: 127 and -128


def column_scale(embedding: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what to divide each column by so that it reaches +-127, float32 [columns]."""
    largest = np.abs(embedding).max(axis=0)
    return np.where(largest > TINY, largest / STORED_LIMIT, 1.0).astype(np.float32)


def equalized(weights: NetworkWeights) -> NetworkWeights:
    """Return the same network with every embedding column stretched to +-127."""
    scale = column_scale(weights.embedding)
    first = tuple(
        dataclasses.replace(cell, inputs=cell.inputs * scale) for cell in weights.layers[0]
    )
    return dataclasses.replace(
        weights, embedding=weights.embedding / scale, layers=(first, *weights.layers[1:])
    )
