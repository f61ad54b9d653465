"""How many rows a second training takes in, against the usual loop over packed sequences.

Both train the same LSTM on the same rows, in turns of a few dozen steps, on as many threads. The
usual loop draws its batches at random, packs them (`pack_padded_sequence`) and updates the whole
embedding with Adam; textgate fills batches with texts of similar length, packs nothing, and updates
the rows that were read.

    python benchmarks/training.py --data ../shared/data/sst2/train.jsonl.gz
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import torch
from blocks import BLOCKS
from common import SAMPLE, output_option, write_result
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from textgate.train.dataset import Batch, Dataset
from textgate.train.model import TextClassifier
from textgate.train.objective import Objective, loss
from textgate.train.optimization import Optimizer
from textgate.train.preparation import Preparation, prepare
from textgate.train.split import Columns

GOAL = 1.8
_STEPS = 24  # of a turn
# What both loops have in common: the network and its dropout, without what only textgate has.
_SETTINGS = {
    "linear_size": 0,
    "linear_buckets": 0,
    "adversarial": 0.0,
    "token_dropout": 0.0,
    "average": 0.0,
    "schedule": "constant",
    "pooling": ("max",),
}


class PackedClassifier(nn.Module):
    """The same network as most tutorials write it."""

    def __init__(self, model: TextClassifier) -> None:
        super().__init__()
        net = model.architecture
        self.embedding = nn.Embedding(net.vocabulary_size, net.embedding_size)
        self.dropout = nn.Dropout(net.embedding_dropout)
        self.lstm = nn.LSTM(net.embedding_size, net.hidden_sizes[0], batch_first=True)
        self.head_dropout = nn.Dropout(net.head_dropout)
        self.head = nn.Linear(net.hidden_sizes[0], net.label_count)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return one logit a label, float32 [batch, labels]."""
        packed = pack_padded_sequence(
            self.dropout(self.embedding(ids)), lengths, batch_first=True, enforce_sorted=False
        )
        states, _ = pad_packed_sequence(
            self.lstm(packed)[0], batch_first=True, padding_value=float("-inf")
        )
        result: torch.Tensor = self.head(self.head_dropout(states.amax(dim=1)))
        return result


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=SAMPLE / "train.jsonl.gz")
@click.option("--batch-size", default=64, show_default=True)
@click.option("--rounds", default=20, show_default=True)
@click.option("--threads", default=1, show_default=True)
@output_option("training")
def main(data: Path, batch_size: int, rounds: int, threads: int, output: Path) -> None:
    """Time both loops in alternation and print the ratio of medians."""
    torch.set_num_threads(threads)
    ready = prepare(data, None, "default", {**_SETTINGS, "batch_size": batch_size}, Columns())
    loops = {"textgate": _ours(ready, batch_size), "packed": _packed(ready, batch_size)}
    rates: dict[str, list[float]] = {name: [] for name in loops}
    for turn in range(rounds + 2):
        names = list(loops) if turn % 2 else list(loops)[::-1]
        for name in names:
            started = time.perf_counter()
            rows = sum(next(loops[name]) for _ in range(_STEPS))
            if turn >= 2:  # the first ones warm up
                rates[name].append(rows / (time.perf_counter() - started))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    ratio = medians["textgate"] / medians["packed"]
    turns = zip(rates["textgate"], rates["packed"], strict=True)
    spread = np.quantile([ours / theirs for ours, theirs in turns], [0.1, 0.9])
    result = {
        "data": data.parent.name,
        "rows": len(ready.train),
        "batch_size": batch_size,
        "threads": threads,
        "vocabulary": ready.manifest.architecture.vocabulary_size,
        "rows_per_second": medians,
        "ratio": ratio,
        "ratio_tenth_to_ninetieth": spread.tolist(),
        "goal": GOAL,
    }
    print(BLOCKS["training"].text(write_result(output, result)))


def _ours(ready: Preparation, batch_size: int) -> Iterator[int]:
    """Make a step of textgate's loop at a time; yield the rows of each."""
    architecture, config, train = ready.manifest.architecture, ready.config, ready.train
    model = TextClassifier(architecture, sparse=config.sparse).train()
    ready.start.apply(model)
    optimizer = Optimizer(model, config, steps=10**9)
    objective = Objective(config, train, architecture, device=torch.device("cpu"))
    for epoch in itertools.count():
        for batch in train.shuffled_batches(batch_size, seed=0, epoch=epoch):
            optimizer.clear()
            objective.backward(model, batch)
            optimizer.step(1)
            yield len(batch.lengths)


def _packed(ready: Preparation, batch_size: int) -> Iterator[int]:
    """Make a step of the usual loop at a time; yield the rows of each."""
    architecture, config, train = ready.manifest.architecture, ready.config, ready.train
    model = PackedClassifier(TextClassifier(architecture)).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    for batch in _at_random(train, batch_size):
        optimizer.zero_grad(set_to_none=True)
        logits = model(batch.ids, batch.lengths)
        loss(logits, batch.targets, output=architecture.output).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), config.gradient_norm)
        optimizer.step()
        yield len(batch.lengths)


def _at_random(train: Dataset, batch_size: int) -> Iterator[Batch]:
    generator = np.random.default_rng(0)
    while True:
        order = generator.permutation(len(train))
        for start in range(0, len(order), batch_size):
            yield train.batch(order[start : start + batch_size])


if __name__ == "__main__":
    main()
