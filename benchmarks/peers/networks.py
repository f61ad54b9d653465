"""Reference networks, with the weights of a run, in other runtimes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from textgate.bundle.run import MODEL, TOKENIZER
from textgate.inference.tokenizer import PADDING_ID, TextTokenizer

LENGTH = 100  # tokens of a graph of fixed length

Predict = Callable[[str], list[float]]
_VOCABULARY, _EMBEDDING, _HIDDEN, _DENSE = 1000, 64, (128, 64), 32


def ids_of(references: Path, cell: str, *, length: int | None = None) -> Callable[[str], Any]:
    """Return the encoder of texts: int64 [1, tokens], padded on the right to `length`."""
    text = (references / f"seed-{cell}.run" / TOKENIZER).read_text(encoding="utf-8")
    tokenizer = TextTokenizer(text, max_tokens=LENGTH)

    def encode(text: str) -> Any:
        ids = tokenizer.encode(text).ids
        if length is not None:
            ids = [*ids, *[PADDING_ID] * (length - len(ids))]
        return np.array([ids], dtype=np.int64)

    return encode


def prepare_keras(folder: Path, references: Path, *, cell: str) -> None:
    """Save the network in Keras, for texts of any length."""
    keras_model(references, cell).save(folder / "model.keras")


def keras_model(references: Path, cell: str) -> Any:
    """Return the network in Keras with the run's weights."""
    import keras

    kind = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[cell]
    layers = [
        keras.layers.Embedding(_VOCABULARY, _EMBEDDING),
        kind(_HIDDEN[0], return_sequences=True),
        keras.layers.Dropout(0.2),
        kind(_HIDDEN[1]),
        keras.layers.Dense(_DENSE, activation="relu"),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
    model = keras.Sequential([keras.Input((None,), dtype="int32"), *layers])
    weights = {name: each.numpy() for name, each in _weights(references, cell).items()}
    layers[0].set_weights([weights["embedding.weight"]])
    for index, layer in enumerate((layers[1], layers[3])):
        inputs, state, input_bias, state_bias = (
            _keras_order(weights[f"layers.{index}.ahead.{name}_l0"], cell)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        bias = input_bias + state_bias if cell == "lstm" else np.stack([input_bias, state_bias])
        layer.set_weights([inputs.T, state.T, bias])
    for index, layer in enumerate(layers[4:]):
        layer.set_weights([weights[f"head.{index}.weight"].T, weights[f"head.{index}.bias"]])
    return model


def load_keras(folder: Path, references: Path, *, cell: str, graph: bool = False) -> Predict:
    """Return `model.predict`, as in tutorials, or the model compiled into a graph."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = keras.saving.load_model(folder / "model.keras")
    encode = ids_of(references, cell)
    if not graph:
        return lambda text: _both(model.predict(encode(text), verbose=0)[0, 0])
    # One graph for all lengths, because tracing one per length would take time.
    call = tf.function(
        lambda ids: model(ids, training=False),
        input_signature=[tf.TensorSpec((1, None), tf.int64)],
    )
    return lambda text: _both(call(tf.constant(encode(text))).numpy()[0, 0])


def prepare_litert(folder: Path, references: Path, *, cell: str, int8: bool = False) -> None:
    """Convert the network for LiteRT, at a fixed length."""
    import keras
    import tensorflow as tf

    model = keras_model(references, cell)
    fixed = keras.Sequential([keras.Input((LENGTH,), batch_size=1, dtype="int32"), *model.layers])
    converter = tf.lite.TFLiteConverter.from_keras_model(fixed)
    if int8:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    (folder / "model.tflite").write_bytes(converter.convert())


def load_litert(folder: Path, references: Path, *, cell: str) -> Predict:
    """Return LiteRT's interpreter on one thread."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(folder / "model.tflite"), num_threads=1)
    interpreter.allocate_tensors()
    input_index = interpreter.get_input_details()[0]["index"]
    output_index = interpreter.get_output_details()[0]["index"]
    encode = ids_of(references, cell, length=LENGTH)

    def predict(text: str) -> list[float]:
        interpreter.set_tensor(input_index, encode(text).astype(np.int32))
        interpreter.invoke()
        return _both(interpreter.get_tensor(output_index)[0, 0])

    return predict


def prepare_torch(folder: Path, references: Path, *, cell: str) -> None:
    """Save the network's state."""
    import torch

    torch.save(torch_module(references, cell).state_dict(), folder / "state.pt")


def torch_module(references: Path | None, cell: str) -> Any:
    """Return the network as a module of torch's layers, with the run's weights."""
    from torch import nn, relu, sigmoid

    kind = {"lstm": nn.LSTM, "gru": nn.GRU}[cell]

    class SeedNetwork(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(_VOCABULARY, _EMBEDDING)
            self.first = kind(_EMBEDDING, _HIDDEN[0], batch_first=True)
            self.second = kind(_HIDDEN[0], _HIDDEN[1], batch_first=True)
            self.dense = nn.Linear(_HIDDEN[1], _DENSE)
            self.output = nn.Linear(_DENSE, 1)

        def forward(self, ids: Any) -> Any:
            states, _ = self.first(self.embedding(ids))
            states, _ = self.second(states)
            return sigmoid(self.output(relu(self.dense(states[:, -1]))))

    module = SeedNetwork()
    if references is not None:
        names = {"layers.0.ahead": "first", "layers.1.ahead": "second"}
        names |= {"head.0": "dense", "head.1": "output", "embedding": "embedding"}
        module.load_state_dict(
            {
                f"{names[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": value
                for name, value in _weights(references, cell).items()
            }
        )
    return module.eval()


def load_torch(folder: Path, references: Path, *, cell: str, how: str = "eager") -> Predict:
    """Return the module: eager, compiled, or with dynamic int8 quantization."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    module = torch_module(None, cell)
    module.load_state_dict(torch.load(folder / "state.pt", weights_only=True))
    if how == "compiled":
        module = torch.compile(module)
    elif how == "dynamic":
        kinds = {nn.LSTM, nn.GRU, nn.Linear}
        module = torch.ao.quantization.quantize_dynamic(module, kinds, torch.qint8)
    encode = ids_of(references, cell)

    def predict(text: str) -> list[float]:
        with torch.inference_mode():
            return _both(float(module(torch.from_numpy(encode(text)))[0, 0]))

    return predict


def prepare_onnx(
    folder: Path, references: Path, *, cell: str, int8: bool = False, older: bool = False
) -> None:
    """Export as in torch's documentation, and quantize as in ONNX Runtime's."""
    import torch
    from onnxruntime.quantization import quantize_dynamic

    module, example = torch_module(references, cell), torch.ones(1, LENGTH, dtype=torch.long)
    exported = folder / ("exported.onnx" if int8 else "model.onnx")
    options = {"dynamo": False} if older else {}
    torch.onnx.export(module, (example,), str(exported), **options)
    if int8:
        quantize_dynamic(exported, folder / "model.onnx")


def load_onnx(folder: Path, references: Path, *, cell: str) -> Predict:
    """Return ONNX Runtime with its default options."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        str(folder / "model.onnx"), providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    encode = ids_of(references, cell, length=LENGTH)
    return lambda text: _both(session.run(None, {name: encode(text)})[0][0, 0])


def load_openvino(folder: Path, references: Path, *, cell: str) -> Predict:
    """Return OpenVINO on one thread with the latency hint."""
    import openvino

    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"}
    model = core.compile_model(core.read_model(str(folder / "model.onnx")), "CPU", settings)
    request = model.create_infer_request()
    encode = ids_of(references, cell, length=LENGTH)
    return lambda text: _both(request.infer([encode(text)])[0][0, 0])


def _weights(references: Path, cell: str) -> Any:
    from textgate.train.training.checkpoint import load_model

    return load_model(references / f"seed-{cell}.run" / MODEL).weights


def _keras_order(rows: Any, cell: str) -> Any:
    """Return gate rows in Keras's order: torch's GRU has the reset gate before the update gate."""
    if cell == "lstm":
        return rows
    reset, update, new = np.split(rows, 3)
    return np.concatenate([update, reset, new])


def _both(probability: float) -> list[float]:
    """Return the probabilities of both labels from that of the second."""
    return [1 - float(probability), float(probability)]
