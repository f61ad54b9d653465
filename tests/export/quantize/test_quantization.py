"""Quantization of weights, packing of nibbles, and equalization."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from textgate.bundle.architecture import Architecture
from textgate.export.quantize.equalization import equalized
from textgate.export.quantize.quantization import (
    MAX_COMPUTED_WEIGHT,
    MAX_STORED_WEIGHT,
    pack_nibbles,
    quantize,
)
from textgate.export.quantize.weights import network_weights
from textgate.train.network.model import TextClassifier

MATRICES = arrays(np.float32, (5, 7), elements=st.floats(-1e4, 1e4, width=32))


@pytest.mark.parametrize("limit", [MAX_COMPUTED_WEIGHT, MAX_STORED_WEIGHT, 7])
@pytest.mark.parametrize("axes", [(1,), (0,), (0, 1)])
@given(weights=MATRICES)
def test_the_rounding_error_is_at_most_half_a_step(
    weights: np.ndarray, axes: tuple[int, ...], limit: int
) -> None:
    quantized = quantize(weights, axes=axes, limit=limit)
    assert np.abs(quantized.values).max() <= limit
    error = np.abs(quantized.restored() - weights)
    assert (error <= quantized.scale * 0.5 * (1 + 1e-4) + 1e-30).all()


def test_two_products_of_a_computed_weight_fit_into_16_bits() -> None:
    assert 2 * 255 * MAX_COMPUTED_WEIGHT <= 2**15 - 1 < 2 * 255 * MAX_STORED_WEIGHT


def test_a_row_of_zeros_has_the_scale_1() -> None:
    weights = np.array([[0, 0], [1, -2]], dtype=np.float32)
    quantized = quantize(weights, axes=(1,))
    assert quantized.scale.tolist() == [[1.0], [pytest.approx(2 / 127)]]
    assert quantized.values.tolist() == [[0, 0], [64, -127]]


@given(arrays(np.int8, (3, 9), elements=st.integers(-8, 7)))
def test_nibbles_unpack_to_what_was_packed(values: np.ndarray) -> None:
    packed = pack_nibbles(values)
    unpacked = np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.int16) - 8
    assert packed.shape == (3, 5)
    assert (unpacked[:, :9] == values).all()
    assert (unpacked[:, 9] == 0).all()


def test_equalizing_stretches_every_column_and_changes_no_product() -> None:
    torch.manual_seed(0)
    architecture = Architecture(30, 6, "lstm", (4,), False, ("last",), (), "softmax", 2)
    weights = network_weights(architecture, TextClassifier(architecture).state_dict())
    weights.embedding[:, 2] = 0.0  # a column that says nothing
    stretched, _ = equalized(weights)
    largest = np.abs(stretched.embedding).max(axis=0)
    assert largest[2] == 0.0
    np.testing.assert_allclose(np.delete(largest, 2), 127.0, rtol=1e-6)
    np.testing.assert_allclose(
        stretched.embedding @ stretched.layers[0][0].inputs.T,
        weights.embedding @ weights.layers[0][0].inputs.T,
        atol=1e-6,
    )
