"""Soft labels from teachers and a row's own label."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from textgate.errors import ConfigError
from textgate.rows import Row
from textgate.train.teaching.teachers import Teacher

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


TEACHERS = {
    "one": (("good", "bad"), [[0.9, 0.1], [0.2, 0.8]]),
    "two": (("bad", "good"), [[0.3, 0.7], [1.0, 0.0]]),
    "other": (("yes", "no"), [[0.5, 0.5], [0.5, 0.5]]),
}


@pytest.fixture
def taught_rows(script, monkeypatch):
    def find(path):
        labels, answers = TEACHERS[path.name]
        table = np.array(answers, dtype=np.float32)
        return Teacher(path, labels, "single-label", "0" * 64, lambda _: lambda _: table)

    module = script("taught_rows")
    monkeypatch.setattr(module, "find_teacher", find)
    return module


def test_the_mean_of_teachers_whose_labels_come_in_another_order(taught_rows):
    labels, answers = taught_rows.mean_answers([Path("one"), Path("two")], ["a", "b"])
    assert labels == ("good", "bad")
    assert answers == pytest.approx(np.array([[0.8, 0.2], [0.1, 0.9]]))


def test_a_teacher_given_twice_counts_twice(taught_rows):
    paths = [Path("one"), Path("one"), Path("two")]
    _, answers = taught_rows.mean_answers(paths, ["a", "b"])
    assert answers[0] == pytest.approx([(0.9 + 0.9 + 0.7) / 3, (0.1 + 0.1 + 0.3) / 3])


def test_teachers_of_different_labels(taught_rows):
    with pytest.raises(ConfigError, match="other has the labels 'no', 'yes'"):
        taught_rows.mean_answers([Path("one"), Path("other")], ["a", "b"])


def test_rows_of_any_labels_are_written(taught_rows, tmp_path):
    rows, output, teacher = (tmp_path / name for name in ("rows.jsonl", "taught.jsonl.gz", "one"))
    rows.write_text('{"text": "a", "label": "bad"}\n{"text": "b"}\n', encoding="utf-8")
    teacher.mkdir()
    command = [str(rows), "--teacher", str(teacher), "-o", str(output)]
    taught_rows.main(command, standalone_mode=False)
    lines = [json.loads(line) for line in gzip.decompress(output.read_bytes()).splitlines()]
    assert [line["text"] for line in lines] == ["a", "b"]
    assert [line["probs"]["bad"] for line in lines] == pytest.approx([0.55, 0.8])
