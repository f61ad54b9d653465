"""ONNX Runtime, imported without its telemetry."""

from __future__ import annotations

from textgate.bundle import environment

__all__ = ["onnxruntime"]

# Its builds for Linux and macOS (1.29 and later) write a device id and a database to the user's
# cache when they are imported, and open connections seconds later. This is the only place that
# imports it. An explicit 0 is overridden, too: textgate promises that it sends nothing.
with environment.variable(environment.NO_ONNX_RUNTIME_TELEMETRY, "1"):
    import onnxruntime
# Windows has no such variable. Also the most that can be done where it was imported before.
onnxruntime.disable_telemetry_events()
