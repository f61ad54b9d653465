"""Transformers of a shape, with random weights: what a distilled one costs, whatever it knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import recurrent

Predict = Callable[[str], list[float]]
_HEADS = 12
_VOCABULARY = 30_522  # BERT's
_BEGIN, _END = 101, 102  # its tokens around a text
_GRAPH = "model.onnx"


@dataclass(frozen=True)
class Shape:
    """How large a transformer is: layers, width, and whether it is DistilBERT's kind."""

    layers: int
    width: int
    distilled: bool = False


def prepare(folder: Path, _references: Path, *, shape: Shape, int8: bool) -> None:
    """Export a transformer with any length, fuse its nodes, and quantize it if asked."""
    import onnx
    import torch
    from onnxruntime.quantization import quantize_dynamic
    from onnxruntime.transformers import optimizer

    ids = torch.ones(1, 16, dtype=torch.long)
    exported, fused = folder / "exported.onnx", folder / ("fused.onnx" if int8 else _GRAPH)
    torch.onnx.export(
        _module(shape),
        (ids, torch.ones_like(ids)),
        str(exported),
        dynamo=False,  # its graphs are those that the optimizer knows
        input_names=["input_ids", "attention_mask"],
        output_names=["logits"],
        dynamic_axes={name: {0: "batch", 1: "tokens"} for name in ("input_ids", "attention_mask")},
        opset_version=17,
    )
    model = optimizer.optimize_model(
        str(exported), model_type="bert", num_heads=_HEADS, hidden_size=shape.width
    )
    model.save_model_to_file(str(fused))
    if int8:
        # Shape inference does not know the fused nodes; without this it could not go on.
        known = {"DefaultTensorType": onnx.TensorProto.FLOAT}
        quantize_dynamic(fused, folder / _GRAPH, extra_options=known)


def load(folder: Path, references: Path) -> Predict:
    """Return ONNX Runtime on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(folder / _GRAPH), options, providers=["CPUExecutionProvider"]
    )
    encode = recurrent.ids_of(references, "lstm")

    def predict(text: str) -> list[float]:
        ids = np.concatenate([[[_BEGIN]], encode(text), [[_END]]], axis=1)
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        logits = session.run(None, feed)[0][0]
        powers = np.exp(logits - logits.max())
        return [float(value) for value in powers / powers.sum()]

    return predict


def _module(shape: Shape) -> Any:
    """Return the transformer, giving logits [batch, 2]."""
    import torch
    import transformers

    torch.manual_seed(0)
    if shape.distilled:
        config: Any = transformers.DistilBertConfig(
            vocab_size=_VOCABULARY,
            dim=shape.width,
            hidden_dim=4 * shape.width,
            n_layers=shape.layers,
            n_heads=_HEADS,
            attn_implementation="eager",
        )
        model: Any = transformers.DistilBertForSequenceClassification(config)
    else:
        config = transformers.BertConfig(
            vocab_size=_VOCABULARY,
            hidden_size=shape.width,
            intermediate_size=4 * shape.width,
            num_hidden_layers=shape.layers,
            num_attention_heads=_HEADS,
            attn_implementation="eager",
        )
        model = transformers.BertForSequenceClassification(config)

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.model(input_ids=input_ids, attention_mask=attention_mask).logits

    return Logits().eval()
