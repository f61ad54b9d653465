"""The learning curve says whether more labels would help."""

from __future__ import annotations

import random

import pytest

import textgate.train.curve
from textgate.errors import DataError
from textgate.rows import Row
from textgate.train import LearningCurve, learning_curve
from textgate.train.curve import Point

SYLLABLES = ("za", "ko", "mu", "ti", "re", "vo", "sy", "ne")
COMMON = [f"qu{first}{second}" for first in SYLLABLES for second in SYLLABLES[:5]]  # no English
ENGLISH = (
    "film",
    "old",
    "friend",
    "town",
    "sea",
    "small",
    "long",
    "house",
    "night",
    "city",
    "food",
)


@pytest.fixture
def many_words():
    """Makes rows that one of many words decides: new rows have words that few rows do not have."""

    def make(count):
        generator = random.Random(0)
        rows = []
        for line in range(1, count + 1):
            label = ("north", "south")[line % 2]
            decisive = label[0] + "".join(generator.choices(SYLLABLES, k=2))
            words = [decisive, *generator.sample(COMMON, 4)]
            rows.append(Row(" ".join(words), (label,), line))
        return rows

    return make


@pytest.fixture
def random_labels():
    """Makes rows whose labels do not follow from the texts."""

    def make(count):
        generator = random.Random(1)
        return [
            Row(" ".join(generator.sample(ENGLISH, 6)), (generator.choice("ab"),), line)
            for line in range(1, count + 1)
        ]

    return make


def test_more_rows_help(many_words):
    curve = learning_curve(many_words(300))
    scores = [point.score for point in curve.points]
    assert scores == sorted(scores)
    assert curve.gain_interval[0] > 0
    assert curve.meaning.startswith(f"Accuracy rises from {scores[1]:.3f} at 50% of the rows to ")
    assert curve.meaning.endswith(" at 100%: more labels are likely to help.")


def test_the_same_rows_are_held_out_for_all_parts(many_words):
    curve = learning_curve(many_words(200))
    assert curve.rows == 200
    assert [(point.fraction, point.rows) for point in curve.points] == [
        (0.25, 40),
        (0.5, 80),
        (1.0, 160),
    ]
    assert curve == learning_curve(many_words(200))


def test_random_labels_teach_nothing(random_labels, hearing):
    progress = hearing()
    curve = learning_curve(random_labels(200), progress=progress)
    assert "the encoder english" in progress.notes[-1]
    assert not curve.learned
    assert curve.meaning.startswith("Nothing was learned that can be measured: accuracy is 0.")


def test_rows_that_are_learned_already(separable):
    curve = learning_curve(separable(200))
    assert curve.gain_interval == (0.0, 0.0)
    assert curve.meaning.endswith("more labels like these are unlikely to help much.")


def test_multi_label_is_scored_by_macro_f1(separable):
    curve = learning_curve(separable(200, ("good", "bad", "odd"), multi_label=True))
    assert (curve.measure, curve.learned) == ("macro-F1", True)
    for point in curve.points:
        assert point.interval[0] <= point.score <= point.interval[1]


def test_rare_labels_can_be_learned_at_the_cost_of_accuracy(separable):
    rows = separable(240)
    rare = [row for row in rows if row.labels == ("bad",)][:12]
    curve = learning_curve([row for row in rows if row.labels == ("good",)] + rare)
    assert curve.learned


def test_four_rows_are_enough_to_say_that_nothing_was_learned(many_words):
    curve = learning_curve(many_words(4))
    assert (curve.rows, curve.learned) == (4, False)


def test_of_too_many_rows_some_are_drawn(many_words, monkeypatch, tmp_path, write_jsonl, hearing):
    monkeypatch.setattr(textgate.train.curve, "MAX_ROWS", 60)
    rows = [{"text": row.text, "label": row.labels[0]} for row in many_words(90)]
    for data in (many_words(90), write_jsonl(tmp_path / "rows.jsonl", rows)):
        progress = hearing()
        assert learning_curve(data, progress=progress).rows <= 60
        assert progress.notes[0] == "60 of 90 rows are drawn"


def test_groups_stay_together(many_words):
    rows = [Row(row.text, row.labels, row.line, {"author": "a"}) for row in many_words(40)]
    with pytest.raises(DataError):  # one group cannot be held out
        learning_curve(rows, group_field="author")


MEANINGS = [
    ((0.71, 0.75), (0.01, 0.07), "rises from 0.710 at 50% of the rows to 0.750 at 100%: more"),
    ((0.74, 0.75), (-0.01, 0.03), "clear gain (-0.010 to +0.030): the rows are too few to tell"),
    ((0.75, 0.75), (-0.01, 0.01), "no clear gain (-0.010 to +0.010): more labels like these"),
    ((0.76, 0.75), (-0.02, -0.01), "no clear gain (-0.020 to -0.010): more labels like these"),
]


@pytest.mark.parametrize(("scores", "interval", "sentence"), MEANINGS)
def test_the_gain_decides(scores, interval, sentence):
    points = tuple(
        Point(part, round(100 * part), score, (score - 0.05, score + 0.05))
        for part, score in zip((0.5, 1.0), scores, strict=True)
    )
    gain = scores[1] - scores[0]
    assert sentence in LearningCurve("accuracy", 100, points, gain, interval, 0.5, True).meaning
    assert "Nothing" in LearningCurve("accuracy", 100, points, gain, interval, 0.5, False).meaning
