"""How far back RNN, LSTM and GRU remember, compared with common claims, and the cost.

    python benchmarks/memory_of_cells.py            # about 20 minutes on two cores
    python benchmarks/memory_of_cells.py --quick    # a minute, to see that it works

The task is one that only memory solves: name the first symbol of a sequence after a gap of 5 to 500
steps of noise, the same kind of noise at every step. One cell layer reads it, and a dense layer
names the symbol from the last state. The weights begin in several ways, with several seeds each.
Besides: how much of the gradient is left so many steps before the loss, before and after training,
and what an update and a prediction cost. `python benchmarks/readme.py` draws the pictures.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from common import output_option, write_result
from pages.templates import Result, table
from torch import nn

from textgate.bench.noise import fixed_work, noise_in
from textgate.bench.timing import bootstrap_ratio_interval, measure_alternating, ratio_of_medians
from textgate.bundle.architecture import Architecture, parameter_count
from textgate.export.graph.network import build_graph
from textgate.export.quantize.plan import FLOAT32, INT8
from textgate.export.quantize.weights import network_weights
from textgate.inference.session import make_session
from textgate.train.network.model import TextClassifier

GAPS = (5, 10, 20, 50, 100, 200, 500)
STEPS_BACK = 200  # of the gradient
TRAINED_GAP = 100  # of the networks whose gradient is looked at after training, and of the times
LENGTHS = (25, 100, 500)  # tokens of the predictions that are timed
BASE = "lstm"  # what the times are compared with

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
_MAX_NORM = 1.0  # of a gradient; longer ones are shortened
_CHECK_EVERY = 50


@dataclass(frozen=True)
class Recalled:
    """One network trained on one gap; `updates` are fewer than allowed if it no longer fails."""

    cell: str
    init: str
    gap: int
    seed: int
    accuracy: float
    updates: int


@click.command()
@click.option("--gaps", default=",".join(map(str, GAPS)), show_default=True)
@click.option("--seeds", default=3, show_default=True)
@click.option("--updates", default=1000, show_default=True, help="Most updates of a network.")
@click.option("--seconds", default=20.0, show_default=True, help="For each comparison of times.")
@click.option("--jobs", default=os.cpu_count() or 1, help="Processes that train.")
@click.option("--quick", is_flag=True, help="A smoke run: short gaps, one seed, nothing written.")
@output_option("memory_of_cells")
def main(
    gaps: str, seeds: int, updates: int, seconds: float, jobs: int, quick: bool, output: Path
) -> None:
    """Test what is claimed of the memory of cells."""
    torch.set_num_threads(1)
    chosen = [int(gap) for gap in gaps.split(",")]
    if quick:
        chosen, seeds, updates, seconds = [5, 20], 1, 100, 0.2
    # The times first, while nothing else of this run is running.
    costs, fixed = measure_costs(seconds)
    recalled = train_all(chosen, seeds, updates, jobs)
    gradients = all_gradients(seeds, updates, steps=20 if quick else STEPS_BACK)
    result = {
        "noise": asdict(noise_in([fixed])),
        "updates": updates,
        "parameters": {cell: parameter_count(architecture(cell)) for cell in CELLS},
        "recalled": [asdict(each) for each in recalled],
        "gradients": gradients,
        "costs": costs,
    }
    print(_accuracy_by_gap(write_result(None if quick else output, result)))


def _gap_rows(result: Result) -> list[dict[str, Any]]:
    found: dict[int, dict[str, list[float]]] = {}
    for one in result["recalled"]:
        name = f"{one['cell'].upper()}, {one['init']}"
        found.setdefault(one["gap"], {}).setdefault(name, []).append(one["accuracy"])
    return [
        {
            "gap": gap,
            "each": {name: f"{statistics.fmean(seeds):.2f}" for name, seeds in names.items()},
        }
        for gap, names in sorted(found.items())
    ]


_accuracy_by_gap = table(_gap_rows, "gap | @", "{gap:,} | @")


def train_all(gaps: Sequence[int], seeds: int, updates: int, jobs: int) -> list[Recalled]:
    """Train a network for every cell, beginning, gap and seed, the longest gaps first."""
    wanted = [
        (cell, init, gap, seed)
        for gap in sorted(gaps, reverse=True)
        for cell in CELLS
        for init in beginnings(cell)
        for seed in range(seeds)
    ]
    spawn = get_context("spawn")
    found = []
    with ProcessPoolExecutor(jobs, spawn, torch.set_num_threads, (1,)) as pool:
        for each in pool.map(partial(recall, updates=updates), *zip(*wanted, strict=True)):
            found.append(each)
            click.echo(f"{len(found)} of {len(wanted)}: {each}", err=True)
    return sorted(found, key=lambda each: (each.init, each.cell, each.gap, each.seed))


def all_gradients(seeds: int, updates: int, *, steps: int) -> list[dict[str, Any]]:
    """Return what is left of the gradient for every cell and beginning, untrained and trained."""
    found = []
    for cell in CELLS:
        for init in beginnings(cell):
            before, after = [], []
            for seed in range(seeds):
                trainer = Trainer(cell, init, min(TRAINED_GAP, steps), seed)
                before.append(gradient_norms(trainer.model, steps, seed))
                for _ in range(updates // 2):
                    trainer.update()
                after.append(gradient_norms(trainer.model, steps, seed))
            for trained, runs in ((False, before), (True, after)):
                norms = np.median(np.asarray(runs), axis=0).tolist()
                found.append({"cell": cell, "init": init, "trained": trained, "norms": norms})
    return found


def measure_costs(seconds: float) -> tuple[list[dict[str, Any]], list[int]]:
    """Return costs against the LSTM's in one alternating run, and times of fixed work.

    They are of an update, and of a prediction of one sequence in ONNX Runtime, by precision.
    """
    costs = []
    fixed: list[int] = []

    def compared(what: str, tokens: int, work: dict[str, Callable[[], object]]) -> None:
        times = measure_alternating(
            {**work, "fixed": fixed_work}, seconds=seconds, warm_up=3, minimum=5
        )
        fixed.extend(times.pop("fixed"))
        for cell, values in times.items():
            low, high = bootstrap_ratio_interval(values, times[BASE])
            ratio = ratio_of_medians(values, times[BASE])
            middle = statistics.median(values) / 1e6
            cost = {"cell": cell, "what": what, "tokens": tokens, "ms": middle}
            costs.append({**cost, "ratio": ratio, "low": low, "high": high})

    trainers = {cell: Trainer(cell, INITS[0], TRAINED_GAP, 0) for cell in CELLS}
    compared("update", TRAINED_GAP, {cell: each.update for cell, each in trainers.items()})
    for precision, plan in (("float32", FLOAT32), ("int8", INT8)):
        sessions = {}
        for cell, each in trainers.items():
            weights = network_weights(architecture(cell), each.model.state_dict())
            sessions[cell] = make_session(build_graph(architecture(cell), weights, plan).model)
        for tokens in LENGTHS:
            feed = {
                "input_ids": np.full((1, tokens), 7, dtype=np.int64),
                "lengths": np.array([tokens], dtype=np.int64),
            }
            work = {
                cell: partial(session.run, ["probabilities"], feed)
                for cell, session in sessions.items()
            }
            compared(precision, tokens, work)
    return costs, fixed


# The task and its networks


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
        nn.utils.clip_grad_norm_(self.model.parameters(), _MAX_NORM)
        self._optimizer.step()

    def accuracy(self) -> float:
        """Return the fraction of fresh sequences that are answered rightly."""
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

    An LSTM's state is its output and its cell together. The mean over sequences, as a fraction of
    the norm at the last step: number n of the list is what is left n steps back.

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


if __name__ == "__main__":
    main()
