"""Optimizers with learning rates for each table, and the moving average of the weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import torch

from textgate.errors import CheckpointError
from textgate.train.network.model import TextClassifier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

    from textgate.train.training.config import TrainingConfig

_WARM_UP = 0.05  # fraction of all steps
_AVERAGE_INTERVAL = 8  # steps; short enough for an average over hundreds


class Embedded(Protocol):
    """A network that begins with an embedding."""

    embedding: nn.Embedding

    def parameters(self) -> Iterator[nn.Parameter]:
        """Yield the weights."""

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield the weights with their names."""


class Optimizer:
    """Adam, with separate learning rates for the network's tables.

    Args:
        model: the network.
        config: the rates, and whether tables are updated sparsely.
        steps: for falling rates, the number of all steps: the rates rise for a twentieth of them,
            then fall to 0 along a cosine; None keeps the rates constant.
        betas: decay of Adam's moving averages of the gradients and of their squares.
    """

    def __init__(
        self,
        model: Embedded,
        config: TrainingConfig,
        *,
        steps: int | None = None,
        betas: tuple[float, float] = (0.9, 0.999),
    ) -> None:
        self._model = model
        self._config = config
        self._steps = steps
        tables = [model.embedding.weight]
        rates = {id(model.embedding.weight): config.learning_rate * config.embedding_rate}
        branch = model.linear if isinstance(model, TextClassifier) else None
        if branch is not None and branch.tokens.weight.requires_grad:  # else it has been solved
            linear = (branch.tokens.weight, branch.pairs.weight)
            tables.extend(linear)
            rates |= {id(table): config.linear_rate for table in linear}
        self._dense = [
            weight
            for weight in model.parameters()
            if weight.requires_grad and not (config.sparse and id(weight) in rates)
        ]
        if isinstance(model, TextClassifier):
            rate = config.learning_rate * config.encoder_rate
            rates |= {id(weight): rate for weight in model.layers.parameters()}
        groups = [
            {"params": [weight], "lr": rates.get(id(weight), config.learning_rate)}
            for weight in self._dense
        ]
        self._optimizers: list[torch.optim.Optimizer] = [torch.optim.Adam(groups, betas=betas)]
        if config.sparse:
            self._optimizers.append(
                torch.optim.SparseAdam(
                    [{"params": [table], "lr": rates[id(table)]} for table in tables], betas=betas
                )
            )
        self._rates = [
            [float(group["lr"]) for group in optimizer.param_groups]
            for optimizer in self._optimizers
        ]

    def clear(self) -> None:
        """Forget the gradients."""
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none=True)

    def step(self, number: int) -> None:
        """Update the weights.

        Args:
            number: number of earlier steps.
        """
        torch.nn.utils.clip_grad_norm_(self._dense, self._config.gradient_norm)
        factor = self._rate_factor(number)
        for optimizer, rates in zip(self._optimizers, self._rates, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            optimizer.step()

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return Adam's moments and step counts by ``<parameter>/<moment>``."""
        return {
            f"{name}/{moment}": torch.as_tensor(value).detach().cpu().clone()
            for name, weight in self._model.named_parameters()
            for optimizer in self._optimizers
            for moment, value in optimizer.state.get(weight, {}).items()
        }

    def restore(self, tensors: dict[str, torch.Tensor]) -> None:
        """Continue from what `tensors` returned.

        Raises:
            CheckpointError: it belongs to another network.
        """
        names = {id(weight): name for name, weight in self._model.named_parameters()}
        for optimizer in self._optimizers:
            lazy = isinstance(optimizer, torch.optim.SparseAdam)
            for group in optimizer.param_groups:
                for weight in group["params"]:
                    moments = read_moments(tensors, names[id(weight)], weight)
                    step = moments["step"]
                    optimizer.state[weight] = {
                        **moments,
                        # SparseAdam counts steps with an int, Adam with a tensor on the CPU.
                        "step": int(step) if lazy else step.cpu(),
                    }

    def _rate_factor(self, number: int) -> float:
        """Return the factor of the rates."""
        if self._steps is None:
            return 1.0
        warm_up = max(1.0, _WARM_UP * self._steps)
        falling = 0.5 * (1.0 + math.cos(math.pi * min(1.0, number / self._steps)))
        return min(1.0, (number + 1) / warm_up) * falling


class Average:
    """A moving average of a network's weights (Polyak and Juditsky 1992).

    Args:
        model: the network.
        decay: fraction of the average that a step keeps; less in the beginning.
        weights: the average so far; None starts a new one.
    """

    def __init__(
        self, model: TextClassifier, decay: float, weights: dict[str, torch.Tensor] | None = None
    ) -> None:
        self._decay = decay
        self._current = dict(model.named_parameters())
        self.weights = {
            name: (weights or {}).get(name, tensor).detach().to(tensor.device).clone()
            for name, tensor in model.state_dict().items()
        }

    def update(self, number: int) -> None:
        """Add the weights after a step.

        Args:
            number: number of earlier steps.
        """
        if number % _AVERAGE_INTERVAL == 0:
            decay = min(self._decay, (1 + number) / (10 + number)) ** _AVERAGE_INTERVAL
            with torch.no_grad():
                for name, tensor in self._current.items():
                    self.weights[name].lerp_(tensor.detach(), 1.0 - decay)


def read_moments(
    tensors: dict[str, torch.Tensor], name: str, weight: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Return Adam's moments and step count of a weight: copies, on its device.

    Args:
        tensors: moments of a whole network, by ``<parameter>/<moment>``.
        name: the weight's name.
        weight: the weight.

    Raises:
        CheckpointError: they are missing, or belong to another weight.
    """
    prefix = f"{name}/"
    moments = {
        key.removeprefix(prefix): value.to(weight.device, copy=True)
        for key, value in tensors.items()
        if key.startswith(prefix)
    }
    expected = {"exp_avg": weight.shape, "exp_avg_sq": weight.shape, "step": torch.Size([])}
    if {key: value.shape for key, value in moments.items()} != expected:
        raise CheckpointError(
            f"the checkpoint does not fit the network: Adam's moments of {name} are missing"
        )
    return moments
