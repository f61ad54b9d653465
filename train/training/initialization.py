"""Initial values of a network's weights that replace random ones."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from textgate.train.network.model import TextClassifier
from textgate.train.training.calibration import calibrated_loss
from textgate.train.training.objective import label_weights
from textgate.train.training.probe import (
    PROBE_PENALTIES,
    find_space,
    head_logits,
    pooled_states,
    solve_heads,
)
from textgate.train.training.solver import can_be_solved, solve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from textgate.bundle.architecture import Architecture
    from textgate.train.data.dataset import Dataset
    from textgate.train.text.bigrams import Features
    from textgate.train.training.probe import Head, Projection
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
        projection: the projection of the layers' pooled states to sentence embeddings, if any.
        head: the solved head; None leaves it random.
    """

    embedding: NDArray[np.float32] | None = None
    features: Features | None = None
    solution: Solution | None = None
    layers: Mapping[str, torch.Tensor] = field(default_factory=dict)
    projection: Projection | None = None
    head: Head | None = None

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
        weights = label_weights(train.targets, class_weights, train.weights)
        solution, dev_loss = solve(
            self.features, train, dev, output=architecture.output, weights=weights
        )
        progress.note(
            f"the linear branch alone: log loss {dev_loss:.4f} on dev, with a penalty of "
            f"{solution.penalty:g}"
        )
        return replace(self, solution=solution)

    def probed(
        self,
        encoder: TextClassifier,
        train: Dataset,
        dev: Dataset,
        *,
        class_weights: float,
        progress: Progress,
    ) -> Initialization:
        """Return the initialization with a solved head, for a network that `can_be_probed`.

        Args:
            encoder: a network with these initial values.
            train: the training rows.
            dev: the rows that choose the penalty, by the log loss of calibrated probabilities.
            class_weights: the setting.
            progress: receives the dev loss of the frozen layers with this head.
        """
        progress.begin("probing the encoder", len(train) + len(dev))
        pooled, of_dev = pooled_states(encoder, train), pooled_states(encoder, dev)
        progress.end()
        output = encoder.architecture.output
        weights = label_weights(train.targets, class_weights, train.weights)
        space = find_space(pooled, self.projection)
        heads = list(
            solve_heads(
                space,
                pooled,
                train.targets,
                output=output,
                weights=weights,
                row_weights=train.weights,
            )
        )
        losses = [
            calibrated_loss(
                head_logits(head, of_dev),
                dev.targets,
                multi_label=output == "multi-label",
                weights=dev.weights,
            )
            for head in heads
        ]
        best = int(np.argmin(losses))
        progress.note(
            f"the frozen encoder alone: log loss {losses[best]:.4f} on dev, with a penalty of "
            f"{PROBE_PENALTIES[best]:g}"
        )
        return replace(self, head=heads[best])

    def network(self, architecture: Architecture, *, seed: int) -> TextClassifier:
        """Return a network with these values; the others are random.

        Args:
            architecture: the network.
            seed: seed of the random values.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = TextClassifier(architecture)
        self.apply(model)
        return model

    def apply(self, model: TextClassifier) -> None:
        """Copy the values into a network."""
        with torch.no_grad():
            if self.embedding is not None:
                model.embedding.weight.copy_(torch.from_numpy(self.embedding))
            tensors = model.state_dict()
            for name, weight in self.layers.items():
                tensors[name].copy_(weight)
            if self.head is not None:
                last = model.head[-1]
                assert isinstance(last, torch.nn.Linear)  # noqa: S101
                last.weight.copy_(self.head.weight)
                last.bias.copy_(self.head.bias)
            branch = model.linear
            if branch is not None and self.features is not None:
                branch.token_weights.copy_(torch.from_numpy(self.features.token_weights))
                branch.pair_weights.copy_(torch.from_numpy(self.features.bigram_weights))
                branch.fingerprints.copy_(torch.from_numpy(self.features.fingerprints))
            if branch is not None and self.solution is not None:
                branch.tokens.weight.copy_(self.solution.tokens)
                branch.pairs.weight.copy_(self.solution.bigrams)
                branch.requires_grad_(False)


def can_be_probed(initialization: Initialization, architecture: Architecture) -> bool:
    """Return whether a network begins with pretrained layers and one dense layer can be solved."""
    net = architecture
    pretrained = initialization.layers and len(net.hidden_sizes) == 1
    fits = initialization.projection is None or net.pooling == ("max", "mean")
    return bool(pretrained and fits and net.output != "sigmoid" and not net.dense_sizes)
