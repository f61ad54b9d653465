"""Make small networks of every kind, and what they should answer: the golden folder.

    python benchmarks/portability/make_cases.py FOLDER

Writes a model file a case and ``golden.json``: token ids, lengths, and the probabilities that this
environment's ONNX Runtime computes for them (and torch, where nothing is rounded). The weights are
random with a fixed seed; training would change none of the operators. One more model is trained, an
int8 LSTM, to count how often a rounding falls the other way on real texts.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto

from textgate.architecture import CELLS, Architecture
from textgate.bundle import read_bundle
from textgate.export import export
from textgate.export.graph import FLOAT32, INT8, Graph, Plan, Storage, build_graph
from textgate.export.nodes import IR_VERSION, OPSET, GraphBuilder
from textgate.export.weights import network_weights
from textgate.rows import read_rows
from textgate.session import make_session
from textgate.tokenizer import TextTokenizer
from textgate.train import fit
from textgate.train.model import TextClassifier

TOLERANCE = 1e-4  # largest difference of a probability, in any runtime
TEMPERATURE = 1.3
REVIEWS = Path(__file__).parents[2] / "examples" / "reviews"

# The table of cases: every combination of a cell with one line of each of these.
DIRECTIONS = {"forward": False, "bidirectional": True}
HEADS: dict[str, dict[str, Any]] = {
    "last-sigmoid": {
        "hidden_sizes": (24, 16),
        "pooling": ("last",),
        "dense_sizes": (12,),
        "output": "sigmoid",
        "label_count": 2,
    },
    "max+mean-softmax": {
        "hidden_sizes": (24,),
        "pooling": ("max", "mean"),
        "dense_sizes": (),
        "output": "softmax",
        "label_count": 3,
    },
    "attention-multi-label": {
        "hidden_sizes": (24,),
        "pooling": ("attention",),
        "dense_sizes": (),
        "output": "multi-label",
        "label_count": 4,
    },
}
PLANS: dict[str, Plan] = {
    "float32": FLOAT32,
    "int8": INT8,
    "int8-per-tensor": dataclasses.replace(INT8, per_channel=False),
    "int8-stored": dataclasses.replace(INT8, cells=Storage.STORED, output=Storage.STORED),
    "4-bit-embedding": dataclasses.replace(INT8, embedding_bits=4),
}

_VOCABULARY = 200
_EMBEDDING = 21  # odd, so that the last byte of a 4-bit row is half empty
_LENGTHS = ((17,), (1, 9, 30, 4, 23))  # tokens of each text, a batch a line
_CHUNKS = (5, 1, 12, 7)  # tokens of each piece of the text that is fed in pieces
_SMALLEST_SPREAD = 0.05  # probabilities that hardly move would prove nothing


@dataclass(frozen=True)
class Case:
    """One model file."""

    name: str
    architecture: Architecture
    plan: Plan


def cases() -> list[Case]:
    """Return the table of cases."""
    table = itertools.product(CELLS, DIRECTIONS.items(), HEADS.items(), PLANS.items())
    return [
        Case(
            f"{cell}-{direction}-{head}-{precision}",
            Architecture(
                vocabulary_size=_VOCABULARY,
                embedding_size=_EMBEDDING,
                cell=cell,
                bidirectional=bidirectional,
                **shape,
            ),
            plan,
        )
        for cell, (direction, bidirectional), (head, shape), (precision, plan) in table
    ]


def make(folder: Path) -> None:
    """Write the models and ``golden.json`` into a folder.

    Raises:
        RuntimeError: a network gives nearly the same probabilities whatever it reads.
    """
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    golden = {
        "tolerance": TOLERANCE,
        "opset": OPSET,
        "ir_version": IR_VERSION,
        "reference": {
            "onnxruntime": onnxruntime.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "saturation": _saturation_probe(folder),
        "trained": _trained(folder),
        "cases": [_written(case, folder) for case in cases()],
    }
    (folder / "golden.json").write_text(json.dumps(golden) + "\n", encoding="utf-8")
    print(f"{folder}: {len(golden['cases'])} models, opset {OPSET}, IR version {IR_VERSION}")


def _saturation_probe(folder: Path) -> dict[str, Any]:
    """Write a product of full 8-bit integers, which some processors' kernels cut off."""
    terms = 64
    builder = GraphBuilder()
    builder.input("activations", [1, terms], TensorProto.UINT8)
    builder.output("sums", [1, 32])
    weights = builder.constant("weights", np.full((terms, 32), 127, dtype=np.int8))
    builder.node("MatMulInteger", ["activations", weights], "integers")
    builder.node("Cast", ["integers"], "sums", to=TensorProto.FLOAT)
    (folder / "saturation.onnx").write_bytes(builder.model("saturation"))
    return {"file": "saturation.onnx", "terms": terms, "sum": 255 * 127 * terms}


def _trained(folder: Path) -> dict[str, Any]:
    """Train the reference LSTM for two epochs; return the test texts and their probabilities."""
    run = folder / "trained.run"
    fit(REVIEWS / "train.jsonl.gz", run, preset="seed-lstm", settings={"epochs": 2}, force=True)
    # The limit is lifted: what two epochs' worth loses is not the question here.
    bundle = read_bundle(export(run, folder / "trained", max_accuracy_drop=1.0, force=True).path)
    (folder / "trained.onnx").write_bytes(bundle.graph)
    tokenizer = TextTokenizer(bundle.tokenizer, max_tokens=bundle.manifest.max_tokens)
    session = make_session(bundle.graph)
    texts = []
    for row in read_rows(REVIEWS / "test.jsonl.gz", labelled=False):
        ids = np.array([tokenizer.encode(row.text).ids])
        feeds = {"input_ids": ids, "lengths": np.array([ids.shape[1]])}
        probabilities = session.run(["probabilities"], feeds)[0]
        texts.append({"ids": ids[0].tolist(), "probabilities": probabilities[0].tolist()})
    return {"file": "trained.onnx", "texts": texts}


def _written(case: Case, folder: Path) -> dict[str, Any]:
    """Write one model and return its part of the golden file."""
    network = _random_network(case.architecture)
    weights = network_weights(case.architecture, network.state_dict())
    graph = build_graph(case.architecture, weights, case.plan, temperature=TEMPERATURE)
    file = f"{case.name}.onnx"
    (folder / file).write_bytes(graph.model)
    session = make_session(graph.model)
    torch_agrees = case.plan is FLOAT32
    generator = np.random.default_rng(1)
    batches = [
        _answered(session, network, _texts(generator, lengths), torch_agrees)
        for lengths in _LENGTHS
    ]
    spread = float(np.ptp(np.array(batches[-1]["probabilities"]), axis=0).max())
    if spread < _SMALLEST_SPREAD:
        raise RuntimeError(f"{case.name}: probabilities differ by only {spread:.3f} between texts")
    chunks = _chunked(session, network, generator, torch_agrees) if graph.states else None
    return {
        "name": case.name,
        "file": file,
        "states": _states(graph),
        "batches": batches,
        "chunks": chunks,
    }


def _random_network(architecture: Architecture) -> TextClassifier:
    """Return a network in which every weight and every bias matters."""
    network = TextClassifier(architecture).eval()
    generator = np.random.default_rng(0)
    for name, tensor in sorted(network.state_dict().items()):
        bound = 1.0 if name.startswith(("embedding", "head", "pooling")) else 0.4
        values = generator.uniform(-bound, bound, tuple(tensor.shape))
        tensor.copy_(torch.from_numpy(values))
    return network


def _texts(
    generator: np.random.Generator, lengths: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return random ids [batch, tokens], padded with 0 on the right, and lengths [batch]."""
    ids = np.zeros((len(lengths), max(lengths)), dtype=np.int64)
    for row, length in enumerate(lengths):
        ids[row, :length] = generator.integers(1, _VOCABULARY, length)
    return ids, np.array(lengths, dtype=np.int64)


def _answered(
    session: onnxruntime.InferenceSession,
    network: TextClassifier,
    texts: tuple[NDArray[np.int64], NDArray[np.int64]],
    torch_agrees: bool,
) -> dict[str, Any]:
    """Return texts and their probabilities: ONNX Runtime's, and torch's where both should agree."""
    ids, lengths = texts
    values = session.run(["probabilities"], {"input_ids": ids, "lengths": lengths})[0]
    with torch.inference_mode():
        logits = network(torch.from_numpy(ids), torch.from_numpy(lengths))
        by_torch = network.probabilities(logits, TEMPERATURE)
    return {
        "ids": ids.tolist(),
        "lengths": lengths.tolist(),
        "probabilities": values.tolist(),
        "torch": by_torch.tolist() if torch_agrees else None,
    }


def _chunked(
    session: onnxruntime.InferenceSession,
    network: TextClassifier,
    generator: np.random.Generator,
    torch_agrees: bool,
) -> dict[str, Any]:
    """Return one text in pieces, and the probabilities of the whole."""
    ids, lengths = _texts(generator, (sum(_CHUNKS),))
    whole = _answered(session, network, (ids, lengths), torch_agrees)
    pieces = np.split(ids[0], np.cumsum(_CHUNKS)[:-1])
    return {
        "ids": [piece.tolist() for piece in pieces],
        "probabilities": whole["probabilities"],
        "torch": whole["torch"],
    }


def _states(graph: Graph) -> list[dict[str, str]]:
    return [{"input": state.input, "output": state.output} for state in graph.states]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: make_cases.py FOLDER")
    make(Path(sys.argv[1]))
