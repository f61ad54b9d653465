"""Evaluations: of texts and labels, in notebooks, as DataFrames and as plots."""

from __future__ import annotations

import itertools
import json
import sys
from html.parser import HTMLParser
from importlib.util import find_spec

import numpy as np
import pytest

from textgate import Classifier, evaluate
from textgate.errors import ConfigError, DataError, MissingPackageError
from textgate.evaluation.evaluate import evaluate_rows
from textgate.rows import Row, load_labelled


@pytest.fixture(scope="module")
def classifier(bundle):
    return Classifier.load(bundle)


@pytest.fixture(scope="module")
def several(bundles):
    return Classifier.load(bundles["rnn-multi-label"])


@pytest.fixture(scope="module")
def rows(reviews):
    return load_labelled(reviews / "dev.jsonl.gz")[:200]


@pytest.fixture(scope="module")
def result(classifier, rows):
    return evaluate_rows(classifier, rows, file="dev")


def test_texts_and_labels_are_like_rows(classifier, rows, result):
    found = evaluate(classifier, [row.text for row in rows], [row.labels[0] for row in rows])
    assert found == result
    assert found.metrics.accuracy == np.mean(found.scored.right)


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_columns_of_a_frame(classifier, rows, result, kind):
    package = pytest.importorskip(kind)
    texts = package.Series([row.text for row in rows])
    labels = package.Series([row.labels[0] for row in rows])
    assert evaluate(classifier, texts, labels) == result


def test_missing_labels_of_a_frame(classifier):
    pandas = pytest.importorskip("pandas")
    values = ["positive", None]
    forms = [pandas.Series(values, dtype="string"), [pandas.NaT] * 2]
    if find_spec("polars"):
        forms.append(pytest.importorskip("polars").Series(values))
    for labels in forms:
        with pytest.raises(DataError, match=r"^labels\[.\] is missing \("):
            evaluate(classifier, ["good", "bad"], labels)
    with pytest.raises(DataError, match="labels should be a list with those of each text"):
        evaluate(classifier, ["good"], pandas.DataFrame({"label": ["positive"]}))


def test_several_labels_in_every_kind_of_list(several):
    texts, labels = ["a film", "good"], [["movie", "positive"], []]
    wanted = evaluate(several, texts, labels)
    forms = [
        [("positive", "movie"), ()],
        [{"movie", "positive"}, set()],
        [np.array(["movie", "positive"]), np.array([])],
    ]
    if find_spec("polars"):
        forms.append(pytest.importorskip("polars").Series(labels))
    for form in forms:
        assert evaluate(several, texts, form).metrics == wanted.metrics


def test_a_frame_has_the_index_of_the_texts(classifier, rows):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {"text": [row.text for row in rows], "label": [row.labels[0] for row in rows]}
    )
    some = frame.sample(50, random_state=0)
    answers = evaluate(classifier, some["text"], some["label"]).to_pandas()
    assert answers.index.equals(some.index)
    assert (answers["text"] == some["text"]).all()
    texts = evaluate(classifier, some["text"].to_list(), some["label"].to_list()).to_pandas()
    assert texts.index.to_list() == list(range(50))


def test_missing_texts(classifier):
    with pytest.raises(DataError, match=r"texts\[1\] is missing \(None\); leave the row out, or"):
        evaluate(classifier, ["good", None], ["positive", "negative"])
    found = evaluate(classifier, ["good", None], ["positive", "negative"], missing="empty")
    assert found.scored.answerable.tolist() == [True, False]


@pytest.mark.parametrize(
    ("texts", "labels", "message"),
    [
        (["good"], ["positive", "negative"], "1 text, but 2 labels"),
        ([], [], "there are no texts"),
        (["good"], [None], r"labels\[0\] is missing \(None\); give the row a label or leave"),
        (["good"], [float("nan")], r"labels\[0\] is missing \(nan\)"),
        (["good"], None, "labels should be a list with those of each text, not None"),
        (["good"], "positive", "labels should be a list .* not 'positive'"),
        (["good"], np.array("positive"), "labels should be a list .* not array"),
        (["good"], {"positive"}, "labels should be a list .* not {'positive'}"),
        (["good"], {"label": "positive"}, "labels should be a list .* not {'label'"),
        (["good"], ["odd"], "the label 'odd' does not occur among the model's"),
        (["good"], [["positive", "negative"]], "2 labels, but the model gives one"),
        ("good", ["positive"], "evaluate takes a list of texts, not one text"),
    ],
)
def test_what_is_refused(classifier, texts, labels, message):
    with pytest.raises(DataError, match=message):
        evaluate(classifier, texts, labels)
    with pytest.raises(ConfigError, match="missing should be 'error' or 'empty', not 'drop'"):
        evaluate(classifier, texts if isinstance(texts, list) else [], labels, missing="drop")


@pytest.fixture(scope="module")
def three():
    """The classifier of the package, which knows negative, neutral and positive."""
    return Classifier.load("sentiment")


def test_only_some_labels_can_be_right(three, rows):
    sides = ("negative", "positive")
    found = evaluate_rows(three, rows, file="dev", among=sides)
    assert found.scored.labels == sides
    answers = list(three.predict_many(row.text for row in rows))
    scores = np.array([[answer.scores[side] for side in sides] for answer in answers])
    expected = scores / scores.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.scored.probabilities, expected, atol=1e-6)
    truth = np.array([sides.index(row.labels[0]) for row in rows])
    assert found.metrics.accuracy == np.mean(scores.argmax(axis=1) == truth)

    # The bundle's own thresholds decide on all of its labels.
    given = [answer.label for answer in answers]
    answered = [label in sides for label in given]
    right = [label == row.labels[0] for label, row in zip(given, rows, strict=True)]
    own = found.coverage[-1]
    assert own.threshold is None
    assert own.coverage == np.mean(answered)
    assert own.accuracy == pytest.approx(sum(right) / sum(answered))


@pytest.mark.parametrize(
    ("among", "error", "message"),
    [
        (["negative", "good"], ConfigError, "'good': not among the model's labels, which are"),
        (["negative"], ConfigError, "among needs at least two labels"),
        ("negative", ConfigError, "among needs at least two labels"),
        ([], ConfigError, "among needs at least two labels"),
        (["negative", "neutral"], DataError, "the label 'positive' does not occur among those"),
    ],
)
def test_labels_that_cannot_be_chosen(three, among, error, message):
    with pytest.raises(error, match=message):
        evaluate(three, ["good", "bad"], ["positive", "negative"], among=among)


def test_labels_that_do_not_compete(several):
    labels = several.labels
    with pytest.raises(ConfigError, match="labels of a multi-label classifier do not compete"):
        evaluate(several, ["good"], [[labels[0]]], among=labels[:2])


def test_a_data_frame_of_the_answers(classifier, rows, result):
    pytest.importorskip("pandas")
    frame = result.to_pandas()
    assert list(frame) == ["line", "text", "label", "predicted", "score", "right", "answered"]
    assert frame["text"].tolist() == [row.text for row in rows]
    assert frame["label"].tolist() == [row.labels[0] for row in rows]
    said = list(classifier.predict_many(frame["text"]))
    assert frame["predicted"].tolist() == [one.top_label for one in said]
    assert frame["score"].tolist() == pytest.approx([one.score for one in said])
    assert frame["right"].mean() == result.metrics.accuracy


def test_a_data_frame_of_several_labels(several):
    pytest.importorskip("pandas")
    rows = [Row("a great film", ("movie", "positive"), 1), Row("", (), 2)]
    frame = evaluate_rows(several, rows, file="a").to_pandas()
    assert sorted(frame["label"][0]) == ["movie", "positive"]
    said = several.predict("a great film").labels
    assert sorted(frame["predicted"][0]) == sorted(said)
    assert (frame["label"][1], frame["predicted"][1]) == ([], [])


class Cells(HTMLParser):
    """The cells of tables, and the tags."""

    def __init__(self, text):
        super().__init__()
        self.cells, self.tags, self.open = [], set(), []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, _):
        self.tags.add(tag)
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.cells.append(data)


def test_in_a_notebook(result):
    found = Cells(result._repr_html_())
    assert found.tags == {"div", "table", "thead", "tbody", "tr", "th", "td"}
    assert f"{result.metrics.macro_f1:.4f}" in found.cells
    for name in ("negative", "positive", "true \\ predicted", "abstain below"):
        assert name in found.cells
    assert set(Cells(result.metrics._repr_html_()).cells) < set(found.cells)


def test_a_label_is_never_html(result):
    from textgate.evaluation.metrics import evaluate_single_label

    metrics = evaluate_single_label([[0.5, 0.5]], [0], ["<img src=x>", "<b>"])
    found = Cells(metrics._repr_html_())
    assert "<img src=x>" in found.cells
    assert not {"img", "b"} & found.tags


def test_json_is_unchanged(result):
    assert set(json.loads(json.dumps(result.to_json()))) == {
        "rows", "accuracy", "macro_f1", "ece", "labels", "confusion", "log_loss",
        "accuracy_interval", "temperature", "ece_uncalibrated", "coverage",
    }  # fmt: skip


@pytest.fixture
def pyplot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


def test_a_confusion_matrix(result, pyplot):
    axes = result.plot_confusion()
    counts = [int(text.get_text().replace(",", "")) for text in axes.texts]
    assert counts == [count for row in result.metrics.confusion for count in row]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["negative", "positive"]
    axes.figure.canvas.draw()


def test_long_labels_are_not_cut(pyplot):
    from textgate.evaluation.plots import plot_confusion

    axes = plot_confusion([[1, 0], [0, 1]], ["a_rather_long_label_of_a_bank", "another_label"])
    axes.figure.canvas.draw()
    inner, outer = axes.get_tightbbox(), axes.figure.bbox
    assert outer.x0 <= inner.x0 < inner.x1 <= outer.x1
    assert outer.y0 <= inner.y0 < inner.y1 <= outer.y1


@pytest.mark.parametrize("count", [12, 74, 400])
@pytest.mark.parametrize("own", [True, False])
def test_the_names_of_many_labels_do_not_overlap(pyplot, count, own):
    from textgate.evaluation.plots import plot_confusion

    given = pyplot.subplots(1, 3, figsize=(15, 4.5))[1][0] if own else None
    labels = [f"a_label_of_{number}_questions" for number in range(count)]
    axes = plot_confusion(np.eye(count, dtype=int).tolist(), labels, given)
    axes.figure.canvas.draw()
    boxes = [tick.get_window_extent() for tick in axes.get_yticklabels()]
    assert len(boxes) > min(count, 50) / 2
    for upper, lower in itertools.pairwise(boxes):
        assert abs(upper.y0 - lower.y0) > 0.8 * upper.height
    assert max(axes.figure.get_size_inches()) <= 16


def test_labels_with_formulas_are_shown_as_they_are(pyplot):
    from textgate.evaluation.plots import plot_confusion

    axes = plot_confusion([[1, 0], [0, 1]], ["$x^$", "$\\frac$"])
    axes.figure.canvas.draw()


def test_a_reliability_diagram(result, pyplot):
    own = pyplot.subplots()[1]
    assert result.plot_reliability(own) is own
    points = own.collections[0].get_offsets()
    best = result.scored.probabilities.max(axis=1)
    last = best >= 0.9
    assert points[-1][0] == pytest.approx(best[last].mean(), abs=1e-6)
    assert points[-1][1] == pytest.approx(result.scored.right[last].mean())
    own.figure.canvas.draw()


def test_a_coverage_curve(result, pyplot):
    (line,) = result.plot_coverage().lines
    coverage, accuracy = line.get_data()
    assert coverage[-1] == result.scored.answerable.mean()
    assert accuracy[-1] == pytest.approx(result.scored.right[result.scored.answerable].mean())
    for point in result.coverage:
        if point.coverage in coverage:
            assert accuracy[list(coverage).index(point.coverage)] == pytest.approx(point.accuracy)


def test_plots_of_several_labels(several, pyplot):
    found = evaluate_rows(several, [Row("a great film", ("movie",), 1)], file="a")
    found.plot_reliability()
    for plot in (found.plot_confusion, found.plot_coverage):
        with pytest.raises(ConfigError, match="a multi-label classifier has no co"):
            plot()


def test_a_missing_extra_is_named(result, monkeypatch):
    for name in ("matplotlib", "pandas"):
        monkeypatch.setitem(sys.modules, name, None)
    for method in (result.plot_confusion, result.to_pandas):
        with pytest.raises(MissingPackageError, match=r"pip install 'textgate\[plots\]'"):
            method()
