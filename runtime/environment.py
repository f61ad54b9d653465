"""Environment variables that are read; one is set while ONNX Runtime is imported."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

MODEL = "TEXTGATE_MODEL"  # the bundle, unless one is given
ENGINE = "TEXTGATE_ENGINE"  # the engine, unless one is given
NO_COLOR = "NO_COLOR"  # no colours, if it is set to anything; see https://no-color.org

# ONNX Runtime reads it once, when its native module is imported.
NO_ONNX_RUNTIME_TELEMETRY = "ORT_DISABLE_TELEMETRY"


@contextmanager
def variable(name: str, value: str) -> Iterator[None]:
    """Set an environment variable inside a ``with``, and restore it afterwards."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before
