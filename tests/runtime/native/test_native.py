"""The native engine by itself: its bytes, its answers to nonsense, threads, forks and memory."""

from __future__ import annotations

import _ctypes
import contextlib
import math
import os
import random
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import textgate.native.library
from textgate.bundle.checks.reader import read_graph
from textgate.bundle.storage import read_bundle
from textgate.errors import BundleError, ConfigError
from textgate.inference.batching import padded
from textgate.inference.session import Session
from textgate.inference.tokenizer import TextTokenizer
from textgate.native.expected import ANCHORS
from textgate.native.library import VERSION, LibraryError, instruction_sets
from textgate.native.model import ALIGNMENT, MAGIC, UnknownPartError, model_bytes
from textgate.native.session import NativeSession
from textgate.native.workspace import NativeModel, Workspace
from textgate.rows import load_labelled

try:
    SETS = instruction_sets()
except LibraryError as problem:
    pytest.skip(str(problem), allow_module_level=True)

SENTIMENT = Path(__file__).parents[3] / "runtime" / "models" / "sentiment"
RNN, LSTM, GRU = range(3)
GATES = {RNN: 1, LSTM: 4, GRU: 3}


def random_model(generator: np.random.Generator, *, wild: bool = False) -> bytes:  # noqa: C901
    """A model of random sizes and random weights; wild ones can hold NaN and huge numbers."""
    pick = lambda *values: int(generator.choice(values))  # noqa: E731

    def floats(*shape):
        values = generator.normal(size=shape).astype("<f4")
        if wild and generator.random() < 0.3:
            values *= np.float32(10.0) ** generator.integers(-40, 38)
        if wild and generator.random() < 0.02:
            values.flat[0] = generator.choice([np.nan, np.inf, -np.inf])
        return values

    def whole(most, *shape):
        return generator.integers(-most, most + 1, shape).astype("i1")

    cell, directions, layers = pick(RNN, LSTM, GRU), pick(1, 2), pick(1, 2, 3)
    rows, columns, embedding = pick(2, 30), pick(1, 5, 16, 33), pick(0, 1, 2)
    poolings = generator.permutation(4)[: pick(1, 2, 4)].tolist()
    units = [pick(1, 4, 16, 19) for _ in range(layers)]
    integer = [pick(0, 1) for _ in range(layers)]
    if embedding == 0 and cell != LSTM:
        integer[0] = 0
    dense = [pick(1, 3, 20) for _ in range(pick(1, 2))]
    output, sigmoids, linear = pick(0, 1), pick(0, 1), pick(0, 1, 3)
    tokens, bigrams, kind = (pick(1, rows), pick(1, 64), pick(0, 1)) if linear else (0, 0, 0)
    bounds = [-127.5, 127.5] if cell == LSTM and integer[0] else [0.0, 0.0]
    tensors = []
    if embedding == 2:
        packed = generator.integers(0, 256, (rows, (columns + 1) // 2)).astype("u1")
        tensors += [packed, floats(rows)]
    else:
        tensors.append(floats(rows, columns) if embedding == 0 else whole(127, rows, columns))
    inputs = columns
    for size, is_integer in zip(units, integer, strict=True):
        count = GATES[cell] * size
        for _ in range(directions):
            make = (
                (lambda *shape: whole(64 if cell == LSTM else 127, *shape))
                if is_integer
                else floats
            )
            tensors += [make(count, inputs), make(count, size)]
            tensors += [floats(count) / 100, floats(count) / 100] if is_integer else []
            tensors += [floats(count), floats(count)]
        inputs = directions * size
    tensors += [floats(inputs)] if 3 in poolings else []
    inputs *= len(poolings)
    for index, size in enumerate(dense):
        if output and index + 1 == len(dense):
            tensors += [whole(127, size, inputs), floats(size) / 100]
        else:
            tensors.append(floats(size, inputs))
        tensors.append(floats(size))
        inputs = size
    if linear:

        def rows_of(count):
            return whole(127, count, linear) if kind else floats(count, linear)

        def bytes_of(count):
            return generator.integers(0, 256, count).astype("u1")

        tensors += [bytes_of(bigrams), rows_of(tokens), bytes_of(tokens)]
        tensors += [rows_of(bigrams), bytes_of(bigrams), floats(2 * linear, dense[-1])]
    words = [MAGIC, VERSION, 0, cell, layers, directions, rows, columns, embedding, len(poolings)]
    words += [*poolings, 0, 0, 0][:4]
    words += [len(dense), output, sigmoids, *np.array([0.7], "<f4").view("<i4").tolist()]
    words += [linear, tokens, bigrams, kind, *np.array(bounds, "<f4").view("<i4").tolist()]
    words += [*units, *integer, *dense]
    words[2] = len(words)
    content = np.array(words, "<i4").tobytes()
    for tensor in tensors:
        content += bytes(-len(content) % ALIGNMENT) + tensor.tobytes()
    return content


def answers(content: bytes, name: str, seed: int) -> list[object]:
    """What a model gives for random texts, or the status it fails with."""
    model = NativeModel(content, instructions=name)
    workspace = Workspace(model)
    generator = np.random.default_rng(seed)
    found: list[object] = []
    for texts, row in ((1, 1), (1, 70), (5, 9), (9, 130)):
        ids = generator.integers(0, 2, (texts, row))
        lengths = generator.integers(1, row + 1, texts)
        status = workspace.run(ids, lengths)
        found.append((status, b"" if status else workspace.probabilities[:texts].tobytes()))
        state = None
        for _ in range(2 if model.state_size and texts == 1 and not status else 0):
            try:
                numbers, state = workspace.read(ids[0, : lengths[0]], state, keep_state=True)
            except BundleError as problem:
                found.append(str(problem))
                break
            found.append((numbers, bytes(state)))
    return found


@pytest.mark.parametrize("seed", range(60))
def test_whatever_the_model_every_instruction_set_gives_the_same_bits(seed):
    content = random_model(np.random.default_rng(seed), wild=seed % 2 == 0)
    try:
        first = answers(content, SETS[0], seed)
    except BundleError:
        for name in SETS:
            with pytest.raises(BundleError):
                NativeModel(content, instructions=name)
        return
    for name in SETS[1:]:
        assert answers(content, name, seed) == first, name


@pytest.mark.parametrize("seed", range(40))
def test_damaged_bytes_are_refused_or_give_some_answer(seed):
    chance = random.Random(seed)
    whole = random_model(np.random.default_rng(seed))
    for _ in range(25):
        content = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            kind = chance.random()
            if kind < 0.5:  # a number of the header
                offset = 4 * chance.randrange(0, 30)
                value = chance.choice([0, 1, 2, 3, 4, 64, 2**15, 2**24, 2**31 - 1, -1, -(2**31)])
                content[offset : offset + 4] = value.to_bytes(4, "little", signed=True)
            elif kind < 0.8:
                content[chance.randrange(len(content))] = chance.randrange(256)
            elif kind < 0.9:
                del content[chance.randrange(len(content)) :]
            else:
                content += bytes(chance.choice([1, 64, 1000]))
        with contextlib.suppress(BundleError):
            answers(bytes(content), chance.choice(SETS), seed)


def session_of(path, **options):
    bundle = read_bundle(path)
    content = model_bytes(bundle.parts, bundle.manifest)
    return bundle, NativeSession(content, **options)


def encoded_reviews(bundle, reviews, count=100):
    texts = [row.text for row in load_labelled(reviews / "test.jsonl.gz")][:count]
    tokenizer = TextTokenizer(bundle.tokenizer, max_tokens=bundle.manifest.max_tokens)
    return tokenizer.encode_batch(texts)


BUNDLES = ["lstm-int8", "gru-float32", "rnn-multi-label", "sentiment"]


@pytest.mark.parametrize("name", BUNDLES)
@pytest.mark.parametrize("instructions", SETS)
def test_bundles_give_what_onnx_runtime_gives(bundles, reviews, name, instructions):
    path = SENTIMENT if name == "sentiment" else bundles[name]
    bundle, session = session_of(path, instructions=instructions)
    expected = Session(
        bundle.graph,
        labels=len(bundle.manifest.labels),
        sums_to_one=bundle.manifest.task != "multi-label",
        threads=1,
    )
    for item in encoded_reviews(bundle, reviews):
        batch = padded([item])
        np.testing.assert_allclose(session.run(*batch), expected.run(*batch), atol=1e-6)


def test_a_bundle_that_textgate_did_not_export_is_not_known(request):
    bundle = read_bundle(Path(__file__).parents[1] / "golden" / "bundle")
    with pytest.raises(UnknownPartError, match="what computes 'state_shape'"):
        model_bytes(bundle.parts, bundle.manifest)


@pytest.fixture(scope="module")
def sentiment():
    found = read_bundle(SENTIMENT)
    assert found.manifest.architecture.hidden_sizes == (UNITS,)
    return found


# What export never writes: the bytes of a constant, or of one of them at an offset.
UNITS = 382  # of the package's model
COLUMNS = 4 * (UNITS + ANCHORS)
LARGE = np.float32(100).tobytes()
DAMAGE = [
    ("embedding.scale", 5 * 4, LARGE, "an embedding beyond the bounds of the first layer"),
    ("embedding.scale", 0, np.float32(np.nan).tobytes(), "an embedding beyond the bounds"),
    ("lstm_1.bounds", 0, np.float32(np.inf).tobytes(), "the bounds of the first layer"),
    ("lstm_1.W", 0, b"\x41", "weights of more than 7 bits in an LSTM"),
    ("lstm_1.R", UNITS, b"\x01", "weights of anchors"),  # a column of the graph is a gate's unit
    ("lstm_1.W", 100 * COLUMNS, b"\x01", "weights of anchors"),
    ("lstm_1.R", UNITS * COLUMNS, b"\x01", "weights of anchors"),
    ("lstm_1.B", UNITS * 4, LARGE, "biases of anchors"),
    ("lstm_1.W.zero_point", 0, b"\x01", "zero points of lstm_1"),
    ("output.weight", UNITS * 4, LARGE, "weights of anchors"),
    ("state.lstm_1.c", 0, LARGE, "where 'state.lstm_1.c' begins"),
    ("state.lstm_1.c", UNITS * 4, LARGE, "where 'state.lstm_1.c' begins"),
    ("linear.second", 0, b"\x01", "constant 'linear.second'"),
]


@pytest.mark.parametrize(("name", "offset", "damage", "said"), DAMAGE, ids=str)
def test_weights_that_export_does_not_write_are_not_known(sentiment, name, offset, damage, said):
    def damaged(tensor):
        if tensor.name != name:
            return tensor
        content = bytearray(tensor.data)
        content[offset : offset + len(damage)] = damage
        return replace(tensor, data=memoryview(content))

    initializers = tuple(map(damaged, sentiment.parts.initializers))
    with pytest.raises(UnknownPartError, match=said):
        model_bytes(replace(sentiment.parts, initializers=initializers), sentiment.manifest)


@pytest.mark.parametrize("name", ["operator", "inputs", "outputs", "domain", "axis"])
def test_attributes_of_any_name_are_compared(bundle, name):
    onnx = pytest.importorskip("onnx")
    found = read_bundle(bundle)
    loaded = onnx.load_model_from_string(found.graph)
    loaded.graph.node[0].attribute.append(onnx.helper.make_attribute(name, 1))
    with pytest.raises(UnknownPartError, match="what computes"):
        model_bytes(read_graph(loaded.SerializeToString()), found.manifest)


@pytest.mark.parametrize(
    ("ids", "lengths", "said"),
    [
        ([[300]], [1], "outside the vocabulary"),
        ([[-1]], [1], "outside the vocabulary"),
        ([[2**62]], [1], "outside the vocabulary"),
        ([[1, 1], [1, 300]], [2, 2], "outside the vocabulary"),
        ([[1]], [0], "no token"),
        ([[1]], [-1], "no token"),
        ([[1]], [2], "no token, or more"),
        ([[1]], [2**62], "no token, or more"),
    ],
    ids=str,
)
def test_ids_and_lengths_out_of_range(bundle, ids, lengths, said):
    _, session = session_of(bundle)
    with pytest.raises(BundleError, match=said):
        session.run(np.array(ids), np.array(lengths))
    assert session.run(np.array([[1]]), np.array([1])).shape == (1, 2)  # it goes on


@pytest.mark.parametrize("ids", [[], [300], [-1], [2**62]], ids=str)
def test_a_piece_out_of_range(bundle, ids):
    _, session = session_of(bundle)
    with pytest.raises(BundleError, match=r"outside the vocabulary|no token"):
        session.read(ids)
    assert len(session.read([1])[0]) == 2


@pytest.mark.parametrize("number", [math.nan, math.inf, -3e38, 1e-40])
def test_a_damaged_weight_or_scale_is_refused_or_gives_probabilities(bundle, number):
    found = read_bundle(bundle)
    whole = model_bytes(found.parts, found.manifest)
    damage = np.float32(number).tobytes()
    for offset in range(ALIGNMENT, len(whole) - 4, ALIGNMENT):  # tensors begin at such offsets
        content = whole[:offset] + damage + whole[offset + 4 :]
        with contextlib.suppress(BundleError):
            row, _ = NativeSession(content, instructions=SETS[0]).read([2, 3, 4])
            assert sum(row) == pytest.approx(1, abs=1e-3), offset


def test_padding_is_not_read(bundle):
    _, session = session_of(bundle)
    ids = np.array([[5, 6, -1, 2**40]])
    np.testing.assert_array_equal(
        session.run(ids, np.array([2])), session.run(ids[:, :2], np.array([2]))
    )


def test_states_out_of_range():
    bundle, session = session_of(SENTIMENT)
    widths = {item.input: item.shape[-1] for item in bundle.manifest.state}
    _, state = session.read([5], keep_state=True)
    begin = 0
    for name, width in widths.items():
        for bad in (math.nan, -1.0, 20000.0, math.inf):
            wrong = type(state)(*state)
            wrong[begin : begin + width] = [bad] * width
            if name == "state.linear.previous":
                with pytest.raises(BundleError, match="a state is not one that the engine gave"):
                    session.read([5], wrong)
            else:
                with contextlib.suppress(BundleError):  # there may be an answer: maxima drop NaN
                    session.read([5], wrong)
        begin += width
    assert begin == len(state)


def test_an_unknown_instruction_set(bundle):
    with pytest.raises(ConfigError, match=r"instruction set 'mmx' .*: portable"):
        session_of(bundle, instructions="mmx")


def test_threads_share_a_session(bundle, reviews):
    found, session = session_of(bundle)
    batches = [padded([item]) for item in encoded_reviews(found, reviews, 50)]
    expected = [session.run(*batch) for batch in batches]
    wrong = []

    def work():
        for _ in range(20):
            for batch, answer in zip(batches, expected, strict=True):
                if not np.array_equal(session.run(*batch), answer):
                    wrong.append(batch)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_process_goes_on(bundle):
    """Also with a thread of the parent in the middle of a call."""
    code = f"""
import os, sys, threading, numpy as np
from textgate.bundle.storage import read_bundle
from textgate.native.model import model_bytes
from textgate.native.session import NativeSession
bundle = read_bundle({str(bundle)!r})
session = NativeSession(model_bytes(bundle.parts, bundle.manifest))
ids, lengths = np.ones((1, 2000), np.int64), np.array([2000])
expected = session.run(ids, lengths)
threading.Thread(target=lambda: [session.run(ids, lengths) for _ in range(300)]).start()
for _ in range(20):
    child = os.fork()
    if not child:
        os._exit(0 if (session.run(ids, lengths) == expected).all() else 1)
    assert os.waitpid(child, 0)[1] == 0
"""
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr


def test_a_text_of_ten_million_tokens(bundle):
    """One direction needs no more memory for it; a network of two directions needs gigabytes."""
    _, session = session_of(bundle)
    assert session.run(np.ones((1, 10_000_000), np.int64), np.array([10_000_000])).shape == (1, 2)


@pytest.mark.skipif(sys.platform != "linux", reason="this system does not limit address space")
@pytest.mark.parametrize("more", [2**26, 2**20])  # the text's ids fit, or do not
def test_a_text_that_needs_more_memory_than_there_is(bundles, more):
    """A network of two directions keeps every step of a text."""
    code = f"""
import resource, numpy as np
from pathlib import Path
from textgate.bundle.checks.reader import read_graph
from textgate.bundle.storage import read_bundle
from textgate.errors import TextgateError
from textgate.native.model import model_bytes
from textgate.native.session import NativeSession
bundle = read_bundle({str(bundles["rnn-multi-label"])!r})
session = NativeSession(model_bytes(bundle.parts, bundle.manifest))
ids = np.ones((1, 3_000_000), np.int64)
session.run(ids[:, :9], np.array([9]))
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + {more}, used + {more}))
try:
    session.run(ids, np.array([ids.size]))
except TextgateError as problem:
    print(problem)
print(session.run(ids[:, :9], np.array([9])).shape)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stderr == ""
    message, shape = done.stdout.splitlines()
    assert message == "the native engine cannot go on: there is not enough memory"
    assert shape == "(1, 5)"


def test_a_library_of_another_version(monkeypatch):
    monkeypatch.setattr(textgate.native.library, "VERSION", 99)
    with pytest.raises(LibraryError, match="of version 1, expected 99; install again"):
        textgate.native.library.library.__wrapped__()


@pytest.mark.parametrize("content", [b"", b"no library", None])
def test_a_file_that_is_not_the_library(tmp_path, monkeypatch, content):
    library = tmp_path / textgate.native.library.NAME
    if content is None:  # a library of something else
        library.symlink_to(_ctypes.__file__)
    else:
        library.write_bytes(content)
    monkeypatch.setattr(textgate.native.library, "__file__", str(tmp_path / "library.py"))
    with pytest.raises(LibraryError, match="the native engine cannot be loaded: "):
        textgate.native.library.library.__wrapped__()


def test_onnxruntime_is_not_imported(bundle):
    code = f"""
import sys, numpy as np
from textgate.bundle.storage import read_bundle
from textgate.native.model import model_bytes
from textgate.native.session import NativeSession
bundle = read_bundle({str(bundle)!r})
session = NativeSession(model_bytes(bundle.parts, bundle.manifest))
session.run(np.array([[1]]), np.array([1]))
assert "onnxruntime" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
