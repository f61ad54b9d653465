"""The OpenAPI document, made from the endpoints and the types of their bodies."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from textgate import __version__
from textgate.serve.problems import PROBLEM_JSON, ProblemDetails

if TYPE_CHECKING:
    from textgate.serve.endpoints import Endpoint

_PARAMETER = re.compile(r"{(\w+)}")
_REFERENCE = "#/components/schemas/{name}"


def document(endpoints: Iterable[Endpoint]) -> bytes:
    """Return the document as JSON."""
    listed = tuple(endpoints)
    bodies = [one for endpoint in listed for one in (endpoint.body, endpoint.answer) if _has(one)]
    schemas, components = msgspec.json.schema_components(
        [*bodies, ProblemDetails], ref_template=_REFERENCE
    )
    by_type = {str(kind): schema for kind, schema in zip(bodies, schemas, strict=False)}
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in listed:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, by_type)
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": "textgate", "version": __version__},
            "paths": paths,
            "components": {
                "schemas": components,
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            },
        }
    )


def _has(kind: object) -> bool:
    return kind not in {None, str, dict}


def _operation(endpoint: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    if endpoint.answer is dict:
        answer = {"schema": {"type": "object"}}
    elif endpoint.answer is not None:
        answer = {"schema": schemas[str(endpoint.answer)]}
    operation: dict[str, Any] = {
        "summary": endpoint.summary,
        "parameters": [
            *(_parameter(name, "path") for name in _PARAMETER.findall(endpoint.path)),
            *(_parameter(name, "query") for name in endpoint.query),
        ],
        "responses": {
            "200": {"description": "OK", "content": {endpoint.media: answer}},
            **{str(status): _error(status, endpoint) for status in _statuses(endpoint)},
        },
        "security": [{}] if endpoint.public else [{}, {"token": []}],
    }
    if endpoint.body is str:
        operation["requestBody"] = _body("text/plain", {"type": "string"})
    elif endpoint.body is not None:
        operation["requestBody"] = _body("application/json", schemas[str(endpoint.body)])
    return operation


def _statuses(endpoint: Endpoint) -> list[int]:
    return sorted({*endpoint.statuses, *(() if endpoint.public else (401,))})


def _body(media: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {media: {"schema": schema}}}


def _parameter(name: str, where: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if name == "stop_at":
        schema = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
    elif name == "label":
        schema = {"type": "array", "items": {"type": "string"}}
    return {"name": name, "in": where, "required": where == "path", "schema": schema}


def _error(status: int, endpoint: Endpoint) -> dict[str, Any]:
    media = PROBLEM_JSON.decode()
    schema: dict[str, Any] = {"$ref": _REFERENCE.format(name=ProblemDetails.__name__)}
    content = {media: {"schema": schema}}
    if status == 503 and endpoint.body is None:  # readiness has an answer of its own
        content = {"application/json": {"schema": {"type": "object"}}}
    return {"description": HTTPStatus(status).phrase, "content": content}
