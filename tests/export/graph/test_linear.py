"""The linear branch as a graph equals torch, and exactly so for any chunks in integers."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from textgate.bundle.architecture import CELLS
from textgate.export.operators import operator_reports
from textgate.export.quantize.plan import FLOAT32, INT8, Plan, Storage
from textgate.inference.session import make_session
from textgate.train.text.bigrams import EMPTY, find_features, look_up
from textgate.train.training.initialization import Initialization

TOLERANCE = 1e-5
VOCABULARY, TOKENS, BUCKETS = 30, 22, 256
BRANCH = {"vocabulary_size": VOCABULARY, "linear_tokens": TOKENS, "linear_buckets": BUCKETS}
OUTPUTS = [  # output, labels, columns of the branch: one a logit, or others
    ("sigmoid", 2, 1),
    ("sigmoid", 2, 4),
    ("softmax", 2, 2),
    ("softmax", 5, 5),
    ("softmax", 5, 3),
    ("multi-label", 1, 1),
    ("multi-label", 4, 6),
]


def texts(count, *, seed=0, longest=25):
    """Texts in which some words often follow each other."""
    generator = np.random.default_rng(seed)
    follower = np.random.default_rng(7).permutation(np.arange(2, VOCABULARY))
    found = []
    for _ in range(count):
        ids = [int(generator.integers(2, VOCABULARY))]
        for _ in range(int(generator.integers(0, longest))):
            usual = follower[ids[-1] - 2]
            ids.append(
                int(usual if generator.random() < 0.7 else generator.integers(2, VOCABULARY))
            )
        found.append(np.array(ids, dtype=np.int64))
    return found


def labels_of(lists):
    """One of three labels for each text."""
    return np.eye(3, dtype=np.float32)[np.arange(len(lists)) % 3]


def pad(lists):
    """Ids [batch, longest] padded with random ids that form bigrams, and lengths."""
    lengths = np.array([len(ids) for ids in lists], dtype=np.int64)
    batch = np.resize(lists[0], (len(lists), int(lengths.max())))
    for row, ids in enumerate(lists):
        batch[row, : len(ids)] = ids
    return batch, lengths


@pytest.fixture(scope="module")
def branched(tools):
    """Makes networks with a branch whose bigrams are those of `texts`."""

    def make(**changes):
        changes = {"linear_size": 3, **BRANCH, **changes}
        model = tools.network(**changes)
        some = texts(60, seed=99)
        found = find_features(some, labels_of(some), max_buckets=BUCKETS)
        assert len(found.fingerprints) == BUCKETS
        tokens = model.architecture.linear_tokens
        generator = np.random.default_rng(1)
        owned = found.fingerprints != EMPTY
        found = dataclasses.replace(
            found,
            token_weights=generator.integers(64, 192, tokens).astype(np.uint8),
            bigram_weights=(owned * generator.integers(64, 192, BUCKETS)).astype(np.uint8),
        )
        with torch.no_grad():
            model.linear.projection.weight.mul_(2.0)
        Initialization(features=found).apply(model)
        return model

    return make


@pytest.fixture(scope="module")
def alone(branched):
    """A network that consists of the branch only."""

    def make(**changes):
        model = branched(**changes)
        with torch.no_grad():
            model.head[-1].weight.zero_()
            model.head[-1].bias.zero_()
        return model

    return make


def test_the_texts_have_known_bigrams(branched):
    """And unknown bigrams, so that the following tests cover both."""
    ids, lengths = pad(texts(50))
    _, found = look_up(torch.from_numpy(ids), branched().linear.fingerprints)
    inside = torch.arange(ids.shape[1]) < torch.from_numpy(lengths)[:, None]
    fraction = found[inside].float().mean().item()
    assert 0.5 < fraction < 0.95


# The same as torch


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_float32_equals_torch(tools, branched, cell, bidirectional):
    for index, (output, labels, size) in enumerate(OUTPUTS):
        model = branched(
            cell=cell,
            bidirectional=bidirectional,
            output=output,
            label_count=labels,
            linear_size=size,
            pooling=("max", "mean"),
            dense_sizes=(4,)[: index % 2],
            seed=index,
        )
        temperature = (1.0, 0.5, 3.0)[index % 3]
        session = make_session(tools.graph(model, FLOAT32, temperature).model)
        for batch in (1, 2, 7):
            ids, lengths = pad(texts(batch, seed=10 * index + batch))
            np.testing.assert_allclose(
                tools.by_graph(session, ids, lengths),
                tools.by_torch(model, ids, lengths, temperature),
                atol=TOLERANCE,
            )


@pytest.fixture(scope="module")
def pair(tools, branched):
    model = branched(hidden_sizes=(6, 5), linear_size=4)
    return model, make_session(tools.graph(model, FLOAT32).model)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=40), min_size=1, max_size=9
    )
)
def test_for_any_ids(pair, tools, lists):
    model, session = pair
    ids, lengths = pad([np.array(ids, dtype=np.int64) for ids in lists])
    np.testing.assert_allclose(
        tools.by_graph(session, ids, lengths), tools.by_torch(model, ids, lengths), atol=TOLERANCE
    )


@pytest.mark.parametrize("length", [1, 2, 3, 50, 400, 3000])
def test_at_any_length(pair, tools, length):
    model, session = pair
    ids, lengths = pad([np.resize(np.concatenate(texts(40)), length), *texts(2)])
    np.testing.assert_allclose(
        tools.by_graph(session, ids, lengths), tools.by_torch(model, ids, lengths), atol=TOLERANCE
    )


def test_ids_up_to_the_largest_are_mixed_without_overflow(tools, branched):
    """The hash of a bigram is a product of ids that overflows 32 bits."""
    size = 400_000
    model = branched(vocabulary_size=size, linear_tokens=size, embedding_size=1, hidden_sizes=(2,))
    generator = np.random.default_rng(0)
    some = [generator.integers(size - 50, size, 30) for _ in range(40)]
    with torch.no_grad():
        found = find_features(some, labels_of(some), max_buckets=BUCKETS)
        model.linear.fingerprints.copy_(torch.from_numpy(found.fingerprints))
    ids, lengths = pad(some)
    found = tools.by_graph(tools.graph(model, FLOAT32), ids, lengths)
    np.testing.assert_allclose(found, tools.by_torch(model, ids, lengths), atol=TOLERANCE)


@pytest.mark.parametrize(
    "plan",
    [INT8, Plan(4, Storage.COMPUTED), Plan(8, Storage.STORED, output=Storage.STORED)],
    ids=["int8", "4-bit", "stored"],
)
@pytest.mark.parametrize("case", OUTPUTS)
def test_int8_is_close(tools, alone, plan, case):
    """Tables are rounded to a 127th of their largest value, whatever the embedding's bits."""
    output, labels, size = case
    model = alone(output=output, label_count=labels, linear_size=size)
    ids, lengths = pad(texts(60))
    found = tools.by_graph(tools.graph(model, plan), ids, lengths)
    expected = tools.by_torch(model, ids, lengths)
    assert 0 < np.abs(found - expected).max() < 0.02
    assert expected.std() > 0.05


# Chunks


CHUNKED = settings(max_examples=60, deadline=None)
CUT_TEXTS = given(
    ids=st.lists(st.integers(0, 2**16), min_size=2, max_size=40),
    cuts=st.sets(st.integers(1, 39), max_size=8),
)


def language(numbers):
    """A text whose words mostly follow each other as in `texts`."""
    whole = np.concatenate(texts(60, seed=1))
    return np.array([whole[number % len(whole)] for number in numbers], dtype=np.int64)


def logits(session, feed):
    return session.run(["logits"], feed)[0]


def chunked_logits(graph, session, text, cuts):
    names = ["logits", *(state.output for state in graph.states)]
    carried = {}
    for chunk in np.split(text, cuts):
        feed = {"input_ids": chunk[None], "lengths": np.array([len(chunk)]), **carried}
        found, *values = session.run(names, feed)
        carried = {state.input: value for state, value in zip(graph.states, values, strict=True)}
    return found


@pytest.fixture(scope="module", params=["int8", "4-bit"])
def integer_branch(request, tools, alone):
    plan = {"int8": INT8, "4-bit": Plan(4, Storage.COMPUTED)}[request.param]
    graph = tools.graph(alone(linear_size=4), plan)
    return graph, make_session(graph.model)


@CHUNKED
@CUT_TEXTS
def test_in_integers_chunks_are_exactly_the_whole(integer_branch, ids, cuts):
    graph, session = integer_branch
    text = language(ids)
    whole = logits(session, {"input_ids": text[None], "lengths": np.array([len(text)])})
    found = chunked_logits(graph, session, text, sorted(cut for cut in cuts if cut < len(text)))
    np.testing.assert_array_equal(found, whole)


@CHUNKED
@CUT_TEXTS
def test_in_integers_batch_and_padding_change_nothing(integer_branch, ids, cuts):
    _, session = integer_branch
    text = language(ids)
    batch, lengths = pad([text, *(text[cut:] for cut in sorted(cuts) if cut < len(text))])
    together = logits(session, {"input_ids": batch, "lengths": lengths})
    alone = logits(session, {"input_ids": text[None], "lengths": lengths[:1]})
    np.testing.assert_allclose(together[:1], alone, atol=1e-6)


def weighed_bigram(branch, two):
    """The sum that a known bigram with a row of ones adds to each logit."""
    buckets, _ = look_up(torch.tensor([two]), branch.fingerprints)
    weight = float(branch.pair_weights[buckets[0, 1]])
    tokens = [
        float(branch.token_weights[token]) for token in two if token < len(branch.token_weights)
    ]
    return 3.0 * weight / (weight**2 + sum(value**2 for value in tokens)) ** 0.5


def test_a_bigram_may_be_split_by_chunks(tools, alone):
    """Only known bigrams count, so a lost or invented one at a border changes the result."""
    model = alone(linear_size=3)
    with torch.no_grad():
        model.linear.tokens.weight.zero_()
        model.linear.pairs.weight.fill_(1.0)
        model.linear.projection.weight.copy_(torch.eye(3))
    known, free = [], []
    table = model.linear.fingerprints
    for text in texts(300, seed=5):
        for two in pairwise(text.tolist()):
            _, found = look_up(torch.tensor([two]), table)
            if not found[0, 0]:  # at the beginning nothing is known, for a clear sum
                (known if found[0, 1] else free).append(two)
    for plan, tolerance in ((FLOAT32, 1e-6), (INT8, 0.01)):
        graph = tools.graph(model, plan)
        session = make_session(graph.model)
        for bigrams, has_row in ((known[:20], True), (free[:20], False)):
            assert len(bigrams) == 20
            for two in bigrams:
                found = chunked_logits(graph, session, np.array(two), [1])
                expected = weighed_bigram(model.linear, two) if has_row else 0.0
                np.testing.assert_allclose(found, [[expected] * 3], atol=tolerance)


def test_the_states_of_a_stream(tools, branched):
    graph = tools.graph(branched(linear_size=4), INT8)
    shapes = {state.input: state.shape for state in graph.states if "linear" in state.input}
    assert shapes == {
        "state.linear.previous": (-1, 1),
        "state.linear.sum": (-1, 8),
        "state.linear.squares": (-1, 1),
    }


def test_streams_may_continue_in_one_batch(tools, branched):
    """Several texts in one batch, with chunks of different lengths."""
    graph = tools.graph(branched(), INT8)
    session = make_session(graph.model)
    lists = texts(6, seed=3, longest=20)
    lists = [ids for ids in lists if len(ids) > 2]
    names = ["probabilities", *(state.output for state in graph.states)]
    ids, lengths = pad([text[:2] for text in lists])
    _, *values = session.run(names, {"input_ids": ids, "lengths": lengths})
    carried = {state.input: value for state, value in zip(graph.states, values, strict=True)}
    ids, lengths = pad([text[2:] for text in lists])
    found = session.run(names, {"input_ids": ids, "lengths": lengths, **carried})[0]
    np.testing.assert_allclose(found, tools.by_graph(session, *pad(lists)), atol=1e-6)


def test_bidirectional_networks_carry_no_state(tools, branched):
    graph = tools.graph(branched(bidirectional=True), INT8)
    assert graph.states == ()
    ids, lengths = pad(texts(7))
    together = tools.by_graph(graph, ids, lengths)
    for row, length in enumerate(lengths):
        found = tools.by_graph(graph, ids[row : row + 1, :length], lengths[row : row + 1])
        np.testing.assert_allclose(found[0], together[row], atol=1e-6)


# Ids without a row


@pytest.mark.parametrize("plan", [FLOAT32, INT8], ids=["float32", "int8"])
def test_ids_above_the_branchs_tokens_add_nothing(tools, alone, plan):
    model = alone(linear_tokens=10)
    with torch.no_grad():
        model.linear.fingerprints.fill_(EMPTY)
    graph = tools.graph(model, plan)
    session = make_session(graph.model)
    later = np.array([[10, 11, VOCABULARY - 1]])
    assert not logits(session, {"input_ids": later, "lengths": np.array([3])}).any()
    mixed = np.array([[10, 9, 29, 3]])
    found = logits(session, {"input_ids": mixed, "lengths": np.array([4])})
    same = logits(session, {"input_ids": np.array([[9, 3, 12, 13]]), "lengths": np.array([4])})
    assert found.any()
    np.testing.assert_allclose(found, same, atol=1e-6)


# What is inside


def parsed(graph):
    return onnx.load_model_from_string(graph.model)


def tensors(graph):
    return {item.name: numpy_helper.to_array(item) for item in parsed(graph).graph.initializer}


@pytest.mark.parametrize(
    ("plan", "kind"), [(FLOAT32, np.float32), (INT8, np.int8), (Plan(4, Storage.COMPUTED), np.int8)]
)
def test_the_storage_of_its_tables(tools, branched, plan, kind):
    graph = tools.graph(branched(), plan)
    onnx.checker.check_model(parsed(graph), full_check=True)
    stored = tensors(graph)
    for name, rows in (("linear.tokens", TOKENS), ("linear.pairs", BUCKETS)):
        assert (stored[name].dtype, stored[name].shape) == (kind, (rows, 3))
        readers = [node.op_type for node in parsed(graph).graph.node if name in node.input]
        assert readers == ["Gather"]  # before it is widened, not after
        if kind is np.int8:
            assert np.abs(stored[name].astype(int)).max(axis=0).tolist() == [127] * 3
    assert stored["linear.fingerprints"].dtype == np.uint8


@pytest.mark.parametrize(
    ("plan", "stored"),
    [(FLOAT32, "float32"), (INT8, "int8 per column"), (Plan(4, Storage.STORED), "int8 per column")],
)
def test_the_report_has_a_line(tools, branched, plan, stored):
    model = branched()
    before, after = (tools.graph(model, made).model for made in (FLOAT32, plan))
    *_, line = operator_reports(model.architecture, plan, float32_model=before, model=after)
    assert (line.name, line.kind, line.stored, line.computed) == (
        "linear",
        "Linear branch",
        stored,
        "float32",
    )
    tables = 3 * (TOKENS + BUCKETS)
    assert line.bytes_before >= 4 * tables + BUCKETS
    assert line.bytes_after < (1.1 * line.bytes_before if stored == "float32" else 2 * tables)


def test_without_a_branch_there_is_none(tools):
    for plan in (FLOAT32, INT8):
        graph = tools.graph(tools.network(), plan)
        assert not any("linear" in name for name in graph.model.decode("latin-1").split("\0"))
        assert not any("linear" in state.input for state in graph.states)


def test_extreme_tables_stay_finite(tools, branched):
    for spread in (0.0, 1e-20, 30.0, 1e30):
        model = branched()
        with torch.no_grad():
            model.linear.tokens.weight.mul_(spread)
            model.linear.pairs.weight.mul_(spread)
        for plan in (INT8, Plan(8, Storage.STORED)):
            found = tools.by_graph(tools.graph(model, plan), *pad(texts(5)))
            assert np.isfinite(found).all()
            np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
