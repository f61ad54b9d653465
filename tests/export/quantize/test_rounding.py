"""GPTQ rounding and the Hessians it uses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from textgate.bundle.architecture import Architecture
from textgate.export.quantize.hessian import measure_hessians
from textgate.export.quantize.quantization import quantize
from textgate.export.quantize.rounding import round_together
from textgate.train.data.dataset import Dataset
from textgate.train.network.model import TextClassifier


def correlated(rows: int, columns: int) -> np.ndarray:
    """Inputs with mostly a few directions."""
    generator = np.random.default_rng(0)
    few = generator.normal(size=(rows, 3)) @ generator.normal(size=(3, columns))
    return few + 0.1 * generator.normal(size=(rows, columns))


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("limit", [63, 7])
def test_products_are_closer_than_with_each_weight_rounded_by_itself(
    per_channel: bool, limit: int
) -> None:
    weights = np.random.default_rng(1).normal(size=(20, 16)).astype(np.float32)
    inputs = correlated(500, 16)
    together = round_together(weights, inputs.T @ inputs, per_channel=per_channel, limit=limit)
    alone = quantize(weights, axes=(1,) if per_channel else (0, 1), limit=limit)
    assert together.scale.shape == alone.scale.shape
    assert np.abs(together.values).max() <= limit

    def error(restored: np.ndarray) -> float:
        return float(np.square(inputs @ (restored - weights).T).mean())

    assert error(together.restored()) < 0.6 * error(alone.restored())


def test_uncorrelated_inputs_change_nothing() -> None:
    weights = np.random.default_rng(1).normal(size=(6, 5)).astype(np.float32)
    together = round_together(weights, np.eye(5), per_channel=True, limit=63)
    assert (together.values == quantize(weights, axes=(1,), limit=63).values).all()


@pytest.mark.parametrize("gram", [np.zeros((5, 5)), np.diag([1.0, 0, 0, 2, 0])])
def test_columns_without_any_input_are_rounded_too(gram: np.ndarray) -> None:
    weights = np.random.default_rng(1).normal(size=(6, 5)).astype(np.float32)
    weights[2] = 0.0
    together = round_together(weights, gram, per_channel=True, limit=63)
    error = np.abs(together.restored() - weights)
    assert (error <= together.scale * 0.5001).all()
    assert (together.values[2] == 0).all()


@pytest.mark.parametrize("bidirectional", [False, True])
def test_hessians_are_sums_over_tokens(bidirectional: bool) -> None:
    torch.manual_seed(0)
    net = Architecture(20, 4, "lstm", (3, 2), bidirectional, ("last",), (), "softmax", 2)
    model = TextClassifier(net).eval()
    generator = np.random.default_rng(0)
    sequences = tuple(generator.integers(1, 20, length) for length in (1, 5, 3))
    hessians = measure_hessians(model, Dataset(sequences, np.zeros((3, 2), np.float32)))

    def by_hand(layer: int, direction: int) -> tuple[np.ndarray, np.ndarray]:
        inputs, recurrent = 0.0, 0.0
        for sequence in sequences:
            values = model.embedding(torch.from_numpy(sequence))[None]
            for depth, cells in enumerate(model.layers):
                read = [values, values.flip(1)]
                states = [cells.ahead(read[0])[0]]
                if cells.back is not None:
                    states.append(cells.back(read[1])[0])
                if depth == layer:
                    x, h = read[direction][0], states[direction][0]
                    for step in range(len(sequence)):
                        before = h[step - 1] if step else torch.zeros_like(h[0])
                        inputs = inputs + np.outer(*[x[step].detach().numpy()] * 2)
                        recurrent = recurrent + np.outer(*[before.detach().numpy()] * 2)
                joined = [states[0], *(state.flip(1) for state in states[1:])]
                values = torch.cat(joined, dim=2)
        return np.asarray(inputs), np.asarray(recurrent)

    for layer in range(2):
        for direction in range(2 if bidirectional else 1):
            inputs, recurrent = by_hand(layer, direction)
            np.testing.assert_allclose(hessians[layer][direction].inputs, inputs, atol=1e-6)
            np.testing.assert_allclose(hessians[layer][direction].recurrent, recurrent, atol=1e-6)
