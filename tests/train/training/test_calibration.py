"""Temperature scaling and the scale of a branch: known values are found, no loss grows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from textgate.train.training.calibration import (
    best_linear_scale,
    bounded_temperature,
    calibrated_loss,
    fit_temperature,
    is_clearly_lower,
    log_loss,
    mixed_scales,
    preferred,
)


def targets_of(logits, generator, *, multi_label):
    """Targets drawn with the probabilities of the logits."""
    if multi_label:
        return (generator.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    cumulative = exponentials.cumsum(axis=1) / exponentials.sum(axis=1, keepdims=True)
    draws = (generator.random((len(logits), 1)) > cumulative).sum(axis=1)
    return np.eye(logits.shape[1], dtype=np.float32)[np.minimum(draws, logits.shape[1] - 1)]


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("temperature", [0.25, 1.0, 3.0])
@pytest.mark.parametrize("labels", [2, 5])
def test_a_known_temperature_is_found(temperature, labels, multi_label):
    generator = np.random.default_rng(0)
    honest = generator.normal(0, 2, (8_000, labels)).astype(np.float32)
    targets = targets_of(honest, generator, multi_label=multi_label)
    scaled = honest * np.float32(temperature)
    found = fit_temperature(scaled, targets, multi_label=multi_label)
    assert found == pytest.approx(temperature, rel=0.1)


@pytest.mark.parametrize(
    ("logits", "targets", "expected"),
    [
        ([[0.0, 1.0]], [[0.0, 1.0]], 0.25),  # always right: the most confident that is allowed
        ([[0.0, 1.0]], [[1.0, 0.0]], 1000.0),  # always wrong: the least confident that is allowed
    ],
)
def test_it_stays_in_its_bounds(logits, targets, expected):
    arguments = [np.array(values, dtype=np.float32) for values in (logits, targets)]
    for multi_label in (False, True):
        found = fit_temperature(*arguments, multi_label=multi_label)
        assert 0.25 <= found <= 1000.0
    assert fit_temperature(*arguments, multi_label=False) == pytest.approx(expected, rel=1e-3)


LOGITS = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 12), st.just(3)),
    elements=st.floats(-50, 50, width=32, allow_subnormal=False),
)


@settings(max_examples=40)
@given(LOGITS, st.integers(0, 9), st.booleans())
def test_no_decision_changes_and_the_loss_never_grows(logits, seed, multi_label):
    generator = np.random.default_rng(seed)
    targets = np.eye(3, dtype=np.float32)[generator.integers(0, 3, len(logits))]
    temperature = np.float32(fit_temperature(logits, targets, multi_label=multi_label))
    scaled = logits / temperature
    top = scaled[np.arange(len(scaled)), logits.argmax(axis=1)]
    assert (top == scaled.max(axis=1)).all()
    assert ((scaled >= 0) == (logits >= 0)).all()
    before = log_loss(logits, targets, multi_label=multi_label)
    assert log_loss(scaled, targets, multi_label=multi_label) <= before + 1e-6


def test_extreme_logits_have_a_finite_loss():
    logits = np.array([[1e4, -1e4], [-3e38, 3e38]], dtype=np.float32)
    targets = np.array([[0.0, 1.0], [0.0, 1.0]], dtype=np.float32)
    for multi_label in (False, True):
        assert np.isfinite(log_loss(logits, targets, multi_label=multi_label))


@settings(max_examples=40)
@given(LOGITS, st.integers(0, 9), st.booleans())
def test_a_loss_is_never_below_zero_nor_minus_zero(logits, seed, multi_label):
    targets = np.eye(3, dtype=np.float32)[logits.argmax(axis=1)]
    found = log_loss(logits * np.float32(10**seed), targets, multi_label=multi_label)
    assert math.copysign(1.0, found) == 1.0


# Scale of the linear branch


def mixture(seed, *, labels=3, rows=3000):
    """Honest logits, labels drawn by them, and noise of the same size."""
    generator = np.random.default_rng(seed)
    honest = generator.normal(0, 2, (rows, labels)).astype(np.float32)
    noise = generator.normal(0, 2, honest.shape).astype(np.float32)
    return honest, noise, generator


def loss_at_best_temperature(logits, targets, *, multi_label):
    temperature = fit_temperature(logits, targets, multi_label=multi_label)
    return log_loss(logits / np.float32(temperature), targets, multi_label=multi_label)


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("size", [0.01, 1.0, 50.0])
def test_a_branch_of_noise_gets_no_weight(multi_label, size):
    honest, noise, generator = mixture(0)
    targets = targets_of(honest, generator, multi_label=multi_label)
    scale = best_linear_scale(honest, noise * np.float32(size), targets, multi_label=multi_label)
    assert scale * size < 0.01
    assert best_linear_scale(honest, np.zeros_like(noise), targets, multi_label=multi_label) == 0.0


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("size", [0.2, 1.0, 5.0])
def test_beside_a_network_of_noise_the_branch_gets_the_weight(multi_label, size):
    honest, noise, generator = mixture(1)
    targets = targets_of(honest, generator, multi_label=multi_label)
    branch = honest * np.float32(size)
    scale = best_linear_scale(noise, branch, targets, multi_label=multi_label)
    both = noise + np.float32(scale) * branch
    found = loss_at_best_temperature(both, targets, multi_label=multi_label)
    best = loss_at_best_temperature(honest, targets, multi_label=multi_label)
    alone = loss_at_best_temperature(noise, targets, multi_label=multi_label)
    assert found < best + 0.05 * (alone - best)


@pytest.mark.parametrize("multi_label", [False, True])
def test_two_parts_that_know_half_each_get_the_same_weight(multi_label):
    """The size of their logits makes no difference."""
    honest, _, generator = mixture(2)
    other, _, _ = mixture(3)
    targets = targets_of(honest + other, generator, multi_label=multi_label)
    for size in (0.3, 1.0, 4.0):
        branch = other * np.float32(size)
        scale = best_linear_scale(honest, branch, targets, multi_label=multi_label)
        assert scale * size == pytest.approx(1.0, rel=0.4)  # weights are tenths
        found = loss_at_best_temperature(
            honest + np.float32(scale) * branch, targets, multi_label=multi_label
        )
        alone = loss_at_best_temperature(honest, targets, multi_label=multi_label)
        assert found < 0.9 * alone


@settings(max_examples=25, deadline=None)
@given(LOGITS, st.integers(0, 99), st.booleans())
def test_the_branch_never_makes_it_worse(recurrent, seed, multi_label):
    """On dev, after calibration."""
    generator = np.random.default_rng(seed)
    linear = generator.normal(0, generator.uniform(0, 9), recurrent.shape).astype(np.float32)
    targets = np.eye(3, dtype=np.float32)[generator.integers(0, 3, len(recurrent))]
    scale = best_linear_scale(recurrent, linear, targets, multi_label=multi_label)
    assert scale >= 0.0
    both = recurrent + np.float32(scale) * linear
    found = loss_at_best_temperature(both, targets, multi_label=multi_label)
    assert found <= loss_at_best_temperature(recurrent, targets, multi_label=multi_label) + 1e-4


# Weights of rows


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("measure", [fit_temperature, calibrated_loss, log_loss])
def test_a_weight_of_two_is_the_row_twice(measure, multi_label):
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, (60, 3)).astype(np.float32)
    targets = targets_of(logits / 3, generator, multi_label=multi_label)
    times = generator.integers(1, 5, 60)
    again = np.repeat(range(60), times)
    found = measure(logits, targets, multi_label=multi_label, weights=times.astype(np.float32))
    expected = measure(logits[again], targets[again], multi_label=multi_label)
    assert found == pytest.approx(expected, rel=1e-5)
    assert found != pytest.approx(measure(logits, targets, multi_label=multi_label), rel=5e-5)


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("choose", [best_linear_scale, mixed_scales])
def test_rows_that_hardly_count_do_not_choose_the_scales(choose, multi_label):
    generator = np.random.default_rng(0)
    one, other = generator.normal(0, 2, (2, 300, 3)).astype(np.float32)
    targets = targets_of(one, generator, multi_label=multi_label)
    targets[200:] = targets_of(other, generator, multi_label=multi_label)[200:]
    weights = np.where(np.arange(300) < 200, 1, 1e-9).astype(np.float32)
    options = {"multi_label": multi_label}
    found = choose(one, other, targets, weights=weights, **options)
    expected = choose(one[:200], other[:200], targets[:200], **options)
    assert found == pytest.approx(expected, rel=1e-3)
    assert found != pytest.approx(choose(one, other, targets, **options), rel=1e-2)


def test_few_rows_with_most_of_the_weight_are_few_rows():
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, (400, 3)).astype(np.float32)
    targets = targets_of(logits / 3, generator, multi_label=False)
    heavy = np.where(np.arange(400) < 10, 1e6, 1).astype(np.float32)
    found = bounded_temperature(logits, targets, multi_label=False, weights=heavy)
    expected = bounded_temperature(logits[:10], targets[:10], multi_label=False)
    assert found == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize("scale", [1, 1e-9, 1e9])
def test_equal_weights_are_none(scale):
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, (50, 3)).astype(np.float32)
    targets = targets_of(logits / 3, generator, multi_label=False)
    equal = np.full(50, scale, dtype=np.float32)
    found = bounded_temperature(logits, targets, multi_label=False, weights=equal)
    assert found == pytest.approx(bounded_temperature(logits, targets, multi_label=False))
    for _ in range(50):
        losses = list(generator.normal(1, 1, (4, 50)))
        assert preferred(losses, equal) == preferred(losses)
        assert is_clearly_lower(*losses[:2], equal) == is_clearly_lower(*losses[:2])


def test_the_mean_that_is_lower_is_the_weighted_one():
    first, second = np.array([1.0, 1.0, 0.0] * 9), np.array([0.0, 0.0, 1.0] * 9)
    weights = np.array([1, 1, 20] * 9, dtype=np.float32)
    assert is_clearly_lower(second, first)
    assert is_clearly_lower(first, second, weights)
    assert preferred([second, first], weights) == 1
