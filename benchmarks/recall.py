"""A task that only memory solves: name the first symbol of a sequence after a gap of noise.

The first token is one of `SYMBOLS`; every later one is noise, the same kind of noise at every step.
One cell layer reads it, and a dense layer names the symbol from the last state. Guessing is right
one time in `SYMBOLS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from textgate.architecture import Architecture
from textgate.train.model import TextClassifier

SYMBOLS = 4
NOISE = 8  # different tokens of noise
FIRST = 2  # ids below are the padding and the unknown word
CELLS = ("rnn", "lstm", "gru")
# How weights begin: as textgate trains (recurrent ones orthogonal, 1 on an LSTM's forget gate), as
# torch does (all uniform), or as textgate does with gates that keep the state for about as long as
# the gap (Tallec and Ollivier 2018, "Can recurrent neural networks warp time?", section 2).
INITS = ("reference", "torch", "long gates")

_EMBEDDING, _HIDDEN = 16, 64
_BATCH, _CHECKED = 32, 512
_LEARNING_RATE = 3e-3
_MOST_NORM = 1.0  # of a gradient; longer ones are shortened
_CHECK_EVERY = 50


@dataclass(frozen=True)
class Recalled:
    """One network trained on one gap.

    Attributes:
        cell: ``rnn``, ``lstm`` or ``gru``.
        init: how its weights began, one of `INITS`.
        gap: tokens of noise between the symbol and the answer.
        seed: of the weights and of the sequences.
        accuracy: on sequences it has not seen, at the end.
        updates: weight updates made; fewer than allowed if it never failed any more.
    """

    cell: str
    init: str
    gap: int
    seed: int
    accuracy: float
    updates: int


def beginnings(cell: str) -> list[str]:
    """Return the ways to begin that there are for a cell: an RNN has no gates."""
    return [init for init in INITS if cell != "rnn" or init != "long gates"]


def network(cell: str, init: str, gap: int, seed: int) -> TextClassifier:
    """Return an untrained network of one layer."""
    torch.manual_seed(seed)
    model = TextClassifier(architecture(cell))
    if init == "torch":
        for layer in model.modules():
            if isinstance(layer, nn.RNNBase | nn.Linear | nn.Embedding):
                layer.reset_parameters()
    elif init == "long gates":
        keep = torch.log(torch.empty(_HIDDEN).uniform_(1, max(2, gap)))
        bias = model.layers[0].ahead.bias_ih_l0.detach()
        bias[_HIDDEN : 2 * _HIDDEN] = keep  # an LSTM's forget gate, a GRU's update gate
        if cell == "lstm":
            bias[:_HIDDEN] = -keep  # its input gate; a GRU's is what the update gate leaves
    return model


def architecture(cell: str) -> Architecture:
    """Return the network that is trained: one cell layer of which the last state is used."""
    return Architecture(
        vocabulary_size=FIRST + SYMBOLS + NOISE,
        embedding_size=_EMBEDDING,
        cell=cell,
        hidden_sizes=(_HIDDEN,),
        bidirectional=False,
        pooling=("last",),
        dense_sizes=(),
        output="softmax",
        label_count=SYMBOLS,
    )


def sequences(
    count: int, gap: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return ids int64 [count, gap + 1], their lengths [count], and the symbols to name [count]."""
    symbols = torch.randint(SYMBOLS, (count,), generator=generator)
    noise = (FIRST + SYMBOLS, FIRST + SYMBOLS + NOISE)
    ids = torch.randint(*noise, (count, gap + 1), generator=generator)
    ids[:, 0] = FIRST + symbols
    return ids, torch.full((count,), gap + 1), symbols


class Trainer:
    """A network and what updates it; one call, one update."""

    def __init__(self, cell: str, init: str, gap: int, seed: int) -> None:
        self.model = network(cell, init, gap, seed)
        self._gap = gap
        self._generator = torch.Generator().manual_seed(seed)
        self._optimizer = torch.optim.Adam(
            [weight for weight in self.model.parameters() if weight.requires_grad], _LEARNING_RATE
        )

    def update(self) -> None:
        """Take one step on fresh sequences."""
        ids, lengths, symbols = sequences(_BATCH, self._gap, self._generator)
        loss = nn.functional.cross_entropy(self.model(ids, lengths), symbols)
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), _MOST_NORM)
        self._optimizer.step()

    def accuracy(self) -> float:
        """Return the share of fresh sequences that are answered rightly."""
        ids, lengths, symbols = sequences(_CHECKED, self._gap, self._generator)
        with torch.no_grad():
            return float((self.model(ids, lengths).argmax(1) == symbols).float().mean())


def recall(cell: str, init: str, gap: int, seed: int, updates: int) -> Recalled:
    """Train a network until it never fails, or for so many updates; return how well it recalls."""
    trainer = Trainer(cell, init, gap, seed)
    made = 0
    accuracy = trainer.accuracy()
    while made < updates and accuracy < 1:
        for _ in range(min(_CHECK_EVERY, updates - made)):
            trainer.update()
            made += 1
        accuracy = trainer.accuracy()
    return Recalled(cell, init, gap, seed, accuracy, made)


def gradient_norms(model: TextClassifier, steps: int, seed: int) -> list[float]:
    """Return the norm of the loss's gradient by the state so many steps before the end.

    An LSTM's state is its output and its cell together. The mean over sequences, as a share of the
    norm at the last step: number n of the list is what is left n steps back.

    Args:
        model: a network of one layer.
        steps: how far to go back.
        seed: of the sequences.
    """
    generator = torch.Generator().manual_seed(seed)
    ids, _, symbols = sequences(_BATCH, steps, generator)
    cell = model.layers[0].ahead
    embedded = model.embedding(ids)
    states: list[tuple[torch.Tensor, ...]] = []
    state: Any = None
    for step in range(steps + 1):
        # One step at a time: torch's loop over a sequence keeps the states to itself.
        _, state = cell(embedded[:, step : step + 1], state)
        parts = state if isinstance(state, tuple) else (state,)
        for part in parts:
            part.retain_grad()
        states.append(parts)
    logits = model.head[-1](states[-1][0][0])
    nn.functional.cross_entropy(logits, symbols, reduction="sum").backward()
    norms = []
    for parts in reversed(states):
        squares = [
            (part.grad**2).sum(dim=-1) if part.grad is not None else torch.zeros(1, _BATCH)
            for part in parts
        ]
        norms.append(float(torch.stack(squares).sum(dim=0).sqrt().mean()))
    return [float(f"{norm / norms[0]:.4g}") for norm in norms]  # more digits say no more
