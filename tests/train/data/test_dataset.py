"""Batches of rows: each row once per epoch, in an order of its own, with its targets."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from textgate.inference.tokenizer import PADDING_ID
from textgate.train.data.batching import shuffled_indices
from textgate.train.data.dataset import Dataset


def dataset(lengths):
    """Rows whose first id is their index plus 1."""
    sequences = tuple(np.full(length, index + 1) for index, length in enumerate(lengths))
    return Dataset(sequences, np.arange(len(lengths), dtype=np.float32)[:, None])


def shuffled(data, size, **order):
    return map(data.batch, shuffled_indices(data.lengths(), size, **order))


def indices(batches):
    return [(batch.ids[:, 0] - 1).tolist() for batch in batches]


LENGTHS = st.lists(st.integers(1, 30), min_size=1, max_size=80)


@given(LENGTHS, st.integers(1, 9), st.integers(0, 5), st.integers(1, 4))
def test_every_row_is_in_one_batch_of_the_epoch(lengths, size, seed, epoch):
    data = dataset(lengths)
    batches = list(shuffled(data, size, seed=seed, epoch=epoch))
    found = indices(batches)
    assert sorted(itertools.chain(*found)) == list(range(len(lengths)))
    assert all(1 <= len(batch) <= size for batch in found)
    for batch, of_batch in zip(batches, found, strict=True):
        assert batch.lengths.tolist() == [lengths[index] for index in of_batch]
        assert batch.targets[:, 0].tolist() == of_batch  # targets go with their rows
        padding = torch.arange(batch.ids.shape[1]) >= batch.lengths[:, None]
        assert (batch.ids[padding] == PADDING_ID).all()


def test_the_order_depends_on_seed_and_epoch_alone():
    data = dataset([1 + index % 7 for index in range(200)])

    def order(seed, epoch):
        return indices(shuffled(data, 8, seed=seed, epoch=epoch))

    first = order(0, 1)
    np.random.default_rng(0).random(100)
    torch.manual_seed(5)
    assert order(0, 1) == first
    assert order(0, 2) != first
    assert order(1, 1) != first


def test_batches_are_of_similar_length():
    data = dataset([1 + index * 37 % 50 for index in range(400)])
    spreads = [
        int(batch.lengths.max() - batch.lengths.min())
        for batch in shuffled(data, 8, seed=0, epoch=1)
    ]
    assert max(spreads) <= 2
    order = [int(batch.lengths[0]) for batch in shuffled(data, 8, seed=0, epoch=1)]
    assert order != sorted(order)  # but the batches are in no order


@given(LENGTHS, st.integers(1, 9))
def test_batches_by_length_name_their_indices(lengths, size):
    data = dataset(lengths)
    seen = []
    for found, batch in data.batches_by_length(size):
        assert (batch.ids[:, 0] - 1).tolist() == found.tolist()
        seen.extend(found.tolist())
    assert sorted(seen) == list(range(len(lengths)))
    assert [lengths[index] for index in seen] == sorted(lengths)
