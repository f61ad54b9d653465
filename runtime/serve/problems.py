"""Errors of the service, as problem details (RFC 9457)."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

PROBLEM_JSON = b"application/problem+json"
_LARGE = 2**16  # bytes of a body
# Types of errors of Text Embeddings Inference; of others, "Backend".
_ERROR_TYPES = {400: "Validation", 413: "Validation", 422: "Validation", 503: "Overloaded"}


class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """A request that is refused or cannot be answered.

    Attributes:
        status: the HTTP status.
        detail: one line that says what was found, what was expected and what to do.
        headers: further headers of the response.
    """

    def __init__(
        self, status: int, detail: str, headers: Mapping[bytes, bytes] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


class ClientGoneError(Exception):
    """The client closed the connection before its request was answered."""


class ProblemDetails(msgspec.Struct):
    """Problem details of RFC 9457, with the members that other protocols' clients read."""

    title: str
    status: int
    detail: str
    error: str  # read by clients of the Open Inference Protocol and of Text Embeddings Inference
    error_type: str
    type: str = "about:blank"


def problem_body(problem: Problem) -> bytes:
    """Return the body of the response to a problem, JSON."""
    return msgspec.json.encode(
        ProblemDetails(
            title=HTTPStatus(problem.status).phrase,
            status=problem.status,
            detail=problem.detail,
            error=problem.detail,
            error_type=_ERROR_TYPES.get(problem.status, "Backend"),
        )
    )


def decoded(decoder: msgspec.json.Decoder[Any], body: bytes | bytearray) -> Any:
    """Return the value of a JSON body, checked against its type.

    Raises:
        Problem: it is not JSON, or not of that type; the detail names the field.
    """
    # In millions of new lists, collections find nothing and take 0.8 of the time.
    pauses_collections = len(body) > _LARGE and gc.isenabled()
    if pauses_collections:
        gc.disable()
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as problem:
        raise Problem(422, f"the request's body: {problem}") from None
    except (msgspec.DecodeError, UnicodeError) as problem:
        raise Problem(400, f"the request's body is not JSON: {problem}") from None
    except RecursionError:
        raise Problem(400, "the request's body is nested too deeply") from None
    finally:
        if pauses_collections:
            gc.enable()
