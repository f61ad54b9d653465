"""The logical network: its arithmetic, its table, and what it refuses to be."""

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
from textgate.bundle.schema import FieldReader
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
        "Linear branch, tokens + pairs",
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
LIMIT = "sizes must be from 1 to 16777216"
REFUSED = [
    ({"cell": "LSTM"}, "cell 'LSTM' is not one of rnn, lstm, gru"),
    ({"output": "tanh"}, "output 'tanh' is not one of sigmoid, softmax, multi-label"),
    ({"hidden_sizes": ()}, "at least one recurrent layer is needed (hidden sizes is empty)"),
    ({"pooling": ()}, "at least one pooling is needed"),
    ({"pooling": ("max", "min")}, "pooling 'max+min' is not made of last, max, mean, attention"),
    ({"pooling": ("max", "max")}, "a pooling is named twice"),
    ({"embedding_size": 0}, LIMIT),
    ({"hidden_sizes": (8, 0)}, LIMIT),
    ({"hidden_sizes": (2**24 + 1,)}, LIMIT),
    ({"dense_sizes": (-1,)}, LIMIT),
    ({"vocabulary_size": 2**24 + 1}, LIMIT),
    ({"vocabulary_size": 1}, "the vocabulary must hold at least padding and the unknown word"),
    ({"embedding_dropout": 1.0}, "dropout must be at least 0 and below 1"),
    ({"layer_dropout": -0.1}, "dropout must be at least 0 and below 1"),
    ({"head_dropout": float("nan")}, "dropout must be at least 0 and below 1"),
    ({"output": "multi-label", "label_count": 0}, "there must be at least one label"),
    ({"output": "softmax", "label_count": 1}, "needs two labels or more, not 1"),
    ({"label_count": 3}, "one sigmoid unit tells two labels apart, not 3; use softmax"),
    ({"linear_size": 4}, "a linear branch needs a size, tokens and buckets, all above 0"),
    ({"linear_tokens": 4}, "a linear branch needs a size, tokens and buckets, all above 0"),
    ({"linear_size": 4, "linear_buckets": 4}, "a linear branch needs a size, tokens and buckets"),
    ({**BRANCH, "linear_size": -1}, "the linear branch's sizes must be from 0 to 16777216"),
    ({**BRANCH, "linear_buckets": 2**24 + 1}, "the linear branch's sizes must be from 0 to"),
    ({**BRANCH, "linear_tokens": 1001}, "cannot have more tokens than the vocabulary"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED, ids=[str(case[0]) for case in REFUSED])
def test_refusals(changes, message):
    with pytest.raises(ConfigError) as caught:
        changed(**changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def reader(value, error=BundleError):
    return FieldReader(value, where="file: architecture", error=error)


def test_json_and_back():
    for net in (changed(pooling=("max", "mean"), embedding_dropout=0.25), changed(**BRANCH)):
        text = json.dumps(net.to_json())
        assert Architecture.from_json(reader(json.loads(text)), error=BundleError) == net


def old_json():
    """What was written before there was a linear branch."""
    value = SEED.to_json()
    for name in BRANCH:
        del value[name]
    return value


def test_json_from_before_the_linear_branch():
    assert Architecture.from_json(reader(old_json()), error=BundleError) == SEED


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"linear_size": 4}, "field 'linear_tokens' is missing"),
        ({"linear_size": 4, "linear_tokens": 9}, "field 'linear_buckets' is missing"),
        ({"linear_tokens": 9}, "unknown field 'linear_tokens'"),
        ({**BRANCH, "linear_size": "4"}, "field 'linear_size' should be a whole number"),
        ({**BRANCH, "linear_size": 0}, "architecture: a linear branch needs a size, tokens and"),
    ],
)
def test_json_of_half_a_branch(given, message):
    with pytest.raises(BundleError) as caught:
        Architecture.from_json(reader({**old_json(), **given}), error=BundleError)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cell": 3}, "field 'cell' should be a string, found 3"),
        ({"hidden_sizes": [1.5]}, "field 'hidden_sizes' should be a list of whole numbers"),
        ({"bidirectional": 0}, "field 'bidirectional' should be true or false, found 0"),
        ({"extra": 1}, "unknown field 'extra'"),
        ({"cell": "tree"}, "architecture: cell 'tree' is not one of rnn, lstm, gru"),
        ({"head_dropout": 7}, "architecture: dropout must be at least 0 and below 1"),
    ],
)
@pytest.mark.parametrize("error", [BundleError, CheckpointError])
def test_json_that_is_no_architecture(changes, message, error):
    with pytest.raises(error) as caught:
        Architecture.from_json(reader(SEED.to_json() | changes, error), error=error)
    assert message in str(caught.value)


def test_json_without_a_field():
    value = SEED.to_json()
    del value["embedding_size"]
    with pytest.raises(BundleError, match="architecture: field 'embedding_size' is missing"):
        Architecture.from_json(reader(value), error=BundleError)
