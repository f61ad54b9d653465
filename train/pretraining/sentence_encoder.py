"""Sentence encoder with the embedding and the first recurrent layer of a classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from textgate.train.network.model import PoolingLayer, RecurrentLayer, initialize_layers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textgate.bundle.architecture import Pooling as PoolingName
    from textgate.train.pretraining.pretraining_config import PretrainingConfig

POOLING: tuple[PoolingName, ...] = ("max", "mean")
HEAD_SCALE = 2.0  # of the heads, where they are rows of the projection
_HEADS, _PROJECTION = "heads.", "projection."


class SentenceEncoder(nn.Module):
    """An embedding, a unidirectional recurrent layer, pooling over time, and a projection.

    Parameters have the same names as in `textgate.train.network.model.TextClassifier`; the
    projection is called ``projection``. Each task of labelled rows has a linear head over the
    pooled states.

    Args:
        vocabulary_size: rows of the embedding.
        config: sizes and dropout.
        components: width of the result.
        labels: number of labels of each task.
    """

    def __init__(
        self,
        vocabulary_size: int,
        config: PretrainingConfig,
        *,
        components: int,
        labels: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, config.embedding_size, sparse=True)
        self.embedding_dropout = nn.Dropout(config.embedding_dropout)
        self.layers = nn.ModuleList(
            [
                RecurrentLayer(
                    config.cell, config.embedding_size, config.hidden_size, bidirectional=False
                )
            ]
        )
        self.pooling = PoolingLayer(POOLING, config.hidden_size)
        width = len(POOLING) * config.hidden_size
        self.projection = nn.Linear(width, components)
        self.heads = nn.ModuleList(nn.Linear(width, count) for count in labels)
        initialize_layers(self, self.embedding, config.cell)

    def forward(
        self, ids: torch.Tensor, lengths: torch.Tensor, *, bfloat16: bool = False
    ) -> torch.Tensor:
        """Return the projection of each text, float32 [batch, components].

        The arguments are those of `pooled`.
        """
        projected: torch.Tensor = self.projection(self.pooled(ids, lengths, bfloat16=bfloat16))
        return projected

    def pooled(
        self, ids: torch.Tensor, lengths: torch.Tensor, *, bfloat16: bool = False
    ) -> torch.Tensor:
        """Return the pooled states of each text, float32 [batch, pooled].

        Args:
            ids: token ids, int64 [batch, tokens], padded on the right.
            lengths: number of tokens of each text, int64 [batch], at least 1.
            bfloat16: whether the recurrent layer computes in bfloat16.
        """
        embedded = self.embedding_dropout(self.embedding(ids))
        with torch.autocast(ids.device.type, torch.bfloat16, enabled=bfloat16):
            states, last = self.layers[0](embedded, lengths)
        pooled: torch.Tensor = self.pooling(states.float(), last.float(), lengths)
        return pooled


def heads_in_projection(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights of an encoder with its heads as further rows of the projection.

    Each head's mean over the labels is subtracted; this changes no probability.

    Args:
        weights: tensors of a `SentenceEncoder` by name.
    """
    result = {name: tensor for name, tensor in weights.items() if not name.startswith(_HEADS)}
    for kind in ("weight", "bias"):
        heads = [
            weights[f"{_HEADS}{number}.{kind}"]
            for number in range((len(weights) - len(result)) // 2)
        ]
        rows = [HEAD_SCALE * (head - head.mean(dim=0)) for head in heads]
        result[_PROJECTION + kind] = torch.cat([weights[_PROJECTION + kind], *rows])
    return result
