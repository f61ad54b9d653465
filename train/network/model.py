"""The classifier network in PyTorch.

Batches are padded on the right and never packed: a forward cell reads the padding last, and a
backward cell reads each sequence reversed within its own length. The results are exact, and torch
takes its fast CPU path for LSTMs, which it does not take for packed sequences.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from textgate.train.text.bigrams import EMPTY, look_up

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textgate.bundle.architecture import Architecture, Cell

# Scales the linear branch's logits to the range that its learning rates are chosen for.
LINEAR_GAIN = 3.0
_CELLS: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class TextClassifier(nn.Module):
    """Embedding, recurrent layers, pooling over time, dense head, and optionally a linear branch.

    The initial weights are those of Keras's defaults, as in the reference networks, see
    `initialize_layers`.

    Args:
        architecture: the architecture.
        sparse: whether the gradients of embedding tables are sparse, which saves most of a step if
            the tables are large; the optimizer must support it.
        linear_dropout: fraction of the linear branch's features dropped in training.
    """

    def __init__(
        self, architecture: Architecture, *, sparse: bool = False, linear_dropout: float = 0.0
    ) -> None:
        super().__init__()
        net = architecture
        self.architecture = net
        self.embedding = nn.Embedding(net.vocabulary_size, net.embedding_size, sparse=sparse)
        self.embedding_dropout = nn.Dropout(net.embedding_dropout)
        self.layers = nn.ModuleList(
            RecurrentLayer(net.cell, inputs, hidden, bidirectional=net.bidirectional)
            for inputs, hidden in zip(net.input_sizes, net.hidden_sizes, strict=True)
        )
        self.layer_dropout = nn.Dropout(net.layer_dropout)
        self.pooling = PoolingLayer(net.pooling, net.state_size)
        self.head_dropout = nn.Dropout(net.head_dropout)
        widths = (net.pooled_size, *net.dense_sizes, net.output_units)
        self.head = nn.ModuleList(
            nn.Linear(inputs, outputs) for inputs, outputs in itertools.pairwise(widths)
        )
        self.linear = (
            LinearBranch(net, sparse=sparse, dropout=linear_dropout) if net.linear_size else None
        )
        initialize_layers(self, self.embedding, net.cell)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return one logit per label, float32 [batch, labels].

        Args:
            ids: token ids, int64 [batch, tokens], padded on the right.
            lengths: tokens of each text, int64 [batch], at least 1.
        """
        logits = self.recurrent_logits(self.embedding(ids), lengths)
        return logits if self.linear is None else logits + self.linear_logits(ids, lengths)

    def recurrent_logits(self, embedded: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return the logits without those of the linear branch, float32 [batch, labels].

        Args:
            embedded: rows of the embedding, float32 [batch, tokens, embedding].
            lengths: tokens of each text, int64 [batch], at least 1.
        """
        pooled = self.head_dropout(self.pooled_states(embedded, lengths))
        for dense in self.head[:-1]:
            pooled = torch.relu(dense(pooled))
        return self._by_label(self.head[-1](pooled))

    def pooled_states(self, embedded: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return what the head reads, before its dropout, float32 [batch, pooled].

        Args:
            embedded: rows of the embedding, float32 [batch, tokens, embedding].
            lengths: tokens of each text, int64 [batch], at least 1.
        """
        states = self.embedding_dropout(embedded)
        last = states  # replaced below: there is at least one layer
        for index, layer in enumerate(self.layers):
            if index:
                states = self.layer_dropout(states)
            states, last = layer(states, lengths)
        pooled: torch.Tensor = self.pooling(states, last, lengths)
        return pooled

    def linear_logits(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return the logits of the linear branch, float32 [batch, labels].

        Args:
            ids: token ids, int64 [batch, tokens], padded on the right.
            lengths: tokens of each text, int64 [batch], at least 1.

        Raises:
            ValueError: the network has no linear branch.
        """
        if self.linear is None:
            raise ValueError("this network has no linear branch")
        return self._by_label(self.linear(ids, lengths))

    def probabilities(self, logits: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
        """Return float32 [batch, labels]: a softmax, or one sigmoid per label for multi-label."""
        if self.architecture.output == "multi-label":
            return torch.sigmoid(logits / temperature)
        return torch.softmax(logits / temperature, dim=1)

    def _by_label(self, units: torch.Tensor) -> torch.Tensor:
        if self.architecture.output == "sigmoid":
            # One unit z for two labels is the softmax over [0, z].
            return torch.cat([torch.zeros_like(units), units], dim=1)
        return units


class RecurrentLayer(nn.Module):
    """One recurrent layer in one or both directions."""

    def __init__(self, cell: Cell, inputs: int, hidden: int, *, bidirectional: bool) -> None:
        super().__init__()
        self.ahead = _CELLS[cell](inputs, hidden, batch_first=True)
        self.back = _CELLS[cell](inputs, hidden, batch_first=True) if bidirectional else None

    def forward(
        self, inputs: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return all states [batch, tokens, width] and the last ones [batch, width].

        A backward cell's last state is the one after the text's first token.
        """
        states, _ = self.ahead(inputs)
        last = _at(states, lengths - 1)
        if self.back is None:
            return states, last
        back, _ = self.back(reverse(inputs, lengths))
        last = torch.cat([last, _at(back, lengths - 1)], dim=1)
        return torch.cat([states, reverse(back, lengths)], dim=2), last


class PoolingLayer(nn.Module):
    """Pooling of states over time into one vector, by one or several concatenated rules."""

    def __init__(self, names: Sequence[str], width: int) -> None:
        super().__init__()
        self.names = tuple(names)
        self.scores = nn.Linear(width, 1, bias=False) if "attention" in names else None

    def forward(
        self, states: torch.Tensor, last: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        """Return [batch, width * rules] from states [batch, tokens, width]; padding is ignored."""
        steps = torch.arange(states.shape[1], device=states.device)
        inside = (steps < lengths[:, None])[:, :, None]
        parts = []
        for name in self.names:
            if name == "last":
                parts.append(last)
            elif name == "max":
                parts.append(states.masked_fill(~inside, -torch.inf).amax(dim=1))
            elif name == "mean":
                total = (states * inside).sum(dim=1)
                parts.append(total / lengths[:, None].to(states.dtype))
            elif self.scores is not None:
                scores = self.scores(states).masked_fill(~inside, -torch.inf)
                parts.append((torch.softmax(scores, dim=1) * states * inside).sum(dim=1))
        return torch.cat(parts, dim=1)


class LinearBranch(nn.Module):
    """A linear classifier over tokens and bigrams, see `textgate.train.text.bigrams`.

    A text is the weighted sum of the rows of its features, divided by the square root of the sum of
    the squared weights: like TF-IDF of unit length, except that the length counts every occurrence
    of a feature by itself.

    Stored weights call the bigrams ``pairs``, so the attributes do as well. A new branch adds
    nothing to the logits: if its tables have one column per logit they are 0 and the projection is
    the identity, else the projection is 0 and the tables are small and random.

    Args:
        architecture: the architecture of the network.
        sparse: as for `TextClassifier`.
        dropout: fraction of the features dropped in training.
    """

    token_weights: torch.Tensor
    pair_weights: torch.Tensor
    fingerprints: torch.Tensor

    def __init__(self, architecture: Architecture, *, sparse: bool, dropout: float) -> None:
        super().__init__()
        net = architecture
        self.tokens = nn.Embedding(net.linear_tokens, net.linear_size, sparse=sparse)
        self.pairs = nn.Embedding(net.linear_buckets, net.linear_size, sparse=sparse)
        self.projection = nn.Linear(net.linear_size, net.output_units, bias=False)
        self.dropout = dropout
        ones = torch.ones(net.linear_tokens, dtype=torch.uint8)
        zeros = torch.zeros(net.linear_buckets, dtype=torch.uint8)
        self.register_buffer("token_weights", ones)
        self.register_buffer("pair_weights", zeros)
        self.register_buffer("fingerprints", torch.full_like(zeros, EMPTY))
        if net.linear_size == net.output_units:
            nn.init.eye_(self.projection.weight)
            nn.init.zeros_(self.tokens.weight)
            nn.init.zeros_(self.pairs.weight)
        else:
            nn.init.zeros_(self.projection.weight)
            nn.init.uniform_(self.tokens.weight, -1.0 / net.linear_size, 1.0 / net.linear_size)
            nn.init.uniform_(self.pairs.weight, -1.0 / net.linear_size, 1.0 / net.linear_size)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return the logits of the branch, float32 [batch, units]."""
        steps = torch.arange(ids.shape[1], device=ids.device)
        inside = steps < lengths[:, None]
        known = inside & (ids < self.tokens.num_embeddings)
        rows = ids.clamp(max=self.tokens.num_embeddings - 1)
        buckets, found = look_up(ids, self.fingerprints)
        token_weights = self.token_weights[rows] * known
        bigram_weights = self.pair_weights[buckets] * (inside & found)
        squares = token_weights.float().square().sum(1) + bigram_weights.float().square().sum(1)
        total = self._sum(self.tokens, rows, token_weights)
        total = total + self._sum(self.pairs, buckets, bigram_weights)
        scale = LINEAR_GAIN * squares.clamp(min=1.0).rsqrt()
        result: torch.Tensor = self.projection(total * scale[:, None])
        return result

    def _sum(self, table: nn.Embedding, rows: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Return the weighted sum of each text's rows, float32 [batch, size]."""
        kept = functional.dropout(
            weights.to(table.weight.dtype), self.dropout, training=self.training
        )
        total: torch.Tensor = (table(rows) * kept[:, :, None]).sum(dim=1)
        return total


def initialize_layers(model: nn.Module, embedding: nn.Embedding, cell: Cell) -> None:
    """Set the initial weights of an embedding, recurrent layers, and a ``head``.

    They follow Keras's defaults: embedding uniform in +-0.05; input and dense weights Glorot
    uniform; recurrent weights orthogonal per gate; biases 0, but 1 for the forget gate of an LSTM
    (Jozefowicz et al. 2015). torch has two biases per gate where one is enough: for RNN and LSTM
    the second stays 0.

    Args:
        model: the network.
        embedding: its embedding.
        cell: the cell of its recurrent layers.
    """
    nn.init.uniform_(embedding.weight, -0.05, 0.05)
    for name, weight in model.named_parameters():
        if "weight_ih" in name or name.startswith("head.") or "scores" in name:
            if weight.dim() == 2:
                nn.init.xavier_uniform_(weight)
            else:
                nn.init.zeros_(weight)
        elif "weight_hh" in name:
            hidden = weight.shape[1]
            for gate in torch.split(weight.detach(), hidden):
                nn.init.orthogonal_(gate)
        elif "bias" in name:
            nn.init.zeros_(weight)
            if cell == "lstm" and "bias_ih" in name:
                hidden = weight.shape[0] // 4
                weight.detach()[hidden : 2 * hidden] = 1.0  # torch's order of gates: i, f, g, o
            if cell != "gru" and "bias_hh" in name:
                weight.requires_grad_(False)


def _at(states: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """Return the state of each row at its own step, [batch, width]."""
    return states[torch.arange(states.shape[0], device=states.device), steps]


def reverse(states: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Return states [batch, tokens, width] with each row reversed within its own length."""
    steps = torch.arange(states.shape[1], device=lengths.device)
    reversed_steps = lengths[:, None] - 1 - steps
    order = torch.where(reversed_steps >= 0, reversed_steps, steps)
    return states.gather(1, order[:, :, None].expand(-1, -1, states.shape[2]))
