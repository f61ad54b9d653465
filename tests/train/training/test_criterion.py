"""Choice of the best epoch."""

from __future__ import annotations

import numpy as np
import pytest

from textgate.errors import ConfigError
from textgate.rows import Row
from textgate.train import fit
from textgate.train.training.calibration import fit_temperature, log_loss
from textgate.train.training.checkpoint import Epoch
from textgate.train.training.presets import PRESETS, preset
from textgate.train.training.scoring import finished_epoch


def test_the_score_or_the_loss_ranks_first():
    surer, righter = Epoch(1, 0.0, 0.30, 0.80, 1.0), Epoch(2, 0.0, 0.31, 0.81, 1.0)
    assert righter.rank() > surer.rank()
    assert righter.rank("score") > surer.rank("score")
    assert surer.rank("loss") > righter.rank("loss")
    as_right = Epoch(3, 0.0, 0.29, 0.81, 1.0)
    assert as_right.rank() > righter.rank()


BETTER = [
    # (loss, score) of an epoch and of a later one, whether loss or score keeps the later one
    ((0.3, 0.9), (0.2, 0.9), True, True),
    ((0.3, 0.9), (0.3, 0.9), False, False),
    ((0.3, 0.9), (0.30001, 0.9), False, False),
    ((0.2, 1.0), (0.3, 1.0), False, False),
    ((0.0, 1.0), (0.0, 1.0), True, True),  # no difference on dev: the later one has learned more
    ((0.0, 1.0), (0.00004, 1.0), True, True),
    ((0.0, 1.0), (0.00006, 1.0), False, False),
    ((0.00004, 0.7), (0.00003, 0.8), True, True),  # macro-F1, where dev lacks labels
]


@pytest.mark.parametrize(("first", "second", "by_loss", "by_score"), BETTER)
def test_of_two_perfect_epochs_the_later_one_is_kept(first, second, by_loss, by_score):
    earlier, later = (
        Epoch(number, 0.1, loss, score, 1.0)
        for number, (loss, score) in enumerate((first, second), start=1)
    )
    assert later.improves_on(earlier, "loss") == by_loss
    assert later.improves_on(earlier) == by_score


def test_the_loss_is_that_of_calibrated_probabilities():
    generator = np.random.default_rng(0)
    targets = np.eye(2, dtype=np.float32)[generator.integers(0, 2, 200)]
    logits = (targets + generator.normal(0, 1, (200, 2))).astype(np.float32)
    sure = logits * np.float32(9)

    def loss(logits, *, calibrated):
        epoch = finished_epoch(
            1, 0.5, logits, targets, multi_label=False, started=0.0, calibrated=calibrated
        )
        return epoch.dev_loss

    assert loss(sure, calibrated=False) > 2 * loss(sure, calibrated=True)
    assert loss(sure, calibrated=True) == pytest.approx(loss(logits, calibrated=True), abs=1e-5)
    temperature = np.float32(fit_temperature(logits, targets, multi_label=False))
    expected = log_loss(logits / temperature, targets, multi_label=False)
    assert loss(logits, calibrated=True) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("criterion", ["score", "loss"])
def test_training_keeps_the_chosen_epoch(tmp_path, criterion):
    data = [
        Row(f"a {word} film number {number}", (label,), number)
        for number in range(40)
        for word, label in (("good", "positive"), ("bad" if number % 4 else "good", "negative"))
    ]
    settings = {"criterion": criterion, "epochs": 4, "hidden_sizes": [4], "vectors": "none"}
    dev = [Row("a good film", ("positive",), 1), Row("a good play", ("negative",), 2), *data[:4]]
    model = fit(data, tmp_path / "run", dev=dev, settings=settings).model
    ranks = [epoch.rank(criterion) for epoch in model.history]
    assert model.best_epoch == ranks.index(max(ranks)) + 1


def test_presets():
    """The reference networks use accuracy, as in their chapter."""
    assert preset("default").criterion == "loss"
    assert {PRESETS[name].criterion for name in PRESETS if name != "default"} == {"score"}
    with pytest.raises(ConfigError, match="criterion must be one of score, loss, not 'f1'"):
        preset("default").replace(criterion="f1")
