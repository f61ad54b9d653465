"""What chooses the best epoch."""

from __future__ import annotations

import numpy as np
import pytest

from textgate.errors import ConfigError
from textgate.rows import Row
from textgate.train import fit
from textgate.train.calibration import fit_temperature, log_loss
from textgate.train.checkpoint import Epoch
from textgate.train.presets import PRESETS, preset
from textgate.train.scoring import finished_epoch


def test_the_score_goes_first_or_the_loss_alone():
    surer, righter = Epoch(1, 0.0, 0.30, 0.80, 1.0), Epoch(2, 0.0, 0.31, 0.81, 1.0)
    assert righter.rank() > surer.rank()
    assert righter.rank("score") > surer.rank("score")
    assert surer.rank("loss") > righter.rank("loss")
    as_right = Epoch(3, 0.0, 0.29, 0.81, 1.0)
    assert as_right.rank() > righter.rank()


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
def test_training_keeps_the_epoch_that_is_chosen(tmp_path, criterion):
    data = [
        Row(f"a {word} film number {number}", (label,), number)
        for number in range(40)
        for word, label in (("good", "positive"), ("bad" if number % 4 else "good", "negative"))
    ]
    settings = {"criterion": criterion, "epochs": 4, "hidden_sizes": [4], "vectors": "none"}
    model = fit(data, tmp_path / "run", settings=settings).model
    ranks = [epoch.rank(criterion) for epoch in model.history]
    assert model.best_epoch == ranks.index(max(ranks)) + 1


def test_presets():
    """The reference networks go by accuracy, as their chapter does."""
    assert preset("default").criterion == "loss"
    assert {PRESETS[name].criterion for name in PRESETS if name != "default"} == {"score"}
    with pytest.raises(ConfigError, match="criterion must be one of score, loss, not 'f1'"):
        preset("default").replace(criterion="f1")
