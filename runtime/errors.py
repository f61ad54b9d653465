"""The errors textgate raises, all below one root.

A message says what was found, where (file, row or field), what was expected and what to do. The
command line prints it on one line and exits with 1; `ConfigError` exits with 2, as wrong usage.
"""

from __future__ import annotations


class TextgateError(Exception):
    """Anything that textgate itself refuses or cannot do."""


class DataError(TextgateError):
    """Input or output rows are missing, malformed or cannot be written."""


class ConfigError(TextgateError):
    """Settings are wrong or cannot work together."""


class BundleError(TextgateError):
    """A bundle is damaged, incomplete, unsafe, or of a version this release does not read."""


class CheckpointError(TextgateError):
    """A run's folder is damaged, unfinished, or of a version this release does not read."""


class ExportError(TextgateError):
    """A run cannot be turned into a bundle."""


class VerificationError(ExportError):
    """An exported graph does not compute what it was exported from; nothing was published."""
