"""Whole trainings with the default recipe on unusual rows."""

from __future__ import annotations

import math
import random

import pytest

from textgate.rows import Row
from textgate.train import fit

# The default recipe, small and short.
SMALL = {"embedding_size": 16, "hidden_sizes": (14,), "vocabulary_size": 2_000, "epochs": 6}


def rows_of(pairs):
    return [Row(text, (label,), line) for line, (text, label) in enumerate(pairs, start=1)]


def sentences(label_words, count, *, seed=0, noise=40):
    """Return texts of random words, one of them the label's own."""
    generator = random.Random(seed)
    pairs = []
    for label, times in count.items():
        for _ in range(times):
            words = [f"w{generator.randrange(noise)}" for _ in range(7)]
            words[generator.randrange(7)] = label_words[label]
            pairs.append((" ".join(words), label))
    generator.shuffle(pairs)
    return rows_of(pairs)


@pytest.fixture
def train(hearing, tmp_path):
    """A whole training; returns the run and the notes."""

    def train(rows, *, dev=None, **settings):
        heard = hearing()
        run = fit(rows, tmp_path / "run", dev=dev, settings={**SMALL, **settings}, progress=heard)
        return run, heard.notes

    return train


WORDS = {"good": "fine", "bad": "awful", "odd": "weird"}


def test_a_label_with_one_row(train):
    rows = sentences(WORDS, {"good": 120, "bad": 120, "odd": 1})
    fitted, notes = train(rows)
    assert fitted.manifest.labels == ("bad", "good", "odd")  # it is a label of the network
    assert fitted.model.metrics["accuracy"] >= 0.95  # and does not harm the others
    (said,) = [note for note in notes if "single row" in note]
    assert "'odd' on line" in said


def test_a_hundred_to_one(train):
    """The rare label is found by its word, although twice as many other rows have that word."""
    doubtful = {"bad": "awful", "good": "awful"}
    rows = [*sentences(WORDS, {"good": 1_960}), *sentences(doubtful, {"bad": 20, "good": 40})]
    dev = [*sentences(WORDS, {"good": 490}, seed=1)]
    dev += sentences(doubtful, {"bad": 50, "good": 10}, seed=1)
    fitted, notes = train(rows, dev=dev)
    assert fitted.model.metrics["macro_f1"] >= 0.9
    assert any("100 to 1" in note for note in notes)
    assert any(note.startswith("class_weights") for note in notes)


def test_contradicting_labels(train):
    """A quarter of the texts have both labels; the others are still learned."""
    rows = sentences(WORDS, {"good": 160, "bad": 160})
    turned = {"good": "bad", "bad": "good"}
    pairs = [(row.text, row.labels[0]) for row in rows]
    pairs += [(text, turned[label]) for text, label in pairs[:80]]
    dev = sentences(WORDS, {"good": 50, "bad": 50}, seed=1)
    fitted, notes = train(rows_of(pairs), dev=dev)
    assert fitted.model.metrics["accuracy"] >= 0.95
    (said,) = [note for note in notes if "different labels" in note]
    assert "80 texts" in said
    assert "160 in all" in said


def test_dev_equal_to_train(train):
    rows = sentences(WORDS, {"good": 80, "bad": 80})
    fitted, notes = train(rows, dev=rows)
    assert fitted.model.metrics["accuracy"] >= 0.95
    assert any("say nothing about new texts" in note for note in notes)


@pytest.mark.parametrize("first", [0x4E00, 0x0E01], ids=["Chinese", "Thai"])
def test_a_language_without_spaces(train, first):
    """Each label has a pair of characters; each sentence is one "word"."""
    generator = random.Random(0)
    alphabet = [chr(first + offset) for offset in range(40)]
    of_label = {"good": alphabet[0] + alphabet[1], "bad": alphabet[2] + alphabet[3]}

    def made(count):
        pairs = []
        for _ in range(count):
            label = generator.choice(list(of_label))
            characters = generator.choices(alphabet[4:], k=12)
            characters.insert(generator.randrange(12), of_label[label])
            pairs.append(("".join(characters), label))
        return rows_of(pairs)

    fitted, notes = train(made(400), dev=made(100))
    assert fitted.model.metrics["accuracy"] >= 0.95
    assert any(note.startswith("vectors none") for note in notes)


def subjects(count, *, copies, every):
    """Return training rows, `copies` per label, and a dev row of every `every`-th label."""
    pairs = [
        (f"about subject{label} and nothing else{copy}", f"l{label}")
        for label in range(count)
        for copy in range(copies)
    ]
    dev = [(f"tell me of subject{label} please", f"l{label}") for label in range(0, count, every)]
    return rows_of(pairs), rows_of(dev)


def test_more_labels_than_rows_can_teach(train):
    """Three rows per label for 600 labels: the answers are better than chance."""
    rows, dev = subjects(600, copies=3, every=6)
    run, _ = train(rows, dev=dev, epochs=3)
    assert run.manifest.architecture.label_count == 600
    assert run.model.metrics["accuracy"] >= 0.05


def test_thousands_of_labels(train):
    """Four rows per label and one epoch: training ends, and dev is better than chance."""
    rows, dev = subjects(2_000, copies=4, every=20)
    run, _ = train(rows, dev=dev, vocabulary_size=3_000, epochs=1)
    assert run.manifest.architecture.label_count == 2_000
    assert run.model.history[0].dev_loss < math.log(2_000) - 0.3
