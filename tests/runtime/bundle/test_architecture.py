"""Architecture: its arithmetic, its layer table, and what it refuses."""

from __future__ import annotations

import dataclasses
import json

import pytest

from textgate.bundle.architecture import (
    CELLS,
    Architecture,
    layers,
    parameter_count,
    recurrent_parameters,
)
from textgate.bundle.schema import Location, decode
from textgate.errors import BundleError, CheckpointError, ConfigError

# The reference networks: Embedding(1000, 64), 128 units, dropout, 64 units, Dense 32, Dense 1.
SEED = Architecture(
    vocabulary_size=1000,
    embedding_size=64,
    cell="lstm",
    hidden_sizes=(128, 64),
    bidirectional=False,
    pooling=("last",),
    dense_sizes=(32,),
    output="sigmoid",
    label_count=2,
    layer_dropout=0.2,
)


def changed(**changes):
    return dataclasses.replace(SEED, **changes)


@pytest.mark.parametrize(("cell", "total"), [("lstm", 214_337), ("gru", 177_857), ("rnn", 103_169)])
def test_the_totals_of_the_reference_networks(cell, total):
    assert parameter_count(changed(cell=cell)) == total


def test_the_layer_table_of_the_reference_lstm():
    assert [dataclasses.astuple(layer) for layer in layers(SEED)] == [
        ("embedding", "Embedding", (None, None, 64), 64_000),
        ("lstm_1", "LSTM", (None, None, 128), 98_816),
        ("dropout_1", "Dropout", (None, None, 128), 0),
        ("lstm_2", "LSTM", (None, 64), 49_408),
        ("dense_1", "Dense, ReLU", (None, 32), 2_080),
        ("output", "Dense, sigmoid", (None, 1), 33),
    ]


def test_the_layer_table_of_everything_at_once():
    net = changed(
        cell="gru",
        hidden_sizes=(5, 7),
        bidirectional=True,
        pooling=("max", "attention", "last"),
        dense_sizes=(4, 3),
        output="softmax",
        label_count=6,
        embedding_dropout=0.1,
        layer_dropout=0.2,
        head_dropout=0.3,
    )
    assert [dataclasses.astuple(layer) for layer in layers(net)] == [
        ("embedding", "Embedding", (None, None, 64), 64_000),
        ("embedding_dropout", "Dropout", (None, None, 64), 0),
        ("gru_1", "Bidirectional GRU", (None, None, 10), 2 * 3 * 5 * (64 + 5 + 2)),
        ("dropout_1", "Dropout", (None, None, 10), 0),
        ("gru_2", "Bidirectional GRU", (None, None, 14), 2 * 3 * 7 * (10 + 7 + 2)),
        ("pooling", "Pooling, max + attention + last", (None, 42), 14),
        ("head_dropout", "Dropout", (None, 42), 0),
        ("dense_1", "Dense, ReLU", (None, 4), 43 * 4),
        ("dense_2", "Dense, ReLU", (None, 3), 5 * 3),
        ("output", "Dense, softmax", (None, 6), 4 * 6),
    ]
    assert parameter_count(net) == sum(layer.parameters for layer in layers(net))


@pytest.mark.parametrize(("output", "units"), [("sigmoid", 1), ("softmax", 2), ("multi-label", 2)])
def test_a_linear_branch_is_the_last_line(output, units):
    net = changed(output=output, linear_size=4, linear_tokens=900, linear_buckets=256)
    assert layers(net)[:-1] == layers(changed(output=output))
    assert dataclasses.astuple(layers(net)[-1]) == (
        "linear",
        "Linear branch, tokens + bigrams",
        (None, units),
        (900 + 256) * 4 + 4 * units,
    )


@pytest.mark.parametrize(
    ("cell", "expected"),
    [("rnn", 3 * (2 + 3 + 1)), ("lstm", 4 * 3 * (2 + 3 + 1)), ("gru", 3 * 3 * (2 + 3 + 2))],
)
def test_the_parameters_of_one_cell(cell, expected):
    assert recurrent_parameters(cell, inputs=2, hidden=3) == expected


@pytest.mark.parametrize(
    ("changes", "units", "task", "activation"),
    [
        ({"output": "sigmoid"}, 1, "single-label", "Dense, sigmoid"),
        ({"output": "softmax"}, 2, "single-label", "Dense, softmax"),
        ({"output": "softmax", "label_count": 5}, 5, "single-label", "Dense, softmax"),
        ({"output": "multi-label", "label_count": 1}, 1, "multi-label", "Dense, sigmoid"),
        ({"output": "multi-label", "label_count": 4}, 4, "multi-label", "Dense, sigmoid"),
    ],
)
def test_outputs(changes, units, task, activation):
    net = changed(**changes)
    assert net.output_units == units
    assert net.task == task
    assert layers(net)[-1].kind == activation
    assert layers(net)[-1].shape == (None, units)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    ("bidirectional", "pooling", "widths"),
    [
        (False, ("last",), ((64, 128), 64, 64)),
        (False, ("max", "mean"), ((64, 128), 64, 128)),
        (True, ("last",), ((64, 256), 128, 128)),
        (True, ("attention", "mean", "max"), ((64, 256), 128, 384)),
    ],
)
def test_widths(cell, bidirectional, pooling, widths):
    net = changed(cell=cell, bidirectional=bidirectional, pooling=pooling)
    assert (net.input_sizes, net.state_size, net.pooled_size) == widths


BRANCH = {"linear_size": 4, "linear_tokens": 1000, "linear_buckets": 256}
REFUSED = [
    ({"cell": "LSTM"}, "cell must be one of rnn, lstm, gru, not 'LSTM'"),
    ({"output": "tanh"}, "output must be one of sigmoid, softmax, multi-label, not 'tanh'"),
    ({"bidirectional": 1}, "bidirectional must be true or false, not 1"),
    ({"hidden_sizes": [8]}, "hidden_sizes must be a tuple, not [8]"),
    ({"hidden_sizes": ()}, "at least one recurrent layer is needed (hidden sizes is empty)"),
    ({"pooling": ()}, "at least one pooling is needed"),
    ({"pooling": ("max", "min")}, "pooling[1] must be one of last, max, mean, attention, not"),
    ({"pooling": ("max", "max")}, "a pooling is named twice"),
    ({"embedding_size": 0}, "embedding_size must be a whole number from 1 to 16777216, not 0"),
    (
        {"hidden_sizes": (8, 0)},
        "hidden_sizes[1] must be a whole number from 1 to 16777216, not 0",
    ),
    ({"hidden_sizes": (2**24 + 1,)}, "hidden_sizes[0] must be a whole number from 1 to 16777216"),
    ({"dense_sizes": (-1,)}, "dense_sizes[0] must be a whole number from 1 to 16777216"),
    ({"vocabulary_size": 2**24 + 1}, "vocabulary_size must be a whole number from 2 to 16777216"),
    (
        {"vocabulary_size": 1},
        "vocabulary_size must be a whole number from 2 to 16777216, not 1",
    ),
    (
        {"embedding_dropout": 1.0},
        "embedding_dropout must be a number from 0 to below 1, not 1.0",
    ),
    ({"layer_dropout": -0.1}, "layer_dropout must be a number from 0 to below 1, not -0.1"),
    (
        {"head_dropout": float("nan")},
        "head_dropout must be a number, not nan",
    ),
    ({"output": "multi-label", "label_count": 0}, "label_count must be a whole number from 1"),
    ({"output": "softmax", "label_count": 1}, "needs two labels or more, not 1"),
    ({"label_count": 3}, "one sigmoid unit tells two labels apart, not 3; use softmax"),
    ({"linear_size": 4}, "a linear branch needs a size, tokens and buckets, all above 0"),
    ({"linear_tokens": 4}, "a linear branch needs a size, tokens and buckets, all above 0"),
    ({"linear_size": 4, "linear_buckets": 4}, "a linear branch needs a size, tokens and buckets"),
    ({**BRANCH, "linear_size": -1}, "linear_size must be a whole number from 0 to 16777216"),
    ({**BRANCH, "linear_buckets": 2**24 + 1}, "linear_buckets must be a whole number from 0 to"),
    ({**BRANCH, "linear_tokens": 1001}, "cannot have more tokens than the vocabulary"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED, ids=[str(case[0]) for case in REFUSED])
def test_refusals(changes, message):
    with pytest.raises(ConfigError) as caught:
        changed(**changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def decoded(value, error=BundleError):
    return decode(Architecture, value, Location("file: architecture", error))


def written(net):
    """What a file says of a network."""
    return json.loads(json.dumps(dataclasses.asdict(net)))


def test_json_and_back():
    for net in (changed(pooling=("max", "mean"), embedding_dropout=0.25), changed(**BRANCH)):
        assert decoded(written(net)) == net


OLD = {name: value for name, value in written(SEED).items() if name not in BRANCH}


def test_json_from_before_the_linear_branch():
    assert decoded(OLD) == SEED


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"linear_size": 4}, "field 'linear_tokens' is missing"),
        ({"linear_size": 4, "linear_tokens": 9}, "field 'linear_buckets' is missing"),
        ({"linear_tokens": 9}, "field 'linear_size' is missing"),
        ({**BRANCH, "linear_size": "4"}, "field 'linear_size' should be a whole number"),
        ({**BRANCH, "linear_size": 0}, "architecture: a linear branch needs a size, tokens and"),
    ],
)
def test_json_of_half_a_branch(given, message):
    with pytest.raises(BundleError) as caught:
        decoded({**OLD, **given})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cell": 3}, "field 'cell' should be one of rnn, lstm, gru, found 3"),
        ({"hidden_sizes": [1.5]}, "field 'hidden_sizes[0]' should be a whole number"),
        ({"bidirectional": 0}, "field 'bidirectional' should be true or false, found 0"),
        ({"extra": 1}, "unknown field 'extra'"),
        ({"cell": "tree"}, "field 'cell' should be one of rnn, lstm, gru, found 'tree'"),
        ({"head_dropout": 7}, "field 'head_dropout' should be a number from 0 to below 1, found 7"),
        ({"label_count": 3}, "one sigmoid unit tells two labels apart, not 3; use softmax"),
    ],
)
@pytest.mark.parametrize("error", [BundleError, CheckpointError])
def test_json_that_is_no_architecture(changes, message, error):
    with pytest.raises(error) as caught:
        decoded({**written(SEED), **changes}, error)
    assert str(caught.value).startswith(f"file: architecture: {message}")


@pytest.mark.parametrize("name", OLD)
def test_json_without_a_field(name):
    value = {key: item for key, item in written(SEED).items() if key != name}
    with pytest.raises(BundleError, match=f"architecture: field '{name}' is missing"):
        decoded(value)
