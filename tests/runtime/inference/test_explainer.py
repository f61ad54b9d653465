"""Explanations: words, their values and the running decision, of every kind of bundle."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgate import Classifier, ConfigError, DataError, Explanation
from textgate.inference import explainer as module

# One-directional, bidirectional with any number of labels, and a graph that textgate did not export
# whose tokenizer does not split at every separator.
FOREIGN = Path(__file__).parents[1] / "golden" / "bundle"
NAMES = ("lstm-int8", "gru-float32", "rnn-multi-label", "foreign")
TEXTS = [
    "It starts well, but the rest is a (tedious) mess...",
    "great",
    "xyzzyxyzzy",
    "",
    " \t ",
    "good  good\n\nisn't well-made \U0001f600!\u3000Caf\u00e9 ",
    "\0\ud800 \ud83d\ude00 e\u0301",
    "\u9019\u90e8\u96fb\u5f71",
]
LONG = "dull " * 300 + "unread " * 10_000
SAME = 1e-6


def path_of(bundles, name):
    return FOREIGN if name == "foreign" else bundles[name]


@pytest.fixture(scope="module", params=NAMES)
def classifier(request, bundles):
    return Classifier.load(path_of(bundles, request.param))


@pytest.fixture(scope="module")
def sentiment(bundle):
    return Classifier.load(bundle)


def close(one, other, within=SAME):
    assert list(one) == list(other)
    assert list(one.values()) == pytest.approx(list(other.values()), abs=within)


@pytest.mark.parametrize("text", [*TEXTS, LONG], ids=lambda text: ascii(text)[:20])
def test_the_prediction_is_that_of_predict_and_no_character_is_lost(classifier, text):
    explained = classifier.explain(text)
    assert explained.prediction == classifier.predict(text)
    assert explained.labels == (explained.prediction.labels or (explained.prediction.top_label,))
    assert len(explained.text) == len(text) - text.count("\ud83d\ude00")
    done = 0
    for word in explained.words:
        assert explained.text[word.start : word.end] == word.text
        assert explained.text[done : word.start].strip() == ""
        assert list(word.values) == list(word.prefix_scores) == list(classifier.labels)
        assert all(-1 <= value <= 1 for value in word.values.values())
        done = word.end
    assert explained.text[done : explained.read_end].strip() == ""
    assert explained.read_end == len(explained.text) or explained.prediction.truncated


@pytest.mark.parametrize("text", TEXTS[:3] + TEXTS[5:], ids=lambda text: ascii(text)[:20])
def test_the_running_decision_is_that_on_the_text_so_far(classifier, text):
    explained = classifier.explain(text)
    for word in explained.words:
        close(word.prefix_scores, classifier.predict(explained.text[: word.end]).scores)
    close(explained.words[-1].prefix_scores, explained.prediction.scores)


def test_a_text_of_one_word_has_the_difference_to_an_empty_text(classifier):
    empty, text = classifier.predict(""), classifier.predict("great")
    (word,) = classifier.explain("great").words
    close(word.values, {name: text.scores[name] - empty.scores[name] for name in text.scores})


def test_for_two_labels_what_speaks_for_one_speaks_against_the_other(sentiment):
    for word in sentiment.explain(TEXTS[0]).words:
        assert word.values["negative"] == pytest.approx(-word.values["positive"], abs=SAME)


def test_the_word_that_decides_has_the_largest_value(sentiment):
    explained = sentiment.explain("the great film was on at nine")
    best = max(explained.words, key=lambda word: word.values["positive"])
    assert best.text == "great"


@pytest.mark.parametrize("name", NAMES[:3])
def test_both_engines_answer_alike(bundles, name):
    found = [
        Classifier.load(bundles[name], engine=engine).explain(TEXTS[0])
        for engine in ("auto", "onnxruntime")
    ]
    for one, other in zip(*(each.words for each in found), strict=True):
        close(one.values, other.values, 1e-4)
        close(one.prefix_scores, other.prefix_scores, 1e-4)


def test_what_was_not_read_has_no_values(classifier):
    explained = classifier.explain(LONG)
    assert explained.prediction.truncated
    limit = classifier.describe()["max_tokens"]
    assert explained.read_end == len("dull ") * limit - 1
    assert explained.words[-1].end == explained.read_end
    spaces = " " * 100_000
    explained = classifier.explain(spaces + "good")
    assert (explained.words, explained.prediction.truncated) == ((), True)
    assert explained.read_end == 64 * limit


def test_many_words_are_explained_together_in_bounded_work(sentiment, monkeypatch):
    monkeypatch.setattr(module, "MAX_WORDS", 5)
    text = " ".join(f"w{number}" for number in range(12))
    words = sentiment.explain(text).words
    assert [word.text for word in words] == ["w0 w1 w2", "w3 w4 w5", "w6 w7 w8", "w9 w10 w11"]
    assert len(sentiment.explain(LONG).words) == 5
    close(words[0].prefix_scores, sentiment.predict("w0 w1 w2").scores)


def test_words_that_share_a_token_are_one():
    """A tokenizer may join what a reader reads as two words, or read nothing of a word."""
    text, spans = "ab cd-- !", [(0, 4), (0, 0), (5, 6), (6, 7)]
    assert module._words(text, spans, truncated=False) == (
        [(0, 5), (5, 7), (8, 9)],
        [0, -1, 1, 1],
    )
    assert module._words(text, spans, truncated=True) == ([(0, 5), (5, 7)], [0, -1, 1, 1])
    assert module._words("a b", [(0, 1)], truncated=False) == ([(0, 1), (2, 3)], [0])


def test_a_word_without_tokens_has_no_value(sentiment, monkeypatch):
    spans = [(0, 4), (4, 5), (4, 5), (4, 5), (9, 13)]  # of no word, as special tokens are
    monkeypatch.setattr(sentiment._tokenizer, "token_spans", lambda _: spans)
    first, nothing, last = sentiment.explain("good --- film").words
    assert set(nothing.values.values()) == {0.0}
    assert nothing.prefix_scores == first.prefix_scores
    close(last.prefix_scores, sentiment.predict("good --- film").scores)


def test_top_k_keeps_the_most_probable_labels(bundles):
    classifier = Classifier.load(bundles["rnn-multi-label"])
    explained = classifier.explain("a great film", top_k=2)
    assert explained.prediction == classifier.predict("a great film", top_k=2)
    assert explained.labels == tuple(explained.prediction.scores)
    assert list(explained.words[0].values) == list(explained.labels)
    whole = classifier.explain("a great film")
    for one, other in zip(explained.words, whole.words, strict=True):
        assert one.values == {label: other.values[label] for label in explained.labels}


def test_it_is_frozen_and_importable_from_the_package(sentiment):
    explained = sentiment.explain("great")
    assert isinstance(explained, Explanation)
    for one in (explained, explained.words[0]):
        with pytest.raises(dataclasses.FrozenInstanceError):
            one.text = ""


@pytest.mark.parametrize(
    ("arguments", "error"),
    [((b"good",), DataError), ((["good"],), DataError), (("good", 3), ConfigError)],
)
def test_wrong_arguments(sentiment, arguments, error):
    text, *top_k = arguments
    with pytest.raises(error):
        sentiment.explain(text, top_k=top_k[0] if top_k else None)


def test_the_example_of_the_page(capsys):
    page = (Path(__file__).parents[3] / "docs" / "explain.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(compile(block, "docs/explain.md", "exec"), {})  # the page is part of the project
    label, *lines = capsys.readouterr().out.splitlines()
    assert label == "negative"
    values = {line.split()[0]: float(line.split()[1]) for line in lines}
    assert max(values, key=values.get) in {"tedious", "mess"}
    assert min(values, key=values.get) == "well"
    assert values["well"] < 0


@settings(max_examples=30)
@given(text=st.text(max_size=40))
def test_any_text_is_explained(sentiment, text):
    explained = sentiment.explain(text)
    assert explained.prediction == sentiment.predict(text)
    assert "".join(word.text for word in explained.words) == "".join(explained.text.split())
    explained._repr_html_()


def test_several_texts_where_one_belongs(sentiment):
    with pytest.raises(DataError, match=r"^explain takes one text, found list"):
        sentiment.explain(["great"])
