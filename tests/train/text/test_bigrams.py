"""Pairs of neighbours: who owns a bucket, and that nobody else finds anything in it."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import textgate.train.text.bigrams
from textgate.inference.tokenizer import PADDING_ID
from textgate.train.fit.initialization import Start
from textgate.train.network.model import TextClassifier
from textgate.train.text.bigrams import (
    EMPTY,
    FINGERPRINTS,
    FIRST,
    SECOND,
    before,
    find_features,
    look_up,
)


def texts(*lists):
    return [np.array(ids, dtype=np.int64) for ids in lists]


def one_label(sequences):
    return np.ones((len(sequences), 1), dtype=np.float32)


def find_pairs(sequences, *, most_buckets):
    targets = one_label(sequences)
    return find_features(sequences, targets, most_buckets=most_buckets).fingerprints


def looked_up(ids, table):
    buckets, found = look_up(torch.tensor([ids]), torch.from_numpy(table))
    return buckets[0].tolist(), found[0].tolist()


def pairs_of(ids):
    return list(pairwise([PADDING_ID, *ids]))


def mixed(pair):
    return pair[0] * FIRST + pair[1] * SECOND


def owners(sequences, buckets):
    """The pair of each bucket, by a dictionary: of the frequent ones that fall in it the first."""
    counts = Counter(pair for ids in sequences for pair in set(pairs_of(ids.tolist())))
    found = {}
    for pair, count in counts.items():
        if count >= 2:
            rank = (count, mixed(pair))
            place = mixed(pair) % buckets
            if place not in found or rank > found[place][0]:
                found[place] = rank, pair
    return {place: pair for place, (_, pair) in found.items()}


def colliding(buckets, *, wanted=2):
    """Pairs of one bucket with different fingerprints."""
    first = (7, 8)
    others = [
        (a, b)
        for a in range(2, 60)
        for b in range(2, 60)
        if mixed((a, b)) % buckets == mixed(first) % buckets
        and mixed((a, b)) % FINGERPRINTS != mixed(first) % FINGERPRINTS
    ]
    return [first, *others][:wanted]


def test_what_stands_before_each_token():
    ids = torch.tensor([[5, 6, 7], [8, 9, 0]])
    assert before(ids).tolist() == [[PADDING_ID, 5, 6], [PADDING_ID, 8, 9]]


def test_pairs_that_occur_twice_are_found_and_others_are_not():
    table = find_pairs(texts([5, 6, 7], [9, 5, 6], [8]), most_buckets=1024)
    for ids, expected in (
        ([5, 6], [False, True]),  # at a text's beginning, 5 stands once
        ([6, 7], [False, False]),  # 6, 7 occurs once
        ([6, 5], [False, False]),  # the other way round
        ([9, 5, 6, 7], [False, False, True, False]),
        ([1, 2, 3], [False, False, False]),
    ):
        assert looked_up(ids, table)[1] == expected, ids


def test_the_first_token_has_a_pair_with_the_texts_beginning():
    table = find_pairs(texts([5, 6], [5, 7]), most_buckets=1024)
    assert looked_up([5, 5], table)[1] == [True, False]


def test_nothing_is_found_in_an_empty_table():
    table = find_pairs(texts([5], [6]), most_buckets=64)
    assert table.tolist() == [EMPTY]
    ids = np.random.default_rng(0).integers(0, 2**24, 10_000)
    assert not any(looked_up(ids.tolist(), table)[1])


@pytest.mark.parametrize("reversed_order", [False, True])
def test_the_most_frequent_pair_has_the_bucket(reversed_order):
    one, other = colliding(4)
    sequences = texts(
        *[[50 + place, *one] for place in range(3)], *[[*other, 60 + place] for place in range(2)]
    )
    if reversed_order:
        sequences.reverse()
    table = find_pairs(sequences, most_buckets=4)
    assert table[mixed(one) % 4] == mixed(one) % FINGERPRINTS
    assert looked_up([2, *one], table)[1][2]
    assert not looked_up([2, *other], table)[1][2]


@pytest.mark.parametrize(
    ("frequent", "most", "expected"),
    [
        (1, 1024, 2),
        (4, 1024, 8),
        (5, 1024, 16),
        (100, 1024, 256),
        (100, 64, 64),
        (100, 100, 100),  # no power of two is needed
        (100, 1, 1),
    ],
)
def test_there_are_no_more_buckets_than_leave_half_of_them_empty(frequent, most, expected):
    once = [[10 + place, 500 + place] for place in range(frequent)]
    # Each of these texts begins with a pair of its own and has one that comes twice.
    sequences = texts(*([900 + place, *pair] for place, pair in enumerate(once * 2)))
    assert len(find_pairs(sequences, most_buckets=most)) == expected


TOKENS = st.integers(1, 40) | st.sampled_from([1, 2**24 - 1, 2**24 - 2])
SEQUENCES = st.lists(st.lists(TOKENS, min_size=1, max_size=12), min_size=1, max_size=25)


@settings(deadline=None)
@given(SEQUENCES, st.sampled_from([1, 3, 8, 64, 1000]))
def test_the_table_is_what_a_dictionary_says(lists, most):
    sequences = texts(*lists)
    table = find_pairs(sequences, most_buckets=most)
    expected = owners(sequences, len(table))
    assert {place for place, value in enumerate(table) if value != EMPTY} == set(expected)
    for place, pair in expected.items():
        assert table[place] == mixed(pair) % FINGERPRINTS
    for ids in lists:
        buckets, found = looked_up(ids, table)
        for pair, bucket, is_its_own in zip(pairs_of(ids), buckets, found, strict=True):
            assert bucket == mixed(pair) % len(table)
            owner = expected.get(bucket)
            same = owner is not None and mixed(owner) % FINGERPRINTS == mixed(pair) % FINGERPRINTS
            assert is_its_own == same


def test_hardly_any_unseen_pair_is_taken_for_another():
    """A fingerprint has 251 values, and half of the buckets are empty."""
    generator = np.random.default_rng(0)
    seen = generator.integers(2, 5000, (3000, 2))
    table = find_pairs(texts(*seen, *seen), most_buckets=2**16)
    others = generator.integers(5000, 20_000, 50_000)
    wrong = np.mean(looked_up(others.tolist(), table)[1])
    assert 0 < wrong < 1 / FINGERPRINTS


def told(counts, frequency, texts):
    """What the documentation says of the labels of the texts that have something, in plain sums."""
    labels = len(counts)
    prior = [one / sum(frequency) for one in frequency]
    doubt = 0.1 * labels
    total = sum(counts) + doubt
    posterior = [(n + doubt * p) / total for n, p in zip(counts, prior, strict=True)]
    divergence = sum(q * math.log(q / p) for q, p in zip(posterior, prior, strict=True))
    rarity = 1 + math.log((1 + texts) / (1 + sum(counts)))
    return (divergence**0.5 + 0.1) * rarity**0.5


def test_what_tells_about_the_label_weighs_more():
    sequences = texts([5, 6, 5, 6], [5, 6, 9], [5, 8], [7, 8])
    targets = np.eye(3, dtype=np.float32)[[0, 0, 1, 2]]
    found = find_features(sequences, targets, most_buckets=64)
    counts = {5: (2, 1, 0), 6: (2, 0, 0), 7: (0, 0, 1), 8: (0, 1, 1), 9: (1, 0, 0), 4: (0, 0, 0)}
    labels_of_all = np.sum([*(counts[one] for one in (5, 6, 7, 8, 9))], axis=0)
    pairs = {(0, 5): (2, 1, 0), (5, 6): (2, 0, 0)}  # those of two texts
    frequency = labels_of_all + np.sum([*pairs.values()], axis=0)
    by_hand = {one: told(of_one, frequency.tolist(), 4) for one, of_one in counts.items()}
    of_pairs = {pair: told(of_one, frequency.tolist(), 4) for pair, of_one in pairs.items()}
    most = max(*by_hand.values(), *of_pairs.values())
    for token, value in by_hand.items():
        assert found.token_weights[token] == round(255 * value / most)
    for pair, value in of_pairs.items():
        place = mixed(pair) % len(found.fingerprints)
        assert found.pair_weights[place] == round(255 * value / most)
    assert max(found.token_weights.max(), found.pair_weights.max()) == 255
    owned = found.fingerprints != EMPTY
    assert ((found.pair_weights > 0) == owned).all()


def test_weights_of_many_texts_are_counted_in_parts(monkeypatch):
    generator = np.random.default_rng(0)
    sequences = [generator.integers(2, 30, 6) for _ in range(50)]
    targets = np.eye(4, dtype=np.float32)[generator.integers(0, 4, 50)]
    targets[7] = 0.0  # nobody has labelled it
    targets[-1] = 0.0
    expected = find_features(sequences, targets, most_buckets=16)
    monkeypatch.setattr(textgate.train.text.bigrams, "_AT_A_TIME", 7)
    found = find_features(sequences, targets, most_buckets=16)
    assert (found.token_weights == expected.token_weights).all()
    assert (found.pair_weights == expected.pair_weights).all()


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
    soft = find_features(sequences, np.float32([target, *others]), most_buckets=8)
    hard = find_features(sequences, np.float32([as_if, *others]), most_buckets=8)
    assert (soft.token_weights == hard.token_weights).all()


def test_texts_that_teachers_have_labelled_weigh_anew():
    sequences = texts([5, 6], [6, 7], [5, 6], [7, 8])
    targets = np.zeros((4, 2), dtype=np.float32)
    before_teachers = find_features(sequences, targets, most_buckets=8)
    targets[[0, 1, 2, 3], [0, 1, 0, 1]] = 1.0
    after = before_teachers.weighed(sequences, targets)
    expected = find_features(sequences, targets, most_buckets=8)
    assert (after.token_weights == expected.token_weights).all()
    assert (after.pair_weights == expected.pair_weights).all()


# In the network


@pytest.fixture
def model(architecture):
    """A network with a branch whose rows are all different, and pairs it found."""
    net = architecture(linear_size=4, linear_tokens=20, linear_buckets=16)
    torch.manual_seed(0)
    model = TextClassifier(net).eval()
    sequences = texts([5, 6, 7, 6, 7], [6, 7, 25], [5, 6])
    found = find_features(sequences * 4, one_label(sequences * 4), most_buckets=16)
    assert len(found.fingerprints) == 16
    with torch.no_grad():
        for parameter in model.linear.parameters():
            parameter.normal_()
    weights = np.arange(20, dtype=np.uint8) * 3 + 1
    Start(features=dataclasses.replace(found, token_weights=weights)).apply(model)
    return model


def by_hand(model, ids):
    """The branch's logits of one text, row by row."""
    branch = model.linear
    tokens, pairs = branch.tokens.weight, branch.pairs.weight
    total = torch.zeros(tokens.shape[1])
    squares = 0.0
    for token in ids:
        if token < len(tokens):
            weight = float(branch.token_weights[token])
            total, squares = total + weight * tokens[token], squares + weight**2
    table = branch.fingerprints.numpy()
    for pair in pairs_of(ids):
        place = mixed(pair) % len(table)
        if table[place] == mixed(pair) % FINGERPRINTS:
            weight = float(branch.pair_weights[place])
            total, squares = total + weight * pairs[place], squares + weight**2
    return branch.projection.weight @ total * 3.0 / max(squares, 1.0) ** 0.5


@pytest.mark.parametrize("ids", [[5], [5, 6, 7], [6, 7] * 9, [25, 5, 29, 6, 25], [25], [0, 1, 0]])
def test_the_branch_adds_the_rows_of_tokens_and_pairs(model, ids):
    with torch.inference_mode():
        found = model.linear_logits(torch.tensor([ids]), torch.tensor([len(ids)]))[0]
        torch.testing.assert_close(found, by_hand(model, ids))


def test_padding_and_neighbours_add_nothing(model):
    lists = [[5, 6, 7, 6], [6], [25, 7], [7, 6, 5, 6, 7, 6, 7]]
    ids = torch.tensor([5, 6, 7] * 3).repeat(4, 1)  # garbage, of pairs that are known
    for row, tokens in enumerate(lists):
        ids[row, : len(tokens)] = torch.tensor(tokens)
    with torch.inference_mode():
        found = model.linear_logits(ids, torch.tensor([len(tokens) for tokens in lists]))
        torch.testing.assert_close(found, torch.stack([by_hand(model, ids) for ids in lists]))


def test_tokens_without_a_row_add_nothing(model):
    with torch.inference_mode():
        one = model.linear_logits(torch.tensor([[22, 23]]), torch.tensor([2]))
    assert not one.any()


@pytest.mark.parametrize("size", [3, 5])  # a column a logit, or others
def test_a_new_branch_adds_nothing_yet_and_can_learn(architecture, size):
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
