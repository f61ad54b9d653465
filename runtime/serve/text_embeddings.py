"""Text Embeddings Inference's `/predict` and `/info`, as Hugging Face's clients use them.

https://huggingface.github.io/text-embeddings-inference; `POST /` is `/predict` there, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import msgspec

from textgate import __version__
from textgate.serve.classify import predict, require_count, require_texts
from textgate.serve.endpoints import Endpoint
from textgate.serve.exchange import encode_json, read_body, send_answer
from textgate.serve.problems import Problem, decoded

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from textgate.inference.prediction import Prediction
    from textgate.serve.context import Context
    from textgate.serve.models import ServedModel


class Parameters(msgspec.Struct):
    """Parameters of Hugging Face's clients."""

    top_k: int | None = None
    function_to_apply: str | None = None


class PredictRequest(msgspec.Struct):
    """One text, or several, each in a list of its own."""

    inputs: str | list[str | list[str]]
    truncate: bool | None = None
    raw_scores: bool = False
    parameters: Parameters | None = None


class LabelScore(msgspec.Struct):
    """A label and its probability."""

    score: float
    label: str


class ModelType(msgspec.Struct):
    """The labels of the model, by number and by name."""

    classifier: dict[str, dict[str, Any]]


class Info(msgspec.Struct):
    """Metadata of the server and its model."""

    model_id: str
    model_sha: str
    model_dtype: str
    model_type: ModelType
    max_concurrent_requests: int
    max_input_length: int
    max_batch_tokens: int
    max_client_batch_size: int
    tokenization_workers: int
    auto_truncate: bool
    version: str


_REQUEST = msgspec.json.Decoder(PredictRequest)


async def predict_endpoint(context: Context, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer `POST /predict` and `POST /`."""
    request: PredictRequest = decoded(_REQUEST, await read_body(scope, receive, context.settings))
    model = _model(context, scope)
    require_count([] if isinstance(request.inputs, str) else request.inputs, context.settings)
    texts, several = _texts(request.inputs)
    require_texts(texts, context.settings)
    parameters = request.parameters or Parameters()
    _require_probabilities(request, parameters, model)

    def answer() -> tuple[bytes, Sequence[Prediction]]:
        predictions = predict(model.classifier, texts)
        ranked = [_ranked(one, parameters.top_k) for one in predictions]
        # Hugging Face's client sends parameters, and reads the first list of a list of lists.
        listed = several or request.parameters is not None
        return encode_json(ranked if listed else ranked[0]), predictions

    body, predictions = await context.work.run(texts, answer)
    context.metrics.predicted(model.name, predictions)
    await send_answer(send, body)


async def info(context: Context, scope: Scope, _: Receive, send: Send) -> None:
    """Answer `GET /info`."""
    model = _model(context, scope)
    labels = model.classifier.labels
    numbered = {str(number): label for number, label in enumerate(labels)}
    numbers = {label: number for number, label in enumerate(labels)}
    settings = context.settings
    said = Info(
        model_id=model.name,
        model_sha=model.checksum,
        model_dtype=model.classifier.manifest.precision,
        model_type=ModelType({"id2label": numbered, "label2id": numbers}),
        max_concurrent_requests=settings.queue,
        max_input_length=model.classifier.manifest.max_tokens,
        max_batch_tokens=model.classifier.manifest.max_tokens * settings.max_texts,
        max_client_batch_size=settings.max_texts,
        tokenization_workers=1,
        auto_truncate=True,
        version=__version__,
    )
    await send_answer(send, encode_json(said))


def _model(context: Context, scope: Scope) -> ServedModel:
    query = parse_qs(scope["query_string"].decode("latin-1"))
    return context.models.find(query.get("model", [None])[0])


def _texts(inputs: str | list[str | list[str]]) -> tuple[list[str], bool]:
    """Return the texts, and whether they are several.

    Raises:
        Problem: one of them is a pair, or there is none.
    """
    if isinstance(inputs, str):
        return [inputs], False
    if not inputs:
        raise Problem(422, "inputs is an empty list; it should hold a text")
    texts = []
    for index, one in enumerate(inputs):
        parts = [one] if isinstance(one, str) else one
        if len(parts) != 1:
            raise Problem(
                422, f"inputs[{index}] has {len(parts)} texts; the model reads them one by one"
            )
        texts += parts
    return texts, True


def _require_probabilities(
    request: PredictRequest, parameters: Parameters, model: ServedModel
) -> None:
    own = "sigmoid" if model.classifier.manifest.task == "multi-label" else "softmax"
    if request.raw_scores or parameters.function_to_apply not in {None, own}:
        asked = "raw scores" if request.raw_scores else parameters.function_to_apply
        raise Problem(422, f"{model.name} gives probabilities ({own}), not {asked}")
    if parameters.top_k is not None and parameters.top_k < 1:
        raise Problem(422, f"top_k should be at least 1, found {parameters.top_k}")


def _ranked(prediction: Prediction, top_k: int | None) -> list[LabelScore]:
    ranked = sorted(prediction.scores.items(), key=lambda item: -item[1])
    return [LabelScore(score, label) for label, score in ranked[:top_k]]


_PREDICT: dict[str, Any] = {
    "body": PredictRequest,
    "answer": list[LabelScore | list[LabelScore]],
    "statuses": (400, 404, 408, 413, 415, 422, 503),
    "query": ("model",),
}
ENDPOINTS = (
    Endpoint("POST", "/predict", "Scores of labels.", predict_endpoint, **_PREDICT),
    Endpoint("POST", "/", "Scores of labels, as /predict.", predict_endpoint, **_PREDICT),
    Endpoint(
        "GET",
        "/info",
        "Metadata of the server and its model.",
        info,
        answer=Info,
        statuses=(404,),
        query=("model",),
    ),
)
