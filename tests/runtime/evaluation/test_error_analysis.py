"""Errors of a classifier: what is listed is what the predictions say."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import numpy as np
import pytest

from textgate import Classifier, find_errors
from textgate.errors import CheckpointError, ConfigError, DataError
from textgate.evaluation.error_report import page
from textgate.rows import Row, load_labelled

HOSTILE = (
    "<script>alert(1)</script> \"'><img src=x onerror=y> & great&amp; </td></table>\ud800 \u202e"
)


@pytest.fixture(scope="module")
def classifier(bundle):
    return Classifier.load(bundle)


@pytest.fixture(scope="module")
def rows(reviews):
    return load_labelled(reviews / "dev.jsonl.gz")[:300]


@pytest.fixture(scope="module")
def report(classifier, rows):
    return find_errors(classifier, rows, file="dev", slice_by=["source"], limit=1000)


def test_mistakes_are_the_wrong_predictions_and_the_surest_come_first(classifier, rows, report):
    predictions = classifier.predict_many(row.text for row in rows)
    wrong = {
        row.line: (row.labels, (said.top_label,), pytest.approx(said.score))
        for row, said in zip(rows, predictions, strict=True)
        if said.top_label != row.labels[0]
    }
    assert report.mistake_count == len(wrong) > 20
    assert {one.line: (one.given, one.predicted, one.score) for one in report.mistakes} == wrong
    scores = [one.score for one in report.mistakes]
    assert scores == sorted(scores, reverse=True)
    for one in report.mistakes:
        assert one.given_score == pytest.approx(1 - one.score, abs=1e-5)  # there are two labels


def test_likely_label_errors_are_mistakes(report):
    mistakes = {one.line for one in report.mistakes}
    assert 0 < report.label_error_count < report.mistake_count
    assert {one.line for one in report.label_errors} < mistakes


def test_a_planted_label_error_is_first(classifier, rows):
    """The row that the model is surest of gets the other label."""
    chances = classifier.predict_proba(row.text for row in rows)
    right = [
        chances[index].max() if classifier.labels[chances[index].argmax()] == row.labels[0] else 0
        for index, row in enumerate(rows)
    ]
    place = int(np.argmax(right))
    (given,) = rows[place].labels
    (other,) = set(classifier.labels) - {given}
    changed = [*rows[:place], Row(rows[place].text, (other,), 9999), *rows[place + 1 :]]
    first = find_errors(classifier, changed, limit=1).label_errors[0]
    assert (first.line, first.given, first.predicted) == (9999, (other,), (given,))


def test_confusions_have_words_that_speak_for_the_mistake(report, classifier):
    assert {(one.given, one.predicted) for one in report.confusions} == {
        ("positive", "negative"), ("negative", "positive"),
    }  # fmt: skip
    assert sum(one.rows for one in report.confusions) == report.mistake_count
    first = report.confusions[0]
    assert first.rows >= first.explained > 0
    assert 0 < len(first.words) <= 8
    values = [word.value for word in first.words]
    assert values == sorted(values, reverse=True)
    assert values[-1] > 0
    indices = [one for one in report.mistakes if one.given == (first.given,)][: first.explained]
    total = sum(
        word.values[first.predicted]
        for one in indices
        for word in classifier.explain(one.text).words
        if word.text.casefold() == first.words[0].text
    )
    assert first.words[0].value == pytest.approx(total / first.explained)


def test_slices_add_up(report):
    assert sum(one.rows for one in report.slices) == report.rows
    assert sum(one.mistakes for one in report.slices) == report.mistake_count
    assert {one.value for one in report.slices} == {"movie", "amazon", "tweets"}


TEXT = "a long and rather dull film about a family that goes to live at the sea"
PAIRED = [
    Row(TEXT, ("negative",), 1),
    Row(TEXT.upper(), ("positive",), 2),
    Row(f"{TEXT}!", ("negative",), 3),
    Row("good", ("positive",), 4),
]


def test_near_duplicates_with_other_labels(classifier):
    found = find_errors(classifier, PAIRED)
    assert found.contradiction_count == 2
    assert [(pair.line, pair.other_line) for pair in found.contradictions] == [(1, 2), (2, 3)]
    first = found.contradictions[0]
    assert (first.labels, first.other_labels) == (("negative",), ("positive",))
    assert first.other_text == TEXT.upper()
    assert found.train_count is None


def test_near_duplicates_of_training_rows(classifier):
    train = [Row("something else", ("positive",), 1), Row(f"{TEXT} 7", ("negative",), 2)]
    found = find_errors(classifier, PAIRED, train=train, limit=2)
    assert found.train_count == 3
    assert [(pair.line, pair.other_line) for pair in found.train_duplicates] == [(1, 2), (2, 2)]
    assert found.contradiction_count == 2  # of rows that have a training row in common
    with pytest.raises(ConfigError, match="train: these are the rows themselves"):
        find_errors(classifier, PAIRED, train=PAIRED)


def test_rows_that_the_bundle_was_trained_on(classifier, rows, report, monkeypatch):
    from textgate.rows import fingerprint

    assert not report.trained_on
    monkeypatch.setitem(classifier.manifest.training, "train_sha256", fingerprint(rows))
    found = find_errors(classifier, rows, limit=1)
    assert found.trained_on
    assert "The bundle was trained on these rows" in page(found)


def test_several_labels(bundles):
    with Classifier.load(bundles["rnn-multi-label"]) as classifier:
        texts = ["a great film", "", "the phone is bad", "lol so good"]
        rows = [
            Row(text, said.labels, line)
            for line, (text, said) in enumerate(
                zip(texts, classifier.predict_many(texts), strict=True)
            )
        ]
        assert find_errors(classifier, rows).mistake_count == 0
        label = next(name for name in classifier.labels if name not in rows[0].labels)
        rows[0] = Row(texts[0], (*rows[0].labels, label), 0)
        found = find_errors(classifier, rows)
        probability = classifier.predict(texts[0]).scores[label]
    assert found.mistake_count == 1
    (mistake,) = found.mistakes
    assert set(mistake.given) - set(mistake.predicted) == {label}
    assert mistake.score == pytest.approx(1 - probability)
    assert mistake.given_score == pytest.approx(probability)
    (confusion,) = found.confusions
    assert (confusion.given, confusion.predicted, confusion.rows) == (label, None, 1)
    assert "(missed)" in page(found)


def test_json_holds_everything_but_the_explanations(report):
    found = json.loads(json.dumps(report.to_json()))
    assert found["mistake_count"] == len(found["mistakes"]) == report.mistake_count
    assert set(found["mistakes"][0]) == {
        "line", "text", "given", "predicted", "score", "given_score",
    }  # fmt: skip
    assert found["slices"][0]["column"] == "source"
    assert found["confusions"][0]["words"][0]["texts"] > 0


class Tags(HTMLParser):
    """The tags of a page, each closed where it was opened, and its texts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.text = set(), [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, _):
        self.tags.add(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_page_shows_texts_and_never_runs_them(classifier):
    names = classifier.labels
    rows = [
        Row(f"{HOSTILE} {number}", (name,), number, {"<b>": HOSTILE})
        for number, name in enumerate(names * 3)
    ]
    found = find_errors(classifier, rows, file="<i>&", slice_by=["<b>"])
    text = page(found)
    text.encode("utf-8")
    parsed = Tags(text)
    assert parsed.tags == {
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "div", "table", "thead",
        "tbody", "tr", "th", "td", "details", "summary", "section", "b", "mark", "small",
    }  # fmt: skip
    assert "<script>alert(1)</script>" in parsed.text
    assert "Accuracy by <b>" in parsed.text
    assert "default-src 'none'" in text
    assert "://" not in text
    assert found._repr_html_() in text


def test_the_page_of_a_huge_text_is_small(classifier):
    rows = [Row("great " * 200_000, ("negative",), 1)]
    text = page(find_errors(classifier, rows))
    assert len(text) < 100_000
    assert " characters more]" in text


def test_labels_that_the_model_does_not_have(classifier):
    with pytest.raises(DataError, match="'odd' does not occur among the model's"):
        find_errors(classifier, [Row("a", ("odd",), 1)], file="a.csv")


@pytest.mark.parametrize("name", ["rows", "train"])
def test_what_is_no_row(classifier, name):
    pandas = pytest.importorskip("pandas", reason="pip install 'textgate[plots]'")
    frame = pandas.DataFrame({"text": ["a"], "label": ["positive"]})
    given = {"rows": [Row("a", ("positive",), 1)], name: frame}
    with pytest.raises(DataError, match=rf"{name}\[0\] should be a textgate.rows.Row, found str"):
        find_errors(classifier, **given)


def test_a_run_is_named_by_a_text_too(classifier, rows, tmp_path):
    with pytest.raises(CheckpointError, match="nothing is not a training run"):
        find_errors(classifier, rows, run=str(tmp_path / "nothing"))


def test_no_rows(classifier):
    with pytest.raises(DataError, match=r"a\.csv: there are no rows"):
        find_errors(classifier, [], file="a.csv")


def test_arguments_of_a_careless_caller(classifier, rows):
    found = find_errors(classifier, rows[:20], slice_by="source").slices
    assert found == find_errors(classifier, rows[:20], slice_by=["source"]).slices
    for limit in (0, -1, 1.5):
        with pytest.raises(ConfigError, match=r"^limit must be "):
            find_errors(classifier, rows[:20], limit=limit)
