"""What training minimizes, against formulas written out."""

from __future__ import annotations

import pytest
import torch

from textgate.train.calibration import log_loss
from textgate.train.objective import loss


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_single_label_is_the_cross_entropy_of_the_label(output):
    logits = torch.tensor([[0.0, 2.0], [0.0, -1.0]])
    targets = torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    expected = -torch.log(torch.sigmoid(logits[:, 1])).mean()
    torch.testing.assert_close(loss(logits, targets, output=output), expected)


def test_multi_label_is_a_binary_cross_entropy_a_label():
    logits = torch.tensor([[1.0, -1.0, 0.5]])
    targets = torch.tensor([[1.0, 0.0, 1.0]])
    p = torch.sigmoid(logits)
    expected = -(targets * torch.log(p) + (1 - targets) * torch.log(1 - p)).mean()
    torch.testing.assert_close(loss(logits, targets, output="multi-label"), expected)


@pytest.mark.parametrize("output", ["softmax", "multi-label"])
def test_dev_is_scored_by_the_same_loss(output):
    torch.manual_seed(0)
    logits = torch.randn(20, 4)
    if output == "multi-label":
        targets = torch.randint(2, (20, 4)).float()
    else:
        targets = torch.eye(4)[torch.randint(4, (20,))]
    found = log_loss(logits.numpy(), targets.numpy(), multi_label=output == "multi-label")
    assert found == pytest.approx(float(loss(logits, targets, output=output)), rel=1e-5)
