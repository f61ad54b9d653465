"""Texts in one flat array of ids: encoded, held out, and in batches."""

from __future__ import annotations

import numpy as np
import pytest

from textgate.errors import DataError
from textgate.inference.tokenizer import Encoded
from textgate.train.data.batching import shuffled_indices
from textgate.train.data.corpus import encode_corpus


class Numbers:
    """A tokenizer of texts that are ids already."""

    def encode_batch(self, texts):
        return [Encoded([int(part) for part in text.split()], truncated=False) for text in texts]


def encoded(texts, vocabulary_size=100, seed=0, **options):
    return encode_corpus(texts, Numbers(), vocabulary_size=vocabulary_size, seed=seed, **options)


def sequences(corpus):
    return [
        corpus.ids[start : start + length].tolist()
        for start, length in zip(corpus.starts, corpus.lengths, strict=True)
    ]


TEXTS = [
    " ".join(str(2 + (number * 7 + step) % 90) for step in range(2 + number % 9))
    for number in range(400)
]


def test_every_text_is_on_one_side():
    train, held_out = encoded(TEXTS)
    assert (len(train), len(held_out)) == (350, 50)
    both = sequences(train) + sequences(held_out)
    assert sorted(both) == sorted([int(part) for part in text.split()] for text in TEXTS)
    assert train.positions + held_out.positions == sum(len(text.split()) - 1 for text in TEXTS)
    other, _ = encoded(TEXTS, seed=1)
    assert sequences(other) != sequences(train)


@pytest.mark.parametrize(
    ("texts", "held_out"), [(2, 1), (30, 15), (100, 50), (5_000, 50), (9_000, 90), (201_000, 2000)]
)
def test_how_many_are_held_out(texts, held_out):
    train, found = encoded(["2 3"] * texts)
    assert (len(train), len(found)) == (texts - held_out, held_out)


@pytest.mark.parametrize("min_tokens", [1, 2])
def test_rows_say_which_texts_are_where(min_tokens):
    texts = ["5", *TEXTS, "6"]
    kept = [text for text in texts if len(text.split()) >= min_tokens]
    sides = encoded(texts, min_tokens=min_tokens)
    assert sorted(np.concatenate([side.rows for side in sides])) == list(range(len(kept)))
    for side in sides:
        for row, sequence in zip(side.rows, sequences(side), strict=True):
            assert " ".join(map(str, sequence)) == kept[row]


def test_texts_of_one_token_may_be_kept():
    train, held_out = encoded(["5", "2 3"], min_tokens=1)
    assert sorted(sequences(train) + sequences(held_out)) == [[2, 3], [5]]
    with pytest.raises(DataError, match="1 texts are too few; at least two are needed"):
        encoded(["5"], min_tokens=1)


def test_texts_of_one_token_are_left_out():
    train, held_out = encoded(["5", "2 3", "1", "4 6"])
    assert sorted(sequences(train) + sequences(held_out)) == [[2, 3], [4, 6]]
    for texts in ([], ["5"], ["2 3", "5"]):
        with pytest.raises(DataError, match=r"texts of two tokens or more are too few"):
            encoded(texts)


@pytest.mark.parametrize(("vocabulary_size", "bytes_a_token"), [(2**16, 2), (2**16 + 1, 4)])
def test_a_token_takes_few_bytes(vocabulary_size, bytes_a_token):
    train, _ = encoded([f"2 {vocabulary_size - 1}"] * 4, vocabulary_size)
    assert train.ids.itemsize == bytes_a_token
    assert sequences(train)[0] == [2, vocabulary_size - 1]


def test_counts():
    train, held_out = encoded(TEXTS)
    both = train.counts(100) + held_out.counts(100)
    expected = np.zeros(100, dtype=np.int64)
    for text in TEXTS:
        for part in text.split():
            expected[int(part)] += 1
    assert both.tolist() == expected.tolist()


def test_batches_hold_every_text_once():
    train, _ = encoded(TEXTS)
    indices = shuffled_indices(train.lengths, 16, seed=3, epoch=2)
    assert sorted(np.concatenate(indices).tolist()) == list(range(len(train)))
    assert [len(batch) for batch in indices].count(16) == len(train) // 16
    ids, lengths = train.batch(indices[0])
    for row, length, index in zip(ids, lengths, indices[0], strict=True):
        assert row[:length].tolist() == sequences(train)[index]
        assert not row[length:].any()
    again = shuffled_indices(train.lengths, 16, seed=3, epoch=2)
    assert all(np.array_equal(one, other) for one, other in zip(indices, again, strict=True))
    other = shuffled_indices(train.lengths, 16, seed=3, epoch=3)
    assert not all(np.array_equal(one, two) for one, two in zip(indices, other, strict=True))
    seen = [length for _, lengths in train.batches_by_length() for length in lengths.tolist()]
    assert seen == sorted(train.lengths.tolist())
