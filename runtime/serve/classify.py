"""textgate's own protocol: `POST /v1/classify` and `GET /v1/models`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from textgate.errors import TextgateError
from textgate.inference.arguments import thresholds_of
from textgate.inference.explanation import Word
from textgate.inference.prediction import Decision, Prediction
from textgate.serve.endpoints import Endpoint
from textgate.serve.exchange import encode_json, read_body, send_answer
from textgate.serve.problems import Problem, decoded
from textgate.serve.work import MAX_AT_ONCE

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from textgate.inference.classifier import Classifier
    from textgate.serve.context import Context
    from textgate.serve.settings import Settings

# An explanation takes as long as some hundred predictions.
MAX_EXPLAINED_TEXTS = 32
MAX_EXPLAINED_CHARACTERS = 10_000  # of all texts of a request

Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]


class ClassifyRequest(msgspec.Struct, forbid_unknown_fields=True):
    """One text, or several, to classify."""

    text: str | None = None
    texts: list[str] | None = None
    model: str | None = None
    version: str | None = None
    thresholds: Probability | dict[str, Probability] | None = None
    top_k: Annotated[int, msgspec.Meta(ge=1)] | None = None
    explain: bool = False


class TextExplanation(msgspec.Struct):
    """How much each word of a text spoke for and against each label."""

    words: tuple[Word, ...]  # positions are counted in characters: code points
    read_end: int


class ClassifyAnswer(msgspec.Struct, omit_defaults=True):
    """`prediction` for one text, `predictions` for several; explanations if they were asked for."""

    model: str
    version: str
    prediction: Prediction | None = None
    predictions: list[Prediction] | None = None
    explanation: TextExplanation | None = None
    explanations: list[TextExplanation] | None = None


class ModelFacts(msgspec.Struct):
    """Description of a model."""

    name: str
    version: str
    default: bool
    checksum: str
    labels: list[str]
    task: str
    thresholds: dict[str, float | None]
    max_tokens: int
    streaming: bool
    engine: str
    loaded: float  # seconds since 1970


class ModelsAnswer(msgspec.Struct):
    """Every version of every model."""

    models: list[ModelFacts]


_REQUEST = msgspec.json.Decoder(ClassifyRequest)


async def classify_endpoint(context: Context, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer `POST /v1/classify`."""
    request: ClassifyRequest = decoded(_REQUEST, await read_body(scope, receive, context.settings))
    model = context.models.find(request.model, request.version)
    if (request.text is None) == (request.texts is None):
        raise Problem(422, "the request should have either `text`, a string, or `texts`, a list")
    texts = [request.text] if request.text is not None else request.texts or []
    require_texts(texts, context.settings)
    if request.explain:
        _require_few(texts)
    if request.text is not None and _is_plain(request):
        prediction = await context.work.predict(model.classifier, request.text)
        context.metrics.predicted(model.name, [prediction])
        await send_answer(send, encode_json(ClassifyAnswer(model.name, model.version, prediction)))
        return

    def answer() -> tuple[bytes, Sequence[Prediction]]:
        predictions = predict(
            model.classifier, texts, thresholds=request.thresholds, top_k=request.top_k
        )
        explained = None
        if request.explain:
            explained = explanations(model.classifier, texts, top_k=request.top_k)
        value = ClassifyAnswer(model.name, model.version)
        if request.text is None:
            value.predictions, value.explanations = predictions, explained
        else:
            (value.prediction,) = predictions
            (value.explanation,) = explained or (None,)
        return encode_json(value), predictions

    body, predictions = await context.work.run(texts, answer, at_once=not request.explain)
    context.metrics.predicted(model.name, predictions)
    await send_answer(send, body)


def _is_plain(request: ClassifyRequest) -> bool:
    """Return whether a request is one short text without options, as most are."""
    return (
        len(request.text or "") <= MAX_AT_ONCE
        and request.thresholds is None
        and request.top_k is None
        and not request.explain
    )


async def list_models(context: Context, _: Scope, __: Receive, send: Send) -> None:
    """Answer `GET /v1/models`."""
    facts = []
    for model in context.models.all():
        said: dict[str, Any] = model.classifier.describe()
        facts.append(
            ModelFacts(
                name=model.name,
                version=model.version,
                default=model is context.models.find(),
                checksum=model.checksum,
                labels=said["labels"],
                task=said["task"],
                thresholds=said["thresholds"],
                max_tokens=said["max_tokens"],
                streaming=said["streaming"],
                engine=said["engine"]["name"],
                loaded=model.loaded,
            )
        )
    await send_answer(send, encode_json(ModelsAnswer(facts)))


def require_count(texts: Sized, settings: Settings) -> None:
    """Refuse too many texts.

    Raises:
        Problem: there are more than `max_texts`.
    """
    if len(texts) > settings.max_texts:
        raise Problem(
            413, f"{len(texts)} texts; at most {settings.max_texts} are accepted in one request"
        )


def require_texts(texts: Sequence[str], settings: Settings) -> None:
    """Refuse too many texts, and texts that are too long.

    Raises:
        Problem: there are more than `max_texts`, or one is longer than `max_characters`.
    """
    require_count(texts, settings)
    for index, text in enumerate(texts):
        if len(text) > settings.max_characters:
            raise Problem(
                413,
                f"texts[{index}] has {len(text)} characters; at most {settings.max_characters} "
                "are accepted",
            )


def _require_few(texts: Sequence[str]) -> None:
    """Refuse more texts or characters than are explained in one request.

    Raises:
        Problem: there are more.
    """
    characters = sum(map(len, texts))
    if len(texts) > MAX_EXPLAINED_TEXTS or characters > MAX_EXPLAINED_CHARACTERS:
        raise Problem(
            413,
            f"{len(texts)} texts of {characters} characters to explain; at most "
            f"{MAX_EXPLAINED_TEXTS} texts of together {MAX_EXPLAINED_CHARACTERS} characters are "
            "accepted in one request",
        )


def explanations(
    classifier: Classifier, texts: Sequence[str], *, top_k: int | None = None
) -> list[TextExplanation]:
    """Return the explanations of texts."""
    found = (classifier.explain(text, top_k=top_k) for text in texts)
    return [TextExplanation(one.words, one.read_end) for one in found]


def predict(
    classifier: Classifier,
    texts: Sequence[str],
    *,
    thresholds: Mapping[str, float] | float | None = None,
    top_k: int | None = None,
) -> list[Prediction]:
    """Return the predictions for texts.

    Raises:
        Problem: a threshold's label is not the model's, or `top_k` is more than it has.
    """
    try:
        if thresholds is not None:
            decision = Decision(
                labels=classifier.labels,
                thresholds=thresholds_of(thresholds, classifier.labels),
                multi_label=classifier.manifest.task == "multi-label",
            )
            if top_k is not None and top_k > len(classifier.labels):
                raise Problem(422, f"top_k must be from 1 to the {len(classifier.labels)} labels")
            return decision.predict_many(classifier.scores(texts), top_k=top_k)
        if len(texts) == 1:
            return [classifier.predict(texts[0], top_k=top_k)]
        return list(classifier.predict_many(texts, top_k=top_k))
    except TextgateError as problem:
        raise Problem(422, str(problem)) from None


ENDPOINTS = (
    Endpoint(
        "POST",
        "/v1/classify",
        "Classify one text, or several.",
        classify_endpoint,
        body=ClassifyRequest,
        answer=ClassifyAnswer,
        statuses=(400, 404, 408, 413, 415, 422, 503),
    ),
    Endpoint("GET", "/v1/models", "List the models.", list_models, answer=ModelsAnswer),
)
