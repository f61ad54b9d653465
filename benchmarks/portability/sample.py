"""A bundle trained on the sample reviews, and their test texts."""

from __future__ import annotations

from pathlib import Path

import torch

from textgate.export import export
from textgate.train import fit

ROOT = Path(__file__).parent.parent.parent
REVIEWS = ROOT / "examples" / "reviews"
TEST_ROWS = REVIEWS / "test.jsonl.gz"


def trained_bundle(folder: Path) -> Path:
    """Train the reference LSTM shortly on the sample reviews and return its int8 bundle.

    Args:
        folder: where the bundle goes; the run goes beside it.
    """
    torch.set_num_threads(1)
    run = folder.with_name(f"{folder.name}.run")
    fit(REVIEWS / "train.jsonl.gz", run, preset="seed-lstm", settings={"epochs": 2}, force=True)
    # The limit is lifted: how much two epochs' worth loses is not the question here.
    export(run, folder, max_accuracy_drop=1.0, force=True)
    return folder
