"""One finished run a cell. torch is imported late: these tests are skipped where it is missing."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session", params=["rnn", "lstm", "gru"])
def finished(request, separable, quick, tmp_path_factory):
    """A run that learned to tell two labels apart, for each cell."""
    from textgate.train import fit

    return fit(
        separable(240),
        tmp_path_factory.mktemp("runs") / request.param,
        dev=separable(60, seed=1),
        settings={**quick, "cell": request.param},
    )
