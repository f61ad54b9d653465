"""Search space: settings that are valid, around the recipe's, without those that are given."""

from __future__ import annotations

import dataclasses

import pytest

from textgate.train import PRESETS
from textgate.train.tuning.space import STRUCTURAL, Family, find_dimensions

RECIPE = PRESETS["default"].replace(linear_size=2, max_tokens=256, epochs=4)
FULL = RECIPE.architecture(  # as many tokens and bigrams as the recipe allows
    vocabulary_size=20_000,
    label_count=2,
    task="single-label",
    linear_tokens=20_000,
    linear_buckets=2**16,
)
KINDS = {
    "encoder": {"pretrained": True, "sentence_encoder": True, "folds": False},
    "language model": {"pretrained": True, "sentence_encoder": False, "folds": False},
    "vectors": {"pretrained": False, "sentence_encoder": False, "folds": False},
    "few rows": {"pretrained": False, "sentence_encoder": False, "folds": True},
}


@pytest.fixture(params=KINDS)
def family(request):
    return Family("recipe", find_dimensions(RECIPE, (), FULL, **KINDS[request.param]))


def test_every_bound_and_value_is_a_setting(family):
    for one in family.dimensions:
        for value in one.values or (one.low, one.near, one.high):
            changed = RECIPE.replace(**dict.fromkeys(one.settings, value))
            assert all(getattr(changed, name) == value for name in one.settings)


def test_the_recipe_is_in_the_space_and_changes_nothing(family):
    for one in family.dimensions:
        assert one.base in one.values or one.low <= one.base <= one.high
        assert one.near != one.base
        assert all(getattr(RECIPE, name) == one.base for name in one.settings)
    assert family.settings({}) == {}
    assert family.settings({one.name: one.base for one in family.dimensions}) == {}


def test_the_first_trials_change_one_thing_each(family):
    changes = [family.settings(values) for values in family.neighbours()]
    assert changes[0] == {"learning_rate": 0.001}
    assert changes[1] == {"embedding_dropout": 0.45, "head_dropout": 0.45}
    assert len({str(change) for change in changes}) == 5


def test_the_smallest_network():
    family = Family("recipe", find_dimensions(RECIPE, (), FULL, **KINDS["vectors"]))
    assert family.settings(family.smallest()) == {
        "hidden_sizes": (62,),
        "linear_buckets": 4096,
        "vocabulary_size": 5000,
        "max_tokens": 128,
    }
    assert set(family.smallest()) == set(STRUCTURAL)


def varied(kind, fixed=(), **changes):
    found = find_dimensions(RECIPE.replace(**changes), fixed, FULL, **KINDS[kind])
    return {name for one in found for name in one.settings}


def test_what_is_varied_depends_on_the_network():
    assert "epochs" not in varied("few rows")
    assert not varied("encoder") & {"hidden_sizes", "bidirectional"}
    assert "encoder_rate" in varied("encoder")
    assert "vocabulary_size" not in varied("language model")
    assert "linear_buckets" not in varied("vectors", linear_size=0)
    assert "max_tokens" not in varied("vectors", max_tokens=64)


def test_given_settings_stay_as_they_are():
    everything = varied("vectors")
    assert varied("vectors", ("hidden_sizes", "seed")) == everything - {"hidden_sizes"}
    assert varied("vectors", ("head_dropout",)) == everything - {"head_dropout"}
    assert varied("vectors", tuple(everything)) == set()


def test_a_limit_that_the_rows_do_not_reach_is_not_raised():
    few = dataclasses.replace(FULL, vocabulary_size=7000, linear_tokens=7000, linear_buckets=2**12)
    found = find_dimensions(RECIPE, (), few, **KINDS["vectors"])
    values = {one.name: one.values for one in found}
    assert values["vocabulary_size"] == (5000, 20_000)
    assert "linear_buckets" not in values


def vectors():
    return Family("recipe", find_dimensions(RECIPE, (), FULL, **KINDS["vectors"]))


def size(family, values):
    """A size to limit: units times tokens, of the recipe's where nothing else is given."""
    all_values = {one.name: one.base for one in family.dimensions} | dict(values)
    return all_values["hidden_sizes"][0] * all_values["vocabulary_size"]


@pytest.mark.parametrize(
    ("limit", "hidden_sizes", "vocabulary_sizes"),
    [
        (254 * 30_000, 4, 4),
        (126 * 20_000, 4, 4),
        (126 * 5_000, 2, 2),
        (62 * 5_000, 1, 1),
    ],
)
def test_a_limit_leaves_the_values_that_some_network_within_it_has(
    limit, hidden_sizes, vocabulary_sizes
):
    family = vectors()
    limited = family.limited(lambda values: size(family, values) <= limit)
    by_name = {one.name: one for one in limited.dimensions}
    assert len(by_name["hidden_sizes"].values) == hidden_sizes
    assert len(by_name["vocabulary_size"].values) == vocabulary_sizes
    first = {one.name: one.first for one in limited.dimensions}
    assert size(limited, first) <= limit
    for values in limited.neighbours():
        ((name, value),) = values.items()
        assert value != first[name]
        assert value in by_name[name].values or not by_name[name].values
    others = [one for one in family.dimensions if one.name not in family.smallest()]
    assert others == [one for one in limited.dimensions if one.name not in family.smallest()]
