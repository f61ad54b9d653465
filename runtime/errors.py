"""Errors of textgate, with one root.

A message names the file and the row or field, what was found, what was expected, and what to do.
The command line prints it on one line and exits with 1, or with 2 for a `ConfigError`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class TextgateError(Exception):
    """The root of all errors that textgate raises."""


class DataError(TextgateError):
    """Input or output rows are missing, malformed or cannot be written."""


class ConfigError(TextgateError):
    """Settings are wrong or cannot work together."""


class BundleError(TextgateError):
    """A bundle is damaged, incomplete, unsafe, or of a version this release does not read."""


class HubError(BundleError):
    """The Hugging Face Hub cannot be reached, or does not give or take a bundle."""


class CheckpointError(TextgateError):
    """A run's folder is damaged, unfinished, or of a version this release does not read."""


class ExportError(TextgateError):
    """A run cannot be turned into a bundle."""


class VerificationError(ExportError):
    """An exported graph does not compute what its run does; no bundle was written."""


class UselessModelError(ExportError):
    """A network is not better than the most frequent label alone; no bundle was written."""


class MissingPackageError(TextgateError, ModuleNotFoundError):
    """A package of one of textgate's extras is not installed; `name` is the package."""


@contextmanager
def needing(extra: str, what: str) -> Iterator[None]:
    """Name the extra of a package whose import fails in a ``with`` block.

    Args:
        extra: the name of the extra.
        what: the feature that needs the package.

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
