"""The errors textgate raises, all below one root.

A message says what was found, where (file, row or field), what was expected and what to do. The
command line prints it on one line and exits with 1; `ConfigError` exits with 2, as wrong usage.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


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


class MissingPackageError(TextgateError, ModuleNotFoundError):
    """A package is not installed that one of textgate's extras brings; `name` says which."""


@contextmanager
def needing(extra: str, what: str) -> Iterator[None]:
    """Say of imports that fail in a ``with`` which extra brings the package.

    Args:
        extra: its name.
        what: what needs the package.

    Raises:
        MissingPackageError: a package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as problem:
        package = (problem.name or "").partition(".")[0]
        if package == "textgate":
            raise  # a broken installation
        raise MissingPackageError(
            f"{what} needs {package}, which the extra brings: pip install 'textgate[{extra}]'",
            name=package,
        ) from None
