"""Rounding weights so that what they compute stays close, not each weight by itself.

The columns of a matrix are rounded one after the other, and the columns still to come are shifted
to make up for what was lost, as far as the inputs move together: Frantar et al. 2022, "GPTQ:
Accurate post-training quantization for generative pre-trained transformers", with the columns in
the order of their inputs' energy. At 7 bits it is worth about one bit more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from textgate.export.quantize.quantization import TINY, Quantized

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DAMPING = 0.01  # of the mean energy; keeps columns without any from dividing by zero


def round_together(
    weights: NDArray[np.float32], gram: NDArray[np.float64], *, per_channel: bool, limit: int
) -> Quantized:
    """Return the weights as integers from -limit to limit.

    Args:
        weights: float32 [rows, columns].
        gram: the sum of the outer products of the inputs, float64 [columns, columns].
        per_channel: a scale for every row, instead of one for the matrix.
        limit: the largest integer.
    """
    largest = np.abs(weights).max(axis=1 if per_channel else None, keepdims=True)
    scale = np.where(largest > TINY, largest / limit, 1.0).astype(np.float32)
    energy = np.diag(gram)
    order = np.argsort(-energy, kind="stable")
    damping = _DAMPING * float(energy.mean()) or 1.0
    damped = gram[np.ix_(order, order)] + damping * np.eye(len(order))
    factor = np.linalg.cholesky(np.linalg.inv(damped)).T
    left = weights[:, order].astype(np.float64)
    steps = np.broadcast_to(scale[:, 0], len(weights)).astype(np.float64)
    values = np.empty(left.shape, dtype=np.int8)
    for column in range(left.shape[1]):
        rounded = np.clip(np.rint(left[:, column] / steps), -limit, limit)
        values[:, column] = rounded
        error = (left[:, column] - rounded * steps) / factor[column, column]
        left[:, column + 1 :] -= np.outer(error, factor[column, column + 1 :])
    restored = np.empty_like(values)
    restored[:, order] = values
    return Quantized(restored, scale)
