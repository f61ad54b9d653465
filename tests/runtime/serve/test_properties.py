"""Requests at random, made from the OpenAPI document: none fails the service."""

from __future__ import annotations

from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from textgate.serve import app

DATA = Path(__file__).parents[2] / "data"
SERVICE = app({"movies": DATA / "lstm-int8", "topics": DATA / "rnn-multi-label"})
SERVICE.models.warm_up()
schema = schemathesis.openapi.from_asgi("/openapi.json", SERVICE)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(autouse=True)
def nothing_watches(monkeypatch):
    """Each request has an event loop of its own here; none is left watching folders."""
    monkeypatch.setattr(SERVICE, "_start", lambda: None)


@schema.parametrize()
@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_no_request_fails_the_service(case):
    case.call_and_validate(checks=CHECKS)
