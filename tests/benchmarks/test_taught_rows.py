"""What a row learns from a teacher beside its own label."""

from __future__ import annotations

import pytest

from textgate.rows import Row

ANSWER = {"good": 0.6, "bad": 0.4}
MIXED = [
    ({"label": "bad"}, 0.5, {"good": 0.3, "bad": 0.7}),
    ({"label": "bad"}, 0.0, {"good": 0.0, "bad": 1.0}),
    ({"label": "bad"}, 1.0, ANSWER),
    ({"probs": {"good": 0.2, "bad": 0.8}}, 0.5, {"good": 0.4, "bad": 0.6}),
    ({}, 0.5, ANSWER),
]


@pytest.mark.parametrize(("extras", "weight", "expected"), MIXED)
def test_own_labels_and_answers(script, extras, weight, expected):
    row = Row("a text", (), 1, extras)
    assert script("taught_rows").mixed(row, ANSWER, weight) == pytest.approx(expected)
