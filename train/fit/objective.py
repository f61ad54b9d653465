"""What training minimizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from textgate.inference.tokenizer import PADDING_ID, UNKNOWN_ID

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from textgate.bundle.architecture import Architecture
    from textgate.train.data.dataset import Batch, Dataset
    from textgate.train.fit.config import TrainingConfig
    from textgate.train.network.model import TextClassifier

_TINY = 1e-12


class Objective:
    """The loss of a batch and its gradient, with the noise that training adds.

    Args:
        config: the settings.
        train: the training rows, whose labels are counted for class weights.
        architecture: the network.
        device: where to compute.
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
        weights = label_weights(train.targets, config.class_weights)
        self._weights = None if weights is None else weights.to(device)

    def backward(self, model: TextClassifier, batch: Batch) -> float:
        """Add the gradient of the mean loss over a batch to the network's, and return that loss.

        The linear branch learns by itself, if it has not been solved: taught together, it would
        soon explain the training rows alone, and leave the recurrent layers nothing to learn.
        """
        config = self._config
        embedded = model.embedding(self._with_dropped_tokens(batch.ids))
        value = self._loss(model.recurrent_logits(embedded, batch.lengths), batch.targets)
        total = value
        if model.linear is not None and model.linear.tokens.weight.requires_grad:
            # It has a dropout of its own.
            linear = model.linear_logits(batch.ids, batch.lengths)
            total = total + self._loss(linear, batch.targets)
        if config.adversarial:
            embedded.retain_grad()
            total.backward(retain_graph=True)  # type: ignore[no-untyped-call]
            worse = embedded + self._worst_step(embedded, batch.lengths)
            total = self._loss(model.recurrent_logits(worse, batch.lengths), batch.targets)
        total.backward()  # type: ignore[no-untyped-call]
        return float(value.detach())

    def _with_dropped_tokens(self, ids: torch.Tensor) -> torch.Tensor:
        share = self._config.token_dropout
        if not share:
            return ids
        dropped = torch.rand(ids.shape, device=ids.device) < share
        return torch.where(dropped & (ids != PADDING_ID), UNKNOWN_ID, ids)

    def _worst_step(self, embedded: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return the step of each text along its gradient, float32 like `embedded`."""
        gradient = embedded.grad
        assert gradient is not None  # retained  # noqa: S101
        size = embedded.detach().pow(2).mean().sqrt() * lengths[:, None, None].sqrt()
        norm = gradient.flatten(1).norm(dim=1)[:, None, None]
        step: torch.Tensor = self._config.adversarial * size * gradient / (norm + _TINY)
        return step

    def _loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        smoothing = self._config.label_smoothing
        if smoothing:
            spread = 0.5 if self._output == "multi-label" else 1.0 / targets.shape[1]
            targets = targets * (1.0 - smoothing) + smoothing * spread
        return loss(logits, targets, output=self._output, weights=self._weights)


def label_weights(targets: NDArray[np.float32], power: float) -> torch.Tensor | None:
    """Return how much each label counts, float32 [labels], or None if all count alike.

    Args:
        targets: of the training rows, float32 [rows, labels].
        power: of the inverse of a label's frequency; 0 counts all alike.
    """
    if not power:
        return None
    counts = torch.from_numpy(targets.sum(axis=0)).clamp(min=1.0)
    weights: torch.Tensor = (counts.mean() / counts) ** power
    return weights.to(torch.float32)


def loss(
    logits: torch.Tensor,
    targets: torch.Tensor,
    *,
    output: str,
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the mean cross-entropy over the batch, a scalar.

    For ``sigmoid`` and ``softmax`` it is the cross-entropy of the row's label, which for logits
    [0, z] is the binary cross-entropy of z; for ``multi-label`` the mean over labels of each
    label's binary cross-entropy.

    Args:
        logits: float32 [batch, labels].
        targets: float32 [batch, labels], in 0..1.
        output: the network's output, see `textgate.bundle.architecture.Architecture`.
        weights: how much a label counts, float32 [labels]; None counts all alike.
    """
    if output == "multi-label":
        return functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=weights)
    if weights is None:
        return functional.cross_entropy(logits, targets)
    of_rows = functional.cross_entropy(logits, targets, reduction="none")
    importance = targets @ weights
    return (of_rows * importance).sum() / importance.sum()
