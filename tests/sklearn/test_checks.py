"""scikit-learn's checks of an estimator hold.

They are written for matrices of numbers, so an adapter turns each row of a matrix into a text: it
checks the matrix as scikit-learn's own estimators do, and leaves everything else to the estimator.
"""

from __future__ import annotations

from unittest import SkipTest

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator
from sklearn.utils.validation import validate_data

from textgate.sklearn import TextgateClassifier

# The checks that do not apply, and why.
NOT_APPLICABLE = {
    # Of weights of zero it holds, see test_classifier.py, and of the loss and what is solved.
    "check_sample_weight_equivalence_on_dense_data": "a network is trained by steps over shuffled "
    "batches, whose order depends on the number of rows, as do the held-out rows",
    "check_array_api_input": "texts are in no array of the array API",
}

# The checks of what was learned, and settings that learn in ten times as long.
LOOK_AT_ANSWERS = ("check_class_weight_classifiers",)
LEARNING = {"epochs": 10, "learning_rate": 0.05, "batch_size": 8}


class OfNumbers(TextgateClassifier):
    """Classifies the rows of a matrix by texts with one word per number."""

    def fit(self, X, y, sample_weight=None):
        return super().fit(self.words(X, reset=True), y, sample_weight=sample_weight)

    def predict_proba(self, X):
        return super().predict_proba(self.words(X) if hasattr(self, "classes_") else X)

    def words(self, X, reset=False):
        rows = validate_data(self, X, reset=reset)
        return [
            " ".join(
                f"{'minus' if value < 0 else 'plus'}{column}x{abs(round(2 * value))}"
                for column, value in enumerate(row)
            )
            for row in rows
        ]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.one_d_array = tags.input_tags.string = False
        return tags


CHECKS = [check for _, check in estimator_checks_generator(OfNumbers())]


def name_of(check):
    return getattr(check, "func", check).__name__


@pytest.fixture
def estimator(make):
    return OfNumbers(**make().get_params())


@pytest.mark.filterwarnings("ignore:the network is not better:UserWarning")
@pytest.mark.parametrize(
    "check", [one for one in CHECKS if name_of(one) not in NOT_APPLICABLE], ids=name_of
)
def test_a_check_holds(estimator, check):
    if name_of(check) in LOOK_AT_ANSWERS:
        estimator.set_params(settings={**estimator.settings, **LEARNING})
    check(estimator)


@pytest.mark.filterwarnings("ignore:the network is not better:UserWarning")
@pytest.mark.parametrize(
    "check", [one for one in CHECKS if name_of(one) in NOT_APPLICABLE], ids=name_of
)
def test_a_check_that_does_not_apply_fails(estimator, check):
    with pytest.raises((AssertionError, SkipTest)):
        check(estimator)


def test_checks_that_do_not_apply_exist():
    assert NOT_APPLICABLE.keys() <= set(map(name_of, CHECKS))


def test_it_takes_texts_and_no_matrices():
    tags = TextgateClassifier().__sklearn_tags__()
    assert tags.input_tags.string
    assert tags.input_tags.one_d_array
    assert not tags.input_tags.two_d_array
    assert tags.classifier_tags.multi_label
    assert tags.target_tags.required
