"""The sampled softmax: its loss, its samples and its sparse gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from textgate.inference.tokenizer import PADDING_ID, UNKNOWN_ID
from textgate.train.pretraining import language_model, sampled_softmax
from textgate.train.pretraining.language_model import LanguageModel
from textgate.train.pretraining.pretraining_config import PretrainingConfig
from textgate.train.pretraining.sampled_softmax import Sampler, sampled_loss
from textgate.train.training.optimization import Optimizer

VOCABULARY, WIDTH, POSITIONS = 40, 6, 25


@pytest.fixture
def given():
    """Projected states, target tokens, the embedding and the biases."""
    torch.manual_seed(0)
    projected = torch.randn(POSITIONS, WIDTH, requires_grad=True)
    targets = torch.randint(VOCABULARY, (POSITIONS,))
    table = torch.randn(VOCABULARY, WIDTH, requires_grad=True)
    bias = torch.randn(VOCABULARY, requires_grad=True)
    return projected, targets, table, bias


def gradients(loss, tensors):
    found = torch.autograd.grad(loss, tensors)
    return [grad.to_dense() if grad.is_sparse else grad for grad in found]


@pytest.mark.parametrize("at_a_time", [1, 7, POSITIONS, 1024])
def test_with_all_words_it_is_the_full_softmax(given, monkeypatch, at_a_time):
    monkeypatch.setattr(sampled_softmax, "_MAX_POSITIONS", at_a_time)
    projected, targets, table, bias = given
    counts = np.arange(1, VOCABULARY + 1)
    sampler = Sampler(counts, draws=VOCABULARY)
    loss = sampled_loss(projected, targets, sampler.draw(), sampler.log_expected, table, bias)
    full = functional.cross_entropy(projected @ table.T + bias, targets)
    torch.testing.assert_close(loss, full)
    weights = (projected, table, bias)
    for one, other in zip(gradients(loss, weights), gradients(full, weights), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_a_target_is_not_its_own_negative(given):
    projected, _, table, bias = given
    targets = torch.full((POSITIONS,), 7)
    expected = Sampler(np.ones(VOCABULARY, dtype=np.int64), draws=9).log_expected
    losses = [
        sampled_loss(projected, targets, torch.tensor(sample), expected, table, bias)
        for sample in ([3, 7, 20], [3, 20])
    ]
    torch.testing.assert_close(*losses)
    for one, other in zip(*(gradients(loss, (projected, table, bias)) for loss in losses)):  # noqa: B905
        torch.testing.assert_close(one, other)
    alone = sampled_loss(projected, targets, torch.tensor([7]), expected, table, bias)
    assert alone.item() == 0.0
    assert all(torch.isfinite(grad).all() for grad in gradients(alone, (projected, table, bias)))


def test_the_loss_computed_by_hand(given):
    """A target and its negatives, each minus the logarithm of its sampling probability."""
    projected, targets, table, bias = (tensor.detach() for tensor in given)
    sampler = Sampler(np.arange(VOCABULARY) * 5, draws=30)
    torch.manual_seed(1)
    sample = sampler.draw()
    losses = []
    for state, target in zip(projected, targets, strict=True):
        tokens = [int(target), *(int(token) for token in sample if token != target)]
        logits = [
            float(state @ table[token] + bias[token] - sampler.log_expected[token])
            for token in tokens
        ]
        losses.append(np.log(np.exp(logits).sum()) - logits[0])
    found = sampled_loss(projected, targets, sample, sampler.log_expected, table, bias)
    assert found.item() == pytest.approx(np.mean(losses), rel=1e-4)


def test_tokens_are_drawn_as_often_as_expected():
    counts = np.array([0, 0, 1, 2, 4, 8, 50, 400, 0, 3])
    sampler = Sampler(counts, draws=6)
    torch.manual_seed(0)
    times, rounds = np.zeros(len(counts)), 4000
    for _ in range(rounds):
        sample = sampler.draw()
        assert torch.equal(sample, sample.unique())
        times[sample] += 1
    assert times[[PADDING_ID, UNKNOWN_ID]].tolist() == [0, 0]
    assert times[8] > 0  # which does not occur
    chances = np.exp(sampler.log_expected.numpy()[2:])
    assert times[2:] / rounds == pytest.approx(chances, abs=0.03)
    weights = np.maximum(counts[2:], 1) ** 0.75
    assert chances == pytest.approx(1 - (1 - weights / weights.sum()) ** 6, rel=1e-4)


def test_the_unknown_token_is_drawn_where_it_occurs():
    assert UNKNOWN_ID in Sampler(np.array([0, 3, 1, 1]), draws=4).draw()
    assert UNKNOWN_ID not in Sampler(np.array([0, 0, 1, 1]), draws=4).draw()


CONFIG = PretrainingConfig(
    hidden_size=5,
    embedding_size=WIDTH,
    vocabulary_size=600,
    vectors="none",
    embedding_dropout=0.0,
    state_dropout=0.0,
    learning_rate=0.01,
)
IDS = torch.tensor([[5, 6, 7, 5], [8, 9, 0, 0]])
LENGTHS = torch.tensor([4, 2])


class Fixed:
    """Draws the same tokens every time."""

    log_expected = torch.linspace(-2.0, 0.0, VOCABULARY)

    def draw(self):
        return torch.tensor([9, 12, 30])


def test_logits_of_any_size(given):
    projected, targets, table, bias = (tensor.detach() for tensor in given)
    sampler = Sampler(np.ones(VOCABULARY, dtype=np.int64), draws=VOCABULARY)
    for factor in (1e4, -1e4):
        said = (projected * factor).requires_grad_()
        loss = sampled_loss(said, targets, sampler.draw(), sampler.log_expected, table, bias)
        full = functional.cross_entropy(said @ table.T + bias, targets)
        torch.testing.assert_close(loss, full)
        (grad,) = gradients(loss, (said,))
        torch.testing.assert_close(grad, gradients(full, (said,))[0], rtol=1e-3, atol=1e-5)


@pytest.fixture
def network():
    def make():
        torch.manual_seed(3)
        return LanguageModel(VOCABULARY, CONFIG)

    return make


def test_a_sparse_step_is_a_dense_one_on_the_rows_it_touches(network):
    sparse, dense = network(), network()
    before = sparse.embedding.weight.detach().clone()
    optimizer = Optimizer(sparse, CONFIG.training(), steps=1000)
    optimizer.clear()
    loss, positions = sparse.sampled_loss(IDS, LENGTHS, Fixed())
    assert positions == 4
    loss.backward()
    assert sparse.embedding.weight.grad.is_sparse
    touched = sparse.embedding.weight.grad.coalesce().indices()[0].tolist()
    # The tokens that are read, predicted and drawn.
    assert touched == [0, 5, 6, 7, 8, 9, 12, 30]

    # The reference: one dense table in three places.
    dense.embedding.sparse = False
    projected, targets = dense(IDS, LENGTHS)
    table = dense.embedding.weight
    logits = projected @ table.T + dense.token_bias - Fixed.log_expected
    allowed = torch.zeros_like(logits, dtype=torch.bool)
    allowed[:, Fixed().draw()] = True
    allowed[torch.arange(len(targets)), targets] = True
    functional.cross_entropy(logits.masked_fill(~allowed, -torch.inf), targets).backward()
    torch.testing.assert_close(sparse.embedding.weight.grad.to_dense(), table.grad)
    torch.testing.assert_close(sparse.head.weight.grad, dense.head.weight.grad)

    group = optimizer._optimizers[1].param_groups[0]
    group["eps"] = 1e-30  # which the two add in different places
    optimizer.step(100)
    torch.optim.Adam([table], lr=group["lr"], eps=1e-30).step()
    after = sparse.embedding.weight.detach()
    torch.testing.assert_close(after[touched], table.detach()[touched])
    untouched = [row for row in range(VOCABULARY) if row not in touched]
    assert torch.equal(after[untouched], before[untouched])


def test_the_full_loss_is_that_of_every_next_token(network, monkeypatch):
    model = network().eval()
    found, positions = model.full_loss(IDS, LENGTHS)
    monkeypatch.setattr(language_model, "_MAX_LOGITS", VOCABULARY)  # one at a time
    assert model.full_loss(IDS, LENGTHS)[0] == pytest.approx(found, rel=1e-5)
    total = 0.0
    for ids in ([5, 6, 7, 5], [8, 9]):
        text = torch.tensor([ids])
        states, _ = model.layers[0].ahead(model.embedding(text))
        logits = model.head(states) @ model.embedding.weight.T + model.token_bias
        total += functional.cross_entropy(logits[0, :-1], text[0, 1:], reduction="sum").item()
    assert (found, positions) == (pytest.approx(total, rel=1e-5), 4)
