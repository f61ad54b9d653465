"""Choice among trials: the default recipe unless it is beaten, and the optimism of the choice."""

from __future__ import annotations

import numpy as np
import pytest

from textgate.train.tuning import choice
from textgate.train.tuning.choice import choose, expect
from textgate.train.tuning.trials import Answered


def answered(losses, score=0.8):
    losses = np.array(losses, dtype=np.float32)
    return Answered(losses, losses < 0.7, score)


STEADY = answered([0.5] * 50)
CASES = {
    "lower on every row": ([STEADY, answered([0.4] * 50)], 0, 1),
    "the lowest of several": ([STEADY, answered([0.4] * 50), answered([0.3] * 50)], 0, 2),
    "lower by chance": ([STEADY, answered([0.0, *[0.505] * 49])], 0, 0),
    "lower with a lower score": ([STEADY, answered([0.4] * 50, score=0.79)], 0, 0),
    "higher": ([STEADY, answered([0.6] * 50)], 0, 0),
    "without the default": ([answered([0.6] * 50), STEADY], None, 1),
    "one alone": ([STEADY], 0, 0),
}


@pytest.mark.parametrize(("candidates", "default", "chosen"), CASES.values(), ids=CASES)
def test_the_choice(candidates, default, chosen):
    assert choose(candidates, default) == chosen


def coins(generator):
    """60 trials of a coin on 100 rows."""
    found = []
    for _ in range(60):
        right = generator.random(100) < 0.5
        losses = np.where(right, 0.5, 0.9) + generator.random(100) * 0.01
        found.append(Answered(losses.astype(np.float32), right, float(right.mean())))
    return found


def test_what_is_expected_of_the_best_of_many_is_not_its_own_score(monkeypatch):
    """The best of 60 coins is right in many more than half of the rows, and no better."""
    monkeypatch.setattr(choice, "_DRAWS", 40)
    generator = np.random.default_rng(0)
    best, expected = [], []
    for _ in range(30):
        thrown = coins(generator)
        best.append(thrown[choose(thrown, None)].score)
        expected.append(expect(thrown, None, seed=0).accuracy)
    assert np.mean(best) > 0.6
    assert abs(np.mean(expected) - 0.5) < 0.02


def test_without_a_choice_the_expected_score_is_its_own():
    generator = np.random.default_rng(1)
    right = generator.random(400) < 0.8
    only = Answered(np.where(right, 0.2, 1.2).astype(np.float32), right, float(right.mean()))
    expected = expect([only], 0, seed=0)
    assert expected.accuracy == pytest.approx(only.score, abs=0.005)
    assert expected == expect([only], 0, seed=0)


def test_a_single_row_has_nothing_outside_of_it():
    assert expect([answered([0.5])], 0, seed=0).accuracy == 1.0
