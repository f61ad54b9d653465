"""Language model with the embedding and the first recurrent layer of a classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from textgate.train.network.model import RecurrentLayer, initialize_layers
from textgate.train.pretraining.sampled_softmax import sampled_loss

if TYPE_CHECKING:
    from textgate.train.pretraining.pretraining_config import PretrainingConfig
    from textgate.train.pretraining.sampled_softmax import Sampler

# Logits computed at once for the perplexity, 32 MiB: the full softmax has one for every token.
_MAX_LOGITS = 2**23


class LanguageModel(nn.Module):
    """An embedding, a unidirectional recurrent layer, and an output tied to the embedding.

    Tied weights (Press and Wolf 2017): a linear layer projects a state to the width of the
    embedding. The logit of a token is the product of its row and the projection, plus its bias.
    Parameters have the same names as in `textgate.train.network.model.TextClassifier`.

    Args:
        vocabulary_size: rows of the embedding.
        config: sizes and dropout.
    """

    def __init__(self, vocabulary_size: int, config: PretrainingConfig) -> None:
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
        self.state_dropout = nn.Dropout(config.state_dropout)
        self.head = nn.Linear(config.hidden_size, config.embedding_size)
        self.token_bias = nn.Parameter(torch.zeros(vocabulary_size))
        initialize_layers(self, self.embedding, config.cell)

    def forward(
        self, ids: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the projected state for every next token, and these tokens.

        Args:
            ids: token ids, int64 [batch, tokens], padded on the right.
            lengths: number of tokens of each text, int64 [batch], at least 2.

        Returns:
            Projected states, float32 [positions, embedding], and tokens, int64 [positions]. A text
            has one position fewer than tokens; padding has none.
        """
        inputs, targets, known = ids[:, :-1], ids[:, 1:], lengths - 1
        states, _ = self.layers[0](self.embedding_dropout(self.embedding(inputs)), known)
        inside = torch.arange(inputs.shape[1], device=ids.device) < known[:, None]
        projected: torch.Tensor = self.head(self.state_dropout(states[inside]))
        return projected, targets[inside]

    def sampled_loss(
        self, ids: torch.Tensor, lengths: torch.Tensor, sampler: Sampler
    ) -> tuple[torch.Tensor, int]:
        """Return the mean loss of the sampled softmax, and the number of positions."""
        projected, targets = self(ids, lengths)
        loss = sampled_loss(
            projected,
            targets,
            sampler.draw().to(ids.device),
            sampler.log_expected.to(ids.device),
            self.embedding.weight,
            self.token_bias,
        )
        return loss, len(targets)

    def full_loss(self, ids: torch.Tensor, lengths: torch.Tensor) -> tuple[float, int]:
        """Return the sum of the full softmax's losses, in nats, and the number of positions."""
        projected, targets = self(ids, lengths)
        table, bias = self.embedding.weight, self.token_bias
        size = max(1, _MAX_LOGITS // len(bias))
        total = 0.0
        for part, right in zip(projected.split(size), targets.split(size), strict=True):
            logits = torch.addmm(bias, part, table.T)
            total += functional.cross_entropy(logits, right, reduction="sum").item()
        return total, len(targets)
