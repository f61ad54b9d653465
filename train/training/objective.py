"""Loss of a batch and its gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from textgate.bundle.architecture import Architecture, Output
    from textgate.train.data.dataset import Batch, Dataset
    from textgate.train.network.model import TextClassifier
    from textgate.train.training.config import TrainingConfig

_EPSILON = 1e-12  # added to the norm of a gradient, which may be 0


class Objective:
    """Loss of a batch, its adversarial part included, and their gradient.

    Args:
        config: the settings.
        train: the training rows, whose labels are counted for class weights.
        architecture: the network.
        device: the device of the batches.
    """

    def __init__(
        self,
        config: TrainingConfig,
        train: Dataset,
        architecture: Architecture,
        *,
        device: torch.device,
    ) -> None:
        self._config = config
        self._output = architecture.output
        weights = label_weights(train.targets, config.class_weights, train.weights)
        self._weights = None if weights is None else weights.to(device)

    def backward(self, model: TextClassifier, batch: Batch) -> float:
        """Add the gradient of the mean loss over a batch to the network's, and return that loss.

        The linear branch, unless it has been solved, has a loss of its own: with a common loss it
        would soon explain the training rows alone, and leave the recurrent layers nothing to learn.
        """
        embedded = model.embedding(batch.ids)
        value = self._loss(model.recurrent_logits(embedded, batch.lengths), batch)
        total = value
        if model.linear is not None and model.linear.tokens.weight.requires_grad:
            linear = model.linear_logits(batch.ids, batch.lengths)
            total = total + self._loss(linear, batch)
        if self._config.adversarial:
            embedded.retain_grad()
            total.backward(retain_graph=True)  # type: ignore[no-untyped-call]
            worse = embedded + self._worst_step(embedded, batch.lengths)
            total = self._loss(model.recurrent_logits(worse, batch.lengths), batch)
        total.backward()  # type: ignore[no-untyped-call]
        return float(value.detach())

    def _worst_step(self, embedded: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return the adversarial step of each text, along its gradient, float32 like `embedded`."""
        gradient = embedded.grad
        assert gradient is not None  # retained  # noqa: S101
        size = embedded.detach().pow(2).mean().sqrt() * lengths[:, None, None].sqrt()
        norm = gradient.flatten(1).norm(dim=1)[:, None, None]
        step: torch.Tensor = self._config.adversarial * size * gradient / (norm + _EPSILON)
        return step

    def _loss(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        return batch_loss(logits, batch, output=self._output, weights=self._weights)


def label_weights(
    targets: NDArray[np.float32], power: float, row_weights: NDArray[np.float32] | None = None
) -> torch.Tensor | None:
    """Return the weight of each label, float32 [labels], or None if all are 1.

    Args:
        targets: targets of the training rows, float32 [rows, labels].
        power: power of the inverse of a label's frequency; 0 makes all weights 1.
        row_weights: the weight of each row, float32 [rows]; None for equal weights.
    """
    if not power:
        return None
    if row_weights is not None:
        targets = targets * (row_weights / row_weights.mean())[:, None]
    counts = torch.from_numpy(targets.sum(axis=0)).clamp(min=1.0)
    weights: torch.Tensor = (counts.mean() / counts) ** power
    return weights.to(torch.float32)


def batch_loss(
    logits: torch.Tensor, batch: Batch, *, output: Output, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the mean loss over a batch, a scalar.

    A batch counts as much as its rows: with their weights, the mean over all batches of equal size
    is the weighted mean over all rows.

    The arguments are those of `loss`.
    """
    value = loss(logits, batch.targets, output=output, weights=weights, row_weights=batch.weights)
    return value if batch.weights is None else value * batch.weights.mean()


def loss(
    logits: torch.Tensor,
    targets: torch.Tensor,
    *,
    output: Output,
    weights: torch.Tensor | None = None,
    row_weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the mean cross-entropy over the batch, a scalar.

    For ``sigmoid`` and ``softmax`` it is the cross-entropy of the row's label, which for logits
    [0, z] is the binary cross-entropy of z; for ``multi-label`` it is the mean of the labels'
    binary cross-entropies. With weights of rows it is the weighted mean, in which a row with
    weight 2 counts as two rows.

    Args:
        logits: float32 [batch, labels].
        targets: float32 [batch, labels], in 0..1.
        output: the network's output, see `textgate.bundle.architecture.Architecture`.
        weights: weight of each label, float32 [labels]; None: equal weights.
        row_weights: weight of each row, float32 [batch]; None: equal weights.
    """
    if output == "multi-label":
        if row_weights is None:
            return functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=weights)
        of_cells = functional.binary_cross_entropy_with_logits(
            logits, targets, pos_weight=weights, reduction="none"
        )
        return (of_cells.mean(dim=1) * row_weights).sum() / row_weights.sum()
    if weights is None and row_weights is None:
        return functional.cross_entropy(logits, targets)
    of_rows = functional.cross_entropy(logits, targets, reduction="none")
    importance = torch.ones_like(of_rows) if weights is None else targets @ weights
    if row_weights is not None:
        importance = importance * row_weights
    return (of_rows * importance).sum() / importance.sum()
