"""Initial embedding: the vectors of words, and means for pieces."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tokenizers import Tokenizer

from textgate.errors import ConfigError
from textgate.train.text.embedding import initial_embedding
from textgate.train.text.subwords import build_subword_tokenizer, piece_count
from textgate.train.text.vectors import Vectors
from textgate.train.text.vocabulary import build_tokenizer

TEXTS = ["a good movie", "a good film", "bad movie bad"]
KNOWN = ["good", "movie", "moo", "foo", "gill", "absent"]


@pytest.fixture(scope="module")
def vectors():
    matrix = np.random.default_rng(0).normal(1.0, 2.0, (len(KNOWN), 6)).astype(np.float32)
    return Vectors({word: row for row, word in enumerate(KNOWN)}, matrix, "some")


@pytest.fixture(scope="module")
def subwords():
    return build_subword_tokenizer(TEXTS, vocabulary_size=600, max_tokens=50, known=["absent"])


@pytest.fixture(scope="module")
def words():
    return build_tokenizer(TEXTS, vocabulary_size=600, max_tokens=50)


def token_ids(tokenizer):
    return json.loads(tokenizer)["model"]["vocab"]


def embedding(tokenizer, vectors, *, rows=None, size=6, seed=0):
    rows = rows or len(token_ids(tokenizer))
    return initial_embedding(tokenizer, vectors, rows=rows, size=size, seed=seed)


@pytest.mark.parametrize("kind", ["subwords", "words"])
def test_words_have_their_vectors(request, vectors, kind):
    tokenizer = request.getfixturevalue(kind)
    table = embedding(tokenizer, vectors)
    assert (table.dtype, table.shape) == (np.float32, (len(token_ids(tokenizer)), 6))
    known = [word for word in KNOWN if word in token_ids(tokenizer)]
    assert {"good", "movie"} <= set(known)
    for word in known:
        np.testing.assert_array_equal(table[token_ids(tokenizer)[word]], vectors.lookup(word))


def test_a_known_word_that_is_in_no_text_has_its_vector(subwords, vectors):
    table = embedding(subwords, vectors)
    np.testing.assert_array_equal(table[token_ids(subwords)["absent"]], vectors.lookup("absent"))


@pytest.mark.parametrize("kind", ["subwords", "words"])
def test_padding_and_the_unknown_token_are_zero(request, vectors, kind):
    assert not embedding(request.getfixturevalue(kind), vectors)[:2].any()


def test_a_piece_has_the_mean_of_the_words_spelled_with_it(subwords, vectors):
    """A word counts as often as it has the piece; words with an id of their own do not count."""
    vocabulary, table = token_ids(subwords), embedding(subwords, vectors)
    outside = [word for word in KNOWN if word not in vocabulary]
    assert outside == ["moo", "foo", "gill"]
    spelled = {}
    for word in outside:
        for token in Tokenizer.from_str(subwords).encode(word).tokens:
            spelled.setdefault(token, []).append(vectors.lookup(word))
    assert any(len(found) > 1 for found in spelled.values())
    assert len(spelled["l"]) == 2  # twice in "gill"
    for piece, found in spelled.items():
        assert vocabulary[piece] < piece_count(subwords)
        expected = np.mean(found, axis=0)
        np.testing.assert_allclose(table[vocabulary[piece]], expected, rtol=1e-5, atol=1e-6)


def test_words_are_not_spelled_in_pieces_where_there_are_none(words, vectors):
    vocabulary, table = token_ids(words), embedding(words, vectors)
    means = [vectors.lookup(word) for word in ("moo", "foo", "gill")]
    assert not any(np.allclose(table[vocabulary["a"]], mean) for mean in means)


def test_the_rest_is_random_and_narrower(vectors):
    tokenizer = build_tokenizer(
        [" ".join(f"x{number}" for number in range(2000))], vocabulary_size=3000, max_tokens=3000
    )
    table = embedding(tokenizer, vectors)[2:]
    assert table.std() == pytest.approx(0.5 * vectors.matrix.std(), rel=0.05)
    assert abs(table.mean()) < 0.1 * table.std()
    assert len(np.unique(table, axis=0)) == len(table)


def test_the_seed_alone_decides(subwords, vectors):
    one, same, other = (embedding(subwords, vectors, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    random = (one != other).any(axis=1)
    assert random[2:].any()
    for word in ("good", "movie"):
        assert not random[token_ids(subwords)[word]]


def test_rows_beyond_the_vocabulary_are_random(words, vectors):
    table = embedding(words, vectors, rows=50)
    assert table.shape == (50, 6)
    assert table[len(token_ids(words)) :].all()


def test_wide_vectors_are_projected_and_keep_their_angles(words):
    """Vectors in a plane need two columns."""
    generator = np.random.default_rng(0)
    plane = generator.normal(size=(len(KNOWN), 2)) @ generator.normal(size=(2, 9))
    vectors = Vectors(
        {word: row for row, word in enumerate(KNOWN)}, plane.astype(np.float32), "flat"
    )
    table = embedding(words, vectors, size=2)
    good, movie = (table[token_ids(words)[word]] for word in ("good", "movie"))
    expected = vectors.matrix @ vectors.matrix.T
    found = np.array([[good @ good, good @ movie], [movie @ good, movie @ movie]])
    np.testing.assert_allclose(found, expected[:2, :2], rtol=1e-4)


def test_the_largest_directions_are_kept(words):
    matrix = np.random.default_rng(0).normal(size=(len(KNOWN), 3)) * [0.01, 1.0, 10.0]
    vectors = Vectors(
        {word: row for row, word in enumerate(KNOWN)}, matrix.astype(np.float32), "long"
    )
    table = embedding(words, vectors, size=1)
    found = abs(table[token_ids(words)["good"], 0])
    assert found == pytest.approx(abs(matrix[0, 2]), rel=0.1)


def test_vectors_that_are_too_narrow(words, vectors):
    with pytest.raises(ConfigError) as caught:
        embedding(words, vectors, size=7)
    assert str(caught.value) == (
        "embedding_size 7 is wider than the vectors some, which have 6 columns; choose at most 6, "
        "or other vectors"
    )
