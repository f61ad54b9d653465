"""Initial values of a network's weights that replace random ones."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch

from textgate.train.training.objective import label_weights
from textgate.train.training.solver import can_be_solved, solve

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from textgate.bundle.architecture import Architecture
    from textgate.train.data.dataset import Dataset
    from textgate.train.network.model import TextClassifier
    from textgate.train.text.bigrams import Features
    from textgate.train.training.progress import Progress
    from textgate.train.training.solver import Solution


@dataclass(frozen=True)
class Initialization:
    """Initial values that replace random ones.

    Attributes:
        embedding: float32 [vocabulary, embedding]; None leaves the embedding random.
        features: the features of the linear branch; None without a branch.
        solution: the tables of the linear branch, which are then not trained; None trains them.
        layers: tensors of recurrent layers by their names in the network; the others stay random.
    """

    embedding: NDArray[np.float32] | None = None
    features: Features | None = None
    solution: Solution | None = None
    layers: Mapping[str, torch.Tensor] = field(default_factory=dict)

    def reweighted(self, train: Dataset) -> Initialization:
        """Return the initialization with features reweighted by the targets of the teachers."""
        if self.features is None:
            return self
        return replace(self, features=self.features.reweighted(train.sequences, train.targets))

    def solved(
        self,
        train: Dataset,
        dev: Dataset,
        architecture: Architecture,
        *,
        class_weights: float,
        progress: Progress,
    ) -> Initialization:
        """Return the initialization with the solution of the linear branch, if it can be solved.

        Args:
            train: the training rows, with the targets of the teachers.
            dev: the dev rows.
            architecture: the architecture of the network.
            class_weights: the setting.
            progress: receives the dev loss of the linear branch alone.
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
        """Copy the values into a network."""
        with torch.no_grad():
            if self.embedding is not None:
                model.embedding.weight.copy_(torch.from_numpy(self.embedding))
            tensors = model.state_dict()
            for name, weight in self.layers.items():
                tensors[name].copy_(weight)
            branch = model.linear
            if branch is not None and self.features is not None:
                branch.token_weights.copy_(torch.from_numpy(self.features.token_weights))
                branch.pair_weights.copy_(torch.from_numpy(self.features.bigram_weights))
                branch.fingerprints.copy_(torch.from_numpy(self.features.fingerprints))
            if branch is not None and self.solution is not None:
                branch.tokens.weight.copy_(self.solution.tokens)
                branch.pairs.weight.copy_(self.solution.bigrams)
                branch.requires_grad_(False)
