"""Presets: named settings to start from.

The ``seed-`` presets are the reference networks of the course chapter this project grew out of:
Embedding(1000, 64) over at most 100 tokens, a cell of 128 units over the whole sequence, dropout
0.2, a cell of 64 units of which the last state is used, Dense 32 with ReLU, Dense 1 with a sigmoid;
Adam, binary cross-entropy. They differ only in the cell.
"""

from __future__ import annotations

from textgate.bundle.architecture import Cell
from textgate.errors import ConfigError
from textgate.messages import did_you_mean
from textgate.train.training.config import TrainingConfig


def _seed(cell: Cell) -> TrainingConfig:
    return TrainingConfig(
        cell=cell,
        embedding_size=64,
        hidden_sizes=(128, 64),
        bidirectional=False,
        pooling=("last",),
        dense_sizes=(32,),
        embedding_dropout=0.0,
        layer_dropout=0.2,
        head_dropout=0.0,
        one_unit=True,
        vocabulary_size=1000,
        whole_vocabulary=True,
        max_tokens=100,
    )


RECIPE = "default"
PRESETS = {
    # Other settings depend on the rows, see `textgate.train.training.recipe`.
    RECIPE: TrainingConfig(
        cell="lstm",
        embedding_size=100,
        hidden_sizes=(126,),  # 128 with two anchors: whole blocks of the integer kernel
        bidirectional=False,
        pooling=("max",),
        dense_sizes=(),
        embedding_dropout=0.3,
        layer_dropout=0.2,
        head_dropout=0.3,
        one_unit=False,
        vocabulary_size=20_000,
        max_tokens=256,
        tokenizer="subwords",
        vectors="english",
        linear_size=0,
        linear_buckets=2**16,  # if a branch is asked for
        linear_dropout=0.3,
        linear_rate=0.01,
        learning_rate=2e-3,
        embedding_rate=0.5,
        average=0.995,
        adversarial=0.3,
        patience=1000,
        criterion="loss",
        sparse=True,
    ),
    "seed-rnn": _seed("rnn"),
    "seed-lstm": _seed("lstm"),
    "seed-gru": _seed("gru"),
}


def preset(name: str) -> TrainingConfig:
    """Return the settings of this name.

    Raises:
        ConfigError: there is no such preset; the message lists those there are.
    """
    if not isinstance(name, str):
        raise ConfigError(f"the name of a preset must be a string, not {name!r:.60}")
    if name not in PRESETS:
        raise ConfigError(
            f"there is no preset {name!r}{did_you_mean(name, PRESETS)}; there are "
            f"{', '.join(PRESETS)}"
        )
    return PRESETS[name]
