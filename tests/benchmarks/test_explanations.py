"""The benchmark of explanations: its two measures, its gradients and its goals."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from textgate import Classifier
from textgate.train.network.model import TextClassifier


@pytest.fixture(scope="module")
def explanations(script):
    return script("explanations")


class Counts:
    """A classifier whose probability of the second label grows with the words "a"."""

    labels = ("no", "yes")

    def predict_proba(self, texts):
        self.texts = list(texts)
        found = [0.1 * text.split().count("a") for text in texts]
        return np.array([[1 - one, one] for one in found], dtype=np.float32)


def explained(text):
    words = [SimpleNamespace(text=word) for word in text.split()]
    return SimpleNamespace(words=words, prediction=SimpleNamespace(top_label="yes", score=0.2))


@pytest.mark.parametrize(
    ("importance", "expected"),
    [
        ([0, 9, 0, 8, 0, 0, 0, 0, 0, 0], (0.14, 0.06)),  # the two that count come first
        ([9, 0, 8, 0, 7, 0, 6, 0, 5, 0], (0.0, 0.2)),  # they come last
    ],
)
def test_the_measures_are_means_over_the_first_words(explanations, importance, expected):
    classifier = Counts()
    found = explanations.faithfulness(classifier, explained("b a b a b b b b b b"), importance)
    assert found == pytest.approx(expected, abs=1e-6)
    kept = [len(text.split()) for text in classifier.texts]
    assert kept == [9, 9, 9, 8, 5, 1, 1, 1, 2, 5]


@pytest.mark.parametrize(
    "linear", [{}, {"linear_size": 3, "linear_tokens": 30, "linear_buckets": 8}]
)
def test_with_all_tokens_present_the_network_is_that_of_training(
    explanations, architecture, linear
):
    torch.manual_seed(0)
    network = TextClassifier(architecture(**linear)).eval()
    if network.linear is not None:
        torch.nn.init.normal_(network.linear.tokens.weight)
        torch.nn.init.normal_(network.linear.pairs.weight)
        network.linear.pair_weights.fill_(3)
        network.linear.fingerprints.copy_(torch.arange(8) * 30)
    gradients = object.__new__(explanations.Gradients)
    gradients._network, gradients._temperature = network, 2.0
    ids = torch.randint(2, 30, (4, 6))
    found = gradients._probabilities(ids, torch.ones(4, 6))
    expected = network.probabilities(network(ids, torch.full((4,), 6)), 2.0)
    torch.testing.assert_close(found, expected)
    absent = gradients._probabilities(ids, torch.zeros(4, 6))
    torch.testing.assert_close(absent[0], absent[1])


def test_the_goals_compare_with_the_best_of_the_others(explanations):
    figures = {
        "textgate": (0.6, 0.1, 0.009), "random": (0.1, 0.5, 0.0), "LIME": (0.59, 0.08, 1.0)
    }  # fmt: skip
    methods = [
        {"name": name, "comprehensiveness": one, "sufficiency": two, "ratio": [ratio, ratio, ratio]}
        for name, (one, two, ratio) in figures.items()
    ]
    goals = explanations.goals([{"data": "films", "methods": methods}])
    assert [round(goal.value, 3) for goal in goals] == [0.01, -0.02, 0.009]
    assert [goal.reached for goal in goals] == [True, False, True]
    without = explanations.goals([{"data": "films", "methods": methods[:2]}])
    assert len(without) == 2


def test_the_words_of_an_explanation_are_those_of_the_text(explanations, bundle):
    """The measures join the words with spaces: the network must read the same tokens."""
    with Classifier.load(bundle) as classifier:
        one = classifier.explain("well-made , isn't (good)...")
        joined = " ".join(word.text for word in one.words)
        assert classifier.predict(joined).scores == one.prediction.scores
