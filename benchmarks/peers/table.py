"""Table of the peers: name, requirements, preparation and prediction of each."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import networks as net
import others
from networks import LENGTH, Predict


@dataclass(frozen=True)
class Peer:
    """One entry of the comparison.

    It is prepared in one process (trained, converted, exported into a folder) and loaded in
    another, which imports only what prediction needs.

    Attributes:
        name: its name in the table.
        needs: the packages that prediction needs, by their distribution names.
        modules: the modules that preparation and prediction import.
        prepare: writes its files to a folder; the second argument is the folder of the references.
        load: returns the function that classifies a text, from the same folders.
        network: the reference network whose weights it has; "" for another kind of model.
        tolerance: largest difference of its probabilities from that network's in float32.
        note: remark for readers of the table.
    """

    name: str
    needs: tuple[str, ...]
    modules: tuple[str, ...]
    prepare: Callable[[Path, Path], None]
    load: Callable[[Path, Path], Predict]
    network: str = ""
    tolerance: float = 1e-3
    note: str = ""

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return "".join(letter if letter.isalnum() else "-" for letter in self.name.lower())

    def missing(self) -> str:
        """Return the first missing module, "" if all are installed."""
        return next((name for name in self.modules if importlib.util.find_spec(name) is None), "")


_CORE = ("numpy", "onnxruntime", "tokenizers")
_TORCH, _KERAS = ("torch", "tokenizers"), ("keras", "tensorflow-cpu", "tokenizers")
_LITERT, _OPENVINO = ("ai-edge-litert", "tokenizers"), ("openvino", "tokenizers")
_IN_KERAS, _IN_LITERT = ("keras", "tensorflow"), ("keras", "tensorflow", "ai_edge_litert")
_IN_TORCH, _IN_ONNX = ("torch",), ("torch", "onnx", "onnxscript")
_IN_OLDER, _IN_OPENVINO = ("torch", "onnx"), ("torch", "onnx", "openvino")
_FIXED = f"reads {LENGTH} tokens, shorter texts padded"
_CORES = f"ONNX Runtime's default options, all cores; {_FIXED}"
_ROUNDED = f"latency hint, its own choice of precision (bfloat16 where there is); {_FIXED}"
_TRAINED, _RANDOM = (
    "trained on the sample reviews",
    "random weights; fused by ONNX Runtime's optimizer",
)
_older = partial(net.prepare_onnx, older=True)

# Ways to run a reference network without textgate's runtime: the fields of `Peer` without
# `network`; the functions also take the cell.
# fmt: off
_NETWORKS: tuple[tuple[Any, ...], ...] = (
    ("Keras predict", _KERAS, _IN_KERAS, net.prepare_keras, net.load_keras, 1e-3, ""),
    ("Keras in tf.function", _KERAS, _IN_KERAS, net.prepare_keras,
     partial(net.load_keras, graph=True), 1e-3, "what Keras recommends for few texts"),
    ("LiteRT float32", _LITERT, _IN_LITERT, net.prepare_litert, net.load_litert, 1e-3, _FIXED),
    ("LiteRT int8", _LITERT, _IN_LITERT, partial(net.prepare_litert, int8=True), net.load_litert,
     0.05, f"dynamic range; {_FIXED}"),
    ("torch eager", _TORCH, _IN_TORCH, net.prepare_torch, net.load_torch, 1e-3, ""),
    ("torch.compile", _TORCH, _IN_TORCH, net.prepare_torch, partial(net.load_torch, how="compiled"),
     1e-3, ""),
    ("torch dynamic int8", _TORCH, _IN_TORCH, net.prepare_torch,
     partial(net.load_torch, how="dynamic"), 0.05, ""),
    ("torch.onnx.export", _CORE, _IN_ONNX, net.prepare_onnx, net.load_onnx, 1e-3, _CORES),
    ("torch.onnx.export, quantize_dynamic", _CORE, _IN_ONNX, partial(net.prepare_onnx, int8=True),
     net.load_onnx, 0.05, _CORES),
    ("older exporter, quantize_dynamic", _CORE, _IN_OLDER, partial(_older, int8=True),
     net.load_onnx, 0.05, f"dynamo=False; {_CORES}"),
    ("OpenVINO", _OPENVINO, _IN_OPENVINO, _older, net.load_openvino, 0.02, _ROUNDED),
)
_LINEAR: tuple[tuple[Any, ...], ...] = (
    ("fastText", ("fasttext-numpy2",), ("fasttext",),
     others.prepare_fasttext, others.load_fasttext),
    ("TF-IDF, logistic regression", ("scikit-learn",), ("sklearn",),
     others.prepare_linear, others.load_linear),
)
# fmt: on


def _network_peers(cell: str) -> list[Peer]:
    return [
        Peer(
            f"{cell.upper()}, {name}",
            needs,
            modules,
            partial(prepare, cell=cell),
            partial(load, cell=cell),
            f"seed-{cell}",
            tolerance,
            note,
        )
        for name, needs, modules, prepare, load, tolerance, note in _NETWORKS
    ]


def _transformer_peers(name: str, shape: others.Shape) -> list[Peer]:
    return [
        Peer(
            f"{name} {precision}",
            _CORE,
            ("torch", "onnx", "transformers"),
            partial(others.prepare_transformer, shape=shape, int8=precision == "int8"),
            others.load_transformer,
            note=_RANDOM,
        )
        for precision in ("float32", "int8")
    ]


PEERS = (
    *_network_peers("lstm"),
    *_network_peers("gru"),
    *(Peer(*fields, note=_TRAINED) for fields in _LINEAR),
    *_transformer_peers("transformer 4x312", others.Shape(layers=4, width=312)),
    *_transformer_peers("transformer 6x384", others.Shape(layers=6, width=384)),
    *_transformer_peers("DistilBERT 6x768", others.Shape(layers=6, width=768, distilled=True)),
)
