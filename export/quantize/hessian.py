"""Hessians of the inputs of recurrent cells, measured on real rows, for GPTQ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from textgate.train.network.model import reverse
from textgate.train.training.progress import Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from textgate.train.data.dataset import Dataset
    from textgate.train.network.model import RecurrentLayer, TextClassifier

_BATCH_SIZE = 64
_MAX_ROWS = 2000  # more rows do not improve the result


@dataclass(frozen=True)
class CellHessian:
    """Hessians of a cell's two matrices: sums of outer products over all tokens of all rows.

    Attributes:
        inputs: of the cell's inputs, float64 [inputs, inputs].
        recurrent: of its state before the token, float64 [hidden, hidden].
    """

    inputs: NDArray[np.float64]
    recurrent: NDArray[np.float64]

    def scaled(self, scale: NDArray[np.float32]) -> CellHessian:
        """Return the Hessians for inputs divided by `scale` [inputs]."""
        return CellHessian(self.inputs / np.outer(scale, scale), self.recurrent)


Hessians = tuple[tuple[CellHessian, ...], ...]


def measure_hessians(
    model: TextClassifier, rows: Dataset, progress: Progress | None = None
) -> Hessians:
    """Return the Hessians of each layer's cells: forward, then backward if there is one."""
    progress = progress or Progress()
    net = model.architecture
    sums = [
        [(np.zeros((inputs, inputs)), np.zeros((hidden, hidden))) for _ in range(net.directions)]
        for inputs, hidden in zip(net.input_sizes, net.hidden_sizes, strict=True)
    ]
    model.eval()
    indices = range(min(len(rows), _MAX_ROWS))
    progress.begin("measuring the cells' inputs", len(indices))
    with torch.inference_mode():
        for start in range(0, len(indices), _BATCH_SIZE):
            batch = rows.batch(indices[start : start + _BATCH_SIZE])
            values = model.embedding(batch.ids)
            steps = torch.arange(values.shape[1])
            inside = steps < batch.lengths[:, None]
            for module, totals in zip(model.layers, sums, strict=True):
                layer = cast("RecurrentLayer", module)
                ahead = _add(layer.ahead, values, inside, totals[0])
                if layer.back is not None:
                    back = _add(layer.back, reverse(values, batch.lengths), inside, totals[1])
                    ahead = torch.cat([ahead, reverse(back, batch.lengths)], dim=2)
                values = ahead
            progress.step(len(batch.lengths))
    progress.end()
    return tuple(tuple(CellHessian(*pair) for pair in totals) for totals in sums)


def _add(
    cell: nn.Module,
    values: torch.Tensor,
    inside: torch.Tensor,
    totals: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> torch.Tensor:
    """Add a batch to the sums and return the cell's states [batch, tokens, hidden]."""
    states: torch.Tensor = cell(values)[0]
    before = torch.cat([torch.zeros_like(states[:, :1]), states[:, :-1]], dim=1)
    for total, vectors in zip(totals, (values, before), strict=True):
        flat = vectors[inside].double().numpy()
        np.add(total, flat.T @ flat, out=total)
    return states
