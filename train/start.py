"""What training starts from besides the seed: what is known of the words before the first step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from textgate.train.model import TextClassifier


@dataclass(frozen=True)
class Start:
    """Values that take the place of a network's random ones.

    Attributes:
        embedding: float32 [vocabulary, embedding]; None leaves the embedding random.
        fingerprints: the pairs the linear branch knows, uint8 [buckets]; None if it knows none.
    """

    embedding: NDArray[np.float32] | None = None
    fingerprints: NDArray[np.uint8] | None = None

    def apply(self, model: TextClassifier) -> None:
        """Put the values into a network."""
        with torch.no_grad():
            if self.embedding is not None:
                model.embedding.weight.copy_(torch.from_numpy(self.embedding))
            if self.fingerprints is not None and model.linear is not None:
                model.linear.fingerprints.copy_(torch.from_numpy(self.fingerprints))
