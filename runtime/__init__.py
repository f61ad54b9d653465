"""textgate: classify text on a CPU with small, quantized, verified recurrent networks.

`import textgate` is cheap: the classes below are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from textgate.errors import (
    BundleError,
    CheckpointError,
    ConfigError,
    DataError,
    ExportError,
    HubError,
    MissingPackageError,
    TextgateError,
    UselessModelError,
    VerificationError,
)

if TYPE_CHECKING:
    from textgate.evaluation.error_analysis import find_errors
    from textgate.evaluation.evaluate import evaluate
    from textgate.inference.classifier import Classifier
    from textgate.inference.explanation import Explanation
    from textgate.inference.guard import guard
    from textgate.inference.prediction import Prediction
    from textgate.inference.streaming import Stream

__version__ = "0.1.0"

__all__ = [
    "BundleError",
    "CheckpointError",
    "Classifier",
    "ConfigError",
    "DataError",
    "Explanation",
    "ExportError",
    "HubError",
    "MissingPackageError",
    "Prediction",
    "Stream",
    "TextgateError",
    "UselessModelError",
    "VerificationError",
    "__version__",
    "evaluate",
    "find_errors",
    "guard",
]

_LAZY = {
    "Classifier": "textgate.inference.classifier",
    "Explanation": "textgate.inference.explanation",
    "Prediction": "textgate.inference.prediction",
    "Stream": "textgate.inference.streaming",
    "evaluate": "textgate.evaluation.evaluate",
    "find_errors": "textgate.evaluation.error_analysis",
    "guard": "textgate.inference.guard",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'textgate' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
