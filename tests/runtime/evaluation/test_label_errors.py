"""Likely label errors: those that were planted are found, and noise is not taken for them."""

from __future__ import annotations

import numpy as np
import pytest

from textgate.evaluation.label_errors import multi_label_errors, single_label_errors


def model(truth, labels, *, sharpness=3.0, seed=0):
    """Probabilities of a model that is usually right, and surer of some rows than of others."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(len(truth), labels))
    logits[np.arange(len(truth)), truth] += sharpness
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("labels", [2, 3, 6])
def test_planted_errors_are_found(labels):
    generator = np.random.default_rng(1)
    truth = generator.integers(labels, size=600)
    given = truth.copy()
    wrong = generator.permutation(600)[:30]
    given[wrong] = (truth[wrong] + 1) % labels
    found = single_label_errors(model(truth, labels, sharpness=5), given)
    hits = set(found.rows.tolist()) & set(wrong.tolist())
    assert len(hits) >= 25
    assert len(hits) >= 0.8 * len(found.rows)
    for row, column in zip(found.rows.tolist(), found.columns.tolist(), strict=True):
        if row in hits:
            assert column == truth[row]
    assert (np.diff(found.given_scores) >= 0).all()
    assert (found.given_scores < 0.5).all()


def test_a_hand_computed_example():
    """The thresholds are 0.6 and 0.65; row 2 has the label 0 and reaches that of 1 alone."""
    probabilities = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6]])
    found = single_label_errors(probabilities, np.array([0, 0, 0, 1, 1]))
    assert found.rows.tolist() == [2]
    assert found.columns.tolist() == [1]
    assert found.given_scores.tolist() == pytest.approx([0.2])


def test_right_labels_of_a_sure_model_are_no_errors():
    truth = np.arange(60) % 3
    found = single_label_errors(np.eye(3)[truth] * 0.9 + 0.1 / 3, truth)
    assert found.rows.tolist() == []


def test_a_label_without_rows_is_never_likely():
    probabilities = model(np.zeros(40, dtype=np.int64), 3)
    found = single_label_errors(probabilities, np.arange(40) % 2)
    assert 2 not in found.columns


def test_a_row_is_listed_once():
    generator = np.random.default_rng(0)
    found = single_label_errors(
        generator.dirichlet(np.ones(4), size=300), generator.integers(4, size=300)
    )
    assert len(set(found.rows.tolist())) == len(found.rows)


def test_one_row():
    assert single_label_errors(np.array([[0.2, 0.8]]), np.array([0])).rows.tolist() == []


def test_each_label_of_several_is_a_question_of_its_own():
    generator = np.random.default_rng(2)
    truth = generator.random((400, 3)) < 0.4
    probabilities = np.clip(np.where(truth, 0.9, 0.1) + generator.normal(0, 0.05, (400, 3)), 0, 1)
    for place in ((7, 0), (8, 2)):  # the model is surer than usual there
        probabilities[place] = 0.99 if truth[place] else 0.01
    given = truth.copy()
    given[7, 0] ^= True
    given[8, 2] ^= True
    found = multi_label_errors(probabilities, given)
    assert set(zip(found.rows.tolist(), found.columns.tolist(), strict=True)) == {(7, 0), (8, 2)}
