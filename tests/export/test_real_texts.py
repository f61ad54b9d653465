"""The float32 graph equals torch on thousands of real texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from textgate.bundle.architecture import CELLS
from textgate.export.quantize.plan import FLOAT32
from textgate.export.verification import session_probabilities
from textgate.inference.session import make_session
from textgate.inference.tokenizer import TextTokenizer
from textgate.rows import load_labelled
from textgate.train.data.dataset import Dataset
from textgate.train.text.vocabulary import build_tokenizer
from textgate.train.training.presets import preset
from textgate.train.training.trainer import predict_logits

COUNT = 2000
ROOT = Path(__file__).parents[2]
FOLDERS = {
    "reviews": ROOT / "examples" / "reviews",
    "sst2": ROOT.parent / "shared" / "data" / "sst2",
}


@pytest.fixture(scope="module", params=FOLDERS)
def encoded(request):
    folder = FOLDERS[request.param]
    if not folder.is_dir():
        pytest.skip(f"the {request.param} data is not beside this repository")
    splits = [load_labelled(folder / f"{name}.jsonl.gz") for name in ("test", "dev")]
    texts = [row.text for rows in splits for row in rows][:COUNT]
    assert len(texts) == COUNT
    tokenizer = TextTokenizer(
        build_tokenizer(texts, vocabulary_size=1000, max_tokens=100), max_tokens=100
    )
    return tokenizer.encode_batch(texts)


@pytest.mark.parametrize("cell", CELLS)
def test_the_reference_network_equals_torch(encoded, tools, cell):
    """Untrained, with weights wide enough to give every text another probability."""
    net = preset(f"seed-{cell}").architecture(
        vocabulary_size=1000, label_count=2, task="single-label"
    )
    # An RNN this wide any wider is chaotic: it would magnify the rounding of its own sums.
    model = tools.network(net, spread=0.04 if cell == "rnn" else 0.1)
    sequences = tuple(np.array(item.ids, dtype=np.int64) for item in encoded)
    data = Dataset(sequences, np.zeros((COUNT, 2), dtype=np.float32))
    expected = model.probabilities(torch.from_numpy(predict_logits(model, data))).numpy()
    found = session_probabilities(make_session(tools.graph(model, FLOAT32).model), encoded)
    assert np.abs(found - expected).max() <= 1e-5
    assert len(np.unique(expected[:, 1].round(6))) > 0.9 * COUNT
    assert expected[:, 1].std() > 0.02
