"""A bundle of the default preset as a whole, from rows to streams."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgate import Classifier
from textgate.errors import ConfigError
from textgate.export import export
from textgate.rows import Row, load_labelled
from textgate.train import fit

SMALL = {"hidden_sizes": (14,), "embedding_size": 16, "vocabulary_size": 2000, "epochs": 3}
SAME = 1e-6


def of_the_preset(train, dev, folder, **changes):
    """The int8 bundle of the default preset with smaller sizes."""
    run = fit(train, folder / "run", dev=dev, settings={**SMALL, **changes})
    assert run.manifest.preset == "default"
    assert run.manifest.architecture.linear_size
    assert run.manifest.settings["tokenizer"] == "subwords"
    return export(run.path, folder / "bundle").path


@pytest.fixture(scope="module", params=["reviews", "three labels"])
def trained(request, reviews, separable, tmp_path_factory):
    """A classifier, and texts it never saw."""
    folder = tmp_path_factory.mktemp("bundles")
    if request.param == "reviews":
        splits = [load_labelled(reviews / f"{name}.jsonl.gz") for name in ("train", "dev", "test")]
        train, dev, test = splits[0][:800], splits[1][:200], splits[2][:40]
        changes = {"max_tokens": 60}
    else:
        labels = ("good", "bad", "odd")
        train, dev, test = (separable(count, labels, seed=count) for count in (300, 60, 40))
        changes = {"max_tokens": 20, "epochs": 12, "bidirectional": False}  # so that it streams
    path = of_the_preset(train, dev, folder, **changes)
    return Classifier.load(path), test


def assert_same(found, expected):
    assert (found.tokens, found.truncated) == (expected.tokens, expected.truncated)
    assert found.label == expected.label
    assert found.scores == pytest.approx(expected.scores, abs=SAME)


def test_it_learned(trained):
    classifier, rows = trained
    found = [item.label for item in classifier.predict_many(row.text for row in rows)]
    right = np.mean([label == row.labels[0] for label, row in zip(found, rows, strict=True)])
    assert right > 0.6


def test_three_labels_make_a_bidirectional_network(separable, tmp_path):
    """It classifies with its branch and refuses to stream."""
    labels = ("good", "bad", "odd")
    train, dev, test = (separable(count, labels, seed=count) for count in (300, 60, 40))
    path = of_the_preset(train, dev, tmp_path, max_tokens=20, epochs=12)
    with Classifier.load(path) as classifier:
        found = [item.label for item in classifier.predict_many(row.text for row in test)]
        right = np.mean([label == row.labels[0] for label, row in zip(found, test, strict=True)])
        assert right > 0.6
        with pytest.raises(ConfigError, match="cannot stream: the network is bidirectional"):
            classifier.stream()


def test_it_has_a_linear_branch(trained):
    """The following tests rely on it."""
    classifier, _ = trained
    states = [state.input for state in classifier.manifest.state]
    assert {"state.linear.previous", "state.linear.sum", "state.linear.squares"} <= set(states)
    (line,) = [line for line in classifier.manifest.operators if line.name == "linear"]
    assert line.bytes_after > 1000


def test_by_single_characters_and_bytes(trained):
    classifier, rows = trained
    for row in rows[:8]:
        for pieces in (row.text, (bytes([byte]) for byte in row.text.encode())):
            stream = classifier.stream()
            for piece in pieces:
                stream.feed(piece)
            assert_same(stream.finish(), classifier.predict(row.text))


def test_after_every_piece(trained):
    classifier, rows = trained
    generator = random.Random(0)
    for row in rows:
        ends = sorted(generator.choices(range(len(row.text) + 1), k=6))
        stream, sofar = classifier.stream(), ""
        for start, end in itertools.pairwise([0, *ends, len(row.text)]):
            sofar += row.text[start:end]
            assert_same(stream.feed(row.text[start:end]), classifier.predict(sofar))
        assert_same(stream.finish(), classifier.predict(row.text))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(["fine ", "awful", " ", "good", "n't ", "don\u2019t", "w1 ", "the", "."])
        | st.text(st.characters(codec=None), max_size=4),
        max_size=30,
    )
)
def test_any_pieces(trained, pieces):
    classifier, _ = trained
    stream = classifier.stream()
    for piece in pieces:
        stream.feed(piece)
    assert_same(stream.finish(), classifier.predict("".join(pieces)))


def test_the_batch_changes_nothing(trained):
    classifier, rows = trained
    texts = [row.text for row in rows] + ["", "\u4e2d\u6587", "fine " * 500]
    together = classifier.predict_many(texts)
    for text, found in zip(texts, together, strict=True):
        assert_same(found, classifier.predict(text))


def test_a_language_without_spaces(tmp_path):
    """Its sentences are unique words, which differ by their pieces."""
    generator = random.Random(0)
    characters = [chr(0x4E00 + index) for index in range(40)]
    signs = {"good": "\u597d\u5403", "bad": "\u96be\u5403"}

    def rows(count):
        found = []
        for line in range(count):
            label = ("good", "bad")[line % 2]
            ahead, behind = ("".join(generator.choices(characters, k=5)) for _ in range(2))
            found.append(Row(f"{ahead}{signs[label]}{behind}\u3002", (label,), line + 1))
        return found

    path = of_the_preset(rows(400), rows(80), tmp_path, epochs=12, learning_rate=0.01)
    classifier = Classifier.load(path)
    test = rows(60)
    found = [item.label for item in classifier.predict_many(row.text for row in test)]
    assert np.mean([label == row.labels[0] for label, row in zip(found, test, strict=True)]) > 0.9
    for row in test[:5]:
        stream = classifier.stream()
        for character in row.text:
            stream.feed(character)
        assert_same(stream.finish(), classifier.predict(row.text))
