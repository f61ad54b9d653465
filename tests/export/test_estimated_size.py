"""The size that tuning estimates is that of the bundle."""

from __future__ import annotations

import pytest

from textgate.bundle.run import TOKENIZER
from textgate.bundle.storage import bundle_bytes
from textgate.export import export
from textgate.train import fit
from textgate.train.tuning.limits import bundle_bytes as estimated_bytes

NETWORKS = {
    "lstm": {},
    "gru in both directions": {"cell": "gru", "bidirectional": True},
    "two layers": {"hidden_sizes": (40, 20), "dense_sizes": (8,)},
    "linear branch": {"linear_size": 2, "linear_buckets": 2**14},
    "large": {"hidden_sizes": (126,), "embedding_size": 100, "vocabulary_size": 3000},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_estimated_size(separable, quick, tmp_path, name):
    settings = {**quick, "epochs": 1, "hidden_sizes": (40,), **NETWORKS[name]}
    run = fit(separable(120), tmp_path / "run", settings=settings, pretrained="none")
    export(run.path, tmp_path / "bundle", max_accuracy_drop=1.0, allow_useless=True)
    real = bundle_bytes(tmp_path / "bundle")
    tokenizer_json = (run.path / TOKENIZER).read_text(encoding="utf-8")
    estimated = estimated_bytes(run.manifest.architecture, tokenizer_json)
    assert abs(estimated - real) < 3_000
