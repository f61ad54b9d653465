"""Other models: linear models, and transformers with random weights."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from networks import Predict, ids_of

from textgate.rows import load_labelled

_TRAIN = Path(__file__).parents[2] / "examples" / "reviews" / "train.jsonl.gz"


_HEADS = 12
_VOCABULARY = 30_522  # BERT's
_BEGIN, _END = 101, 102  # its tokens around a text


def prepare_fasttext(folder: Path, _references: Path) -> None:
    """Train fastText as in its tutorial: word bigrams, and more epochs than the default."""
    import fasttext

    rows = load_labelled(_TRAIN)
    text = "".join(f"__label__{row.labels[0]} {' '.join(row.text.split())}\n" for row in rows)
    (folder / "train.txt").write_text(text, encoding="utf-8")
    model = fasttext.train_supervised(
        str(folder / "train.txt"), wordNgrams=2, epoch=25, lr=0.5, thread=1, verbose=0
    )
    model.save_model(str(folder / "model.bin"))


def load_fasttext(folder: Path, _references: Path) -> Predict:
    """Return the trained model."""
    import fasttext

    model = fasttext.load_model(str(folder / "model.bin"))
    return lambda text: sorted(float(value) for value in model.predict(text, k=2)[1])


def prepare_linear(folder: Path, _references: Path) -> None:
    """Fit logistic regression on TF-IDF of words and word bigrams."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    rows = load_labelled(_TRAIN)
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True),
        LogisticRegression(C=10, max_iter=1000),
    )
    model.fit([row.text for row in rows], [row.labels[0] for row in rows])
    (folder / "model.pickle").write_bytes(pickle.dumps(model))


def load_linear(folder: Path, _references: Path) -> Predict:
    """Return the fitted pipeline."""
    # scikit-learn's own format; `prepare_linear` has just written this file.
    model = pickle.loads((folder / "model.pickle").read_bytes())  # noqa: S301
    return lambda text: [float(value) for value in model.predict_proba([text])[0]]


@dataclass(frozen=True)
class Shape:
    """Size of a transformer: layers, width, and whether it is a DistilBERT."""

    layers: int
    width: int
    distilled: bool = False


def prepare_transformer(folder: Path, _references: Path, *, shape: Shape, int8: bool) -> None:
    """Export a transformer for any length, fuse its nodes, and optionally quantize it."""
    import onnx
    import torch
    from onnxruntime.quantization import quantize_dynamic
    from onnxruntime.transformers import optimizer

    ids = torch.ones(1, 16, dtype=torch.long)
    exported, fused = folder / "exported.onnx", folder / ("fused.onnx" if int8 else "model.onnx")
    torch.onnx.export(
        _module(shape),
        (ids, torch.ones_like(ids)),
        str(exported),
        dynamo=False,  # the optimizer knows its graphs
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
        # Shape inference does not know the fused nodes and needs a type for them.
        known = {"DefaultTensorType": onnx.TensorProto.FLOAT}
        quantize_dynamic(fused, folder / "model.onnx", extra_options=known)


def load_transformer(folder: Path, references: Path) -> Predict:
    """Return ONNX Runtime on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
    )
    encode = ids_of(references, "lstm")

    def predict(text: str) -> list[float]:
        ids = np.concatenate([[[_BEGIN]], encode(text), [[_END]]], axis=1)
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        logits = session.run(None, feed)[0][0]
        powers = np.exp(logits - logits.max())
        return [float(value) for value in powers / powers.sum()]

    return predict


def _module(shape: Shape) -> Any:
    """Return the transformer, which computes logits [batch, 2]."""
    import torch
    import transformers

    torch.manual_seed(0)
    both = {"vocab_size": _VOCABULARY, "attn_implementation": "eager"}
    model: Any
    if shape.distilled:
        sizes = {"dim": shape.width, "hidden_dim": 4 * shape.width}
        sizes |= {"n_layers": shape.layers, "n_heads": _HEADS}
        config = transformers.DistilBertConfig(**both, **sizes)
        model = transformers.DistilBertForSequenceClassification(config)
    else:
        sizes = {"hidden_size": shape.width, "intermediate_size": 4 * shape.width}
        sizes |= {"num_hidden_layers": shape.layers, "num_attention_heads": _HEADS}
        model = transformers.BertForSequenceClassification(transformers.BertConfig(**both, **sizes))

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.model(input_ids=input_ids, attention_mask=attention_mask).logits

    return Logits().eval()
