"""Texts and labels of a wrong type, shape or value are refused with their row."""

from __future__ import annotations

import re
from enum import Enum

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import coo_array, csr_array
from sklearn.exceptions import DataConversionWarning

from textgate import DataError
from textgate.sklearn import InputError

FRAME = pd.DataFrame({"text": ["a", "b"], "label": ["x", "y"]})

WRONG_TEXTS = {
    "one text": ("a text", "not one text; put it in a list"),
    "bytes": (b"a text", "not bytes"),
    "a number": (3, "not int"),
    "none": (None, "not NoneType"),
    "a set": ({"a", "b"}, "not set"),
    "a dictionary": ({"a": "b"}, "not dict"),
    "a frame": (FRAME, "not a DataFrame; give one column of it, as in X['text']"),
    "an empty frame": (pd.DataFrame(), "not a DataFrame; give one column of it"),
    "a column of a frame as a frame": (FRAME[["text"]], "not a DataFrame; give one column of it"),
    "two dimensions": (np.array([["a", "b"]]), "found an array of shape (1, 2)"),
    "no dimension": (np.array("a"), "found an array of shape ()"),
    "sparse": (csr_array([[1, 0]]), "found a sparse matrix of shape (1, 2)"),
    "numbers": ([1.5, 2], "X[0] should be a str, found float; make it a str, or leave the row out"),
    "a number among texts": (["a", 7], "X[1] should be a str, found int"),
    "bytes among texts": (["a", b"b"], "X[1] should be a str, found bytes"),
    "lists of words": ([["a"], ["b"]], "X[0] should be a str, found list"),
    "None": (["a", None], "X[1] is missing (None); leave the row out, or read missing texts as ''"),
    "NaN": (["a", float("nan")], "X[1] is missing (nan)"),
    "NaN of numpy": (["a", np.float32("nan")], "X[1] is missing (np.float32(nan))"),
    "pd.NA": (pd.Series(["a", None], dtype="string"), "X[1] is missing (<NA>)"),
    "pd.NaT": (["a", pd.NaT], "X[1] is missing (NaT)"),
    "masked": (np.ma.array(["a", "b"], mask=[0, 1]), "X[1] is missing (masked)"),
    "missing in a column": (pd.Series(["a", None], index=[8, 9]), "X[1] is missing"),
    "missing category": (pd.Series(["a", None], dtype="category"), "X[1] is missing (nan)"),
}


@pytest.mark.parametrize(("wrong", "message"), WRONG_TEXTS.values(), ids=WRONG_TEXTS)
def test_wrong_texts(make, fitted, wrong, message):
    for call in (lambda: make().fit(wrong, ["x", "y"]), lambda: fitted.predict(wrong)):
        with pytest.raises(InputError, match=re.escape(message)):
            call()


@pytest.mark.parametrize("missing", [None, float("nan"), np.nan, pd.NA, pd.NaT], ids=str)
def test_missing_texts_are_read_as_empty_if_asked(fitted, missing):
    reading = type(fitted).from_bundle("sentiment", missing="empty")
    assert (reading.predict_proba(["a", missing]) == reading.predict_proba(["a", ""])).all()
    assert reading.__sklearn_tags__().input_tags.allow_nan
    assert not fitted.__sklearn_tags__().input_tags.allow_nan


def test_missing_texts_are_trained_on_as_empty_if_asked(make, texts, labels):
    missing = [None, float("nan"), *texts[2:]]
    found = make(missing="empty").fit(missing, labels).predict_proba(texts)
    assert (found == make().fit(["", "", *texts[2:]], labels).predict_proba(texts)).all()


def frame(*columns, **types):
    return pd.DataFrame(dict(enumerate(columns)), **types)


WRONG_LABELS = {
    "none": (None, "fit requires y to be passed, but the target y is None"),
    "one label": ("xy", "y should be one label per text"),
    "a number": (3, "y should be one label per text"),
    "a set": ({"x", "y"}, "y should be one label per text"),
    "too few": (["x", "y"], "X has 3 texts, but y has 2 rows"),
    "too many": (["x", "y", "x", "y"], "X has 3 texts, but y has 4 rows; give one for each"),
    "no rows": ([], "X has 3 texts, but y has 0 rows"),
    "one class": (["x", "x", "x"], "y has one class, 'x', in every row; a classifier needs two"),
    "one category": (pd.Series(["x"] * 3, dtype="category"), "y has one class, 'x'"),
    "None": (["x", "y", None], "y[2] is missing (None); give the row a label or leave it out"),
    "NaN": ([1.0, float("nan"), 0.0], "y[1] is missing (nan)"),
    "NA": (pd.Series([1, None, 0], dtype="Int64"), "y[1] is missing (nan)"),
    "no category": (pd.Series(["x", None, "y"], dtype="category"), "y[1] is missing (nan)"),
    "text and number": (["x", 1, "y"], "y mixes types: y[0] is a text, 'x', and y[1] is a number"),
    "number and truth": ([2, True, 2], "y[0] is a number, 2, and y[1] is a truth value, True"),
    "mixed objects": (np.array(["x", 1, 2], dtype=object), "y mixes types: y[0] is a text"),
    "scores": ([0.5, 1, 2], "Unknown label type: continuous: y[0] is 0.5"),
    "infinity": ([1.0, float("inf"), 0], "Unknown label type: continuous: y[1] is inf"),
    "masked": (np.ma.array([1, 2, 3], mask=[0, 1, 0]), "y[1] is missing (None)"),
    "complex": (np.array([1j, 2, 3]), "y[0] should be a string, a whole number"),
    "bytes": ([b"x", b"y", b"x"], "y[0] should be a string, a whole number, true or false"),
    "dates": (pd.to_datetime(["2020-01-01"] * 3), "y[0] should be a string"),
    "blank": (["x", " ", "y"], "y[1] is empty"),
    "same in a bundle": (["x", "x ", "y"], "the classes 'x' and 'x ' are both written 'x' in a"),
    "half a pair": (["x", "\ud800", "y"], "half a surrogate pair"),
    "three dimensions": (np.zeros((3, 2, 2)), "found an array of shape (3, 2, 2)"),
    "no dimension": (np.array(1), "found an array of shape ()"),
    "several outputs": (np.array([[1, 2], [0, 1], [2, 0]]), "y[0, 1] is 2, but a matrix of labels"),
    "texts in a matrix": (np.array([["x", "y"]] * 3), "y[0, 0] is 'x', but a matrix of labels"),
    "NaN in a matrix": (np.array([[0, 1], [1, 0], [np.nan, 0]]), "y[2, 0] is nan"),
    "NA in a matrix": (
        frame([True, None, True], [True, False, True], dtype="boolean"),
        "y[1, 0] is <NA>",
    ),
    "no label in a matrix": (np.zeros((3, 2)), "y has no label in any row"),
    "no columns": (np.zeros((3, 0)), "y has no label in any row"),
    "columns of one name": (
        pd.DataFrame([[0, 1], [1, 0], [1, 1]], columns=["x", "x"]),
        "the classes 'x' and 'x' are both written 'x'",
    ),
    "a column without a name": (
        pd.DataFrame([[0, 1], [1, 0], [1, 1]], columns=["x", ""]),
        "the name of column 1 of y is empty",
    ),
    "a list among labels": (["x", ["y"], "x"], "y[1] should be one label, found a list"),
    "a label among lists": ([["x"], "y", []], "y[1] should be a list of labels, found 'y'"),
    "no label in lists": ([[], [], []], "y has no label in any row"),
    "None in lists": ([["x"], ["y", None], []], "y[1] is missing (None)"),
    "lists of lists": ([["x"], [["y"]], []], "y[1] should be one label, found a list"),
    "a NUL that numpy drops": (
        ["x", "y\0", "x"],
        "y[1] has the label 'y\\x00', which numpy changes",
    ),
    "a NUL in lists": ([["x"], ["x", "y\0"], []], "y[1] has the label 'y\\x00', which numpy"),
    "a number that numpy rounds": (
        [-1, 2**63 + 1, -1],
        "y[1] has the label '9223372036854775809', which numpy changes; rename it",
    ),
    "a missing column name": (
        pd.DataFrame([[0, 1], [1, 0], [1, 1]], columns=["x", float("nan")]),
        "the name of column 1 of y is missing (nan)",
    ),
    "mixed lists": ([["x"], [1], []], "y mixes types: y[0] is a text, 'x', and y[1] is a number"),
}


@pytest.mark.parametrize(("wrong", "message"), WRONG_LABELS.values(), ids=WRONG_LABELS)
def test_wrong_labels(make, wrong, message):
    with pytest.raises(InputError, match=re.escape(message)):
        make().fit(["a", "b", "c"], wrong)


def test_these_errors_are_those_of_textgate_and_of_scikit_learn(make):
    with pytest.raises(ValueError, match="X has no texts") as caught:
        make().fit([], [])
    assert isinstance(caught.value, DataError)


def test_rows_that_do_not_suit_training_are_refused(make):
    with pytest.raises(InputError, match="every row has the same text"):
        make().fit(["a"] * 4, ["x", "y"] * 2)
    with pytest.raises(InputError, match=r"for dev; give more texts of each class$"):
        make().fit(["a", "b"], ["x", "y"])
    with pytest.raises(InputError, match=r"for dev; give more texts of each class$"):
        make().fit(["a", "b"] * 2, ["x", "y"] * 2)
    with pytest.raises(InputError, match=r"cannot be divided into folds: .*; add rows$"):
        make(settings={"folds": 2}).fit(["a", "b"], ["x", "y"])


def test_a_column_of_labels_as_a_matrix_is_read_with_a_warning(make, texts, labels):
    with pytest.warns(DataConversionWarning):
        assert make().fit(texts, np.array(labels)[:, None]).predict(texts).tolist() == labels


class Colour(str, Enum):  # noqa: UP042
    """Labels whose `str` is not their value."""

    RED = "red"
    BLUE = "blue"


def test_labels_may_be_members_of_an_enumeration_of_str(make, texts):
    labels = [Colour.RED, Colour.BLUE] * 30
    assert make().fit(texts, labels).classes_.tolist() == ["blue", "red"]
    lists = make().fit(texts, [[label] for label in labels])
    assert lists.classes_.tolist() == ["blue", "red"]
    assert lists.score(texts, [[label] for label in labels]) == 1.0


def same_labels():
    """Labels of one text each, and matrices of labels, in forms that `fit` takes."""
    numbers = [0, 1] * 30
    matrix = np.array([[1, 0], [0, 1]] * 30)
    return {
        "numpy's text": np.array(["x", "y"] * 30, dtype=np.dtypes.StringDType()),
        "large numbers": [2**70, 2**71] * 30,
        "large floats": [1e300, 1.0] * 30,
        "sparse": coo_array(np.array(numbers)),
        "a sparse column": csr_array(np.array(numbers)[:, None]),
        "objects": matrix.astype(object),
        "nullable": pd.DataFrame(matrix).astype("Int64"),
        "lists": matrix.tolist(),
    }


@pytest.mark.filterwarnings("ignore:A column-vector:sklearn.exceptions.DataConversionWarning")
@pytest.mark.parametrize("form", same_labels())
def test_scores_take_labels_in_every_form_that_fit_takes(make, texts, form):
    labels = same_labels()[form]
    assert make().fit(texts, labels).score(texts, labels) == 1.0


def test_scores_count_labels_that_were_not_learned_as_wrong(fitted, texts, labels):
    assert fitted.score(texts, ["other", *labels[1:]]) == 59 / 60
    assert fitted.score(texts[:2], ["other", "other"]) == 0.0


WRONG_SCORES = {
    "missing": ((["a"], [None]), {}, "y[0] is missing (None)"),
    "none": ((["a"], None), {}, "the target y is None"),
    "numbers": ((["a"], [1]), {}, "y[0] is a number, 1, but the labels of fit are such as 'bad'"),
    "lists": ((["a"], [["good"]]), {}, "y[0] should be one label, found a list"),
    "no texts": (([], []), {}, "X has no texts"),
    "weights": ((["a"], ["good"]), {"sample_weight": [1, 2]}, "sample_weight has 2 numbers, but X"),
    "NaN": ((["a"], ["good"]), {"sample_weight": [np.nan]}, "sample_weight[0] is missing (nan"),
    "zero": ((["a"], ["good"]), {"sample_weight": [0]}, "sample_weight is zero in every row"),
}


@pytest.mark.parametrize(("given", "more", "message"), WRONG_SCORES.values(), ids=WRONG_SCORES)
def test_wrong_scores(fitted, given, more, message):
    with pytest.raises(InputError, match=re.escape(message)):
        fitted.score(*given, **more)


def test_scores_compare_labels_of_one_type(make, texts):
    numbers = make().fit(texts, [0, 1] * 30)
    assert numbers.score(texts, [0.0, 1.0] * 30) == 1.0
    with pytest.raises(InputError, match=r"y\[0\] is a truth value, False, but the labels of fit"):
        numbers.score(texts, [False, True] * 30)
    lists = make().fit(texts, [["x"], ["y"]] * 30)
    with pytest.raises(InputError, match=r"y\[0\] is a number, 1, but the labels of fit are such"):
        lists.score(texts, [[1, 0], [0, 1]] * 30)


def test_columns_are_scored_by_their_names(make, texts):
    table = pd.DataFrame([[1, 0], [0, 1]] * 30, columns=["x", "y"])
    estimator = make().fit(texts, table)
    for same in (table, table[["y", "x"]], table.to_numpy(), table.rename(columns={"x": "z"})):
        assert estimator.score(texts, same) == 1.0


def test_a_matrix_is_scored_with_one_of_as_many_columns(make, texts):
    estimator = make().fit(texts, np.array([[1, 0], [0, 1]] * 30))
    with pytest.raises(
        InputError, match="y should be a matrix of labels as for fit, with 2 columns"
    ):
        estimator.score(["a"], [[1, 0, 0]])
    with pytest.raises(
        InputError, match="y should be a matrix of labels as for fit, with 2 columns"
    ):
        estimator.score(["a"], ["good"])


def test_scores_need_as_many_labels_as_texts(make, texts_of, lists):
    estimator = make().fit(texts_of(lists), lists)
    with pytest.raises(InputError, match="X has 80 texts, but y has 79 rows"):
        estimator.score(texts_of(lists), lists[1:])
    with pytest.raises(InputError, match="should be a list of labels"):
        estimator.score(["a"], ["good"])
