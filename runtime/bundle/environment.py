"""The environment variables that are read. None stays set: one is, while a library is imported."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

MODEL = "TEXTGATE_MODEL"  # names the bundle where nobody gives one
ENGINE = "TEXTGATE_ENGINE"  # names the engine where nobody gives one

# ONNX Runtime reads it once, when its native module is imported.
NO_ONNX_RUNTIME_TELEMETRY = "ORT_DISABLE_TELEMETRY"


@contextmanager
def variable(name: str, value: str) -> Iterator[None]:
    """Give an environment variable a value for the length of a ``with``, whatever it is outside."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before
