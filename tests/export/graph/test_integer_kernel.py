"""The integer LSTM equals exact arithmetic, also on CPUs whose 16-bit sums saturate.

CPUs with AVX2 or AVX-512 but no VNNI add two products of a uint8 activation and an int8 weight in
16 bits, with saturation. Weights from -63 to 63 cannot reach that limit, so that a graph computes
the same everywhere. That is shown three ways: by arithmetic, by a reference in numpy that
saturates as those CPUs do, and, where valgrind is at hand, by ONNX Runtime's own kernel for them:
the CPU that valgrind shows to a program has AVX2 and no VNNI.
"""

from __future__ import annotations

import dataclasses
import itertools
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from tests.export.integer_lstm import (
    OPERATOR,
    exact_activations,
    exact_product,
    first_operands,
    library_activations,
    operator_graph,
    product_graph,
    reference,
    rounded,
    saturating_product,
    with_outputs,
    with_states,
)
from textgate.bench.machine import this_machine
from textgate.bundle.architecture import Architecture
from textgate.export.graph.network import build_graph
from textgate.export.quantize.plan import INT8
from textgate.export.quantize.quantization import MAX_COMPUTED_WEIGHT
from textgate.export.quantize.weights import CellWeights, DenseWeights, NetworkWeights
from textgate.inference.batching import padded
from textgate.inference.session import make_session
from textgate.inference.tokenizer import Encoded, TextTokenizer
from textgate.rows import load_labelled
from textgate.train.text.vocabulary import build_tokenizer
from textgate.train.training.presets import preset

ROOT = Path(__file__).parents[3]
TEXTS = {
    "reviews": ROOT / "examples" / "reviews" / "test.jsonl.gz",
    "sst2": ROOT.parent / "shared" / "data" / "sst2" / "test.jsonl.gz",
}
OUTPUTS = ["probabilities", "lstm_1.Y", "lstm_2.Y"]
SEED_LSTM = preset("seed-lstm").architecture(
    vocabulary_size=1000, label_count=2, task="single-label"
)
# Compilers for x86-64 keep float32 products and sums apart; others may fuse them, and then a value
# on the border between two integers may be rounded to the other one.
BIT_FOR_BIT = platform.machine().lower() in ("x86_64", "amd64")

# Runs every graph of a folder on the inputs beside it, in a process with nothing else to do.
RUNNER = """
import pathlib, sys
import numpy
from textgate.inference.session import make_session
for path in pathlib.Path(sys.argv[1]).glob("*.onnx"):
    session = make_session(path.read_bytes())
    feed = dict(numpy.load(path.with_suffix(".feed.npz")))
    names = [output.name for output in session.get_outputs()]
    numpy.savez(path.with_suffix(".out.npz"), **dict(zip(names, session.run(names, feed))))
"""


@pytest.fixture(autouse=True)
def cpu(record_property):
    """Record and return the CPU of this run."""
    machine = this_machine()
    found = f"{machine.processor}, {machine.architecture}: {' '.join(machine.features)}"
    record_property("cpu", found)
    return found


@pytest.fixture(scope="module")
def graphs():
    """The seed LSTM with wide random weights: as exported, and with weights of a full 8 bits."""
    weights = wide_weights(SEED_LSTM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("textgate.export.graph.cells.MAX_COMPUTED_WEIGHT", 127)
        eight_bits = build_graph(SEED_LSTM, weights, INT8).model
    exported = build_graph(SEED_LSTM, weights, INT8).model
    return {7: with_states(exported), 8: with_states(eight_bits)}


def test_seven_bits_cannot_saturate():
    assert np.iinfo(np.int16).max >= 2 * 255 * MAX_COMPUTED_WEIGHT
    extremes = np.array(
        list(itertools.product((-MAX_COMPUTED_WEIGHT, MAX_COMPUTED_WEIGHT), repeat=4))
    )
    right = np.tile(extremes.T, (33, 1)).astype(np.int8)  # [132, 16]: every mixture of signs
    left = np.array([[255, 255, 255, 255], [255, 0, 0, 255], [1, 254, 128, 127]])
    left = np.tile(left, (1, 33)).astype(np.uint8)
    np.testing.assert_array_equal(saturating_product(left, right), exact_product(left, right))


def test_eight_bits_saturate():
    left, right = np.full((1, 66), 255, np.uint8), np.full((66, 1), 127, np.int8)
    assert exact_product(left, right).item() == 66 * 255 * 127
    assert saturating_product(left, right).item() == 33 * 32767


@pytest.mark.parametrize(
    "values",
    [
        np.array([[0.0, 0.0]]),
        np.array([[0.25, 3.0]]),
        np.array([[-0.25, -3.0]]),
        np.array([[-1.0, 1.0, 0.3, 1e-9]]),  # the range of hidden states: its zero point is a tie
        np.arange(-128, 128)[None] + 0.5,  # every value a tie
        np.random.default_rng(0).normal(size=(5, 200)),
    ],
    ids=["zeros", "positive", "negative", "anchored", "ties", "random"],
)
def test_rounding_equals_the_librarys(values):
    values = values.astype(np.float32)
    outputs = {"y": TensorProto.UINT8, "scale": TensorProto.FLOAT, "zero_point": TensorProto.UINT8}
    graph = operator_graph("DynamicQuantizeLinear", {"x": TensorProto.FLOAT}, outputs)
    integers, scale, zero_point = make_session(graph).run(None, {"x": values})
    found = rounded(values)
    np.testing.assert_array_equal(found.integers, integers)
    assert (found.scale, found.zero_point) == (scale, zero_point)


@pytest.mark.parametrize("rows", [1, 7])  # one row has a kernel of its own
@pytest.mark.parametrize("case", ["largest", "smallest", "random", "text"])
def test_this_cpu_adds_up_exactly(cpu, graphs, case, rows):
    generator = np.random.default_rng(0)
    left = np.full((rows, 66), 255, dtype=np.uint8)
    right = np.full((66, 520), MAX_COMPUTED_WEIGHT, dtype=np.int8)
    if case == "smallest":
        right = -right
    elif case == "random":
        left = generator.integers(0, 256, left.shape).astype(np.uint8)
        right = generator.integers(
            -MAX_COMPUTED_WEIGHT, MAX_COMPUTED_WEIGHT + 1, right.shape
        ).astype(np.int8)
    elif case == "text":
        right, values = first_layer(graphs[7], encoded_texts("reviews", 10)[-1])
        left = rounded(values).integers[:rows]
    found = make_session(product_graph(right)).run(["y"], {"x": left})[0]
    np.testing.assert_array_equal(found, exact_product(left, right), err_msg=cpu)


def test_embedded_integers_are_not_rounded_again(graphs):
    _, values = first_layer(graphs[7], encoded_texts("reviews", 10)[-1])
    found = rounded(values)
    restored = (found.integers.astype(np.float32) - found.zero_point) * found.scale
    embedded = np.zeros(values.shape, dtype=bool)  # all but the anchors
    embedded[:, : SEED_LSTM.embedding_size] = True
    np.testing.assert_array_equal(restored[embedded], values[embedded])


@pytest.mark.parametrize("name", TEXTS)
def test_states_are_those_of_exact_arithmetic(cpu, graphs, name, record_property):
    """With the library's own tanh and sigmoid every rounding is the same."""
    states, probabilities = differences(graphs[7], encoded_texts(name, 100), library_activations())
    record_property("largest_state_difference", float(states.max()))
    if BIT_FOR_BIT:
        assert states.max() == 0, cpu
        assert probabilities.max() <= 1e-6, cpu  # the head's sums, in another order
    else:
        assert probabilities.max() <= 5e-3, cpu
        assert probabilities.mean() <= 1e-5, cpu


def test_approximated_activations_change_almost_nothing(cpu, graphs):
    """Compared with tanh and sigmoid in float64: one ulp, and rarely a state rounded differently.

    On 3,233 texts and two networks, 0.3 to 0.8 % of the texts had such a state; it moved a
    probability by 0.002 at most.
    """
    states, probabilities = differences(
        graphs[7], encoded_texts("reviews", 100), exact_activations()
    )
    assert np.median(states) <= 1e-6, cpu
    assert np.mean(states > 1e-6) <= 0.05, cpu
    assert probabilities.max() <= 5e-3, cpu
    assert probabilities.mean() <= 5e-5, cpu


def test_batch_is_computed_like_its_rows(cpu, graphs):
    feed = as_feed(encoded_texts("reviews", 6))
    found = make_session(graphs[7]).run(OUTPUTS, feed)
    expected = reference(graphs[7], activations=library_activations()).run(OUTPUTS, feed)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6 if BIT_FOR_BIT else 5e-3)


def test_saturation_would_change_eight_bits_only(graphs):
    feed = as_feed(encoded_texts("reviews", 2))
    for bits, graph in graphs.items():
        exact, saturated = (
            reference(graph, product=product, activations=library_activations()).run(OUTPUTS, feed)
            for product in (exact_product, saturating_product)
        )
        largest = max(np.abs(a - b).max() for a, b in zip(exact[1:], saturated[1:], strict=True))
        assert (largest == 0) == (bits == 7)
        assert bits == 7 or largest > 0.01


def test_kernel_without_dot_product_instructions(graphs, tmp_path):
    """Runs the kernel that ONNX Runtime selects on a CPU with AVX2 and without VNNI."""
    encoded = encoded_texts("reviews", 6)
    feeds = {bits: as_feed(encoded) for bits in graphs}
    for bits, graph in graphs.items():
        (tmp_path / f"{bits}.onnx").write_bytes(graph)
        np.savez(tmp_path / f"{bits}.feed.npz", **feeds[bits])
    left, right = np.full((2, 66), 255, np.uint8), np.full((66, 16), 127, np.int8)
    (tmp_path / "probe.onnx").write_bytes(product_graph(right))
    np.savez(tmp_path / "probe.feed.npz", x=left)
    run_under_valgrind(tmp_path)

    if (np.load(tmp_path / "probe.out.npz")["y"] == 66 * 255 * 127).all():
        pytest.skip("the kernel that ONNX Runtime takes under valgrind does not saturate")
    for bits, graph in graphs.items():
        emulated = np.load(tmp_path / f"{bits}.out.npz")
        here = make_session(graph).run(OUTPUTS, feeds[bits])
        saturated = reference(
            graph, product=saturating_product, activations=library_activations()
        ).run(OUTPUTS, feeds[bits])
        for name, value, expected in zip(OUTPUTS, here, saturated, strict=True):
            np.testing.assert_allclose(emulated[name], expected, rtol=0, atol=1e-6)
            if bits == 7:
                np.testing.assert_allclose(emulated[name], value, rtol=0, atol=1e-6)


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("factor", [1e-20, 1.0, 1e20])
def test_exported_weights_have_seven_bits(per_channel, bidirectional, factor):
    net = preset("default").architecture(vocabulary_size=50, label_count=3, task="single-label")
    net = dataclasses.replace(net, bidirectional=bidirectional, hidden_sizes=(9, 6))
    plan = dataclasses.replace(INT8, per_channel=per_channel)
    model = onnx.load_model_from_string(build_graph(net, wide_weights(net, factor), plan).model)
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    operators = [node for node in model.graph.node if node.op_type == OPERATOR]
    assert len(operators) == 2
    for node in operators:
        for name in node.input[1:3]:
            assert tensors[name].dtype == np.int8
            assert np.abs(tensors[name].astype(int)).max() == MAX_COMPUTED_WEIGHT == 63


def wide_weights(net: Architecture, factor: float = 3.0) -> NetworkWeights:
    """Return random weights, wide enough for gates to open and close."""
    generator = np.random.default_rng(0)

    def uniform(*shape: int, width: float = 1.0) -> np.ndarray:
        return generator.uniform(-width, width, shape).astype(np.float32)

    layers = []
    for inputs, hidden in zip(net.input_sizes, net.hidden_sizes, strict=True):
        rows, width = 4 * hidden, factor / hidden**0.5
        layers.append(
            tuple(
                CellWeights(
                    uniform(rows, inputs, width=width),
                    uniform(rows, hidden, width=width),
                    uniform(rows, width=width),
                    uniform(rows, width=width),
                )
                for _ in range(net.directions)
            )
        )
    dense = []
    sizes = (net.pooled_size, *net.dense_sizes, net.label_count)
    for inputs, outputs in itertools.pairwise(sizes):
        dense.append(DenseWeights(uniform(outputs, inputs, width=0.5), uniform(outputs)))
    embedding = generator.normal(size=(net.vocabulary_size, net.embedding_size))
    return NetworkWeights(embedding.astype(np.float32), tuple(layers), None, tuple(dense))


def encoded_texts(name: str, count: int) -> list[Encoded]:
    """Return real texts of every length as token ids, the longest last."""
    path = TEXTS[name]
    if not path.is_file():
        pytest.skip(f"{path} is not here; the sample reviews are tested instead")
    texts = [row.text for row in load_labelled(path)]
    vocabulary = build_tokenizer(texts, vocabulary_size=1000, max_tokens=100)
    encoded = TextTokenizer(vocabulary, max_tokens=100).encode_batch(texts)
    encoded.sort(key=lambda item: len(item.ids))
    indices = np.linspace(0, len(encoded) - 1, count).astype(int)
    return [encoded[index] for index in indices]


def as_feed(encoded: list[Encoded]) -> dict[str, np.ndarray]:
    return dict(zip(("input_ids", "lengths"), padded(encoded), strict=True))


def differences(graph, encoded, activations) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each text, the largest difference of a state and of a probability."""
    session, expected = make_session(graph), reference(graph, activations=activations)
    found = []
    for item in encoded:
        feed = as_feed([item])
        pairs = zip(session.run(OUTPUTS, feed), expected.run(OUTPUTS, feed), strict=True)
        found.append([np.abs(ours - theirs).max() for ours, theirs in pairs])
    columns = np.array(found)
    return columns[:, 1:].max(axis=1), columns[:, 0]


def first_layer(graph: bytes, item: Encoded) -> tuple[np.ndarray, np.ndarray]:
    """Return the first LSTM's int8 weights and its input for a text, [tokens, columns]."""
    name, weights = first_operands(graph)
    values = make_session(with_outputs(graph, [name])).run([name], as_feed([item]))[0]
    return weights, values[:, 0]


def run_under_valgrind(folder: Path) -> None:
    """Run the graphs of a folder under valgrind, or skip the test."""
    valgrind = shutil.which("valgrind")
    if valgrind is None or not BIT_FOR_BIT:
        pytest.skip("needs valgrind on x86-64; the same is shown with numpy by the other tests")
    command = [valgrind, "--tool=none", "--quiet", sys.executable, "-c", RUNNER, str(folder)]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if finished.returncode:
        reason = finished.stderr.strip().rpartition("\n")[2]
        pytest.skip(f"ONNX Runtime does not run under this valgrind: {reason}")
