"""Accuracy by the values of a column."""

from __future__ import annotations

import numpy as np
import pytest

from textgate.errors import DataError
from textgate.evaluation.slices import find_slices
from textgate.rows import Row


def rows_of(*values):
    return [Row("a", ("x",), line, {"kind": value}) for line, value in enumerate(values)]


def slices(values, right, columns=("kind",)):
    return find_slices(rows_of(*values), np.array(right), columns, file="a.csv")


def test_the_surely_worst_come_first():
    found = slices(
        ["a"] * 10 + ["b"] * 40 + ["c"], [True] * 10 + [False] * 30 + [True] * 10 + [False]
    )
    assert [(one.value, one.rows, one.mistakes) for one in found] == [
        ("b", 40, 30), ("c", 1, 1), ("a", 10, 0),
    ]  # fmt: skip
    assert found[0].accuracy == 0.25
    low, high = found[0].accuracy_interval
    assert low < 0.25 < high


@pytest.mark.parametrize("missing", [None, "", " ", float("nan")])
def test_rows_without_a_value_are_a_slice(missing):
    found = slices([missing, "a"], [True, True])
    assert {one.value for one in found} == {"", "a"}


def test_a_column_of_many_numbers_is_divided_into_quarters():
    values = [str(number / 2) for number in range(100)] + [""]
    found = slices(values, [True] * 101)
    assert {one.value: one.rows for one in found} == {
        "0 to 12": 25, "12.5 to 24.5": 25, "25 to 37": 25, "37.5 to 49.5": 25, "": 1,
    }  # fmt: skip


@pytest.mark.parametrize("values", [[str(n % 20) for n in range(60)], [f"v{n}" for n in range(60)]])
def test_few_numbers_and_texts_are_not(values):
    found = slices(values, [True] * 60)
    assert {one.value for one in found} == set(values)


def test_numbers_with_one_frequent_value():
    found = slices([0] * 90 + list(range(1, 31)), [True] * 120)
    assert sum(one.rows for one in found) == 120


def test_a_column_that_is_not_there():
    with pytest.raises(DataError) as raised:
        slices(["a"], [True], ["kinds"])
    assert str(raised.value) == (
        "a.csv: no column 'kinds' besides those of text and label (did you mean 'kind'?); there "
        "are 'kind'"
    )
    with pytest.raises(DataError, match="there are none"):
        find_slices([Row("a", ("x",), 1)], np.array([True]), ["b"], file="a.csv")
