"""The training loop, with a learner that does nothing but follow a script."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch

from textgate.train.training.checkpoint import Epoch
from textgate.train.training.loop import Learner, train_epochs
from textgate.train.training.progress import Progress


class Scripted(Learner[Epoch]):
    """Counts its steps in its only weight, and has the given scores on dev."""

    score = "accuracy"

    def __init__(self, scores, *, rows=10, state=None, **options):
        torch.manual_seed(0)
        model = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.zeros_(model.weight)
        device, lengths = torch.device("cpu"), np.full(rows, 3)
        fixed = {"batch_size": 4, "epochs": len(scores), "seed": 5}
        super().__init__(model, device, lengths, state=state, **(fixed | options))
        self.scores, self.read, self.sizes, self.numbers, self.drawn = scores, [], [], [], []

    def step(self, rows, number):
        self.read.extend(rows.tolist())
        self.sizes.append(len(rows))
        self.numbers.append(number)
        self.drawn.append(torch.rand(1).item())
        with torch.no_grad():
            self.model.weight += 1
        return float(number), len(rows)

    def optimizer_tensors(self):
        return {}

    def evaluate(self, number, train_loss, started):  # noqa: ARG002
        return Epoch(number, train_loss, 0.5, self.scores[number - 1], 1.0), self.state.weights

    def improves(self, epoch, best):
        return epoch.improves_on(best)

    def is_learned(self, epoch):
        return epoch.dev_score == 1.0


def run(learner, progress=None):
    """Trains, and returns a copy of each saved state."""
    saved = []
    train_epochs(learner, lambda state: saved.append(copy.deepcopy(state)), progress or Progress())
    return saved


STOPS = [
    # scores, patience, epochs that are made, the best of them
    ((0.1, 0.2, 0.3), math.inf, 3, 3),
    ((0.3, 0.2, 0.1), math.inf, 3, 1),
    ((0.3, 0.2, 0.1, 0.4), 2, 3, 1),
    ((0.3, 0.2, 0.4, 0.1), 2, 4, 3),
    ((0.3, 0.3, 0.3), 1, 2, 1),
    ((0.1, 1.0, 0.3), math.inf, 2, 2),
]


@pytest.mark.parametrize(("scores", "patience", "made", "best"), STOPS)
def test_when_it_stops_and_which_epoch_is_best(scores, patience, made, best):
    learner = Scripted(scores)
    learner.patience = patience
    saved = run(learner)
    assert [len(state.history) for state in saved] == list(range(1, made + 1))
    assert learner.state.best_epoch == best
    assert learner.state.best_weights["weight"].item() == 3 * best  # three steps an epoch


def test_an_epoch_reads_every_row_once_in_its_own_order():
    learner = Scripted((0.1, 0.2))
    run(learner)
    first, second = learner.read[:10], learner.read[10:]
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert learner.numbers == list(range(6))


def test_the_loss_is_the_mean_over_all_examples():
    learner = Scripted((0.1,), rows=6)
    run(learner)
    assert sorted(learner.sizes) == [2, 4]
    assert learner.state.history[0].train_loss == learner.sizes[1] / 6  # the losses are 0 and 1


@pytest.mark.parametrize("epochs", [1, 2])
def test_resuming_repeats_nothing_and_draws_the_same(epochs):
    whole = Scripted((0.1, 0.3, 0.2))
    saved = run(whole)
    resumed = Scripted((0.1, 0.3, 0.2), state=saved[epochs - 1])
    torch.manual_seed(99)  # another process has other random numbers
    run(resumed)
    steps = 3 * epochs
    assert (resumed.numbers, resumed.drawn) == (whole.numbers[steps:], whole.drawn[steps:])
    assert resumed.read == whole.read[10 * epochs :]
    assert resumed.state == whole.state


def test_checkpoints_within_an_epoch():
    """After every second step, but once only at the end of an epoch."""
    learner = Scripted((0.1, 0.2), rows=16)
    learner.checkpoint_steps = 2
    saved = run(learner)
    assert [(state.step, len(state.history)) for state in saved] == [(2, 0), (4, 1), (6, 1), (8, 2)]
    assert [state.examples for state in saved] == [8, 0, 8, 0]
    again = Scripted((0.1, 0.2), rows=16, state=saved[2])
    run(again)
    assert again.numbers == [6, 7]
    assert again.state.history == learner.state.history


def test_progress_counts_the_rows_that_a_checkpoint_has_done():
    learner = Scripted((0.1,), rows=16)
    learner.checkpoint_steps = 3
    (within, _) = run(learner)

    class Heard(Progress):
        rows = 0

        def step(self, rows):
            self.rows += rows

    heard = Heard()
    run(Scripted((0.1,), rows=16, state=within), heard)
    assert heard.rows == 16


def test_the_callers_random_numbers_go_on():
    learner = Scripted((0.1, 0.2))
    torch.manual_seed(1)
    expected = torch.rand(2).tolist()
    torch.manual_seed(1)
    first = torch.rand(1).item()
    run(learner)
    assert [first, torch.rand(1).item()] == expected
