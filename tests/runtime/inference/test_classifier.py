"""The classifier: one answer a text, whatever the call, the batch, the thread or the process."""

from __future__ import annotations

import copy
import dataclasses
import importlib.util
import itertools
import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from textgate import Classifier
from textgate.errors import BundleError, ConfigError, DataError
from textgate.inference.arguments import is_missing

NAMES = ("lstm-int8", "gru-float32", "rnn-multi-label")
TEXTS = [
    "A wonderful, moving film.",
    "Dull and far too long.",
    "",
    " \t ",
    "the camera works well , but the battery is terrible",
    "\0\ud800 \U0001f600 e\u0301",
    "good " * 100,
    "great",
    "xyzzyxyzzy",
]
SAME = 1e-6


@pytest.fixture(scope="module", params=NAMES)
def classifier(request, bundles):
    return Classifier.load(bundles[request.param], batch_size=3)


@pytest.fixture(scope="module")
def sentiment(bundle):
    return Classifier.load(bundle)


# The same answer however it is asked for


def test_the_calls_agree(classifier):
    rows = classifier.predict_proba(TEXTS)
    assert (rows.shape, rows.dtype) == ((len(TEXTS), len(classifier.labels)), np.float32)
    many = list(classifier.predict_many(iter(TEXTS)))
    for text, row, prediction in zip(TEXTS, rows, many, strict=True):
        alone = classifier.predict(text)
        assert list(alone.scores) == list(classifier.labels)
        np.testing.assert_allclose(list(alone.scores.values()), row, atol=SAME)
        np.testing.assert_allclose(list(prediction.scores.values()), row, atol=SAME)
        same = ("label", "labels", "top_label", "reason", "tokens", "truncated")
        assert [getattr(prediction, name) for name in same] == [
            getattr(alone, name) for name in same
        ]


def test_order_is_kept(classifier):
    """In windows and batches of all sizes, with texts of all lengths."""
    texts = [("good " * (number % 13) + str(number)) for number in range(3 * 16 * 2 + 5)]
    found = list(classifier.predict_many(texts))
    assert [item.tokens for item in found] == [number % 13 + 1 for number in range(len(texts))]
    rows = classifier.predict_proba(texts)
    scores = np.array([list(item.scores.values()) for item in found])
    np.testing.assert_allclose(scores, rows, atol=SAME)


@pytest.mark.parametrize("texts", [[], (), iter(())])
def test_no_texts(sentiment, texts):
    assert list(sentiment.predict_many(texts)) == []
    assert sentiment.predict_proba(list(texts)).shape == (0, 2)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_an_endless_input_is_answered_as_it_comes(bundle, batch_size):
    counter = itertools.count()
    endless = (f"text {number}" for number in counter)
    answers = Classifier.load(bundle, batch_size=batch_size).predict_many(endless)
    assert len(list(itertools.islice(answers, 10))) == 10
    assert next(counter) <= 16 * batch_size * 2


ANY_TEXT = st.text(st.characters(codec=None), max_size=40)


@settings(max_examples=60, deadline=None)
@given(st.lists(ANY_TEXT, min_size=1, max_size=8))
@example([" ", "good " * 60, "\ud83d"])
def test_any_text_has_probabilities_of_its_own(classifier, texts):
    rows = classifier.predict_proba(texts)
    assert np.isfinite(rows).all()
    assert ((rows >= 0) & (rows <= 1)).all()
    if classifier.manifest.task == "single-label":
        np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-5)
    alone = np.concatenate([classifier.predict_proba([text]) for text in texts])
    np.testing.assert_allclose(rows, alone, atol=SAME)


NO_LABEL = [
    ("", "the text is empty"),
    ("  \n", "the text is empty"),
    ("\u3000", "the text is empty"),
    ("xyzzyxyzzy", "no known token was read"),
    ("xyzzyxyzzy \U0001f44d qzx", "no known token was read"),
    ("xyzzyxyzzy good", None),
]


@pytest.mark.parametrize(("text", "reason"), NO_LABEL)
def test_a_text_without_a_known_token_gets_no_label(classifier, text, reason):
    """Whatever the thresholds; what the network says of it is still told."""
    certain = Classifier.load(classifier.path, thresholds=0.0)
    many = certain.predict_many(["good", text, "good"])
    sent = pickle.loads(pickle.dumps(certain.scores([text])))
    for found in (certain.predict(text), list(many)[1], *certain.decide(sent)):
        assert found.reason == reason
        assert (found.label is None, found.labels == ()) == (reason is not None,) * 2
        assert found.scores[found.top_label] == found.score > 0
        assert list(found.scores.values()) == pytest.approx(
            certain.predict_proba([text])[0].tolist(), abs=SAME
        )


@pytest.mark.parametrize("top_k", [1, 2])
def test_the_best_labels(classifier, top_k):
    def best(found):
        ranked = sorted(found.scores.items(), key=lambda item: -item[1])
        return dataclasses.replace(found, scores=dict(ranked[:top_k]))

    expected = [best(found) for found in classifier.predict_many(TEXTS)]
    many = list(classifier.predict_many(TEXTS, top_k=top_k))
    assert many == expected == classifier.decide(classifier.scores(TEXTS), top_k=top_k)
    assert [list(found.scores) for found in many] == [list(found.scores) for found in expected]
    alone = classifier.predict("good", top_k=top_k)
    assert alone == best(classifier.predict("good"))


@pytest.mark.parametrize(
    ("top_k", "message"),
    [
        (0, "top_k must be from 1 to the 2 labels, not 0"),
        (3, "top_k must be from 1 to the 2 labels, not 3"),
        (-1, "top_k must be from 1 to the 2 labels, not -1"),
        (1.0, "top_k must be a whole number, not 1.0"),
        (True, "top_k must be a whole number, not True"),
        ("2", "top_k must be a whole number, not '2'"),
    ],
)
def test_more_labels_than_there_are(sentiment, top_k, message):
    calls = [
        lambda: sentiment.predict("good", top_k=top_k),
        lambda: sentiment.predict_many(["good"], top_k=top_k),
        lambda: sentiment.decide(sentiment.scores(["good"]), top_k=top_k),
    ]
    for call in calls:
        with pytest.raises(ConfigError) as caught:
            call()
        assert str(caught.value) == message


# What is no text


def kind_of(value):
    return value if isinstance(value, str) else type(value).__name__


class Missing:
    """As the missing values of data frames: neither a text nor a number."""


NO_TEXTS = [
    (b"good", "bytes; decode it"),
    (bytearray(b"good"), "bytearray; decode it"),
    (None, "NoneType; make it a str, or leave it out"),
    (float("nan"), "float; make it a str, or leave it out"),
    (5, "int; make it a str, or leave it out"),
    (np.float32(1), "float32; make it a str, or leave it out"),
    (Missing(), "Missing; make it a str, or leave it out"),
    ({"text": "good"}, "dict; make it a str, or leave it out"),
]
SEVERAL = [["good"], ("good",), {"good"}, np.array(["good"]), (text for text in ["good"]), []]


@pytest.mark.parametrize(("value", "found"), NO_TEXTS, ids=kind_of)
def test_what_is_no_text(sentiment, value, found):
    with pytest.raises(DataError) as caught:
        sentiment.predict(value)
    assert str(caught.value) == f"the text should be a str, found {found}"
    with pytest.raises(DataError) as caught:
        sentiment.scores(["good", "bad", value, "good"])
    assert str(caught.value) == f"texts[2] should be a str, found {found}"
    if not is_missing(value):
        with pytest.raises(DataError) as caught:
            sentiment.predict_proba(["good", "bad", value, "good"])
        assert str(caught.value) == f"texts[2] should be a str, found {found}"


def missing_values():
    """Missing values, those of pandas where it is installed."""
    values = [None, float("nan"), np.float32("nan"), np.ma.masked]
    if importlib.util.find_spec("pandas"):
        import pandas

        values += [pandas.NA, pandas.NaT]
    return values


@pytest.mark.parametrize("value", missing_values(), ids=repr)
def test_missing_texts(sentiment, value):
    texts = ["good", "bad", value, "good"]
    for method in (sentiment.predict_proba, lambda texts: list(sentiment.predict_many(texts))):
        with pytest.raises(DataError) as caught:
            method(texts)
        assert str(caught.value) == (
            f"texts[2] is missing ({value!r}); leave the row out, or read missing texts as '' with "
            "missing='empty'"
        )
    filled = ["good", "bad", "", "good"]
    found = list(sentiment.predict_many(texts, missing="empty"))
    assert found == list(sentiment.predict_many(filled))
    assert found[2].reason == "the text is empty"
    np.testing.assert_array_equal(
        sentiment.predict_proba(texts, missing="empty"), sentiment.predict_proba(filled)
    )


@pytest.mark.parametrize(
    ("package", "options"),
    [("pandas", {"dtype": kind}) for kind in (object, "str", "category", "string[pyarrow]")]
    + [("polars", {})],
)
def test_columns_with_missing_texts(sentiment, package, options):
    column = pytest.importorskip(package).Series(["good", None, "bad"], **options)
    with pytest.raises(DataError, match=r"^texts\[1\] is missing "):
        list(sentiment.predict_many(column))
    found = list(sentiment.predict_many(column, missing="empty"))
    assert found == list(sentiment.predict_many(["good", "", "bad"]))


@pytest.mark.parametrize("missing", ["drop", ""])
def test_other_ways_to_read_missing_texts(sentiment, missing):
    with pytest.raises(ConfigError, match="missing should be 'error' or 'empty', not"):
        sentiment.predict_many(["good"], missing=missing)


@pytest.mark.parametrize("texts", SEVERAL, ids=kind_of)
def test_several_texts_where_one_belongs(sentiment, texts):
    with pytest.raises(DataError) as caught:
        sentiment.predict(texts)
    kind = type(texts).__name__
    assert str(caught.value) == f"predict takes one text, found {kind}; predict_many takes several"


class Frame:
    """A table that iterates over the names of its columns."""

    columns = ("text", "label")

    def __iter__(self):
        return iter(self.columns)


NOT_SEVERAL = [
    ("good", "not one text; put it in a list, or use predict"),
    (np.str_("good"), "not one text; put it in a list, or use predict"),
    ({"text": ["good"]}, "not a dict; give one column of it, as in x['text']"),
    (Frame(), "not a Frame; give one column of it, as in x['text']"),
    (b"good", "not bytes; decode it first"),
    ({"good"}, "not a set, which has no order"),
    (None, "not NoneType"),
    (5, "not int"),
    (np.array("good"), "not ndarray"),
]


@pytest.mark.parametrize("method", ["predict_many", "predict_proba", "scores"])
@pytest.mark.parametrize(("value", "found"), NOT_SEVERAL, ids=kind_of)
def test_what_is_no_list_of_texts(sentiment, method, value, found):
    """Told by the call itself, before the first answer is asked for."""
    with pytest.raises(DataError) as caught:
        getattr(sentiment, method)(value)
    assert str(caught.value) == f"{method} takes a list of texts, {found}"


class Column:
    """As the columns of data frames: a length, an index, and texts to iterate over."""

    def __init__(self, texts):
        self.texts = texts

    def __iter__(self):
        return iter(self.texts)

    def __len__(self):
        return len(self.texts)


@pytest.mark.parametrize(
    "kind", [list, tuple, iter, Column, np.array, lambda texts: np.array(texts, dtype=object)]
)
def test_what_is_a_list_of_texts(sentiment, kind):
    texts = ["good", "bad", "a film"]
    expected = sentiment.predict_proba(texts)
    np.testing.assert_array_equal(sentiment.predict_proba(kind(texts)), expected)
    np.testing.assert_array_equal(sentiment.scores(kind(texts)).probabilities, expected)
    assert list(sentiment.predict_many(kind(texts))) == list(sentiment.predict_many(texts))


@pytest.mark.parametrize("index", [0, 1, 15, 16, 17, 40])
@pytest.mark.parametrize("bad", [None, OSError("the disk is gone")])
def test_texts_before_a_bad_one_are_answered(bundle, index, bad):
    """The index counts all rows, not those of one window."""
    classifier = Classifier.load(bundle, batch_size=1)  # windows of 16 texts

    def texts():
        for number in range(index):
            yield f"good {number}"
        if bad is not None:
            raise bad
        yield bad

    answers = classifier.predict_many(texts())
    expected = list(classifier.predict_many([f"good {number}" for number in range(index)]))
    assert list(itertools.islice(answers, index)) == expected
    with pytest.raises((DataError, OSError)) as caught:
        next(answers)
    told = "the disk is gone" if bad else f"texts[{index}] is missing (None); leave the row out, or"
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize("scores", [None, [[0.5, 0.5]], "scores of other labels"])
def test_what_are_no_scores(sentiment, bundles, scores):
    if isinstance(scores, str):
        scores = Classifier.load(bundles["gru-float32"]).scores(["good"])
    with pytest.raises(DataError, match="decide takes what scores returned for a bundle of 2 lab"):
        sentiment.decide(scores)


def test_the_empty_text_is_one_unknown_word(classifier):
    for text in ("", "  \n", "\u3000"):
        found = classifier.predict(text)
        assert (found.tokens, found.truncated) == (1, False)
        assert found.scores == pytest.approx(classifier.predict("xyzzyxyzzy").scores, abs=SAME)


# Options


def test_fewer_tokens(bundle, sentiment):
    short = Classifier.load(bundle, max_tokens=3)
    text = "good bad good , terrible awful"
    assert (short.predict(text).tokens, short.predict(text).truncated) == (3, True)
    assert (sentiment.predict(text).tokens, sentiment.predict(text).truncated) == (6, False)
    assert short.predict(text).scores == pytest.approx(
        sentiment.predict("good bad good").scores, abs=SAME
    )
    assert short.describe()["max_tokens"] == 3


def test_a_single_label_classifier_abstains(bundle):
    demanding = Classifier.load(bundle, thresholds={"positive": 1.0, "negative": 0.0})
    seen = {}
    for found in demanding.predict_many(["A wonderful, moving film.", "Dull and far too long."]):
        seen[found.top_label] = found
    positive, negative = seen["positive"], seen["negative"]
    assert (positive.label, positive.labels) == (None, ())
    assert positive.reason == f"{positive.score:.3f} is below the threshold 1 of 'positive'"
    assert positive.score == positive.scores["positive"]
    assert (negative.label, negative.reason) == ("negative", None)


def test_a_multi_label_classifier_drops_labels(bundles):
    path = bundles["rnn-multi-label"]
    labels = Classifier.load(path).labels
    everything = Classifier.load(path, thresholds=dict.fromkeys(labels, 0.0))
    nothing = Classifier.load(path, thresholds=dict.fromkeys(labels, 1.0))
    assert set(everything.predict("good").labels) == set(labels)
    assert nothing.predict("good").labels == ()
    assert nothing.predict("good").reason == "no label reaches its threshold"
    # The label that is not named falls back to the default, not to the bundle's.
    some = Classifier.load(path, thresholds={labels[0]: 0.25})
    assert list(some.describe()["thresholds"].values()) == [0.25] + [None] * (len(labels) - 1)


REFUSED = [
    ({"batch_size": 0}, "batch_size must be at least 1, not 0"),
    ({"max_tokens": 0}, "max_tokens must be from 1 to the bundle's 40, not 0"),
    ({"max_tokens": 41}, "max_tokens must be from 1 to the bundle's 40, not 41"),
    ({"threads": 0}, "threads must be a number from 1 to"),
    ({"threads": "many"}, "threads must be a number from 1 to"),
    ({"thresholds": {"neutral": 0.5}}, "'neutral', which is not a label; the labels are negative,"),
    ({"thresholds": {"postive": 0.5}}, "which is not a label (did you mean 'positive'?); the"),
    ({"thresholds": {1: 0.5}}, "a threshold for 1, which is not a label; the labels are negative,"),
    ({"thresholds": {"positive": 1.1}}, "of 'positive' must be a number from 0 to 1, not 1.1"),
    ({"thresholds": {"positive": float("nan")}}, "must be a number from 0 to 1, not nan"),
    ({"thresholds": {"positive": "0.5"}}, "must be a number from 0 to 1, not '0.5'"),
    ({"thresholds": {"positive": None}}, "must be a number from 0 to 1, not None"),
    ({"thresholds": {"positive": True}}, "must be a number from 0 to 1, not True"),
    ({"thresholds": {"positive": 10**5000}}, "must be a number from 0 to 1, not inf"),
    (
        {"thresholds": {"positive": 80}},
        "positive' must be a number from 0 to 1, not 80, which looks like a percentage: write 0.8",
    ),
    ({"thresholds": 95.5}, "thresholds must be a number from 0 to 1, not 95.5, which looks like a"),
    ({"thresholds": "0.5"}, "thresholds must be a number from 0 to 1, not '0.5'"),
    ({"thresholds": [0.5, 0.5]}, "thresholds must be a number from 0 to 1, not [0.5, 0.5]"),
    ({"thresholds": True}, "thresholds must be a number from 0 to 1, not True"),
    ({"threads": "4"}, "threads must be a number from 1 to"),
    ({"threads": 2.0}, "threads must be a number from 1 to"),
    ({"batch_size": 2.0}, "batch_size must be a whole number, not 2.0"),
    ({"batch_size": True}, "batch_size must be a whole number, not True"),
    ({"batch_size": "32"}, "batch_size must be a whole number, not '32'"),
    ({"batch_size": None}, "batch_size must be a whole number, not None"),
    ({"max_tokens": 5.0}, "max_tokens must be a whole number, not 5.0"),
    ({"max_tokens": float("nan")}, "max_tokens must be a whole number, not nan"),
    ({"max_tokens": False}, "max_tokens must be a whole number, not False"),
    ({"max_tokens": "5"}, "max_tokens must be a whole number, not '5'"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=[case[1] for case in REFUSED])
def test_options_out_of_range(bundle, options, message):
    with pytest.raises(ConfigError) as caught:
        Classifier.load(bundle, **options)
    assert message in str(caught.value)


def test_numbers_of_numpy_are_numbers(bundle):
    one = Classifier.load(
        bundle,
        batch_size=np.int64(2),
        max_tokens=np.int32(7),
        thresholds={"positive": np.float32(0.5)},
    )
    described = one.describe()
    assert json.loads(json.dumps(described)) == described
    assert (described["max_tokens"], described["thresholds"]["positive"]) == (7, 0.5)


def test_the_bundle_of_the_environment(bundle, bundles, monkeypatch):
    monkeypatch.setenv("TEXTGATE_MODEL", str(bundle))
    with Classifier.load() as classifier:
        assert classifier.path == bundle
    with Classifier.load(bundles["gru-float32"]) as classifier:  # a path goes before it
        assert classifier.path == bundles["gru-float32"]


def test_a_path_that_is_no_bundle(tmp_path):
    with pytest.raises(BundleError, match="no such folder"):
        Classifier.load(tmp_path / "nothing")


@pytest.mark.parametrize("threads", [1, 2, "auto"])
def test_threads_change_no_result(bundle, sentiment, threads):
    rows = Classifier.load(str(bundle), threads=threads).predict_proba(TEXTS)
    np.testing.assert_allclose(rows, sentiment.predict_proba(TEXTS), atol=SAME)


# What it says about itself


def test_describe(bundles):
    path = bundles["lstm-int8"]
    described = Classifier.load(path).describe()
    assert json.loads(json.dumps(described)) == described
    assert described["path"] == str(path)
    assert described["labels"] == ["negative", "positive"]
    assert (described["task"], described["cell"], described["precision"]) == (
        "single-label",
        "lstm",
        "int8",
    )
    assert described["streaming"] is True
    assert described["max_tokens"] == 40
    assert described["bytes"]["model.onnx"] == (path / "model.onnx").stat().st_size
    assert Classifier.load(bundles["rnn-multi-label"]).describe()["streaming"] is False


def test_properties(bundle, sentiment):
    assert sentiment.path == bundle
    assert sentiment.labels == sentiment.manifest.labels == ("negative", "positive")
    assert repr(sentiment) == f"Classifier({str(bundle)!r}, labels=['negative', 'positive'])"


def test_predictions_cannot_be_changed(sentiment):
    with pytest.raises(dataclasses.FrozenInstanceError):
        sentiment.predict("good").label = "bad"


def test_stages(sentiment):
    stages = sentiment.stages()
    encoded = stages.encode(TEXTS)
    np.testing.assert_allclose(stages.run(encoded), sentiment.predict_proba(TEXTS), atol=SAME)
    words = stages.words(5)
    assert len(words) == 5
    assert [len(item.ids) for item in stages.encode(words)] == [1] * 5


# Its life


@pytest.mark.parametrize(
    "use",
    [
        lambda one: one.predict("good"),
        lambda one: list(one.predict_many(["good"])),
        lambda one: one.predict_many([]),
        lambda one: one.predict_proba(["good"]),
        lambda one: one.scores(["good"]),
        lambda one: one.stream(),
        lambda one: one.stages(),
    ],
)
def test_a_closed_one_says_so(bundle, use):
    with Classifier.load(bundle) as one:
        use(one)
    with pytest.raises(ConfigError, match=r"^the classifier was closed$"):
        use(one)
    one.close()  # twice is no harm


COPIES = pytest.mark.parametrize(
    "again",
    [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))],
    ids=["copy", "deepcopy", "pickle"],
)


@COPIES
def test_copies_are_of_the_same_folder_wherever_the_process_has_gone(
    bundles, tmp_path, monkeypatch, again
):
    here, there = tmp_path / "here", tmp_path / "there"
    shutil.copytree(bundles["lstm-int8"], here / "model")
    shutil.copytree(bundles["rnn-multi-label"], there / "model")
    monkeypatch.chdir(here)
    one = Classifier.load("model")
    monkeypatch.chdir(there)
    two = again(one)
    assert one.path == two.path == here / "model"
    assert two.labels == one.labels


@COPIES
def test_copies_are_of_the_same_bundle_or_refused(bundles, tmp_path, again):
    folder = tmp_path / "model"
    shutil.copytree(bundles["lstm-int8"], folder)
    one = Classifier.load(folder, thresholds={"positive": 0.9})
    shutil.rmtree(folder)
    shutil.copytree(bundles["rnn-multi-label"], folder)
    found = Classifier.load(folder)
    with pytest.raises(BundleError) as caught:
        again(one)
    assert str(caught.value) == (
        f"{folder / 'textgate.json'}: the checksum {found.manifest.checksum} is not "
        f"{one.manifest.checksum}, that of the bundle which was pickled or copied; load the "
        "classifier from this one, or put that one back"
    )


@COPIES
def test_copies_have_the_options(bundle, again):
    one = Classifier.load(bundle, threads=2, batch_size=5, max_tokens=7, thresholds={"positive": 1})
    two = again(one)
    assert two is not one
    assert two.describe() == one.describe()
    np.testing.assert_array_equal(two.predict_proba(TEXTS), one.predict_proba(TEXTS))
    one.close()
    assert two.predict("good").tokens == 1


def test_threads_share_one(bundle):
    one = Classifier.load(bundle, batch_size=2)
    expected = one.predict_proba(TEXTS)
    barrier = threading.Barrier(4)

    def work(_):
        barrier.wait()
        return [one.predict_proba(TEXTS) for _ in range(10)]

    with ThreadPoolExecutor(4) as pool:
        for rows in itertools.chain(*pool.map(work, range(4))):
            np.testing.assert_allclose(rows, expected, atol=SAME)


FORK = """
import gc, os, sys
from textgate import Classifier
one = Classifier.load(sys.argv[1], threads=2)
other = Classifier.load(sys.argv[1], threads=2)  # one that the child never uses
for each in (one, other):
    each.predict_proba(["good"] * 40)  # the parent's sessions and threads exist before the fork
expected = one.predict_proba(["good", "a bad film"])
child = os.fork()
if child == 0:
    same = (abs(one.predict_proba(["good", "a bad film"]) - expected) < 1e-6).all()
    del one, other
    gc.collect()
    os._exit(0 if same else 3)
assert os.waitpid(child, 0)[1] == 0
assert (abs(one.predict_proba(["good", "a bad film"]) - expected) < 1e-6).all()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_it_survives_a_fork(bundle):
    done = subprocess.run(
        [sys.executable, "-c", FORK, str(bundle)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


SPAWN = """
import multiprocessing, sys
from textgate import Classifier

TEXTS = ["good", "a bad film", ""] * 5

if __name__ == "__main__":
    one = Classifier.load(sys.argv[1], batch_size=2, max_tokens=5)
    expected = one.predict_proba(TEXTS)  # its session exists before the processes do
    for method in ("spawn", "forkserver", "fork"):
        if method not in multiprocessing.get_all_start_methods():
            continue
        with multiprocessing.get_context(method).Pool(2) as pool:
            for found, row in zip(pool.map(one.predict, TEXTS), expected, strict=True):
                assert abs(list(found.scores.values()) - row).max() < 1e-6, method
"""


def test_it_goes_to_other_processes(bundle, tmp_path):
    """As an argument, by every way that this system starts processes."""
    script = tmp_path / "spawn.py"
    script.write_text(SPAWN, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script, bundle],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


CHEAP = """
import sys, textgate
heavy = {"numpy", "onnxruntime", "tokenizers", "click", "torch", "onnx"} & set(sys.modules)
assert not heavy, heavy
assert {"Classifier", "Prediction", "__version__"} <= set(dir(textgate))
try:
    textgate.Klassifier
except AttributeError as problem:
    assert "Klassifier" in str(problem)
else:
    raise AssertionError
textgate.Classifier
assert not {"numpy", "onnxruntime", "torch"} & set(sys.modules)
"""


def test_importing_textgate_is_cheap():
    code = [sys.executable, "-c", CHEAP]
    done = subprocess.run(code, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
