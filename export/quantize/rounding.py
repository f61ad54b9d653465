"""GPTQ: rounding of weights that keeps the product with real inputs close.

The columns of a matrix are rounded one after the other, and the remaining columns are shifted to
compensate the rounding error as far as their inputs correlate: Frantar et al. 2022, "GPTQ: Accurate
post-training quantization for generative pre-trained transformers". Columns are in the order of
their diagonal in the Hessian. At 7 bits it gains about one bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from textgate.export.quantize.quantization import Quantized, scales

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DAMPING = 0.01  # of the mean diagonal; columns without inputs would divide by zero


def round_together(
    weights: NDArray[np.float32], hessian: NDArray[np.float64], *, per_channel: bool, limit: int
) -> Quantized:
    """Return the weights as integers from -limit to limit.

    Args:
        weights: float32 [rows, columns].
        hessian: the sum of the outer products of the inputs, float64 [columns, columns].
        per_channel: one scale per row instead of one per matrix.
        limit: the largest integer.
    """
    scale = scales(weights, axes=(1,) if per_channel else (0, 1), limit=limit)
    diagonal = np.diag(hessian)
    order = np.argsort(-diagonal, kind="stable")
    damping = _DAMPING * float(diagonal.mean()) or 1.0
    damped = hessian[np.ix_(order, order)] + damping * np.eye(len(order))
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
