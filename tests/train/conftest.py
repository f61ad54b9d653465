"""Rows that are easy to learn, networks that are quick to train, and one finished run a cell."""

from __future__ import annotations

import random

import pytest
import torch

from textgate.architecture import Architecture
from textgate.rows import Row
from textgate.train import fit

torch.set_num_threads(1)

WORDS = {"good": "fine", "bad": "awful", "odd": "weird"}  # label -> the word that gives it away
FILLERS = [f"w{number}" for number in range(20)]
SETTINGS = {
    "embedding_size": 8,
    "hidden_sizes": (12,),
    "vocabulary_size": 60,
    "max_tokens": 20,
    "learning_rate": 0.02,
    "batch_size": 16,
    "epochs": 12,
}


def _text(generator, *words):
    fillers = generator.sample(FILLERS, generator.randint(1, 8))
    mixed = [*fillers, *words]
    generator.shuffle(mixed)
    return " ".join(mixed)


@pytest.fixture(scope="session")
def separable():
    """Makes rows of two or three labels, or of several labels a row, that one word decides."""

    def make(count, labels=("good", "bad"), *, multi_label=False, seed=0):
        generator = random.Random(seed)
        rows = []
        for line in range(1, count + 1):
            chosen = (labels[line % len(labels)],)
            if multi_label:
                chosen = tuple(label for label in labels if generator.random() < 0.5)
            text = _text(generator, *(WORDS[label] for label in chosen))
            rows.append(Row(text, chosen, line))
        return rows

    return make


@pytest.fixture(scope="session")
def quick():
    """Settings that learn such rows in a second."""
    return dict(SETTINGS)


@pytest.fixture(scope="session")
def architecture():
    """Makes small networks."""

    def make(**changes):
        values = {
            "vocabulary_size": 30,
            "embedding_size": 5,
            "cell": "lstm",
            "hidden_sizes": (7,),
            "bidirectional": False,
            "pooling": ("last",),
            "dense_sizes": (),
            "output": "softmax",
            "label_count": 3,
        }
        return Architecture(**values | changes)

    return make


@pytest.fixture(scope="session", params=["rnn", "lstm", "gru"])
def finished(request, separable, quick, tmp_path_factory):
    """A run that learned to tell two labels apart, for each cell."""
    return fit(
        separable(240),
        tmp_path_factory.mktemp("runs") / request.param,
        dev=separable(60, seed=1),
        settings={**quick, "cell": request.param},
    )
