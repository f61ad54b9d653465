"""Grouping and padding: nothing lost, nothing read too early."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgate.inference.batching import batches_by_length, padded, windows
from textgate.inference.tokenizer import PADDING_ID, Encoded


def encoded(*lengths: int) -> list[Encoded]:
    return [Encoded(list(range(1, length + 1)), False) for length in lengths]


@pytest.mark.parametrize(
    ("items", "size", "expected"),
    [
        ([], 3, []),
        ([1, 2, 3], 3, [[1, 2, 3]]),
        ([1, 2, 3, 4], 3, [[1, 2, 3], [4]]),
        (iter([1, 2]), 1, [[1], [2]]),
        (range(2), 9, [[0, 1]]),
    ],
)
def test_windows(items, size, expected):
    assert list(windows(items, size)) == expected


def test_items_before_one_that_cannot_be_read_come_first():
    def items():
        yield from range(5)
        raise OSError("a full stop")

    found = windows(items(), 3)
    assert [next(found), next(found)] == [[0, 1, 2], [3, 4]]
    with pytest.raises(OSError, match="a full stop"):
        next(found)


def test_windows_of_an_endless_input_read_no_further_than_they_must():
    counter = itertools.count()
    endless = windows(counter, 4)
    assert [next(endless), next(endless)] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert next(counter) == 8


def test_batches_are_of_similar_length_the_shortest_first():
    assert list(batches_by_length(encoded(5, 1, 4, 1, 9), 2)) == [[1, 3], [2, 0], [4]]


@given(st.lists(st.integers(1, 20), max_size=30), st.integers(1, 8))
def test_every_place_is_in_one_batch(lengths, size):
    items = encoded(*lengths)
    batches = list(batches_by_length(items, size))
    assert sorted(itertools.chain(*batches)) == list(range(len(items)))
    assert all(1 <= len(batch) <= size for batch in batches)
    in_order = [lengths[index] for batch in batches for index in batch]
    assert in_order == sorted(lengths)


def test_padding():
    ids, lengths = padded(encoded(2, 4, 1))
    p = PADDING_ID
    assert ids.tolist() == [[1, 2, p, p], [1, 2, 3, 4], [1, p, p, p]]
    assert lengths.tolist() == [2, 4, 1]
    assert (ids.dtype, lengths.dtype) == (np.int64, np.int64)


def test_one_text_has_no_padding():
    ids, lengths = padded(encoded(3))
    assert ids.tolist() == [[1, 2, 3]]
    assert lengths.tolist() == [3]
    assert (ids.dtype, lengths.dtype) == (np.int64, np.int64)
