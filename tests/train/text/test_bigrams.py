"""Bigrams: each bucket belongs to one bigram, and no other bigram finds a row in it."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from textgate.inference.tokenizer import PADDING_ID
from textgate.train.network.model import TextClassifier
from textgate.train.text import bigrams
from textgate.train.text.bigrams import (
    EMPTY,
    FINGERPRINTS,
    FIRST,
    SECOND,
    find_features,
    look_up,
)
from textgate.train.training.initialization import Initialization


def texts(*lists):
    return [np.array(ids, dtype=np.int64) for ids in lists]


def one_label(sequences):
    return np.ones((len(sequences), 1), dtype=np.float32)


def find_bigrams(sequences, *, max_buckets):
    targets = one_label(sequences)
    return find_features(sequences, targets, max_buckets=max_buckets).fingerprints


def looked_up(ids, table):
    buckets, found = look_up(torch.tensor([ids]), torch.from_numpy(table))
    return buckets[0].tolist(), found[0].tolist()


def bigrams_of(ids):
    return list(pairwise([PADDING_ID, *ids]))


def hashed(bigram):
    return bigram[0] * FIRST + bigram[1] * SECOND


def owners(sequences, buckets):
    """The bigram of each bucket, computed with a dictionary: the most frequent one."""
    counts = Counter(bigram for ids in sequences for bigram in set(bigrams_of(ids.tolist())))
    found = {}
    for bigram, count in counts.items():
        if count >= 2:
            rank = (count, hashed(bigram))
            bucket = hashed(bigram) % buckets
            if bucket not in found or rank > found[bucket][0]:
                found[bucket] = rank, bigram
    return {bucket: bigram for bucket, (_, bigram) in found.items()}


def test_bigrams_of_two_texts_are_found_and_others_are_not():
    table = find_bigrams(texts([5, 6, 7], [9, 5, 6], [8]), max_buckets=1024)
    for ids, expected in (
        ([5, 6], [False, True]),  # one text begins with 5
        ([6, 7], [False, False]),  # 6, 7 occurs once
        ([6, 5], [False, False]),  # reversed
        ([9, 5, 6, 7], [False, False, True, False]),
        ([1, 2, 3], [False, False, False]),
    ):
        assert looked_up(ids, table)[1] == expected, ids


def test_the_first_token_has_a_bigram_with_the_start_of_the_text():
    table = find_bigrams(texts([5, 6], [5, 7]), max_buckets=1024)
    assert looked_up([5, 5], table)[1] == [True, False]


def test_nothing_is_found_in_an_empty_table():
    table = find_bigrams(texts([5], [6]), max_buckets=64)
    assert table.tolist() == [EMPTY]
    ids = np.random.default_rng(0).integers(0, 2**24, 10_000)
    assert not any(looked_up(ids.tolist(), table)[1])


@pytest.mark.parametrize(
    ("frequent", "most", "expected"),
    [
        (1, 1024, 2),
        (4, 1024, 8),
        (5, 1024, 16),
        (100, 1024, 256),
        (100, 64, 64),
        (100, 100, 100),  # not a power of two
        (100, 1, 1),
    ],
)
def test_half_of_the_buckets_stay_empty(frequent, most, expected):
    bigrams = [[10 + number, 500 + number] for number in range(frequent)]
    # Each text begins with a bigram of its own and has one that occurs twice.
    sequences = texts(*([900 + number, *bigram] for number, bigram in enumerate(bigrams * 2)))
    assert len(find_bigrams(sequences, max_buckets=most)) == expected


TOKENS = st.integers(1, 40) | st.sampled_from([998, 999])
SEQUENCES = st.lists(st.lists(TOKENS, min_size=1, max_size=12), min_size=1, max_size=25)


@settings(deadline=None, max_examples=60)
@given(SEQUENCES, st.sampled_from([1, 3, 8, 64, 1000]))
@example([[2**24 - 1, 2**24 - 2, 2**24 - 1]] * 2, 1000)  # the largest ids
def test_the_table_is_what_a_dictionary_says(lists, most):
    sequences = texts(*lists)
    table = find_bigrams(sequences, max_buckets=most)
    expected = owners(sequences, len(table))
    assert {bucket for bucket, value in enumerate(table) if value != EMPTY} == set(expected)
    for bucket, bigram in expected.items():
        assert table[bucket] == hashed(bigram) % FINGERPRINTS
    for ids in lists:
        buckets, found = looked_up(ids, table)
        for bigram, bucket, is_found in zip(bigrams_of(ids), buckets, found, strict=True):
            assert bucket == hashed(bigram) % len(table)
            fingerprint = hashed(bigram) % FINGERPRINTS
            assert is_found == (table[bucket] == fingerprint)


def test_few_unseen_bigrams_are_taken_for_another():
    """About one in 500: there are 251 fingerprints, and half of the buckets are empty."""
    generator = np.random.default_rng(0)
    seen = generator.integers(2, 5000, (3000, 2))
    table = find_bigrams(texts(*seen, *seen), max_buckets=2**16)
    others = generator.integers(5000, 20_000, 50_000)
    wrong = np.mean(looked_up(others.tolist(), table)[1])
    assert 0 < wrong < 1 / FINGERPRINTS


def information(counts, frequency, texts):
    """The weight of a feature before scaling, as the documentation has it."""
    labels = len(counts)
    prior = [one / sum(frequency) for one in frequency]
    smoothing = 0.1 * labels
    total = sum(counts) + smoothing
    posterior = [(n + smoothing * p) / total for n, p in zip(counts, prior, strict=True)]
    divergence = sum(q * math.log(q / p) for q, p in zip(posterior, prior, strict=True))
    rarity = 1 + math.log((1 + texts) / (1 + sum(counts)))
    return (divergence**0.5 + 0.1) * rarity**0.5


def test_weights_are_those_of_the_documentation():
    sequences = texts([5, 6, 5, 6], [5, 6, 9], [5, 8], [7, 8])
    targets = np.eye(3, dtype=np.float32)[[0, 0, 1, 2]]
    found = find_features(sequences, targets, max_buckets=64)
    counts = {5: (2, 1, 0), 6: (2, 0, 0), 7: (0, 0, 1), 8: (0, 1, 1), 9: (1, 0, 0), 4: (0, 0, 0)}
    labels_of_all = np.sum([*(counts[one] for one in (5, 6, 7, 8, 9))], axis=0)
    bigram_counts = {(0, 5): (2, 1, 0), (5, 6): (2, 0, 0)}  # those of two texts
    frequency = labels_of_all + np.sum([*bigram_counts.values()], axis=0)
    by_hand = {one: information(of_one, frequency.tolist(), 4) for one, of_one in counts.items()}
    of_bigrams = {
        bigram: information(of_one, frequency.tolist(), 4)
        for bigram, of_one in bigram_counts.items()
    }
    most = max(*by_hand.values(), *of_bigrams.values())
    for token, value in by_hand.items():
        assert found.token_weights[token] == round(255 * value / most)
    for bigram, value in of_bigrams.items():
        bucket = hashed(bigram) % len(found.fingerprints)
        assert found.bigram_weights[bucket] == round(255 * value / most)
    assert max(found.token_weights.max(), found.bigram_weights.max()) == 255
    owned = found.fingerprints != EMPTY
    assert ((found.bigram_weights > 0) == owned).all()


def test_weights_of_many_texts_are_counted_in_parts(monkeypatch):
    generator = np.random.default_rng(0)
    sequences = [generator.integers(2, 30, 6) for _ in range(50)]
    targets = np.eye(4, dtype=np.float32)[generator.integers(0, 4, 50)]
    targets[7] = 0.0  # no label
    targets[-1] = 0.0
    expected = find_features(sequences, targets, max_buckets=16)
    monkeypatch.setattr(bigrams, "_TEXTS_AT_A_TIME", 7)
    found = find_features(sequences, targets, max_buckets=16)
    assert (found.token_weights == expected.token_weights).all()
    assert (found.bigram_weights == expected.bigram_weights).all()


@pytest.mark.parametrize(
    ("target", "as_if"),
    [
        ([0.7, 0.2, 0.1], [1, 0, 0]),
        ([0.4, 0.3, 0.3], [1, 0, 0]),
        ([0.5, 0.5, 0.0], [1, 1, 0]),
        ([0.9, 0.8, 0.1], [1, 1, 0]),
    ],
)
def test_soft_targets_count_by_their_likely_labels(target, as_if):
    sequences = texts([5, 6], [6, 7], [7, 8])
    others = [[0, 1, 0], [0, 0, 1]]
    soft = find_features(sequences, np.float32([target, *others]), max_buckets=8)
    hard = find_features(sequences, np.float32([as_if, *others]), max_buckets=8)
    assert (soft.token_weights == hard.token_weights).all()


def test_teachers_change_the_weights():
    sequences = texts([5, 6], [6, 7], [5, 6], [7, 8])
    targets = np.zeros((4, 2), dtype=np.float32)
    before_teachers = find_features(sequences, targets, max_buckets=8)
    targets[[0, 1, 2, 3], [0, 1, 0, 1]] = 1.0
    after = before_teachers.reweighted(sequences, targets)
    expected = find_features(sequences, targets, max_buckets=8)
    assert (after.token_weights == expected.token_weights).all()
    assert (after.bigram_weights == expected.bigram_weights).all()


# In the network


@pytest.fixture
def model(architecture):
    """A network with a linear branch whose rows are all different."""
    net = architecture(linear_size=4, linear_tokens=20, linear_buckets=16)
    torch.manual_seed(0)
    model = TextClassifier(net).eval()
    sequences = texts([5, 6, 7, 6, 7], [6, 7, 25], [5, 6])
    found = find_features(sequences * 4, one_label(sequences * 4), max_buckets=16)
    assert len(found.fingerprints) == 16
    with torch.no_grad():
        for parameter in model.linear.parameters():
            parameter.normal_()
    weights = np.arange(20, dtype=np.uint8) * 3 + 1
    Initialization(features=dataclasses.replace(found, token_weights=weights)).apply(model)
    return model


def by_hand(model, ids):
    """The branch's logits of one text, row by row."""
    branch = model.linear
    tokens, bigrams = branch.tokens.weight, branch.pairs.weight
    total = torch.zeros(tokens.shape[1])
    squares = 0.0
    for token in ids:
        if token < len(tokens):
            weight = float(branch.token_weights[token])
            total, squares = total + weight * tokens[token], squares + weight**2
    table = branch.fingerprints.numpy()
    for bigram in bigrams_of(ids):
        bucket = hashed(bigram) % len(table)
        if table[bucket] == hashed(bigram) % FINGERPRINTS:
            weight = float(branch.pair_weights[bucket])
            total, squares = total + weight * bigrams[bucket], squares + weight**2
    return branch.projection.weight @ total * 3.0 / max(squares, 1.0) ** 0.5


@pytest.mark.parametrize("ids", [[5], [5, 6, 7], [6, 7] * 9, [25, 5, 29, 6, 25], [25], [0, 1, 0]])
def test_the_branch_adds_the_rows_of_tokens_and_bigrams(model, ids):
    with torch.inference_mode():
        found = model.linear_logits(torch.tensor([ids]), torch.tensor([len(ids)]))[0]
        torch.testing.assert_close(found, by_hand(model, ids))


def test_padding_and_neighbours_add_nothing(model):
    lists = [[5, 6, 7, 6], [6], [25, 7], [7, 6, 5, 6, 7, 6, 7]]
    ids = torch.tensor([5, 6, 7] * 3).repeat(4, 1)  # padding that is made of known bigrams
    for row, tokens in enumerate(lists):
        ids[row, : len(tokens)] = torch.tensor(tokens)
    with torch.inference_mode():
        found = model.linear_logits(ids, torch.tensor([len(tokens) for tokens in lists]))
        torch.testing.assert_close(found, torch.stack([by_hand(model, ids) for ids in lists]))


def test_tokens_without_a_row_add_nothing(model):
    with torch.inference_mode():
        one = model.linear_logits(torch.tensor([[22, 23]]), torch.tensor([2]))
    assert not one.any()


@pytest.mark.parametrize("size", [3, 5])  # one column per logit, or not
def test_a_new_branch_adds_nothing_and_can_learn(architecture, size):
    torch.manual_seed(0)
    model = TextClassifier(architecture(linear_size=size, linear_tokens=20, linear_buckets=16))
    logits = model.linear_logits(torch.tensor([[5, 6]]), torch.tensor([2]))
    assert not logits.any()
    torch.nn.functional.cross_entropy(logits, torch.tensor([1])).backward()
    gradients = [weight.grad for weight in model.linear.parameters() if weight.grad is not None]
    assert any(gradient.any() for gradient in gradients)


def test_dropout_drops_rows_and_keeps_their_mean(architecture):
    torch.manual_seed(0)
    net = architecture(linear_size=3, linear_tokens=20, linear_buckets=16)
    model = TextClassifier(net, linear_dropout=0.5)
    with torch.no_grad():
        model.linear.tokens.weight.fill_(1.0)
    ids, lengths = torch.full((4000, 4), 7), torch.full((4000,), 4)
    with torch.no_grad():
        model.eval()
        assert model.linear_logits(ids, lengths).unique().tolist() == [6.0]  # 3 * 4 / sqrt(4)
        model.train()
        found = model.linear_logits(ids, lengths)
    assert found.unique().tolist() == [0.0, 3.0, 6.0, 9.0, 12.0]
    assert found.mean().item() == pytest.approx(6.0, abs=0.3)
