"""The peers: what each is called, needs, prepares, and how it predicts.

A peer is prepared in a process of its own (trained, converted, exported into a folder) and then
loaded in another, which has imported nothing but what predicting takes.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import others
import recurrent
import shapes

Predict = Callable[[str], list[float]]


@dataclass(frozen=True)
class Peer:
    """One entry of the comparison.

    Attributes:
        name: what the table calls it.
        needs: the packages that predicting takes, by the names they are installed by.
        modules: what must be importable to prepare and to predict.
        prepare: makes its files in a folder; the second argument is the folder of the references.
        load: returns what predicts a text, from the same folders.
        network: the reference network whose weights it has; "" for another kind of model.
        tolerance: how far its probabilities may be from that network's in float32.
        note: what a reader must know to judge it.
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
        """A folder's name for it."""
        return "".join(letter if letter.isalnum() else "-" for letter in self.name.lower())

    def missing(self) -> str:
        """Return the first module that is not installed, "" if all are."""
        return next((name for name in self.modules if importlib.util.find_spec(name) is None), "")


_CORE = ("numpy", "onnxruntime", "tokenizers")
_TORCH, _KERAS = ("torch", "tokenizers"), ("keras", "tensorflow-cpu", "tokenizers")
_LITERT = ("ai-edge-litert", "tokenizers")
_FIXED = f"reads {recurrent.LENGTH} tokens, shorter texts padded"
_INT8, _ROUNDED = 0.05, 0.02  # tolerances where less than float32 is computed in


def _network_peers(cell: str) -> list[Peer]:
    """Return the ways to run one of the reference networks without textgate's runtime."""
    network = f"seed-{cell}"

    def peer(
        name: str,
        needs: tuple[str, ...],
        modules: tuple[str, ...],
        prepare: Callable[..., None],
        load: Callable[..., Predict],
        tolerance: float = 1e-3,
        note: str = "",
    ) -> Peer:
        return Peer(
            f"{cell.upper()}, {name}",
            needs,
            modules,
            partial(prepare, cell=cell),
            partial(load, cell=cell),
            network,
            tolerance,
            note,
        )

    to_keras = ("keras", "tensorflow")
    to_onnx = ("torch", "onnx", "onnxscript")
    older = partial(recurrent.prepare_onnx, older=True)
    return [
        peer("Keras predict", _KERAS, to_keras, recurrent.prepare_keras, recurrent.load_predict),
        peer(
            "Keras in tf.function",
            _KERAS,
            to_keras,
            recurrent.prepare_keras,
            recurrent.load_function,
            note="what Keras recommends for few texts",
        ),
        peer(
            "LiteRT float32",
            _LITERT,
            (*to_keras, "ai_edge_litert"),
            recurrent.prepare_litert,
            recurrent.load_litert,
            note=_FIXED,
        ),
        peer(
            "LiteRT int8",
            _LITERT,
            (*to_keras, "ai_edge_litert"),
            partial(recurrent.prepare_litert, int8=True),
            recurrent.load_litert,
            _INT8,
            f"dynamic range; {_FIXED}",
        ),
        peer("torch eager", _TORCH, ("torch",), recurrent.prepare_torch, recurrent.load_eager),
        peer("torch.compile", _TORCH, ("torch",), recurrent.prepare_torch, recurrent.load_compiled),
        peer(
            "torch dynamic int8",
            _TORCH,
            ("torch",),
            recurrent.prepare_torch,
            recurrent.load_dynamic,
            _INT8,
        ),
        peer(
            "torch.onnx.export",
            _CORE,
            to_onnx,
            recurrent.prepare_onnx,
            recurrent.load_onnx,
            note=f"ONNX Runtime's default options, all cores; {_FIXED}",
        ),
        peer(
            "torch.onnx.export, quantize_dynamic",
            _CORE,
            to_onnx,
            partial(recurrent.prepare_onnx, int8=True),
            recurrent.load_onnx,
            _INT8,
            f"ONNX Runtime's default options, all cores; {_FIXED}",
        ),
        peer(
            "older exporter, quantize_dynamic",
            _CORE,
            ("torch", "onnx"),
            partial(older, int8=True),
            recurrent.load_onnx,
            _INT8,
            f"dynamo=False; ONNX Runtime's default options, all cores; {_FIXED}",
        ),
        peer(
            "OpenVINO",
            ("openvino", "tokenizers"),
            ("torch", "onnx", "openvino"),
            older,
            recurrent.load_openvino,
            tolerance=_ROUNDED,
            note=f"latency hint, its own choice of precision (bfloat16 where there is); {_FIXED}",
        ),
    ]


def _transformer_peers(name: str, shape: shapes.Shape) -> list[Peer]:
    modules = ("torch", "onnx", "transformers")
    note = "random weights; fused by ONNX Runtime's optimizer"
    return [
        Peer(
            f"{name} {precision}",
            _CORE,
            modules,
            partial(shapes.prepare, shape=shape, int8=precision == "int8"),
            shapes.load,
            note=note,
        )
        for precision in ("float32", "int8")
    ]


PEERS = (
    *_network_peers("lstm"),
    *_network_peers("gru"),
    Peer(
        "fastText",
        ("fasttext-numpy2",),
        ("fasttext",),
        others.prepare_fasttext,
        others.load_fasttext,
        note="trained on the sample reviews",
    ),
    Peer(
        "TF-IDF, logistic regression",
        ("scikit-learn",),
        ("sklearn",),
        others.prepare_linear,
        others.load_linear,
        note="trained on the sample reviews",
    ),
    *_transformer_peers("transformer 4x312", shapes.Shape(layers=4, width=312)),
    *_transformer_peers("transformer 6x384", shapes.Shape(layers=6, width=384)),
    *_transformer_peers("DistilBERT 6x768", shapes.Shape(layers=6, width=768, distilled=True)),
)
