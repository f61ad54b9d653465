"""What training starts from besides the seed: what is known of the words before the first step."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch

from textgate.train.fit.objective import label_weights
from textgate.train.fit.solver import can_be_solved, solve

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from textgate.bundle.architecture import Architecture
    from textgate.train.data.dataset import Dataset
    from textgate.train.fit.progress import Progress
    from textgate.train.fit.solver import Solution
    from textgate.train.network.model import TextClassifier
    from textgate.train.text.bigrams import Features


@dataclass(frozen=True)
class Start:
    """Values that take the place of a network's random ones.

    Attributes:
        embedding: float32 [vocabulary, embedding]; None leaves the embedding random.
        features: what the linear branch knows of tokens and pairs; None if there is no branch.
        solution: the branch's tables, which then stay as they are; None if they are to be learned.
        layers: tensors of recurrent layers by their names in the network; those that are not named
            stay random.
    """

    embedding: NDArray[np.float32] | None = None
    features: Features | None = None
    solution: Solution | None = None
    layers: Mapping[str, torch.Tensor] = field(default_factory=dict)

    def weighed(self, train: Dataset) -> Start:
        """Return what to start from now that teachers have changed the targets."""
        if self.features is None:
            return self
        features = self.features.weighed(train.sequences, train.targets)
        return replace(self, features=features)

    def solved(
        self,
        train: Dataset,
        dev: Dataset,
        architecture: Architecture,
        *,
        class_weights: float,
        progress: Progress,
    ) -> Start:
        """Return what to start from with the linear branch solved, where that can be done.

        Args:
            train: the rows to learn from, as teachers have left them.
            dev: the rows to choose by.
            architecture: the network.
            class_weights: the setting.
            progress: hears what the linear branch is worth alone.
        """
        if self.features is None or not can_be_solved(architecture):
            return self
        weights = label_weights(train.targets, class_weights)
        solution = solve(self.features, train, dev, output=architecture.output, weights=weights)
        progress.note(
            f"the linear branch alone: log loss {solution.dev_loss:.4f} on dev, with a "
            f"penalty of {solution.penalty:g}"
        )
        return replace(self, solution=solution)

    def apply(self, model: TextClassifier) -> None:
        """Put the values into a network."""
        with torch.no_grad():
            if self.embedding is not None:
                model.embedding.weight.copy_(torch.from_numpy(self.embedding))
            tensors = model.state_dict()
            for name, weight in self.layers.items():
                tensors[name].copy_(weight)
            if self.features is not None and model.linear is not None:
                for name in ("token_weights", "pair_weights", "fingerprints"):
                    values = torch.from_numpy(getattr(self.features, name))
                    getattr(model.linear, name).copy_(values)
            if self.solution is not None and model.linear is not None:
                model.linear.tokens.weight.copy_(self.solution.tokens)
                model.linear.pairs.weight.copy_(self.solution.pairs)
                model.linear.requires_grad_(False)
