"""The environment variables that are read; none is ever set."""

from __future__ import annotations

MODEL = "TEXTGATE_MODEL"  # names the bundle where nobody gives one
ENGINE = "TEXTGATE_ENGINE"  # names the engine where nobody gives one
