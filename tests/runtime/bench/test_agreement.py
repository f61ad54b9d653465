"""The timed results must be those of predict; bundles with the same labels are compared."""

from __future__ import annotations

import math

import pytest

from textgate.bench.agreement import Agreement, PlainAnswers, agreements
from textgate.errors import BundleError
from textgate.inference.classifier import Classifier

TEXTS = ["a wonderful, moving film", "dull and far too long", "", "it"]


class Stub:
    """A classifier whose answers are given, counting how often it is asked."""

    path = "stub"

    def __init__(self, answers):
        self.answers = answers
        self.asked = 0

    def predict(self, text):
        self.asked += 1
        return self.answers[text]


class Answer:
    def __init__(self, labels, **scores):
        self.labels, self.scores = labels, scores


@pytest.fixture
def plain(bundle):
    return PlainAnswers(Classifier.load(bundle))


def test_equal_answers_pass(plain, bundle):
    rows = Classifier.load(bundle).predict_proba(TEXTS).tolist()
    plain.check(TEXTS, rows, stage="run")
    plain.check([], [], stage="run")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: [[value + 1e-3 for value in row] for row in rows], r"differs by 0\.001"),
        (lambda rows: [*rows[:-1], [math.nan, 1.0]], "differs by nan"),
        (lambda rows: rows[::-1], "differs by"),
        (lambda rows: rows[:-1], "gave 3 answers to 4 texts"),
        (lambda rows: [[*row, 0.0] for row in rows], "differs by inf"),
    ],
)
def test_other_answers_make_the_figures_worthless(plain, bundle, change, message):
    rows = Classifier.load(bundle).predict_proba(TEXTS).tolist()
    with pytest.raises(BundleError, match=message) as raised:
        plain.check(TEXTS, change(rows), stage="run")
    assert str(raised.value).startswith(f"{bundle}: what was timed (run)")


def test_each_text_is_asked_for_once():
    stub = Stub({"a": Answer(("x",), x=1.0)})
    plain = PlainAnswers(stub)
    for _ in range(3):
        plain.check(["a", "a"], [[1.0], [1.0]], stage="both")
    assert stub.asked == 1


def test_bundles_are_compared_with_the_first_of_the_same_labels():
    one = {"a": Answer(("x",), x=0.9, y=0.1), "b": Answer(("y",), x=0.4, y=0.6)}
    two = {"a": Answer(("x",), y=0.25, x=0.75), "b": Answer((), y=0.5, x=0.5)}  # abstains
    other = {"a": Answer(("z",), z=1.0), "b": Answer(("z",), z=1.0)}
    plain = {
        name: PlainAnswers(Stub(answers))
        for name, answers in {"one": one, "other": other, "two": two, "three": one}.items()
    }
    labels = {"one": ("x", "y"), "other": ("z",), "two": ("y", "x"), "three": ("x", "y")}
    assert agreements(plain, labels, ["a", "b"]) == [
        Agreement("one", "two", 2, 0.5, pytest.approx(0.15)),
        Agreement("one", "three", 2, 1.0, 0.0),
    ]
