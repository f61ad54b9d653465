"""Open Inference Protocol, version 2 (KServe, Triton): JSON and the binary tensor extension.

https://github.com/kserve/open-inference-protocol and, for the binary form,
https://docs.nvidia.com/deeplearning/triton-inference-server (binary tensor data extension).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from textgate import __version__
from textgate.serve.classify import predict, require_count, require_texts
from textgate.serve.endpoints import Endpoint
from textgate.serve.exchange import JSON, encode_json, header, read_body, send_answer
from textgate.serve.problems import Problem, decoded

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from textgate.inference.prediction import Prediction
    from textgate.serve.context import Context
    from textgate.serve.models import ServedModel
    from textgate.serve.settings import Settings

INPUT = "text"
OUTPUTS = ("label", "score", "probabilities")
_BINARY = b"application/octet-stream"
_HEADER_LENGTH = b"inference-header-content-length"
_LENGTH = struct.Struct("<I")  # before each element of a BYTES tensor


class Tensor(msgspec.Struct):
    """An input: texts as JSON strings, or in the bytes behind the JSON."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None


class RequestedOutput(msgspec.Struct):
    """An output that is asked for."""

    name: str
    parameters: dict[str, Any] = {}


class InferRequest(msgspec.Struct):
    """A request for inference."""

    inputs: list[Tensor]
    id: str | None = None
    parameters: dict[str, Any] = {}
    outputs: list[RequestedOutput] = []


class OutputTensor(msgspec.Struct, omit_defaults=True):
    """An output: values in row-major order, or the size of their bytes behind the JSON."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any] | None = None
    parameters: dict[str, int] | None = None


class InferAnswer(msgspec.Struct, omit_defaults=True):
    """The answer to a request for inference."""

    model_name: str
    model_version: str
    outputs: list[OutputTensor]
    id: str | None = None


class TensorFacts(msgspec.Struct):
    """Name, type and shape of an input or an output."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(msgspec.Struct):
    """Metadata of a model."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorFacts]
    outputs: list[TensorFacts]


class ServerMetadata(msgspec.Struct):
    """Metadata of the server."""

    name: str
    version: str
    extensions: list[str]


class Live(msgspec.Struct):
    """Liveness of the server."""

    live: bool


class Ready(msgspec.Struct):
    """Readiness of the server or of a model."""

    ready: bool


_REQUEST = msgspec.json.Decoder(InferRequest)


async def server_metadata(_: Context, __: Scope, ___: Receive, send: Send) -> None:
    """Answer `GET /v2`."""
    await send_answer(
        send, encode_json(ServerMetadata("textgate", __version__, ["binary_tensor_data"]))
    )


async def live(_: Context, __: Scope, ___: Receive, send: Send) -> None:
    """Answer `GET /v2/health/live`."""
    await send_answer(send, encode_json(Live(live=True)))


async def ready(context: Context, _: Scope, __: Receive, send: Send) -> None:
    """Answer `GET /v2/health/ready`: once every model has predicted, and until the drain."""
    is_ready = context.models.ready and not context.draining
    await send_answer(send, encode_json(Ready(is_ready)), status=200 if is_ready else 503)


async def model_ready(context: Context, scope: Scope, _: Receive, send: Send) -> None:
    """Answer `GET /v2/models/{model}/ready`."""
    _model(context, scope)
    await ready(context, scope, _, send)


async def model_metadata(context: Context, scope: Scope, _: Receive, send: Send) -> None:
    """Answer `GET /v2/models/{model}`."""
    model = _model(context, scope)
    metadata = ModelMetadata(
        name=model.name,
        versions=context.models.versions(model.name),
        platform="textgate",
        inputs=[TensorFacts(INPUT, "BYTES", [-1])],
        outputs=[
            TensorFacts("label", "BYTES", [-1]),
            TensorFacts("score", "FP32", [-1]),
            TensorFacts("probabilities", "FP32", [-1, len(model.classifier.labels)]),
        ],
    )
    await send_answer(send, encode_json(metadata))


async def infer(context: Context, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer `POST /v2/models/{model}/infer`."""
    model = _model(context, scope)
    body = await read_body(scope, receive, context.settings, media=(JSON, _BINARY, b""))
    split = _json_length(scope, body)
    request: InferRequest = decoded(_REQUEST, body[:split])
    texts = _texts(request, memoryview(body)[split:], context.settings)
    wanted = _wanted(request)
    require_texts(texts, context.settings)

    def answer() -> tuple[bytes, bytes, Sequence[Prediction]]:
        predictions = predict(model.classifier, texts)
        outputs, behind = _outputs(predictions, wanted, len(model.classifier.labels))
        value = InferAnswer(model.name, model.version, outputs, request.id)
        return encode_json(value), behind, predictions

    said, behind, predictions = await context.work.run(texts, answer)
    context.metrics.predicted(model.name, predictions)
    if any(wanted.values()):
        length = (_HEADER_LENGTH, str(len(said)).encode())
        await send_answer(send, said + behind, media=_BINARY, headers=[length])
    else:
        await send_answer(send, said)


def _model(context: Context, scope: Scope) -> ServedModel:
    parameters = scope["path_params"]
    return context.models.find(parameters["model"], parameters.get("version"))


def _json_length(scope: Scope, body: bytes) -> int:
    given = header(scope, _HEADER_LENGTH)
    if given is None:
        return len(body)
    if not given.isdigit() or len(given) > 12 or int(given) > len(body):
        raise Problem(
            400, "Inference-Header-Content-Length should be the length of the JSON before the data"
        )
    return int(given)


def _texts(request: InferRequest, behind: memoryview, settings: Settings) -> list[str]:
    """Return the texts of the input.

    Raises:
        Problem: it is not the input that the model takes, its length is wrong, or it is too long.
    """
    if len(request.inputs) != 1 or request.inputs[0].name != INPUT:
        names = ", ".join(tensor.name for tensor in request.inputs) or "none"
        raise Problem(422, f"the inputs should be one, {INPUT!r}; found {names}")
    (tensor,) = request.inputs
    if tensor.datatype != "BYTES":
        raise Problem(422, f"the input's datatype should be BYTES, found {tensor.datatype}")
    if not tensor.shape or tensor.shape[1:] not in ([], [1]):
        raise Problem(422, f"the input's shape should be [texts], found {tensor.shape}")
    size = tensor.parameters.get("binary_data_size")
    if size is None:
        texts = tensor.data or []
        require_count(texts, settings)
        if texts and isinstance(texts[0], list):  # of shape [texts, 1]
            texts = [row[0] if isinstance(row, list) and len(row) == 1 else row for row in texts]
        for index, text in enumerate(texts):
            if not isinstance(text, str):
                raise Problem(
                    422, f"inputs[0].data[{index}] should be a string, found {type(text).__name__}"
                )
    else:
        if size != len(behind):
            raise Problem(400, f"binary_data_size is {size!r}, but {len(behind)} bytes follow")
        texts = _strings(behind, settings)
    if len(texts) != tensor.shape[0]:
        raise Problem(422, f"the input's shape says {tensor.shape[0]} texts, found {len(texts)}")
    return texts


def _strings(data: memoryview, settings: Settings) -> list[str]:
    """Return the strings of a BYTES tensor: each behind its length, 4 bytes, little-endian."""
    texts: list[str] = []
    end = 0
    while end < len(data):
        require_count(texts, settings)
        start = end + _LENGTH.size
        if start > len(data):
            raise Problem(400, "the binary data ends inside the length of a string")
        end = start + _LENGTH.unpack_from(data, end)[0]
        if end > len(data):
            raise Problem(400, f"the binary data ends inside string {len(texts)}")
        try:
            texts.append(str(data[start:end], "utf-8"))
        except UnicodeDecodeError:
            raise Problem(400, f"string {len(texts)} of the binary data is not UTF-8") from None
    return texts


def _wanted(request: InferRequest) -> dict[str, bool]:
    """Return which outputs are wanted, and whether each is in binary."""
    binary = request.parameters.get("binary_data_output") is True
    if not request.outputs:
        return dict.fromkeys(OUTPUTS, binary)
    wanted = {}
    for output in request.outputs:
        if output.name not in OUTPUTS:
            raise Problem(
                422, f"there is no output {output.name!r}; the outputs are {', '.join(OUTPUTS)}"
            )
        wanted[output.name] = output.parameters.get("binary_data", binary) is True
    return wanted


def _outputs(
    predictions: Sequence[Prediction], wanted: dict[str, bool], labels: int
) -> tuple[list[OutputTensor], bytes]:
    """Return the outputs, and the bytes of those in binary. The label of no label is empty."""
    rows = len(predictions)
    values: dict[str, tuple[str, list[int], list[Any]]] = {
        "label": ("BYTES", [rows], [one.label or "" for one in predictions]),
        "score": ("FP32", [rows], [one.score for one in predictions]),
        "probabilities": (
            "FP32",
            [rows, labels],
            [score for one in predictions for score in one.scores.values()],
        ),
    }
    outputs = []
    behind = []
    for name, binary in wanted.items():
        datatype, shape, data = values[name]
        if not binary:
            outputs.append(OutputTensor(name, datatype, shape, data=data))
            continue
        if datatype == "BYTES":
            strings = [value.encode() for value in data]
            packed = b"".join(_LENGTH.pack(len(string)) + string for string in strings)
        else:
            packed = np.array(data, dtype="<f4").tobytes()
        behind.append(packed)
        size = {"binary_data_size": len(packed)}
        outputs.append(OutputTensor(name, datatype, shape, parameters=size))
    return outputs, b"".join(behind)


_INFER: dict[str, Any] = {
    "body": InferRequest,
    "answer": InferAnswer,
    "statuses": (400, 404, 408, 413, 415, 422, 503),
}
_ONE = "/v2/models/{model}"
_VERSION = "/v2/models/{model}/versions/{version}"
ENDPOINTS = (
    Endpoint("POST", f"{_ONE}/infer", "Classify texts.", infer, **_INFER),
    Endpoint("POST", f"{_VERSION}/infer", "Classify texts with a version.", infer, **_INFER),
    Endpoint(
        "GET", "/v2", "Metadata of the server.", server_metadata, answer=ServerMetadata, public=True
    ),
    Endpoint("GET", "/v2/health/live", "Liveness of the server.", live, answer=Live, public=True),
    Endpoint(
        "GET",
        "/v2/health/ready",
        "Readiness of every model.",
        ready,
        answer=Ready,
        statuses=(503,),
        public=True,
    ),
    *(
        endpoint
        for path, of in ((_ONE, "a model"), (_VERSION, "a version"))
        for endpoint in (
            Endpoint(
                "GET",
                path,
                f"Inputs and outputs of {of}.",
                model_metadata,
                answer=ModelMetadata,
                statuses=(404,),
            ),
            Endpoint(
                "GET",
                f"{path}/ready",
                f"Readiness of {of}.",
                model_ready,
                answer=Ready,
                statuses=(404, 503),
            ),
        )
    ),
)
