"""An estimator gives what production gives, and scikit-learn's tools take it."""

from __future__ import annotations

import pickle
import shutil
import sys
import tempfile
import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import textgate.train
from textgate import BundleError, Classifier, ConfigError, ExportError, UselessModelError
from textgate.sklearn import InputError, TextgateClassifier
from textgate.sklearn.targets import read_targets
from textgate.sklearn.weights import row_weights


def test_it_learns_and_gives_elements_of_the_classes(fitted, texts, labels):
    assert fitted.classes_.tolist() == ["bad", "good"]
    assert fitted.predict(texts).tolist() == labels
    assert fitted.score(texts, labels) == 1.0
    assert fitted.score(texts, labels[::-1]) == 0.0


def test_probabilities_are_those_of_the_bundle(fitted, texts, tmp_path):
    fitted.to_bundle(tmp_path / "model")
    with Classifier.load(tmp_path / "model") as classifier:
        assert classifier.labels == ("bad", "good")
        assert (classifier.predict_proba(texts) == fitted.predict_proba(texts)).all()
        assert classifier.manifest.precision == "int8"


def test_the_log_odds_are_those_of_the_probabilities(fitted, make, texts_of):
    text = ["w1 w2 fine", "w1", ""]
    bad, good = fitted.predict_proba(text).T
    assert np.allclose(fitted.decision_function(text), np.log(good / bad), atol=1e-4)
    three = ["good", "bad", "odd"] * 20
    estimator = make().fit(texts_of([one] for one in three), three)
    found = estimator.decision_function(text)
    assert np.allclose(found, np.log(estimator.predict_proba(text)), atol=1e-4)
    assert (estimator.classes_[found.argmax(axis=1)] == estimator.predict(text)).all()


@pytest.mark.parametrize("form", ["labels", "lists"])
def test_log_odds_are_finite(fitted, of_lists, form, monkeypatch):
    estimator = fitted if form == "labels" else of_lists
    certain = np.array([[1, 0]], dtype=np.float32)
    monkeypatch.setattr(estimator, "predict_proba", lambda _: certain)
    assert np.isfinite(estimator.decision_function(["a"])).all()


def test_nothing_to_classify_gives_nothing(fitted):
    assert fitted.predict([]).shape == (0,)
    assert fitted.predict_proba([]).shape == (0, 2)


def test_a_seed_fixes_the_result(make, texts, labels):
    def graph(**parameters):
        return make(**parameters).fit(texts, labels)._files["model.onnx"]

    assert graph(random_state=3) == graph(random_state=3) != graph(random_state=4)
    first, second = np.random.RandomState(5), np.random.RandomState(5)
    assert graph(random_state=first) == graph(random_state=second)
    assert graph(random_state=first) != graph(random_state=np.random.RandomState(5))


def test_one_thread_or_several_give_the_same(fitted, texts):
    several = pickle.loads(pickle.dumps(fitted)).set_params(n_jobs=2)
    many = [f"{text} {number}" for number, text in enumerate(texts * 10)]
    wanted = np.concatenate([fitted.predict_proba([text]) for text in many])
    for estimator in (fitted, several):
        assert (estimator.predict_proba(many) == wanted).all()


@pytest.mark.usefixtures("fitted")  # in the first training, torch makes a folder of its own
def test_training_leaves_nothing_behind(make, texts, labels, tmp_path, monkeypatch, capfd):
    import torch

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    torch.manual_seed(1)
    state = torch.get_rng_state()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    asked = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    estimator = make().fit(texts, labels)
    assert asked == [1, 2]
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(ConfigError):
        make(settings={"epochs": 0}).fit(texts, labels)
    pickle.loads(pickle.dumps(estimator)).predict(texts)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_a_temporary_folder_that_cannot_be_made(make, fitted, texts, labels, tmp_path, monkeypatch):
    data = pickle.dumps(fitted)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    for call in (lambda: make().fit(texts, labels), lambda: pickle.loads(data)):
        with pytest.raises(ExportError, match=r"^a temporary folder cannot be made: .*; set TM"):
            call()


def test_verbose_prints_the_notes_of_training(make, texts, labels, capfd):
    make(verbose=True).fit(texts, labels)
    out, err = capfd.readouterr()
    assert out == ""
    assert "54 training rows, 6 dev rows, 2 labels" in err
    assert "epoch   1" in err


def test_few_rows_are_divided_into_folds(make, texts, labels, capfd):
    settings = {"folds": 2}
    assert make(settings=settings, verbose=True).fit(texts, labels).score(texts, labels) == 1.0
    assert "60 training rows, 2 folds" in capfd.readouterr().err


# The labels


KINDS = {
    "str": ["good", "bad"] * 30,
    "numpy str": np.array(["good", "bad"] * 30),
    "object": np.array(["good", "bad"] * 30, dtype=object),
    "int": [10, 2] * 30,
    "numpy int": [np.int64(10), np.int64(2)] * 30,
    "int8": np.array([1, -1] * 30, dtype=np.int8),
    "bool": [True, False] * 30,
    "float": np.array([1.0, 0.0] * 30),
    "Series": pd.Series(["good", "bad"] * 30, index=range(60, 0, -1)),
    "categorical": pd.Series(["good", "bad"] * 30, dtype="category"),
    "Int64": pd.Series([10, 2] * 30, dtype="Int64"),
    "boolean": pd.Series([True, False] * 30, dtype="boolean"),
    "string": pd.Series(["good", "bad"] * 30, dtype="string"),
}


@pytest.mark.parametrize("y", KINDS.values(), ids=KINDS)
def test_labels_keep_their_type(make, texts, y):
    estimator = make().fit(texts, y)
    found = estimator.predict(texts)
    assert found.tolist() == list(y)
    assert estimator.classes_.tolist() == sorted(set(y))
    assert found.dtype == estimator.classes_.dtype == np.unique(np.asarray(y)).dtype


def test_labels_and_texts_of_polars(make, texts, labels):
    polars = pytest.importorskip("polars", reason="polars is not installed: pip install polars")
    for y in (polars.Series(labels), polars.Series(labels, dtype=polars.Categorical)):
        assert make().fit(polars.Series(texts), y).predict(polars.Series(texts)).tolist() == labels
    missing = polars.Series([texts[0], None])
    assert make(missing="empty").fit(texts, labels).predict(missing).shape == (2,)


def test_the_labels_of_a_bundle_are_named_by_the_classes(make, texts, tmp_path):
    for name, y in {"numbers": [10, 2] * 30, "truth": [True, False] * 30}.items():
        make().fit(texts, y).to_bundle(tmp_path / name)
    assert Classifier.load(tmp_path / "numbers").labels == ("10", "2")
    assert Classifier.load(tmp_path / "truth").labels == ("false", "true")


TEXTS = {
    "tuple": tuple,
    "numpy": np.array,
    "object": lambda texts: np.array(texts, dtype=object),
    "StringDType": lambda texts: np.array(texts, dtype=np.dtypes.StringDType()),
    "Series": lambda texts: pd.Series(texts, index=range(len(texts), 0, -1)),
    "categorical": lambda texts: pd.Series(texts, dtype="category"),
    "string": lambda texts: pd.Series(texts, dtype="string"),
    "iterator": iter,
}


@pytest.mark.parametrize("column", TEXTS.values(), ids=TEXTS)
def test_texts_are_any_sequence(fitted, texts, labels, column):
    assert fitted.predict(column(texts)).tolist() == labels


# Several labels per text


@pytest.fixture(scope="module")
def matrix(lists):
    return np.array([[name in row for name in ("bad", "good", "odd")] for row in lists], dtype=int)


@pytest.fixture(scope="module")
def several(texts_of, lists):
    return texts_of(lists)


@pytest.fixture(scope="module")
def make_several(make):
    settings = {"hidden_sizes": (12,), "embedding_size": 8, "linear_size": 0}
    settings |= {"epochs": 15, "learning_rate": 0.05, "batch_size": 16}
    return partial(make, settings=settings)


@pytest.fixture(scope="module")
def of_lists(make_several, several, lists):
    return make_several().fit(several, lists)


def test_lists_of_labels(of_lists, several, lists):
    assert of_lists.classes_.tolist() == ["bad", "good", "odd"]
    assert [sorted(row) for row in of_lists.predict(several)] == [sorted(row) for row in lists]
    assert of_lists.score(several, lists) == 1.0
    assert of_lists.score(several, [[], *lists[1:]]) == 1.0
    assert of_lists.score(several, [["odd"], *lists[1:]]) == 79 / 80
    weights = [0, *[1] * 79]
    assert of_lists.score(several, [["odd"], *lists[1:]], sample_weight=weights) == 1.0
    most = of_lists.predict_proba(several).argmax(axis=1)
    first = [row[0] for row in of_lists.predict(several) if row]
    assert first == [of_lists.classes_[top] for top, row in zip(most, lists, strict=True) if row]


def test_a_matrix_of_labels(make_several, several, matrix):
    estimator = make_several().fit(several, matrix)
    assert estimator.classes_.tolist() == [0, 1, 2]
    found = estimator.predict(several)
    assert (found == matrix).all()
    assert found.dtype == np.int64
    assert estimator.score(several, matrix) == 1.0


FORMS = {
    "bool": lambda matrix: matrix.astype(bool),
    "float": lambda matrix: matrix.astype(float),
    "nested lists": lambda matrix: matrix.tolist(),
    "lists of numpy": lambda matrix: [list(row) for row in matrix],
    "sparse": csr_array,
    "DataFrame": pd.DataFrame,
    "boolean": lambda matrix: pd.DataFrame(matrix).astype("boolean"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_forms_of_a_matrix(matrix, form):
    wanted, found = read_targets(matrix), read_targets(form(matrix))
    assert found.form == "matrix"
    assert (found.names, found.rows) == (wanted.names, wanted.rows)
    assert found.classes.tolist() == [0, 1, 2]


def test_the_columns_of_a_frame_are_the_labels(matrix):
    polars = pytest.importorskip("polars", reason="polars is not installed: pip install polars")
    names = ["bad", "good", "odd"]
    for frame in (pd.DataFrame(matrix, columns=names), polars.DataFrame(matrix, schema=names)):
        found = read_targets(frame)
        assert found.classes.tolist() == names
        assert found.rows[3] == ("bad", "good")


def test_both_forms_give_the_same_probabilities(of_lists, make_several, several, matrix):
    named = pd.DataFrame(matrix, columns=["bad", "good", "odd"])
    found = make_several().fit(several, named).predict_proba(several)
    assert (found == of_lists.predict_proba(several)).all()
    odds = of_lists.decision_function(several)
    assert ((odds > 0) == (found > 0.5)).all()
    assert np.isfinite(odds).all()


def test_a_column_without_a_label_never_applies(make_several, several, matrix):
    wider = np.insert(matrix, 1, 0, axis=1)
    estimator = make_several().fit(several, wider)
    assert (estimator.predict(several) == wider).all()
    assert (estimator.predict_proba(several)[:, 1] == 0).all()


def test_lists_without_order_give_the_same(make_several, several, lists, of_lists):
    sets = make_several().fit(several, [set(row) for row in lists])
    assert (sets.predict_proba(several) == of_lists.predict_proba(several)).all()


# Weights


def test_class_weights_move_the_answers(make, texts_of):
    rows = ["good"] * 40 + ["bad"] * 12
    texts = texts_of([[] for _ in rows])  # which say nothing
    texts[:20] = texts_of([["good"]] * 20)

    def bad(class_weight):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator = make(class_weight=class_weight).fit(texts, rows)
        return estimator.predict_proba(texts)[20:, 0].mean()

    assert bad(None) < bad("balanced")
    assert bad("auto") == bad("balanced")


@pytest.mark.parametrize("wrong", ["Balanced", 1.0, [{0: 1, 1: 2}], np.array([1, 2])])
def test_other_class_weights_are_refused(make, texts, labels, wrong):
    with pytest.raises(
        ConfigError, match=r"^class_weight should be a mapping from labels to weights, 'auto', 'bal"
    ):
        make(class_weight=wrong).fit(texts, labels)


@pytest.mark.parametrize("value", [-1, float("nan"), "2", None, True, 1e30])
def test_a_weight_of_a_class_is_a_number(make, texts, labels, value):
    if value is True:
        make(class_weight={"good": value}).fit(texts, labels)
        return
    with pytest.raises(ConfigError, match=r"^class_weight\['good'\] should be 0 or a number from"):
        make(class_weight={"good": value}).fit(texts, labels)


def test_weights_of_classes_are_weights_of_their_rows(make, texts, labels):
    weights = [3 if label == "bad" else 0.5 for label in labels]
    found = make(class_weight={"bad": 3, "good": 0.5}).fit(texts, labels)
    expected = make(class_weight=None).fit(texts, labels, sample_weight=weights)
    assert (found.predict_proba(texts) == expected.predict_proba(texts)).all()
    both = make(class_weight={"bad": 6}).fit(texts, labels, sample_weight=[0.5] * 60)
    assert (found.predict_proba(texts) == both.predict_proba(texts)).all()


def test_classes_without_a_weight_have_one(make, texts, labels):
    read = read_targets(labels)
    assert row_weights(None, {"bad": 2}, read)[:2] == [1, 2]
    assert row_weights(None, {"good": 1, "bad": 2, "odd": 5}, read)[:2] == [1, 2]  # not in a fold
    with pytest.raises(ConfigError) as caught:
        make(class_weight={"Bad": 2, "good": 1}).fit(texts, labels)
    assert str(caught.value) == (
        "class_weight has a weight for 'Bad', which is no class of y, and none for 'bad'; name "
        "the classes as in y"
    )


def test_weights_of_numbers_and_of_several_labels(lists, matrix):
    numbers = read_targets(np.array([0, 1, 1]))
    assert row_weights(None, {0: 5, np.int64(1): 2}, numbers) == [5, 2, 2]
    assert row_weights(None, {False: 5}, read_targets([True, False, True])) == [1, 5, 1]
    several = [2 ** ("bad" in row) * 3 ** ("odd" in row) for row in lists]
    assert row_weights(None, {"bad": 2, "odd": 3}, read_targets(lists)) == several
    assert row_weights(None, {0: 2, 2: 3}, read_targets(matrix)) == several  # by column


def test_equal_weights_change_nothing(fitted, make, texts, labels):
    for weights in (
        np.ones(60),
        [1] * 60,
        1.0,
        pd.Series([1.0] * 60, dtype="Float64"),
        [True] * 60,
    ):
        found = make().fit(texts, labels, sample_weight=weights)
        assert (found.predict_proba(texts) == fitted.predict_proba(texts)).all()


def test_a_text_with_weight_zero_is_absent(make, texts, labels):
    weights = np.array([1.0, 2.0, 0.5, 0.0, 3.0] * 12)
    found = make().fit(texts, labels, sample_weight=weights)
    kept = np.flatnonzero(weights)
    expected = make().fit(
        [texts[row] for row in kept], [labels[row] for row in kept], sample_weight=weights[kept]
    )
    assert (found.predict_proba(texts) == expected.predict_proba(texts)).all()


def test_a_class_without_weight_has_probability_zero(make, texts_of):
    rows = ["good", "bad", "odd"] * 20
    texts = texts_of([label] for label in rows)
    found = make(class_weight={"odd": 0}).fit(texts, rows)
    assert found.classes_.tolist() == ["bad", "good", "odd"]
    assert (found.predict_proba(texts)[:, 2] == 0).all()
    assert set(found.predict(texts)) == {"bad", "good"}


WRONG_WEIGHTS = [
    ([1] * 59, "sample_weight has 59 numbers, but X has 60 texts; give one for each"),
    ([[1]] * 60, "sample_weight[0] should be 0 or a number from 1e-18 to 1e+18, found [1]"),
    (
        np.ones((60, 1)),
        "sample_weight should be a number per text, found an array of shape (60, 1)",
    ),
    ("balanced", "sample_weight should be a number per text, not 'balanced'"),
    ({0: 1}, "sample_weight should be a number per text, not {0: 1}"),
    (
        [1, -1, *[1] * 58],
        "sample_weight[1] should be 0 or a number from 1e-18 to 1e+18 (no negative",
    ),
    (
        [1, "2", *[1] * 58],
        "sample_weight[1] should be 0 or a number from 1e-18 to 1e+18, found '2'",
    ),
    ([1, float("inf"), *[1] * 58], "sample_weight[1] should be 0 or a number from 1e-18 to 1e+18"),
    ([1, 10**400, *[1] * 58], "sample_weight[1] should be 0 or a number from 1e-18 to 1e+18, foun"),
    ([1, None, *[1] * 58], "sample_weight[1] is missing (None"),
    ([1, float("nan"), *[1] * 58], "sample_weight[1] is missing (nan"),
    (pd.Series([1, pd.NA] * 30, dtype="Int64"), "sample_weight[1] is missing (<NA>"),
    ([0] * 60, "sample_weight is zero in every row"),
    ([0, 1] * 30, "y has one class, 'bad', in every row with a weight above 0; a classifier needs"),
]


@pytest.mark.parametrize(("weights", "message"), WRONG_WEIGHTS, ids=range(len(WRONG_WEIGHTS)))
def test_wrong_weights_are_refused(make, texts, labels, weights, message):
    with pytest.raises(InputError) as caught:
        make().fit(texts, labels, sample_weight=weights)
    assert str(caught.value).startswith(message)


def test_weights_in_a_search_and_a_pipeline(make, texts, labels):
    grid = {"class_weight": [{"good": 1, "bad": 5}, "balanced", None]}
    search = GridSearchCV(make(), grid, cv=2).fit(texts, labels, sample_weight=np.ones(60))
    assert search.best_params_["class_weight"] in grid["class_weight"]
    copy = clone(make(class_weight={"good": 1, "bad": 5}))
    assert copy.class_weight == {"good": 1, "bad": 5}
    weights = np.array([1, 3] * 30)
    pipeline = make_pipeline(FunctionTransformer(), make())
    pipeline.fit(texts, labels, textgateclassifier__sample_weight=weights)
    found = make().fit(texts, labels, sample_weight=weights)
    assert (pipeline.predict_proba(texts) == found.predict_proba(texts)).all()


def test_training_in_parts_is_refused(make, texts, labels):
    assert not hasattr(make(), "partial_fit")
    with pytest.raises(AttributeError, match=r"has no partial_fit.*call fit with the old and the"):
        make().partial_fit(texts, labels, classes=["bad", "good"])


@pytest.mark.parametrize("name", ["seed", "class_weights", "task"])
def test_settings_with_a_parameter_of_their_own_are_refused(make, texts, labels, name):
    with pytest.raises(ConfigError, match=f"^leave {name} out of the settings"):
        make(settings={name: 0}).fit(texts, labels)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"settings": {"epoch": 1}}, "'epoch' is not a setting .did you mean 'epochs'"),
        ({"preset": "seed"}, "there is no preset 'seed'"),
        ({"missing": "drop"}, "missing should be 'error' or 'empty', not 'drop'"),
        ({"random_state": -1}, "random_state should be from 0 to 2.31 - 1, not -1"),
        ({"random_state": "1"}, "random_state should be a whole number, .* not '1'"),
        ({"random_state": 10**400}, r"random_state should be from 0 to 2.31 - 1, not 10*\.\.\.$"),
        (
            {"missing": np.array(["error", "empty"])},
            "missing should be 'error' or 'empty', not arr",
        ),
        ({"n_jobs": 0}, "n_jobs should be a whole number of threads, -1 or None, not 0"),
        ({"n_jobs": "two"}, "n_jobs should be a whole number of threads, -1 or None, not 'two'"),
        ({"n_jobs": 1.5}, "n_jobs should be a whole number of threads, -1 or None, not 1.5"),
    ],
)
def test_wrong_parameters_are_refused_by_fit(make, texts, labels, wrong, match):
    with pytest.raises(ConfigError, match=match):
        make(**wrong).fit(texts, labels)


# Useless models


@pytest.fixture(scope="module")
def useless(make, texts_of):
    texts = texts_of([[]] * 60)
    with pytest.warns(UserWarning, match="^the network is not better than the most frequent label"):
        return make(settings={"linear_size": 0}).fit(texts, ["good", "good", "bad"] * 20)


def test_a_useless_network_is_written_only_if_asked(useless, tmp_path):
    with pytest.raises(UselessModelError, match="allow_useless=True"):
        useless.to_bundle(tmp_path / "model")
    assert not (tmp_path / "model").exists()
    useless.to_bundle(tmp_path / "model", allow_useless=True)
    assert Classifier.load(tmp_path / "model").labels == ("bad", "good")


# Bundles


def test_a_bundle_becomes_an_estimator(bundles, tmp_path):
    estimator = TextgateClassifier.from_bundle(bundles["lstm-int8"], n_jobs=1)
    texts = ["A wonderful, moving film.", "Dull and far too long.", ""]
    with Classifier.load(bundles["lstm-int8"]) as classifier:
        assert estimator.classes_.tolist() == list(classifier.labels)
        assert (estimator.predict_proba(texts) == classifier.predict_proba(texts)).all()
        tops = [one.top_label for one in classifier.predict_many(texts)]
    assert estimator.predict(texts).tolist() == tops
    estimator.to_bundle(tmp_path / "copy")
    for file in bundles["lstm-int8"].iterdir():
        assert (tmp_path / "copy" / file.name).read_bytes() == file.read_bytes()


def test_a_bundle_with_thresholds_never_abstains():
    estimator = TextgateClassifier.from_bundle("sentiment")
    texts = [f"{one} {noun}." for one in ("Odd", "Strange", "Curious", "Fine", "Good, bad")
             for noun in ("battery", "meal", "film", "colour", "idea")]  # fmt: skip
    with Classifier.load("sentiment") as classifier:
        without = [one.label is None for one in classifier.predict_many(texts)]
    assert any(without)
    assert set(estimator.predict(texts)) <= set(estimator.classes_)


def test_a_bundle_with_several_labels_applies_its_thresholds(bundles):
    path = bundles["rnn-multi-label"]
    estimator = TextgateClassifier.from_bundle(path)
    texts = ["A wonderful, moving film.", "Dull and far too long.", "phone and film"]
    with Classifier.load(path) as classifier:
        wanted = [set(one.labels) for one in classifier.predict_many(texts)]
    rows = estimator.predict(texts).astype(bool)
    assert [set(estimator.classes_[row]) for row in rows] == wanted


def test_a_bundle_is_not_overwritten(fitted, tmp_path):
    fitted.to_bundle(tmp_path / "model")
    with pytest.raises(ExportError, match="already exists"):
        fitted.to_bundle(tmp_path / "model")
    fitted.to_bundle(str(tmp_path / "model"), force=True)


def test_a_card_that_is_a_link_to_elsewhere_is_not_copied(bundles, tmp_path):
    path, secret = tmp_path / "model", tmp_path / "secret"
    shutil.copytree(bundles["lstm-int8"], path)
    secret.write_text("a password")
    (path / "config.json").unlink(missing_ok=True)
    (path / "config.json").symlink_to(secret)
    files = TextgateClassifier.from_bundle(path).__getstate__()["_files"]
    assert b"password" not in b"".join(files.values())
    (path / "README.md").unlink()
    (path / "README.md").symlink_to(secret)
    with pytest.raises(BundleError, match=r"README\.md: a link that leaves the bundle's folder"):
        TextgateClassifier.from_bundle(path)


def test_more_threads_than_texts_are_not_started(fitted, texts):
    many = clone(fitted).set_params(n_jobs=10**9)
    many.__setstate__({**fitted.__getstate__(), "n_jobs": 10**9})
    assert (many.predict_proba(texts) == fitted.predict_proba(texts)).all()


def test_a_path_without_a_bundle_is_refused(tmp_path):
    with pytest.raises(BundleError, match="no such folder"):
        TextgateClassifier.from_bundle(tmp_path / "none")


@pytest.mark.parametrize("name", ["predict", "predict_proba", "decision_function"])
def test_it_must_be_fitted_first(make, name):
    with pytest.raises(NotFittedError):
        getattr(make(), name)(["a text"])
    with pytest.raises(NotFittedError):
        make().to_bundle("model")


# Copies


def test_it_is_pickled_as_bytes(fitted, texts):
    data = pickle.dumps(fitted)
    loaded = pickle.loads(data)
    assert (loaded.predict_proba(texts) == fitted.predict_proba(texts)).all()
    assert loaded.get_params() == fitted.get_params()
    kinds = {type(value) for value in fitted.__getstate__()["_files"].values()}
    assert kinds == {bytes}
    assert len(data) < sum(map(len, fitted._files.values())) + 10_000


def test_a_pickle_with_a_damaged_bundle_is_refused(fitted):
    state = fitted.__getstate__()
    files = {**state["_files"], "model.onnx": b"damaged"}
    with pytest.raises(BundleError, match=r"model\.onnx"):
        TextgateClassifier().__setstate__({**state, "_files": files})


def test_a_clone_has_the_parameters_and_is_not_fitted(fitted):
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        copy.predict(["a text"])


# scikit-learn's tools


def test_cross_validation(make, texts, labels):
    assert cross_val_score(make(), texts, labels, cv=3).tolist() == [1, 1, 1]
    frame = pd.DataFrame({"text": texts, "label": pd.Categorical(labels)})
    scores = cross_val_score(make(), frame["text"], frame["label"], cv=2, scoring="f1_macro")
    assert scores.tolist() == [1, 1]
    found = cross_val_predict(make(), texts, labels, cv=2, method="predict_proba")
    assert (found.argmax(axis=1) == np.unique(labels, return_inverse=True)[1]).all()


def test_cross_validation_of_several_labels(make, several, matrix, lists):
    found = cross_val_score(make(), several, lists, cv=KFold(2))
    assert found.min() > 0.2  # all three labels are right; without knowledge an eighth are
    assert (found == cross_val_score(make(), several, matrix, cv=KFold(2))).all()
    assert cross_val_score(make(), several, matrix, cv=2, scoring="f1_micro").min() > 0.5


def test_grid_search(make, texts, labels):
    grid = {"settings": [make().settings, make(settings={"epochs": 2}).settings]}
    search = GridSearchCV(make(), grid, cv=2).fit(texts, labels)
    assert search.best_score_ == 1.0
    assert search.best_params_["settings"] == make().settings
    assert search.predict(texts).tolist() == labels


def test_threads_train_one_after_the_other(make, texts, labels, monkeypatch):
    genuine, running, most = textgate.train.fit, [], []

    def fit(*arguments, **options):
        running.append(1)
        most.append(len(running))
        try:
            return genuine(*arguments, **options)
        finally:
            running.pop()

    monkeypatch.setattr(textgate.train, "fit", fit)
    with parallel_config(backend="threading", n_jobs=2):
        assert cross_val_score(make(), texts, labels, cv=2).tolist() == [1, 1]
    assert most == [1, 1]


def test_a_pipeline(make, texts, labels):
    lower = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    pipeline = make_pipeline(lower, make()).fit([text.upper() for text in texts], labels)
    assert pipeline.predict([text.title() for text in texts]).tolist() == labels
    assert pipeline.classes_.tolist() == ["bad", "good"]
    assert pipeline.score(texts, labels) == 1.0


def test_a_column_of_a_frame(make, texts, labels):
    frame = pd.DataFrame({"text": texts, "label": labels})
    column = FunctionTransformer(lambda frame: frame["text"])
    assert make_pipeline(column, make()).fit(frame, labels).predict(frame).tolist() == labels


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration(make, texts, labels, method):
    calibrated = CalibratedClassifierCV(make(), cv=2, method=method).fit(texts, labels)
    assert calibrated.predict(texts).tolist() == labels


def test_calibration_of_a_bundle(bundles):
    texts = ["A wonderful, moving film.", "Dull and far too long."] * 10
    frozen = FrozenEstimator(TextgateClassifier.from_bundle(bundles["lstm-int8"]))
    calibrated = CalibratedClassifierCV(frozen, method="sigmoid", cv=2)
    y = frozen.predict(texts)
    assert calibrated.fit(texts, y).predict(texts).tolist() == y.tolist()


def test_an_extra_that_is_not_installed_is_named(monkeypatch):
    for name in [name for name in sys.modules if name.startswith(("textgate.sklearn", "sklearn"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    from textgate import MissingPackageError

    with pytest.raises(MissingPackageError, match=r"pip install 'textgate\[sklearn\]'"):
        import textgate.sklearn  # noqa: F401
