"""Quantization of weights to small integers, symmetric around zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Kernels for x86 CPUs without dot-product instructions (AVX2 or AVX-512 without VNNI) add two
# products of an unsigned 8-bit activation and a signed 8-bit weight in 16 bits, saturating.
# 2 * 255 * 63 = 32,130 fits.
MAX_COMPUTED_WEIGHT = 63
MAX_STORED_WEIGHT = 127

_MIN_MAGNITUDE = 1e-30  # below it a scale would be a denormal number


@dataclass(frozen=True)
class Quantized:
    """Integers and their scales.

    Attributes:
        values: int8, of the original's shape.
        scale: float32, of length 1 along shared axes; `values * scale` is the rounded original.
    """

    values: NDArray[np.int8]
    scale: NDArray[np.float32]

    def restored(self) -> NDArray[np.float32]:
        """Return the rounded weights as float32."""
        return self.values.astype(np.float32) * self.scale


def quantize(
    weights: NDArray[np.float32], *, axes: tuple[int, ...], limit: int = MAX_STORED_WEIGHT
) -> Quantized:
    """Return the weights as integers from -limit to limit.

    Args:
        weights: float32, of any shape.
        axes: the axes that share a scale; the other axes have one per index.
        limit: the largest integer.
    """
    scale = scales(weights, axes=axes, limit=limit)
    values = np.clip(np.rint(weights / scale), -limit, limit).astype(np.int8)
    return Quantized(values, scale)


def scales(
    weights: NDArray[np.float32], *, axes: tuple[int, ...], limit: int
) -> NDArray[np.float32]:
    """Return the scales that map the largest weights to the limit, of length 1 along `axes`."""
    largest = np.abs(weights).max(axis=axes, keepdims=True)
    # A slice of zeros gets the scale 1: a scale of 0 would divide by zero, here and in kernels.
    return np.where(largest > _MIN_MAGNITUDE, largest / limit, 1.0).astype(np.float32)


def pack_nibbles(values: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Pack rows of integers from -8 to 7, two per byte: uint8 [rows, (columns + 1) // 2].

    Each is stored with 8 added. The first half of the columns goes to the low nibbles, the second
    half to the high nibbles. With an odd number of columns the last nibble holds a zero.
    """
    rows, columns = values.shape
    half = (columns + 1) // 2
    nibbles = np.full((rows, 2 * half), 8, dtype=np.uint8)
    nibbles[:, :columns] = values.astype(np.int16) + 8
    packed: NDArray[np.uint8] = nibbles[:, :half] | (nibbles[:, half:] << 4)
    return packed
