"""Texts that one word decides, and an estimator that learns them in a tenth of a second."""

from __future__ import annotations

import random

import pytest

WORDS = {"good": "fine", "bad": "awful", "odd": "weird"}
SETTINGS = {
    "cell": "rnn",
    "embedding_size": 4,
    "hidden_sizes": (4,),
    "tokenizer": "words",
    "vocabulary_size": 100,
    "vectors": "none",
    "max_tokens": 20,
    "batch_size": 64,
    "epochs": 1,
    "folds": 0,
}


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def make():
    """Makes estimators: ``make(random_state=3)``."""
    from textgate.sklearn import TextgateClassifier

    def estimator(*, settings=(), encoder="none", **parameters):
        settings = {**SETTINGS, **dict(settings)}
        return TextgateClassifier(settings=settings, encoder=encoder, **parameters)

    return estimator


@pytest.fixture(scope="session")
def texts_of():
    """Makes a text for each list of labels."""

    def texts(lists, seed=0):
        generator = random.Random(seed)
        found = []
        for labels in lists:
            words = [f"w{generator.randrange(20)}" for _ in range(generator.randint(1, 8))]
            words += [WORDS[label] for label in labels]
            generator.shuffle(words)
            found.append(" ".join(words))
        return found

    return texts


@pytest.fixture(scope="session")
def labels():
    """The labels of 60 texts."""
    return ["good", "bad"] * 30


@pytest.fixture(scope="session")
def texts(texts_of, labels):
    """Texts with these labels."""
    return texts_of([label] for label in labels)


@pytest.fixture(scope="session")
def fitted(make, texts, labels):
    """An estimator that knows these texts."""
    return make().fit(texts, labels)


@pytest.fixture(scope="session")
def lists():
    """The labels of 80 texts, from none to three each."""
    names = list(WORDS)
    return [[name for bit, name in enumerate(names) if number >> bit & 1] for number in range(80)]
