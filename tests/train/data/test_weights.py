"""Weights of rows: read, refused, and carried as far as the batches."""

from __future__ import annotations

import json
from decimal import Decimal

import numpy as np
import pytest

from textgate.errors import DataError
from textgate.rows import Columns, Row
from textgate.train.data.dataset import Dataset
from textgate.train.data.split import split_rows
from textgate.train.data.weights import weights_of, with_weights

TEXTS = [" ".join(f"w{number}x{place}" for place in range(8)) for number in range(40)]


def rows_of(*weights, **extras):
    """A row per weight in a column."""
    return [
        Row(text, ("ab"[line % 2],), line, {"weight": weight, **extras})
        for line, (text, weight) in enumerate(zip(TEXTS, weights, strict=False), start=1)
    ]


def split(data, dev=None, **options):
    options = {"task": "auto", "dev_fraction": 0.2, "seed": 0, **options}
    return split_rows(data, dev, Columns(), **options)


@pytest.mark.parametrize(
    ("value", "weight"),
    [
        (2, 2.0),
        (0.5, 0.5),
        ("2", 2.0),
        (" 1e3 ", 1000.0),
        (0, 0.0),
        ("0", 0.0),
        (Decimal("0.25"), 0.25),
        (np.float32(0.5), 0.5),
        (None, 1.0),
        ("", 1.0),
        ("  ", 1.0),
    ],
)
def test_values(value, weight):
    (found,) = with_weights(rows_of(value), "weight", file="f")
    assert found.weight == weight
    assert type(found.weight) is float


WRONG = [-1, "-0.5", "nan", float("inf"), "much", "1,5", True, [1], {"a": 1}, 1j, 1e19, "1e-19"]


@pytest.mark.parametrize("value", [*WRONG, 10**400])
def test_other_values_are_refused(value):
    with pytest.raises(DataError) as caught:
        with_weights(rows_of(1, 1, value), "weight", file="rows.csv")
    assert str(caught.value).startswith(
        "rows.csv, line 3: the weight (field 'weight') should be 0 or a number from 1e-18 to "
        "1e+18, found "
    )
    assert str(caught.value).endswith("; correct it, or leave --weight-field out")


@pytest.mark.parametrize(
    ("field", "hint"), [("text", ""), ("Weight", " (did you mean 'weight'?)"), ("other", "")]
)
def test_a_column_that_no_row_has_is_refused(field, hint):
    with pytest.raises(DataError) as caught:
        split(rows_of(*[1] * 20), weight_field=field)
    assert str(caught.value) == (
        f"rows: no column {field!r} besides those of text and label{hint}; name another one with "
        "--weight-field, or leave the option out"
    )


@pytest.mark.parametrize("weight", [-1.0, float("nan"), "2", None, 1e30])
def test_a_wrong_weight_of_a_row_is_refused(weight):
    rows = [*rows_of(1), Row("text", ("a",), 2, weight=weight)]
    with pytest.raises(
        DataError, match=r"^rows\[1\]: the weight should be 0 or a number from 1e-18"
    ):
        split(rows)


def test_rows_without_weight_are_absent():
    found = split(rows_of(*[1, 1, 0, 2] * 10), weight_field="weight")
    without = split([row for row in rows_of(*[1, 1, 0, 2] * 10) if row.extras["weight"]])
    for name in ("train", "dev"):
        lines, expected = ([row.line for row in getattr(one, name)] for one in (found, without))
        assert lines == expected
    assert "rows: 10 rows have weight 0, as if absent" in found.notes
    assert {row.weight for row in found.train} == {1.0, 2.0}


def test_not_all_weights_can_be_zero():
    with pytest.raises(DataError, match=r"^rows: every row has weight 0; give some a weight above"):
        split(rows_of(*[0] * 20), weight_field="weight")


def test_two_labels_must_count():
    with pytest.raises(DataError, match=r"^rows: every row has the label 'b'; a classifier needs"):
        split(rows_of(*[1, 0] * 10), weight_field="weight")


def test_dev_rows_may_have_weights():
    rows, plain = rows_of(*[1] * 20), [Row("other", ("a",), 1), Row("another", ("b",), 2)]
    found = split(rows, rows_of(*[3, 0, 3]), weight_field="weight")
    assert [row.weight for row in found.dev] == [3.0, 3.0]
    found = split(rows, plain, weight_field="weight")
    assert [row.weight for row in found.dev] == [1.0, 1.0]
    with pytest.raises(DataError, match=r"^rows, line 2: the weight"):
        split(rows, rows_of(1, "x"), weight_field="weight")


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv"])
def test_they_are_read_from_files(name, tmp_path):
    rows = rows_of(*[2, 0.5] * 10)
    objects = [
        {"text": row.text, "label": row.labels[0], "w": row.extras["weight"]} for row in rows
    ]
    if name.endswith("csv"):
        lines = ["text,label,w", *(",".join(map(str, one.values())) for one in objects)]
    else:
        lines = [json.dumps(one) for one in objects]
    (tmp_path / name).write_text("\n".join(lines))
    found = split(tmp_path / name, weight_field="w", folds=lambda _: 2)
    assert [row.weight for row in found.train] == [2.0, 0.5] * 10


def test_groups_and_weights_go_together():
    rows = rows_of(*[1, 2] * 20)
    for index, row in enumerate(rows):
        row.extras["by"] = index // 5
    found = split(rows, weight_field="weight", group_field="by", dev_fraction=0.5)
    groups = [{row.extras["by"] for row in side} for side in (found.train, found.dev)]
    assert not groups[0] & groups[1]
    assert {row.weight for row in found.dev} == {1.0, 2.0}


def test_a_text_file_has_no_weights(tmp_path):
    (tmp_path / "rows.txt").write_text("__label__a one\n__label__b two\n" * 10)
    with pytest.raises(DataError, match=r"^rows\.txt: no column 'weight' besides those of text"):
        split(tmp_path / "rows.txt", weight_field="weight")


def test_weights_of_one_are_none():
    assert weights_of(rows_of(*[1] * 4)) is None
    found = weights_of([Row("a", (), 1), Row("a", (), 2, weight=0.5)])
    assert found.tolist() == [1.0, 0.5]
    assert found.dtype == np.float32


def test_batches_have_weights_in_units_of_their_mean():
    sequences = tuple(np.ones(1, dtype=np.int64) for _ in range(4))
    targets = np.eye(4, dtype=np.float32)
    rows = Dataset(sequences, targets, np.array([1, 2, 4, 9], dtype=np.float32))
    assert rows.batch([3, 0]).weights.tolist() == [2.25, 0.25]
    assert rows.subset(np.array([0, 1])).weights.tolist() == [1, 2]
    assert rows.subset(np.array([0, 1])).batch([0]).weights.tolist() == pytest.approx([2 / 3])
    plain = Dataset(sequences, targets)
    assert plain.batch([0]).weights is None
    assert plain.subset(np.array([0])).weights is None
