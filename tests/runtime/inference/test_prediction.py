"""From probabilities to an answer: which labels apply, and why none does."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgate.inference.prediction import DEFAULT_THRESHOLD, Decision

LABELS = ("a", "b", "c")


def decide(probabilities, *, thresholds=(None, None, None), multi_label, **more):
    decision = Decision(labels=LABELS, thresholds=thresholds, multi_label=multi_label)
    return decision.predict(probabilities, tokens=7, truncated=True, **more)


SINGLE = [
    # probabilities, thresholds, label, top label, reason
    ((0.2, 0.5, 0.3), (None,) * 3, "b", "b", None),
    ((0.2, 0.5, 0.3), (0.9, 0.5, 0.9), "b", "b", None),  # reached is enough
    ((0.2, 0.5, 0.3), (0.0, 0.51, 0.0), None, "b", "0.500 is below the threshold 0.51 of 'b'"),
    ((0.4, 0.4, 0.2), (None,) * 3, "a", "a", None),  # the first of equals
    ((1.0, 0.0, 0.0), (1.0, 1.0, 1.0), "a", "a", None),
]


@pytest.mark.parametrize(("probabilities", "thresholds", "label", "top", "reason"), SINGLE)
def test_single_label(probabilities, thresholds, label, top, reason):
    found = decide(probabilities, thresholds=thresholds, multi_label=False)
    assert found.label == label
    assert found.labels == (() if label is None else (label,))
    assert found.top_label == top
    assert found.score == max(probabilities)
    assert found.reason == reason


NONE = "no label reaches its threshold"
MULTI = [
    ((0.2, 0.5, 0.7), (None,) * 3, ("c", "b"), None),
    ((0.2, 0.4, 0.3), (None,) * 3, (), NONE),
    ((0.2, 0.4, 0.3), (0.1, None, 0.3), ("c", "a"), None),
    ((0.9, 0.9, 0.9), (1.0, 1.0, 1.0), (), NONE),
    ((0.5, 0.5, 0.5), (None,) * 3, ("a", "b", "c"), None),  # equals in their own order
]


@pytest.mark.parametrize(("probabilities", "thresholds", "labels", "reason"), MULTI)
def test_multi_label(probabilities, thresholds, labels, reason):
    found = decide(probabilities, thresholds=thresholds, multi_label=True)
    assert found.labels == labels
    assert found.label == (labels[0] if labels else None)
    assert found.score == max(probabilities)
    assert found.reason == reason


def test_the_raw_answer_is_kept():
    found = decide((0.1, 0.7, 0.2), thresholds=(0.9, 0.9, 0.9), multi_label=False)
    assert found.label is None
    assert found.scores == {"a": 0.1, "b": 0.7, "c": 0.2}
    assert list(found.scores) == list(LABELS)
    assert (found.tokens, found.truncated) == (7, True)


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("thresholds", [(None,) * 3, (0.0,) * 3, (1.0,) * 3])
def test_a_reason_given_leaves_no_label(multi_label, thresholds):
    found = decide(
        (0.1, 0.9, 0.2), thresholds=thresholds, multi_label=multi_label, reason="the text is empty"
    )
    assert (found.label, found.labels, found.reason) == (None, (), "the text is empty")
    assert (found.top_label, found.score) == ("b", 0.9)
    assert found.scores == {"a": 0.1, "b": 0.9, "c": 0.2}


TOP = [
    ((0.2, 0.5, 0.3), 1, [("b", 0.5)]),
    ((0.2, 0.5, 0.3), 2, [("b", 0.5), ("c", 0.3)]),
    ((0.2, 0.5, 0.3), 3, [("b", 0.5), ("c", 0.3), ("a", 0.2)]),
    ((0.4, 0.2, 0.4), 2, [("a", 0.4), ("c", 0.4)]),  # the first of equals
]


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize(("probabilities", "top_k", "scores"), TOP)
def test_the_best_labels(probabilities, top_k, scores, multi_label):
    found = decide(probabilities, multi_label=multi_label, top_k=top_k)
    assert list(found.scores.items()) == scores
    all_of_them = decide(probabilities, multi_label=multi_label)
    assert replace(found, scores=all_of_them.scores) == all_of_them


FRACTIONS = st.floats(0, 1)


@given(
    st.tuples(FRACTIONS, FRACTIONS, FRACTIONS),
    st.tuples(*[st.none() | FRACTIONS] * 3),
    st.booleans(),
)
def test_a_label_or_a_reason(probabilities, thresholds, multi_label):
    found = decide(probabilities, thresholds=thresholds, multi_label=multi_label)
    assert (found.label is None) == (found.reason is not None) == (found.labels == ())
    assert found.scores[found.top_label] == found.score == max(probabilities)
    if multi_label:
        reached = {
            label
            for label, value, threshold in zip(LABELS, probabilities, thresholds, strict=True)
            if value >= (DEFAULT_THRESHOLD if threshold is None else threshold)
        }
        assert set(found.labels) == reached
        ranked = [found.scores[label] for label in found.labels]
        assert ranked == sorted(ranked, reverse=True)


def test_in_a_notebook_labels_are_never_html():
    labels = ("<b>", "</td>", "c")
    said = Decision(labels, (None,) * 3, multi_label=False).predict(
        (0.2, 0.5, 0.3), tokens=1234, truncated=True
    )
    html = said._repr_html_()
    assert html.startswith("<p><b>&lt;/td&gt;</b> (1,234 tokens; the text was cut off)</p>")
    scores = [float(score) for score in re.findall(r"<td>(0\.\d{4})</td>", html)]
    assert scores == [0.5, 0.3, 0.2]
    assert html.count("<tr>") == html.count("</tr>") == 3
    assert "&lt;b&gt;" in html


def test_in_a_notebook_an_abstention_says_why():
    said = decide((0.2, 0.5, 0.3), thresholds=(0.9, 0.9, 0.9), multi_label=False)
    reason = "no label: 0.500 is below the threshold 0.9 of &#x27;b&#x27;"
    assert reason in said._repr_html_()
    none = Decision(("a", "b"), (None,) * 2, multi_label=True).predict(
        (0.1, 0.2), tokens=1, truncated=False, reason="the text is empty"
    )
    assert "no label: the text is empty" in none._repr_html_()
    assert "(1 token)" in none._repr_html_()


def test_in_a_notebook_many_labels_are_cut_short():
    labels = tuple(f"l{number}" for number in range(77))
    said = Decision(labels, (None,) * 77, multi_label=False).predict(
        [1 / 77] * 77, tokens=3, truncated=False
    )
    html = said._repr_html_()
    assert html.count("<tr>") == 10
    assert "and 67 more labels" in html
