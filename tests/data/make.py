"""Make the bundles in this folder, which tests use where torch and onnx are not installed.

    python tests/data/make.py [--out FOLDER]

Small on purpose: a few hundred words, a dozen units, a few epochs on some of examples/reviews.
Needs the extra `train`. Weights and latencies differ a little from machine to machine; everything
else comes out the same.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import torch

from textgate.export import export
from textgate.rows import Row, load_labelled
from textgate.train import fit

HERE = Path(__file__).parent
REVIEWS = HERE.parents[1] / "examples" / "reviews"

# Words, and nothing that stands beside the recurrent layers, so that a bundle has few bytes.
_SETTINGS = {
    "tokenizer": "words",
    "vectors": "none",
    "linear_size": 0,
    "vocabulary_size": 300,
    "embedding_size": 8,
    "hidden_sizes": (12,),
    "bidirectional": False,
    "pooling": ("max", "mean"),
    "embedding_dropout": 0.1,
    "head_dropout": 0.1,
    "max_tokens": 40,
    "learning_rate": 0.01,
    "embedding_rate": 1.0,
    "average": 0.0,
    "adversarial": 0.0,
    "sparse": False,
    "batch_size": 32,
    "epochs": 4,
}

# name -> (precision, settings, the labels of a row)
BUNDLES = {
    "lstm-int8": ("int8", {"cell": "lstm"}, lambda row: row.labels),
    "gru-float32": (
        "float32",
        {"cell": "gru", "pooling": ("last",), "dense_sizes": (6,)},
        lambda row: (str(row.extras["source"]),),
    ),
    "rnn-multi-label": (
        "int8",
        {"cell": "rnn", "bidirectional": True, "pooling": ("attention",)},
        lambda row: (*row.labels, str(row.extras["source"])),
    ),
}


def make(name: str, folder: Path) -> Path:
    """Train and export one of the bundles into a folder and return its path."""
    precision, settings, labels = BUNDLES[name]

    def rows(split: str, count: int) -> list[Row]:
        read = load_labelled(REVIEWS / f"{split}.jsonl.gz")[:count]
        return [Row(row.text, labels(row), row.line) for row in read]

    with tempfile.TemporaryDirectory() as temporary:
        run = Path(temporary) / "run"
        fit(rows("train", 2400), run, dev=rows("dev", 300), settings={**_SETTINGS, **settings})
        return export(run, folder / name, precision=precision, force=True).path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE)
    torch.set_num_threads(1)
    out = parser.parse_args().out
    for bundle in BUNDLES:
        sys.stdout.write(f"{make(bundle, out)}\n")
