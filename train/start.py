"""What training starts from besides the seed: what is known of the words before the first step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from textgate.train.model import TextClassifier
    from textgate.train.pairs import Features


@dataclass(frozen=True)
class Start:
    """Values that take the place of a network's random ones.

    Attributes:
        embedding: float32 [vocabulary, embedding]; None leaves the embedding random.
        features: what the linear branch knows of tokens and pairs; None if there is no branch.
        layers: tensors of recurrent layers by their names in the network; those that are not named
            stay random.
    """

    embedding: NDArray[np.float32] | None = None
    features: Features | None = None
    layers: Mapping[str, torch.Tensor] = field(default_factory=dict)

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
