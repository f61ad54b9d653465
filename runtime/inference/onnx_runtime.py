"""Import of ONNX Runtime with its telemetry turned off."""

from __future__ import annotations

from textgate import environment

__all__ = ["onnxruntime"]

# On import, its builds for Linux and macOS (1.29 and later) write a device id and a database to the
# user's cache, and seconds later they open connections. Only this module imports it. An explicit 0
# is overridden, because textgate promises to send nothing.
with environment.variable(environment.NO_ONNX_RUNTIME_TELEMETRY, "1"):
    import onnxruntime
# For Windows, which has no such variable, and for programs that imported it before.
onnxruntime.disable_telemetry_events()
