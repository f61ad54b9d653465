"""Values of words by leaving words out, of functions whose values are known."""

from __future__ import annotations

import numpy as np
import pytest

from textgate.inference.attribution import PartialText, attributions

NO_WORD = -1


class Reader:
    """A session whose probability is a function of the ids that are read."""

    def __init__(self, function):
        self.function = function
        self.read_texts = []

    def run(self, ids, lengths):
        texts = [row[:length].tolist() for row, length in zip(ids, lengths, strict=True)]
        self.read_texts += texts
        found = [self.function(text) for text in texts]
        return np.array([[1 - one, one] for one in found], dtype=np.float32)


def values_of(function, ids, words=None):
    reader = Reader(function)
    words = list(range(len(ids))) if words is None else words
    count = 1 + max(word for word in words if word != NO_WORD)
    words = [count if word == NO_WORD else word for word in words]
    text = PartialText(reader, np.array(ids), np.array(words), count)
    values = attributions(text, 1)
    np.testing.assert_allclose(
        values[:, 0], -values[:, 1], atol=1e-6
    )  # the labels' probabilities add up to 1
    return values[:, 1], reader


def test_words_that_add_up_have_the_values_that_they_add():
    weights = {10: 0.2, 11: -0.1, 12: 0.0, 13: 0.3}
    values, _ = values_of(lambda ids: 0.4 + sum(weights.get(one, 0) for one in ids), list(weights))
    np.testing.assert_allclose(values, list(weights.values()), atol=1e-6)


def test_words_that_say_the_same_share_the_value():
    """Leaving out one of them changes nothing."""
    values, _ = values_of(lambda ids: 0.9 if {10, 12} & set(ids) else 0.3, [10, 11, 12])
    np.testing.assert_allclose(values, [2.4 / 9, 0.0, 2.4 / 9], atol=1e-6)


def test_words_that_need_each_other_share_the_value():
    """One of them alone changes nothing."""
    values, _ = values_of(lambda ids: 0.9 if {10, 12} <= set(ids) else 0.3, [10, 11, 12])
    np.testing.assert_allclose(values, [3.6 / 9, 0.0, 2.4 / 9], atol=1e-6)


def test_a_negation_speaks_against_what_it_negates():
    def positive(ids):
        return 0.2 if ids == [10, 11] else 0.8 if 11 in ids else 0.5

    values, _ = values_of(positive, [10, 11])
    np.testing.assert_allclose(values, [-2.4 / 9, -0.1], atol=1e-6)  # "good" alone would be 0.3


def test_a_single_word_has_the_difference_to_an_empty_text():
    values, reader = values_of(lambda ids: 0.9 if ids == [10] else 0.4, [10])
    np.testing.assert_allclose(values, [0.5], atol=1e-6)
    assert sorted(reader.read_texts) == [[1], [10]]  # an empty text is the unknown token


def test_the_tokens_of_a_word_are_left_out_together_and_those_of_no_word_never():
    _, reader = values_of(
        lambda ids: 0.1 * len(ids), [2, 10, 11, 12, 3], [NO_WORD, 0, 0, 1, NO_WORD]
    )
    assert sorted(reader.read_texts) == [[2, 3], [2, 10, 11, 3], [2, 10, 11, 12, 3], [2, 12, 3]]


@pytest.mark.parametrize("count", [1, 2, 3, 10, 64])
def test_no_part_is_read_twice_and_their_number_is_bounded(count):
    generator = np.random.default_rng(0)
    _, reader = values_of(lambda _: generator.random(), list(range(10, 10 + count)))
    assert len({tuple(ids) for ids in reader.read_texts}) == len(reader.read_texts)
    assert len(reader.read_texts) <= 6 * count + 2
