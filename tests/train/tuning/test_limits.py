"""Models of size and latency; `tests/export/test_estimated_size.py` compares sizes with bundles."""

from __future__ import annotations

import pytest

from textgate.train.tuning.limits import Cost, Limits, Speed, machine_speed, products


def test_multiplications_of_a_token(architecture):
    net = architecture(embedding_size=5, hidden_sizes=(7, 3))
    assert products(net) == 4 * 7 * (5 + 7) + 4 * 3 * (7 + 3)
    both = architecture(embedding_size=5, hidden_sizes=(7,), bidirectional=True, cell="gru")
    assert products(both) == 2 * 3 * 7 * (5 + 7)


def test_the_time_of_a_text(architecture):
    net = architecture(embedding_size=5, hidden_sizes=(7,))
    speed = Speed(fixed_ms=0.5, tokenizing_ms=0.01, product_ms=0.001)
    assert speed.latency_ms(net, 10) == pytest.approx(0.5 + 10 * (0.01 + 0.001 * 336))


def test_this_machine_has_a_speed(architecture):
    speed = machine_speed()
    assert min(speed.fixed_ms, speed.tokenizing_ms, speed.product_ms) >= 0
    assert speed.latency_ms(architecture(), 1000) > 0


@pytest.mark.parametrize(
    ("limits", "cost", "allowed"),
    [
        (Limits(), Cost(10**9, None), True),
        (Limits(max_bytes=10), Cost(10, None), True),
        (Limits(max_bytes=10), Cost(11, None), False),
        (Limits(max_latency_ms=1.0), Cost(11, 1.0), True),
        (Limits(max_latency_ms=1.0), Cost(11, 1.1), False),
        (Limits(max_bytes=10, max_latency_ms=1.0), Cost(11, 0.5), False),
    ],
)
def test_limits(limits, cost, allowed):
    assert limits.allow(cost) is allowed
    assert limits.given is (limits != Limits())
