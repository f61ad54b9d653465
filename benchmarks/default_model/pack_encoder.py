"""Sentence encoder of the package, train/english/encoder: a pretrained folder in int8.

    python benchmarks/default_model/pack_encoder.py FOLDER [OUTPUT]

FOLDER is a finished folder of ``textgate pretrain --teacher``. Its rarest words are left out, so
that the wheel stays small.
"""

from __future__ import annotations

import sys
from pathlib import Path

from textgate.train.pretraining.pretrained import pack

OUTPUT = Path(__file__).parents[2] / "train" / "english" / "encoder"

MAX_WORDS = 20_000

if __name__ == "__main__":
    output = Path(sys.argv[2]) if len(sys.argv) > 2 else OUTPUT
    pack(Path(sys.argv[1]), output, max_words=MAX_WORDS, force=True)
