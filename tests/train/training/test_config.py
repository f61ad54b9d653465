"""Settings: checked where they are made, written and read as JSON."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from textgate.bundle.architecture import parameter_count
from textgate.errors import ConfigError
from textgate.train.training.config import check_size
from textgate.train.training.presets import PRESETS, preset
from textgate.train.training.settings import named_settings

DEFAULT = PRESETS["default"]


@pytest.mark.parametrize(
    ("name", "total"), [("seed-lstm", 214_337), ("seed-gru", 177_857), ("seed-rnn", 103_169)]
)
def test_the_reference_networks(name, total):
    settings = preset(name)
    net = settings.architecture(vocabulary_size=1000, label_count=2, task="single-label")
    assert parameter_count(net) == total
    assert net.output == "sigmoid"
    assert settings.max_tokens == 100
    assert settings.whole_vocabulary


def test_the_reference_networks_differ_in_the_cell_alone():
    lstm, *others = (PRESETS[f"seed-{cell}"] for cell in ("lstm", "gru", "rnn"))
    assert [other.replace(cell="lstm") for other in others] == [lstm, lstm]


def test_the_default_streams():
    assert not DEFAULT.bidirectional


def test_a_preset_that_is_not_there():
    with pytest.raises(ConfigError, match=r"no preset 'seeds' \(did you mean 'seed-"):
        preset("seeds")


@pytest.mark.parametrize(
    ("one_unit", "task", "labels", "output"),
    [
        (True, "single-label", 2, "sigmoid"),
        (True, "single-label", 3, "softmax"),
        (False, "single-label", 2, "softmax"),
        (True, "multi-label", 2, "multi-label"),
    ],
)
def test_the_output_goes_by_the_labels(one_unit, task, labels, output):
    settings = DEFAULT.replace(one_unit=one_unit)
    net = settings.architecture(vocabulary_size=10, label_count=labels, task=task)
    assert net.output == output


REFUSED = [
    (
        {"vocabulary_size": 2},
        "vocabulary_size must be a whole number from 3 to 16777216, not 2",
    ),
    ({"max_tokens": 0}, "max_tokens must be a whole number from 1 to"),
    ({"epochs": 0}, "epochs must be a whole number from 1 to 100000, not 0"),
    ({"patience": 0}, "patience must be a whole number from 1 to"),
    ({"batch_size": -1}, "batch_size must be a whole number from 1 to"),
    ({"learning_rate": 0}, "learning_rate must be a number above 0 and up to 100, not 0"),
    (
        {"learning_rate": math.nan},
        "learning_rate must be a number, not nan",
    ),
    (
        {"learning_rate": math.inf},
        "learning_rate must be a number, not inf",
    ),
    ({"gradient_norm": 0}, "gradient_norm must be a number from 1e-06"),
    ({"dev_fraction": 0.6}, "dev_fraction must be a number from 0.01 to 0.5, not 0.6"),
    ({"seed": -1}, "seed must be a whole number from 0 to 2147483647, not -1"),
    (
        {"embedding_size": 10**9},
        "embedding_size must be a whole number from 1 to 16777216, not 1000",
    ),
    ({"task": "regression"}, "task must be one of auto, single-label, multi-label"),
    ({"cell": "tree"}, "cell must be one of rnn, lstm, gru, not 'tree'"),
    ({"hidden_sizes": ()}, "at least one recurrent layer is needed"),
    ({"pooling": ("max", "max")}, "a pooling is named twice"),
    ({"head_dropout": 1.0}, "head_dropout must be a number from 0 to below 1, not 1.0"),
    ({"epochs": "many"}, "epochs must be a whole number, not 'many'"),
    ({"epochs": 1.5}, "epochs must be a whole number, not 1.5"),
    ({"seed": True}, "seed must be a whole number, not True"),
    ({"batch_size": None}, "batch_size must be a whole number, not None"),
    ({"learning_rate": "0.1"}, "learning_rate must be a number, not '0.1'"),
    ({"seed": 10**30}, "seed must be a whole number from 0 to"),
    ({"bidirectional": 1}, "bidirectional must be true or false, not 1"),
    ({"cell": 1}, "cell must be one of rnn, lstm, gru, not 1"),
    ({"hidden_sizes": (8, "8")}, "hidden_sizes[1] must be a whole number, not '8'"),
    ({"dense_sizes": 8}, "dense_sizes must be a list, not 8"),
    ({"pooling": "max"}, "pooling must be a list, not 'max'"),
    ({"tokenizer": "bytes"}, "tokenizer must be one of words, subwords, not 'bytes'"),
    ({"vocabulary_size": 511}, "vocabulary_size 511 is too small for subwords, which need 512 or"),
    ({"vectors": ""}, "vectors must be a file, 'english' or 'none', not ''"),
    ({"linear_size": -1}, "linear_size must be a whole number from 0 to 65536, not -1"),
    ({"linear_size": 4, "linear_buckets": 0}, "linear_buckets must be above 0 where linear_size"),
    ({"linear_rate": 0}, "linear_rate must be a number above 0 and up to 100, not 0"),
    ({"linear_dropout": 1}, "linear_dropout must be a number from 0 to 0.99, not 1"),
    ({"average": 1}, "average must be a number from 0 to 0.999999, not 1"),
    ({"adversarial": math.nan}, "adversarial must be a number, not nan"),
    ({"sparse": 1}, "sparse must be true or false, not 1"),
    ({"teacher_weight": 1.5}, "teacher_weight must be a number from 0 to 1, not 1.5"),
    ({"teacher_weight": -0.1}, "teacher_weight must be a number from 0 to 1, not -0.1"),
    ({"layers": 3}, "'layers' is not a setting; there are cell, "),
    ({"epoch": 3}, "'epoch' is not a setting (did you mean 'epochs'?); there are cell, "),
    ({"hidden-size": 3}, "'hidden-size' is not a setting (did you mean 'hidden_sizes'?); there"),
    ({"schedule": "constant"}, "'schedule' is no longer a setting, it was removed; leave it out"),
    ({"token_dropout": 0.1}, "'token_dropout' is no longer a setting, it was removed; leave it"),
    ({"label_smoothing": 0.1}, "'label_smoothing' is no longer a setting, it was removed; leave"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED, ids=[str(case[0]) for case in REFUSED])
def test_refusals(changes, message):
    with pytest.raises(ConfigError) as caught:
        DEFAULT.replace(**changes)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "sizes"),
    [
        ({}, (0, 0, 0)),
        ({"linear_size": 4}, (4, 7, 65_536)),
        ({"linear_size": 4, "linear_buckets": 9}, (4, 7, 9)),
        ({"linear_size": 0, "linear_buckets": 9}, (0, 0, 0)),  # no branch, whatever it would have
    ],
)
def test_a_linear_branch_is_there_if_it_has_a_size(changes, sizes):
    settings = DEFAULT.replace(**changes)
    net = settings.architecture(
        vocabulary_size=10,
        label_count=2,
        task="single-label",
        linear_tokens=7,
        linear_buckets=settings.linear_buckets,
    )
    assert (net.linear_size, net.linear_tokens, net.linear_buckets) == sizes


NAMED = [
    ("epochs=3", "settings must be a dictionary such as {'epochs': 5}, not 'epochs=3'"),
    ([("epochs", 3)], "settings must be a dictionary such as {'epochs': 5}, not [('epochs', 3)]"),
    ({1: 3}, "the name of a setting must be a string, not 1"),
    ({None: 3}, "the name of a setting must be a string, not None"),
]


@pytest.mark.parametrize(("given", "message"), NAMED)
def test_settings_that_are_no_dictionary(given, message):
    with pytest.raises(ConfigError) as caught:
        named_settings(given)
    assert str(caught.value) == message


def test_settings_of_numpy_are_pythons():
    given = {"epochs": np.int64(3), "learning_rate": np.float32(0.5), "hidden_sizes": [np.int8(4)]}
    found = named_settings(given)
    assert found == {"epochs": 3, "learning_rate": 0.5, "hidden_sizes": (4,)}
    assert DEFAULT.replace(**found).epochs == 3
    assert named_settings(None) == {}


@pytest.mark.parametrize(
    ("changes", "layer"),
    [
        ({"embedding_size": 2**24}, "embedding"),
        ({"hidden_sizes": (8, 10**6)}, "lstm_2"),
        ({"dense_sizes": (2**24, 2**24)}, "dense_2"),
        ({"linear_size": 2**16, "linear_buckets": 2**16}, "linear"),
    ],
)
def test_a_network_that_no_bundle_holds(changes, layer):
    settings = DEFAULT.replace(**{"hidden_sizes": (1,), **changes})
    net = settings.architecture(
        vocabulary_size=1000,
        label_count=2,
        task="single-label",
        linear_tokens=9,
        linear_buckets=settings.linear_buckets,
    )
    message = f"of them in the layer {layer}; a bundle holds at most 268,435,456: choose smaller"
    with pytest.raises(ConfigError, match=message):
        check_size(net)


@pytest.mark.parametrize("name", list(PRESETS))
def test_json_holds_every_setting(name):
    values = json.loads(json.dumps(PRESETS[name].to_json()))
    tuples = {key: tuple(item) for key, item in values.items() if isinstance(item, list)}
    assert PRESETS["seed-rnn"].replace(**values | tuples) == PRESETS[name]
